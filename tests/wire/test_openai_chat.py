"""What the contract suite can not ask of the Chat Completions dialect: a stream tells the same as a whole answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.dialect_suite import read_response
from tapes.wire import dialects
from tapes.wire.turns import Text, Thinking, ToolCall, ToolResult

CHAT = dialects.by_name("openai-chat")

_words = st.text(alphabet="ab é🙂", max_size=8)
_calls = st.lists(st.tuples(st.sampled_from(["bash", "read_file"]), st.dictionaries(_words, _words, max_size=2)))


def pieces(data: st.DataObject, text: str) -> list[str]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def event(delta: dict[str, Any], stop: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": stop}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def stream(*deltas: dict[str, Any]) -> bytes:
    return b"".join(map(event, deltas)) + event({}, "tool_calls") + b"data: [DONE]\n\n"


def calls_of(body: bytes) -> list[tuple[str, str, str]]:
    message = read_response(CHAT, body).message
    return [(b.id, b.name, b.input_raw) for b in (message.blocks if message else ()) if isinstance(b, ToolCall)]


@given(data=st.data(), text=_words, thought=_words, calls=_calls, numbered=st.booleans())
def test_a_stream_reads_like_the_answer_it_is_a_telling_of(
    data: st.DataObject, text: str, thought: str, calls: list[tuple[str, dict[str, str]]], numbered: bool
) -> None:
    told = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for n, (name, given) in enumerate(calls)
    ]
    message = {"role": "assistant", "reasoning_content": thought, "content": text, "tool_calls": told}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = read_response(CHAT, json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode())

    events = [event({"reasoning_content": piece}) for piece in pieces(data, thought)]
    events += [event({"content": piece}) for piece in pieces(data, text)]
    for n, (name, given_) in enumerate(calls):
        number = {"index": n} if numbered else {}
        begin = {**number, "id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": ""}}
        events.append(event({"tool_calls": [begin]}))
        for piece in pieces(data, json.dumps(given_)):
            events.append(event({"tool_calls": [{**number, "function": {"arguments": piece}}]}))
    streamed = read_response(CHAT, b"".join([*events, event({}, "stop"), b"data: [DONE]\n\n"]))
    assert streamed == replace(whole, extra=streamed.extra)


@pytest.mark.parametrize("again", [{"id": "a"}, {"id": "a", "type": "function"}, {"id": "made-up"}, {"id": ""}, {}])
def test_what_is_repeated_with_every_piece_of_a_call_is_said_once(again: dict[str, str]) -> None:
    first = {"index": 0, "id": "a", "type": "function", "function": {"name": "bash", "arguments": '{"c"'}}
    more = {"index": 0, **again, "function": {"arguments": ":1}"}}
    assert calls_of(stream({"tool_calls": [first]}, {"tool_calls": [more]})) == [("a", "bash", '{"c":1}')]


def test_a_name_that_comes_again_or_grows_is_one_name() -> None:
    for names in (["bash", "bash"], ["ba", "sh"], ["ba", "bash"], ["bash", ""], ["", "bash"]):
        deltas = [{"tool_calls": [{"index": 0, "id": "a", "function": {"name": name}}]} for name in names]
        assert calls_of(stream(*deltas)) == [("a", "bash", "")], names


def test_a_call_that_the_stream_ended_in_says_so_and_one_before_it_does_not() -> None:
    calls = [{"index": n, "id": f"{n}", "function": {"name": "bash", "arguments": "{}"}} for n in (0, 1)]
    message = read_response(CHAT, event({"tool_calls": calls})).message
    assert message is not None
    assert [b.error for b in message.blocks if isinstance(b, ToolCall)] == [None, "the stream ended inside this call"]


def test_the_end_is_done_or_the_reason_to_stop() -> None:
    half = event({"content": "x"})
    assert [read_response(CHAT, half + end).complete for end in (b"", b"data: [DONE]\n\n", event({}, "stop"))] == [
        False, True, True,
    ]  # fmt: skip


def test_padding_says_nothing_and_all_else_that_changes_is_kept() -> None:
    chunk = {"id": "c", "choices": [], "obfuscation": "x1", "created": 1, "usage": None}
    later = chunk | {"obfuscation": "y2", "created": 2, "timings": {"n": 1}}
    body = b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in (chunk, later))
    assert read_response(CHAT, body).extra == {
        "created": 1, "timings": {"n": 1}, "changed_fields": [{"created": 2}],
    }  # fmt: skip


def test_an_empty_answer_with_an_error_status_is_no_message() -> None:
    for body in (b"", b" \n"):
        assert read_response(CHAT, body, status=500).message is None


def test_reasoning_under_two_names_is_one_thought() -> None:
    message = {"role": "assistant", "content": "x", "reasoning": "Hm.", "reasoning_content": "Hm."}
    blocks = CHAT.read_request(json.dumps({"messages": [message]}).encode()).messages[0].blocks
    assert blocks == (Thinking("Hm."), Text("x"))


def test_a_local_id_is_the_same_in_the_whole_request_and_in_its_new_part() -> None:
    asked = {"role": "assistant", "content": None, "function_call": {"name": "now", "arguments": "{}"}}
    told = {"role": "function", "name": "now", "content": "12:00"}
    body = json.dumps({"messages": [{"role": "user", "content": "?"}, asked, told, asked, told]}).encode()
    tail = CHAT.read_turn(body).messages
    (call,), (result,) = (message.blocks for _, message in tail)
    assert isinstance(call, ToolCall) and isinstance(result, ToolResult)
    assert call.id == result.id == "#3.0"
