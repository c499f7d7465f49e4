"""A session being written, and whose it is.

`tapes run` records one session; a standing proxy several at once. Which one a happening belongs to is decided from
headers alone, before anything is interpreted: the agent's own id on the wire, else the user name in the proxy URL,
else the one session of all that say nothing.
"""

from __future__ import annotations

from typing import Literal

from tapes.archive.base import Draft
from tapes.archive.summary import Summary
from tapes.intake.joins import Joiner
from tapes.intake.linker import Linker
from tapes.intake.lost import Lost
from tapes.intake.opening import Facts, opening
from tapes.intake.split import Splitter
from tapes.record.digest import Digest
from tapes.values import dataclass, field
from tapes.wire.agents import Agent, by_name
from tapes.wire.redact import Redactor


@dataclass(frozen=True, slots=True)
class Who:
    """Whose session a happening belongs to."""

    kind: Literal["launch", "wire", "user", "unassigned"]
    """The launched agent's; that of an id on the wire; of a user name in the proxy URL; or nobody's in particular."""
    agent: str = ""
    id: str = ""
    user: str = ""
    """The user name in the proxy URL, also where an id on the wire decides."""


LAUNCH = Who("launch")


@dataclass(slots=True)
class Recording:
    """One session. Only the writer's thread touches it, but for `lost`, which has a lock of its own."""

    splitter: Splitter
    agent: Agent
    linker: Linker = field(default_factory=Linker)
    summary: Summary = field(default_factory=Summary)
    lost: Lost = field(default_factory=Lost)
    joiner: Joiner = field(default_factory=Joiner)
    busy_ns: int = 0
    """Monotonic time of the last happening."""

    @property
    def session(self) -> Digest | Draft:
        return self.splitter.session

    @staticmethod
    def begin(facts: Facts, redactor: Redactor) -> Recording:
        """A session whose `session.open` goes with its first batch. It claims no name."""
        draft = opening(facts, redactor)
        recording = Recording(Splitter(draft, redactor), by_name(facts.agent))
        recording.splitter.add(draft)
        return recording
