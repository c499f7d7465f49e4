"""What the readers of streams share: a row of JSON objects, from events or from lines, in bounded time.

An entry that is no JSON object is kept beside the message (`unreadable_events`) and named as a problem. Text in
pieces stays unmended until it has been joined: a surrogate pair may be split over two entries.
"""

from __future__ import annotations

from typing import Protocol

from tapes.values import dataclass, field
from tapes.wire.dialects.json_body import NO_UNICODE, load, mend_value
from tapes.wire.events import SLICE, Event
from tapes.wire.turns import Json, ResponseReading

MAX_EVENTS = 500_000
"""An event costs some 10 µs to read, and no model says this much in one answer."""
MAX_PROBLEMS = 50

_SAYS_NOTHING = (None, "")


def said(fields: dict[str, Json]) -> dict[str, Json]:
    """The fields that are not null: chunks name all there could be."""
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(slots=True)
class Fields:
    """Fields that are repeated with every chunk, and mostly the same."""

    kept: dict[str, Json] = field(default_factory=dict)
    changed: list[Json] = field(default_factory=list)

    def add(self, fields: dict[str, Json]) -> None:
        for name, value in said(fields).items():
            if self.kept.get(name) in _SAYS_NOTHING:
                self.kept[name] = value
            elif value not in _SAYS_NOTHING and value != self.kept[name]:
                self.changed.append({name: value})

    def all(self) -> dict[str, Json]:
        return self.kept | ({"changed_fields": self.changed} if self.changed else {})


class Decoder(Protocol):
    """events.EventDecoder, lines.LineDecoder."""

    def feed(self, data: bytes) -> list[Event]: ...

    def finish(self) -> list[Event]: ...


class JsonStream:
    """A ResponseReader; a subclass says what an object means (`take`) and what they all came to (`read`)."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._left = MAX_EVENTS
        self._problems: list[str] = []
        self._aside: dict[str, list[Json]] = {}

    def take(self, kind: str, value: dict[str, Json]) -> None:
        """One more object; `kind` is the name of its event, where events have names."""
        raise NotImplementedError

    def take_text(self, text: str) -> bool:
        """Data that is no JSON but known to the protocol; False for what is not."""
        return False

    def read(self) -> ResponseReading:
        """The reading of all that was taken."""
        raise NotImplementedError

    def feed(self, data: bytes) -> None:
        for at in range(0, len(data), SLICE):
            if self._left > 0:
                for event in self._decoder.feed(data[at : at + SLICE]):
                    self._one(event)

    def finish(self) -> ResponseReading:
        for event in self._decoder.finish():
            self._one(event)
        return self.read()

    def _one(self, event: Event) -> None:
        self._left -= 1
        if self._left <= 0:
            self.problem(f"more than {MAX_EVENTS} events: the rest was not read")
            return
        if event.error is None and self.take_text(event.data):
            return
        loaded = load(event.data, mended=False)
        if not isinstance(loaded.value, dict):
            where = "the last event" if not event.terminated else f"the event at byte {event.start}"
            self.problem(f"{where}: {event.error or loaded.error or 'no object'}")
            self.keep("unreadable_events", event.data)
            return
        for problem in loaded.problems:
            self.problem(problem)
        self.take(event.event, loaded.value)

    def keep(self, name: str, value: Json) -> None:
        """Something that has no place in the message."""
        self._aside.setdefault(name, []).append(value)

    def aside(self) -> dict[str, Json]:
        """What was kept, by name."""
        return {name: list(values) for name, values in self._aside.items()}

    def mended(self, raw: dict[str, Json]) -> dict[str, Json]:
        """The value in Unicode; that it was not is a problem."""
        value = mend_value(raw)
        assert isinstance(value, dict)
        if value is not raw:
            self.problem(NO_UNICODE)
        return value

    def problem(self, text: str) -> None:
        if len(self._problems) < MAX_PROBLEMS and text not in self._problems:
            self._problems.append(text)
