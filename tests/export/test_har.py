"""HAR 1.2: by its own rules, and by a reader that others use."""

from __future__ import annotations

import io
import json
from typing import Any

from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader

import schema
import socket_tape
from session.test_forget import carry_out
from session.test_view import FIRST, SECOND, USE, Tape, message, told
from tapes.archive.memory_archive import MemoryArchive
from tapes.export.har import har
from tapes.record.digest import Digest
from tapes.session.forget import forget_steps
from tapes.session.view import view

TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": -1}
TIME = {"type": "number", "minimum": 0}
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}


def record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    known = "|".join([*required, *(optional or {}), "comment"])
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}) | {"comment": TEXT},
        "additionalNames": f"^(_.*|{known})$",
    }


def many(one: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": one}


PAIRS = many(record({"name": TEXT, "value": TEXT}))
COOKIES = many(record({"name": TEXT, "value": TEXT}, {"path": TEXT, "domain": TEXT, "expires": TEXT}))
REQUEST = record(
    {
        "method": TEXT,
        "url": TEXT,
        "httpVersion": TEXT,
        "cookies": COOKIES,
        "headers": PAIRS,
        "queryString": PAIRS,
        "headersSize": COUNT,
        "bodySize": COUNT,
    },
    {"postData": record({"mimeType": TEXT, "params": many(record({"name": TEXT})), "text": TEXT})},
)
RESPONSE = record(
    {
        "status": {"type": "integer"},
        "statusText": TEXT,
        "httpVersion": TEXT,
        "cookies": COOKIES,
        "headers": PAIRS,
        "content": record({"size": {"type": "integer"}, "mimeType": TEXT}, {"text": TEXT, "encoding": TEXT}),
        "redirectURL": TEXT,
        "headersSize": COUNT,
        "bodySize": COUNT,
    }
)
ENTRY = record(
    {
        "startedDateTime": MOMENT,
        "time": TIME,
        "request": REQUEST,
        "response": RESPONSE,
        "cache": record({}, {"beforeRequest": {}, "afterRequest": {}}),
        "timings": record({"send": TIME, "wait": TIME, "receive": TIME}, {"dns": {"type": "number"}}),
    },
    {"pageref": TEXT, "serverIPAddress": TEXT, "connection": TEXT},
)
PRODUCER = record({"name": TEXT, "version": TEXT})
HAR = record(
    {"log": record({"version": {"const": "1.2"}, "creator": PRODUCER, "entries": many(ENTRY)}, {"pages": many({})})}
)
"""The HAR 1.2 specification, table by table. Other names begin with an underscore."""


def written(archive: MemoryArchive, session: Digest, trouble: list[str] | None = None) -> str:
    found = view(archive, session)
    list(found.steps)
    return "".join(har(archive, found, [] if trouble is None else trouble))


def flows(text: str) -> list[HTTPFlow]:
    found = FlowReader(io.BytesIO(text.encode())).stream()
    return [flow for flow in found if isinstance(flow, HTTPFlow)]


def test_every_call_is_an_entry_and_its_bodies_are_read_as_they_are_stored() -> None:
    tape = told()
    tape.call([{"role": "user", "content": "é漢\u2028"}], message({"type": "text", "text": "ÿ"}))
    tape.call(FIRST, {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}, status=529)
    tape.steps()
    text = written(tape.archive, tape.session)
    assert list(schema.faults(json.loads(text), HAR)) == []
    assert text.isascii()
    read = flows(text)
    assert [flow.response.status_code for flow in read if flow.response] == [200, 200, 200, 529]
    assert json.loads(read[1].request.content or b"")["messages"] == SECOND
    assert json.loads(read[2].request.content or b"")["messages"][0]["content"] == "é漢\u2028"
    assert read[2].response is not None and "ÿ" in json.loads(read[2].response.content or b"")["content"][0]["text"]
    assert written(tape.archive, tape.session) == text


def test_the_messages_of_a_socket_stand_with_its_handshake() -> None:
    tape = socket_tape.Tape()
    tape.agent(socket_tape.ASK)
    tape.provider(socket_tape.CREATED, socket_tape.DONE)
    tape.close()
    text = written(tape.archive, tape.session)
    assert list(schema.faults(json.loads(text), HAR)) == []
    (entry,) = json.loads(text)["log"]["entries"]
    said = [(one["type"], one["data"].encode()) for one in entry["_webSocketMessages"]]
    assert said == [("send", socket_tape.ASK), ("receive", socket_tape.CREATED), ("receive", socket_tape.DONE)]
    assert len(flows(text)) == 1


def test_a_body_that_is_no_text_goes_as_base64() -> None:
    from tapes.export.har import _text

    assert _text("é".encode(), "text/event-stream") == ("w6k=", "base64")
    assert _text("é".encode(), "text/event-stream; charset=UTF-8") == ("é", "")
    assert _text(b"\xff\x00", "application/json") == ("/wA=", "base64")
    assert _text(b"data: x", "") == ("data: x", "")


def test_what_is_withheld_is_said_and_the_rest_is_there() -> None:
    tape = Tape()
    tape.call(FIRST, message(USE))
    tape.call(
        [{"role": "user", "content": "Something else, said in many words."}], message({"type": "text", "text": "."})
    )
    tape.steps()
    carry_out(tape.archive, forget_steps(tape.archive, tape.session, 1, 2))
    trouble: list[str] = []
    text = written(tape.archive, tape.session, trouble)
    assert list(schema.faults(json.loads(text), HAR)) == []
    assert len(flows(text)) == 2 and trouble and "withheld" in trouble[0]
