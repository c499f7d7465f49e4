"""What a dialect of the agent is: an API's words for a history, a request, and an answer.

A dialect is pure and knows no socket. Answers have one form, `whole`: what the API gives when nothing is
streamed; a Reader assembles it from a stream. The readings here are the simulator's own, made for answers
that are well formed: as a witness of what was said they must not share code with the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tapes_addons.simulators.agent_tools import Json, Result


class BrokenStream(Exception):
    """The stream ended, or reported an error, before its last event."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same in every request of a launch. `place`: where the agent works, in a sentence."""

    model: str
    system: str
    place: str
    session: str
    stream: bool = True
    code_mode: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """A call that the model made. `kind`: the API's own word for it, where its result must repeat it."""

    id: str
    name: str
    input: Json
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What the model said. `stop`: why it ended, where that is neither its own wish nor a call."""

    thinking: str
    text: str
    uses: tuple[Use, ...]
    stop: str = ""


class Reader(Protocol):
    """One streamed answer."""

    @property
    def done(self) -> bool:
        """Whether the last event has been seen."""

    @property
    def whole(self) -> Json: ...

    def feed(self, data: str) -> None:
        """The next event. Raises BrokenStream when it is an error."""


class Dialect(Protocol):
    model: str
    """What to ask for unless told otherwise."""
    variable: str
    """The environment variable of the base URL, as SDKs of this API know it."""
    base_url: str
    """Where the real service is."""
    key_variable: str
    has_ids: bool
    """Whether real agents of this API say in headers which session they are."""

    def headers(self, key: str) -> Json: ...

    def path(self, setting: Setting) -> str:
        """Relative to the base URL."""

    def begin(self, setting: Setting, prompt: str) -> list[Json]:
        """A conversation's history, up to the first question."""

    def request(self, setting: Setting, history: list[Json]) -> Json: ...

    def events(self, pieces: Iterable[str]) -> Iterator[str]:
        """A stream cut anywhere as the data of its events."""

    def reader(self) -> Reader: ...

    def answer(self, whole: Json) -> list[Json]:
        """What the model said, as the history repeats it."""

    def said(self, whole: Json) -> Said: ...

    def results(self, results: list[tuple[Use, Result]]) -> list[Json]:
        """The results of one turn's calls, as the history has them."""
