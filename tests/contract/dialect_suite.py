"""What every dialect promises, asked of each with its own corpus.

A corpus folder holds `requests/` and `responses/`: small hand-made bodies, each beside what a reader is to make of it
(`NAME.expected.json`, in the form of `as_json`). `python -m contract.dialect_suite NAME` writes those anew, to be read
through before they are committed.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapes.wire import dialects
from tapes.wire.dialects.base import Dialect
from tapes.wire.turns import ResponseReading, Text, TurnReading, new_tail

CORPUS = Path(__file__).parents[1] / "corpus"
MARK = "a-field-nobody-knows"

# One suite runs for each dialect; its instances hold nothing, so an example means the same in each.
SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])

_scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("tool_use")
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "id", "index", "content", "delta"]), inner, max_size=3)
    ),
    max_leaves=6,
)

HOSTILE = {
    "nothing": b"",
    "blank": b" \n ",
    "no JSON": b"{nope",
    "a scalar": b"3",
    "a list": b"[1,2]",
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"messages":' * 100_000,
    "deep enough to parse": b'{"messages":[' + b"[" * 900 + b"]" * 900 + b"]}",
    "a huge number": b'{"messages":' + b"9" * 10_000 + b"}",
    "no UTF-8": b'{"messages":[{"role":"user","content":"\xff\xfe"}]}',
    "no text at all": bytes(range(256)),
    "quotes": b'"' * 1_000_000,
    "line ends": b"data: x\n\n" + b"\r\n" * 5_000_000,
    "one long line": b"data: " + b"x" * 10_000_000,
    "one long string": b'{"messages":[{"role":"user","content":"' + b"x" * 10_000_000 + b'"}]}',
    "too many values": b'{"messages":[' + b"[1]," * 2_500_000 + b"1]}",
    "an event that is no object": b"data: [1]\n\ndata: 7\n\ndata: null\n\n",
    "events of nonsense": b'event: error\ndata: {"error": 5}\n\ndata: {"type": {}}\n\ndata: {"type": "ping"}\n',
}


def as_json(value: Any) -> Any:
    """A reading as JSON: each value with the name of its class, fields that say nothing left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
        said = {k: v for k, v in fields.items() if v not in (None, "", [], {}) and v is not False}
        return {"is": type(value).__name__} | said
    if isinstance(value, dict):
        return {k: as_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value


def bodies(name: str, what: str) -> dict[str, bytes]:
    """The corpus of a dialect: `requests` or `responses`."""
    folder = CORPUS / name / what
    paths = [path for path in sorted(folder.glob("*")) if not path.name.endswith(".expected.json")]
    return {path.name: path.read_bytes() for path in paths}


def status_of(file: str) -> int:
    """What the name of a corpus file says about the status it came with."""
    return 429 if file.startswith("error") and file.endswith(".json") else 502 if file.endswith(".html") else 200


def type_of(file: str) -> str:
    """The content type; most bodies tell their form by themselves."""
    return "application/x-ndjson" if file.endswith(".ndjson") else ""


def read_response(
    dialect: Dialect, body: bytes, cuts: list[int] | None = None, status: int = 200, content_type: str = ""
) -> ResponseReading:
    """The reading of a body that arrives cut at `cuts`."""
    reader = dialect.response_reader(status, content_type)
    places = [0, *sorted(cuts or []), len(body)]
    for start, end in pairwise(places):
        reader.feed(body[start:end])
    return reader.finish()


def words(reading: ResponseReading) -> str:
    """All text of an answer."""
    return "".join(b.text for b in (reading.message.blocks if reading.message else ()) if isinstance(b, Text))


def marked(value: Any) -> Iterator[Any]:
    """The value once for each object in it, with an unknown field put into that object."""
    if isinstance(value, dict):
        yield {**value, MARK: MARK}
        for key, item in value.items():
            for changed in marked(item):
                yield {**value, key: changed}
    elif isinstance(value, list):
        for index, item in enumerate(value):
            for changed in marked(item):
                yield [*value[:index], changed, *value[index + 1 :]]


def marked_bodies(body: bytes) -> Iterator[bytes]:
    """A body (JSON, or events of JSON) once for each place where an unknown field can stand."""
    if not is_stream(body):
        for changed in marked(json.loads(body)):
            yield json.dumps(changed).encode()
        return
    lines = body.split(b"\n")
    for index in event_lines(lines):
        prefix, value = event(lines[index])
        for changed in marked(value):
            yield b"\n".join([*lines[:index], prefix + json.dumps(changed).encode(), *lines[index + 1 :]])


def is_stream(body: bytes) -> bool:
    """Events, or lines of JSON."""
    return not body.startswith((b"{", b"[", b"<")) or (body.startswith(b"{") and b"}\n{" in body)


def event_lines(lines: list[bytes]) -> list[int]:
    """Which lines hold an event of JSON."""
    return [n for n, line in enumerate(lines) if line.startswith((b"data: {", b"{")) and line.rstrip().endswith(b"}")]


def event(line: bytes) -> tuple[bytes, Any]:
    """What stands before the JSON of a line, and its value."""
    prefix = b"data: " if line.startswith(b"data: ") else b""
    return prefix, json.loads(line.removeprefix(prefix))


def changed_somewhere(data: st.DataObject, value: Any) -> Any:
    """The value with one part of it replaced by something else."""
    if isinstance(value, dict | list) and value and data.draw(st.integers(0, 3)):
        key = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        copy = value.copy()
        copy[key] = changed_somewhere(data, value[key])
        return copy
    return data.draw(_values)


class DialectSuite:
    """Subclass with the dialect's name."""

    name: str

    @property
    def dialect(self) -> Dialect:
        return dialects.by_name(self.name)

    def response(self, file: str, body: bytes, cuts: list[int] | None = None) -> ResponseReading:
        return read_response(self.dialect, body, cuts, status_of(file), type_of(file))

    def turn_of(self, body: bytes, name: str) -> TurnReading:
        request, turn = self.dialect.read_request(body), self.dialect.read_turn(body)
        assert (turn.model, turn.messages) == (new_tail(request).model, new_tail(request).messages), name
        assert not turn.error or turn.error in "; ".join(request.errors), name
        return turn

    def test_the_corpus_reads_as_expected(self) -> None:
        read = written(self.name)
        assert read
        for path, value in read.items():
            assert value == json.loads(path.read_text()), path.name

    @settings(SHARED, max_examples=60)
    @given(data=st.data())
    def test_any_slicing_of_a_response_gives_the_same_reading(self, data: st.DataObject) -> None:
        file, body = data.draw(st.sampled_from(sorted(bodies(self.name, "responses").items())))
        cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=12))
        assert self.response(file, body, cuts) == self.response(file, body)

    def test_one_byte_at_a_time_gives_the_same_reading(self) -> None:
        for file, body in bodies(self.name, "responses").items():
            assert self.response(file, body, list(range(len(body)))) == self.response(file, body), file

    def test_a_response_cut_anywhere_keeps_what_had_arrived(self) -> None:
        for file, body in bodies(self.name, "responses").items():
            if not is_stream(body):
                continue
            whole = words(self.response(file, body))
            before = ""
            for cut in range(0, len(body), 11):
                said = words(self.response(file, body[:cut]))
                assert said.startswith(before), (file, cut)
                before = said.rstrip("\ufffd")  # half of a surrogate pair, until its other half comes
            assert whole.startswith(before)

    def test_nothing_unknown_is_dropped(self) -> None:
        for file, body in bodies(self.name, "requests").items():
            for changed in marked_bodies(body):
                reading = as_json(self.dialect.read_request(changed))
                assert MARK in json.dumps(reading), (file, changed)
        for file, body in bodies(self.name, "responses").items():
            if file.endswith(".html"):
                continue
            for changed in marked_bodies(body):
                assert MARK in json.dumps(as_json(self.response(file, changed))), (file, changed)

    def test_the_new_part_of_a_request_is_the_end_of_the_whole(self) -> None:
        for file, body in bodies(self.name, "requests").items():
            self.turn_of(body, file)

    @pytest.mark.parametrize("kind", HOSTILE)
    def test_a_hostile_body_gives_a_reading_and_no_exception(self, kind: str) -> None:
        body = HOSTILE[kind]
        request, response = self.dialect.read_request(body), read_response(self.dialect, body)
        turn = self.turn_of(body, kind)
        for reading in (request, turn, response):
            json.dumps(as_json(reading), ensure_ascii=False).encode()

    def test_a_body_that_can_not_be_read_is_its_text_and_an_error(self) -> None:
        request = self.dialect.read_request(b"{nope")
        assert "{nope" in json.dumps(as_json(request.messages))
        assert request.errors or self.name == "raw"
        response = read_response(self.dialect, b"{nope")
        assert "{nope" in json.dumps(as_json(response))
        assert response.problems or self.name == "raw"

    @settings(SHARED, max_examples=150)
    @given(data=st.data())
    def test_a_body_changed_anywhere_is_still_read(self, data: st.DataObject) -> None:
        file, body = data.draw(st.sampled_from(sorted(bodies(self.name, "requests").items())))
        changed = json.dumps(changed_somewhere(data, json.loads(body))).encode()
        self.turn_of(changed, file)

    @settings(SHARED, max_examples=150)
    @given(data=st.data())
    def test_a_stream_with_a_changed_event_is_still_read(self, data: st.DataObject) -> None:
        streams = {k: v for k, v in bodies(self.name, "responses").items() if is_stream(v)}
        file = data.draw(st.sampled_from(sorted(streams)))
        lines = streams[file].split(b"\n")
        place = data.draw(st.sampled_from(event_lines(lines)))
        prefix, value = event(lines[place])
        lines[place] = prefix + json.dumps(changed_somewhere(data, value)).encode()
        body = b"\n".join(lines)
        cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=3))
        assert self.response(file, body, cuts) == self.response(file, body)


def written(name: str) -> dict[Path, Any]:
    """Every expected file of a dialect's corpus with what is read now."""
    dialect = dialects.by_name(name)
    found: dict[Path, Any] = {}
    for file, body in bodies(name, "requests").items():
        reading: Any = dialect.read_request(body)
        found[CORPUS / name / "requests" / f"{file}.expected.json"] = as_json(reading)
    for file, body in bodies(name, "responses").items():
        reading = read_response(dialect, body, None, status_of(file), type_of(file))
        found[CORPUS / name / "responses" / f"{file}.expected.json"] = as_json(reading)
    return found


if __name__ == "__main__":
    for path, value in written(sys.argv[1]).items():
        path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
