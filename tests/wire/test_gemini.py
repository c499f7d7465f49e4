"""What the contract does not ask of Gemini's dialect: arrays that break off, the wrapper, local ids, words in runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contract.dialect_suite import bodies, read_response, words
from tapes.wire import dialects
from tapes.wire.turns import Message, ResponseReading, Text, Thinking, ToolCall, ToolResult, new_tail

GEMINI = dialects.by_name("gemini")


def read(body: str | bytes) -> ResponseReading:
    return read_response(GEMINI, body.encode() if isinstance(body, str) else body)


def chunk(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **more}]}


def history(*contents: dict[str, Any]) -> tuple[Message, ...]:
    body = json.dumps({"contents": contents}).encode()
    assert GEMINI.read_turn(body).messages == new_tail(GEMINI.read_request(body)).messages
    return GEMINI.read_request(body).messages


def call(name: str, **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {}, **more}}


def result(name: str, response: Any, **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": response, **more}}


def ids(message: Message) -> list[str]:
    return [block.id for block in message.blocks if isinstance(block, ToolCall | ToolResult)]


def test_an_array_and_an_event_stream_of_the_same_chunks_read_the_same() -> None:
    chunks = [
        chunk({"text": "one "}),
        chunk({"text": "two"}, {"functionCall": {"name": "f", "args": {"x": "]},"}}}),
        chunk(finishReason="STOP"),
    ]
    events = "".join(f"data: {json.dumps(c)}\r\n\r\n" for c in chunks)
    arrays = [json.dumps(chunks, indent=indent) for indent in (None, 2)]
    assert read(events) == read(arrays[0]) == read(arrays[1])
    assert read(events).complete


def test_an_array_cut_anywhere_keeps_the_chunks_that_had_arrived() -> None:
    body = bodies("gemini", "responses")["array.json"]
    whole, before = words(read(body)), ""
    for cut in range(0, len(body), 7):
        reading = read(body[:cut])
        assert words(reading).startswith(before), cut
        before = words(reading)
    assert before == whole and read(body).complete
    cut = body.index(b'"functionCall"')
    reading = read(body[:cut])
    assert words(reading) == whole and not reading.complete
    assert '"parts": [' in str(reading.extra["unreadable_events"])
    assert reading.problems and reading.problems[0].startswith("the last event: not JSON")


def test_an_array_cut_after_its_last_chunk_is_complete() -> None:
    body = json.dumps([chunk({"text": "x"}), chunk(finishReason="STOP")]).encode()
    assert read(body[:-1]).complete
    assert not read(body[: body.index(b"finishReason")]).complete


def test_text_and_thoughts_are_each_one_block_until_the_other_begins() -> None:
    said = [
        {"text": "a", "thought": True},
        {"text": "b", "thought": True},
        {"text": "c"},
        {"text": "d"},
        {"text": "e", "thought": True},
    ]
    message = read("".join(f"data: {json.dumps(chunk(part))}\n\n" for part in said)).message
    assert message is not None
    assert message.blocks == (Thinking("ab"), Text("cd"), Thinking("e"))


def test_words_signed_anew_are_a_block_of_their_own() -> None:
    parts = [{"text": "a", "thoughtSignature": "1"}, {"text": "b"}, {"text": "c", "thoughtSignature": "2"}]
    message = read(json.dumps(chunk(*parts))).message
    assert message is not None
    assert message.blocks == (Text("ab", {"thoughtSignature": "1"}), Text("c", {"thoughtSignature": "2"}))


def test_results_find_calls_of_the_same_name_in_their_order() -> None:
    messages = history(
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [call("f"), call("g"), call("f")]},
        {"role": "user", "parts": [result("f", {}), result("f", {}), result("g", {})]},
        {"role": "model", "parts": [call("f")]},
        {"role": "user", "parts": [result("f", {}), result("other", {})]},
    )
    assert [ids(message) for message in messages[1:]] == [
        ["#1.0", "#1.1", "#1.2"],
        ["#1.0", "#1.2", "#1.1"],
        ["#3.0"],
        ["#3.0", ""],
    ]


def test_a_call_takes_the_id_that_only_its_result_has() -> None:
    messages = history(
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [call("f", id="mine"), call("g"), call("f")]},
        {"role": "user", "parts": [result("f", {}, id="mine"), result("f", {}, id="s#1"), result("h", {}, id="s#2")]},
    )
    assert [ids(message) for message in messages[1:]] == [["mine", "#1.1", "s#1"], ["mine", "s#1", "s#2"]]


@pytest.mark.parametrize(
    ("response", "text", "failed"),
    [
        ({"output": "out"}, "out", False),
        ({"result": "out", "more": 1}, "out", False),
        ({"error": "why"}, "why", True),
        ({"error": {"code": 1}}, '{"error":{"code":1}}', True),
        ({"error": None, "output": "fine"}, "fine", False),
        ({"output": {"a": [1]}}, '{"output":{"a":[1]}}', False),
        ({}, "{}", False),
    ],
)
def test_a_result_is_its_words_or_its_json(response: dict[str, Any], text: str, failed: bool) -> None:
    block = history({"role": "user", "parts": [result("f", response)]})[0].blocks[0]
    assert isinstance(block, ToolResult)
    assert (block.text(), block.is_error) == (text, failed)


def test_where_wrapper_and_request_have_the_same_field_both_are_kept() -> None:
    body = {"model": "outer", "labels": 1, "request": {"contents": [], "model": "inner", "labels": 2}}
    request = GEMINI.read_request(json.dumps(body).encode())
    assert request.model == "outer"
    assert request.params == {"labels": 1, "model": "inner", "request": {"labels": 2}}


def test_what_a_later_chunk_changes_is_kept_but_for_running_counts() -> None:
    chunks = [
        {**chunk({"text": "x"}), "usageMetadata": {"candidatesTokenCount": n, "trafficType": kind}, "responseId": "r"}
        for n, kind in ((1, "A"), (2, "B"))
    ]
    reading = read(json.dumps(chunks))
    assert reading.usage is not None
    assert reading.usage.output == 2
    assert reading.usage.raw == {"candidatesTokenCount": 2, "trafficType": "B", "earlier": {"trafficType": ["A"]}}
    assert reading.id == "r" and not reading.extra


def test_a_second_error_does_not_hide_the_first() -> None:
    reading = read('data: {"error":{"status":"A"}}\n\ndata: {"error":{"status":"B"}}\n\n')
    assert reading.error is not None and reading.error.type == "A"
    assert reading.extra == {"error": {"status": "B"}}
    assert not reading.complete
