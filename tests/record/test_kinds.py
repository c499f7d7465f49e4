from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import texts, values
from tapes.errors import Damaged
from tapes.record import canon
from tapes.record.digest import blob_digest
from tapes.record.kinds import CLASSES, OUTCOMES, TYPES, BodyRef, Record, body_refs, read_record, record_bytes

unknown = st.dictionaries(texts.map("x-".__add__), values, max_size=3)
D = blob_digest(b"d")
REF = BodyRef(D, 3, blob_digest(b"e"))

BODIES: dict[str, dict[str, Any]] = {
    "session.open": {"agent": "a", "argv": [b"a", b"\xff"], "cwd": b"/\xff", "scheme": "plain"},
    "exchange.open": {
        "method": "POST",
        "url": "u",
        "class": "model",
        "request": REF.to_value(),
        "headers": [[b"a", b"b"]],
    },
    "exchange.part": {"n": 0, "offset": 0, "length": 3, "data": D, "times": [3, 10]},
    "exchange.end": {"outcome": "complete", "status": 200, "response": None},
    "tool.use": {"id": "i", "name": "n"},
    "tool.result": {"id": "i"},
    "command.start": {
        "id": bytes(16),
        "participant": {"kind": "agent", "name": "a"},
        "level": "supervisor",
        "shell": "bash",
        "argv": [b"bash", b"-c", b"\xff"],
        "line": b"\xff",
        "cwd": b"/",
        "tty": False,
    },
    "command.output": {"n": 0, "data": REF.to_value(), "pieces": [[0, "o", 2], [5, "e", 1]]},
    "command.exec": {"execs": [[0, 7, 1, [b"ls"], b"/"]]},
    "command.end": {"status": 1, "signal": None},
    "command.lost": {"reason": "r"},
    "join": {"tool": "t", "method": "env", "exact": True},
    "snapshot": {
        "n": 0,
        "part": 0,
        "root": b"/p",
        "cause": "start",
        "full": True,
        "listing": REF.to_value(),
        "content": None,
    },
    "terminal": {
        "n": 0,
        "columns": 80,
        "rows": 24,
        "data": REF.to_value(),
        "events": [[0, "o", 3], [2, "r", 100, 30], [0, "x", 9], [0, "later", "?"]],
    },
    "gap": {"reason": "r"},
    "redaction": {"who": "w", "reason": "r", "what": "session", "records": [[0, 3]], "tombs": D, "bodies": [D]},
}


def a_record(type_: str = "note", **fields: Any) -> Record:
    first = type_ == "session.open"
    known = {
        "v": 1,
        "type": type_,
        "session": None if first else D,
        "seq": 0 if first else 4,
        "prev": None if first else D,
        "parents": () if first else (D,),
        "writer": b"w" * 16,
        "wall_ns": 1,
        "mono_ns": 2,
        "boot": "b",
        "nonce": b"n" * 16,
        "body": BODIES.get(type_, {}),
    }
    return Record(**known | fields)


@pytest.mark.parametrize("type_", TYPES)
def test_every_type_survives_writing_and_reading(type_: str) -> None:
    record = a_record(type_)
    assert read_record(record_bytes(record)) == record


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(texts.map("x-".__add__), values, max_size=3),
    st.dictionaries(texts.map("x-".__add__), values, max_size=3),
)
def test_unknown_fields_survive_in_the_record_and_in_its_body(extra: dict[str, Any], more: dict[str, Any]) -> None:
    record = a_record("gap", body={"reason": "r"} | more, extra=extra)
    data = record_bytes(record)
    assert read_record(data) == record
    assert record_bytes(read_record(data)) == data


def test_an_opening_record_has_neither_session_nor_prev() -> None:
    written = canon.decode(record_bytes(a_record("session.open")))
    assert isinstance(written, dict) and not {"session", "prev"} & written.keys()


@pytest.mark.parametrize(
    ("type_", "fields"),
    [
        ("session.open", {"seq": 1}),
        ("session.open", {"session": D}),
        ("session.open", {"prev": D}),
        ("note", {"seq": 0}),
        ("note", {"session": None}),
        ("note", {"prev": None}),
        ("note", {"nonce": b"short"}),
        ("note", {"writer": b""}),
        ("note", {"seq": -1}),
        ("note", {"v": 2}),
        ("note", {"wall_ns": "1"}),
        ("note", {"parents": (b"short",)}),
        ("invented", {}),
        ("session.open", {"body": BODIES["session.open"] | {"scheme": "keyed"}}),
        ("session.open", {"body": BODIES["session.open"] | {"argv": ["text"]}}),
        ("exchange.open", {"body": BODIES["exchange.open"] | {"class": "telemetry"}}),
        ("exchange.open", {"body": BODIES["exchange.open"] | {"request": {"node": D}}}),
        ("exchange.open", {"body": BODIES["exchange.open"] | {"headers": [[b"one"]]}}),
        ("exchange.part", {"body": BODIES["exchange.part"] | {"data": b"bytes"}}),
        ("exchange.part", {"body": BODIES["exchange.part"] | {"n": True}}),
        ("command.start", {"body": BODIES["command.start"] | {"level": "rumour"}}),
        ("command.start", {"body": BODIES["command.start"] | {"id": b"short"}}),
        ("command.output", {"body": BODIES["command.output"] | {"data": None}}),
        ("command.output", {"body": BODIES["command.output"] | {"pieces": [[0, "x", 2]]}}),
        ("command.output", {"body": BODIES["command.output"] | {"pieces": [[0, "o", -2]]}}),
        ("command.exec", {"body": {"execs": [[0, 7, 1, ["ls"], b"/"]]}}),
        ("command.end", {"body": {"status": 0}}),
        ("join", {"body": BODIES["join"] | {"method": "guess"}}),
        ("snapshot", {"body": BODIES["snapshot"] | {"cause": "whim"}}),
        ("snapshot", {"body": BODIES["snapshot"] | {"listing": None}}),
        ("terminal", {"body": BODIES["terminal"] | {"events": [[0, "r", 100]]}}),
        ("terminal", {"body": BODIES["terminal"] | {"events": [[0, "o", b"bytes"]]}}),
        ("exchange.end", {"body": BODIES["exchange.end"] | {"outcome": "fine"}}),
        ("gap", {"body": {}}),
    ],
)
def test_what_is_not_a_valid_record_is_neither_written_nor_read(type_: str, fields: dict[str, Any]) -> None:
    record = a_record(type_, **fields)
    with pytest.raises(ValueError, match="not a valid"):
        record_bytes(record)
    written = {name: getattr(record, name) for name in record.__dataclass_fields__ if name != "extra"}
    with pytest.raises(Damaged, match="not a record"):
        read_record(canon.encode({name: value for name, value in written.items() if value is not None}))


@pytest.mark.parametrize(
    "name", ["v", "type", "seq", "parents", "writer", "wall_ns", "mono_ns", "boot", "nonce", "body", "session", "prev"]
)
def test_a_missing_field_is_named(name: str) -> None:
    written = canon.decode(record_bytes(a_record()))
    assert isinstance(written, dict)
    del written[name]
    with pytest.raises(Damaged, match=name):
        read_record(canon.encode(written))


@pytest.mark.parametrize("value", [[], 1, "record", None])
def test_a_value_that_is_no_map_is_no_record(value: object) -> None:
    with pytest.raises(Damaged, match="not a map"):
        read_record(canon.encode(value))


def test_references_are_found_wherever_they_stand_and_nowhere_else() -> None:
    other = replace(REF, length=9)
    body = {
        "b": {"deep": [1, [REF.to_value()]]},
        "a": other.to_value(),
        "c": REF.to_value() | {"more": 1},
        "d": REF.node,
    }
    assert list(body_refs(body)) == [other, REF]
    assert BodyRef.of(REF.to_value()) == REF
    with pytest.raises(Damaged):
        BodyRef.of({"node": D, "length": -1, "hash": D})


def test_the_enumerations_have_no_doubles() -> None:
    for names in (TYPES, CLASSES, OUTCOMES):
        assert len(set(names)) == len(names)
