"""What of the Responses API the contract suite can not ask: that all its forms say the same, and nothing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tapes.wire import dialects
from tapes.wire.turns import ResponseReading, Text, Thinking, ToolCall, new_tail

DIALECT = dialects.by_name("openai-responses")
CORPUS = Path(__file__).parents[1] / "corpus" / "openai-responses" / "responses"
LINES = "application/x-ndjson"

USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]}
OUT = {"type": "function_call_output", "call_id": "call_1", "output": "1"}


def call(id_: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": f"fc_{id_}", "type": "function_call", "call_id": id_, "name": "read", "arguments": arguments}


def read(body: bytes, content_type: str = "", status: int = 200) -> ResponseReading:
    reader = DIALECT.response_reader(status, content_type)
    reader.feed(body)
    return reader.finish()


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def lines(*events: dict[str, Any]) -> bytes:
    return b"\n".join(json.dumps(event).encode() for event in events)


def created(**more: Any) -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []} | more}


def completed(*output: Any) -> dict[str, Any]:
    response = {"id": "resp_1", "object": "response", "status": "completed", "output": list(output)}
    return {"type": "response.completed", "response": response}


def added(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(index: int, words: str) -> dict[str, Any]:
    return {"type": "response.function_call_arguments.delta", "output_index": index, "delta": words}


def blocks(reading: ResponseReading) -> tuple[Any, ...]:
    return reading.message.blocks if reading.message else ()


def request(*items: Any, **more: Any) -> bytes:
    return json.dumps({"model": "m", "input": list(items), **more}).encode()


@pytest.mark.parametrize(
    "file", ["full.sse", "server_tools.sse", "refusal.sse", "incomplete.sse", "ids_made_up_anew.sse"]
)
def test_a_stream_says_what_the_response_at_its_end_says(file: str) -> None:
    body = (CORPUS / file).read_bytes()
    last = json.loads(body.strip().rpartition(b"data: ")[2])["response"]
    streamed, whole = read(body), read(json.dumps(last).encode())
    assert blocks(streamed) == blocks(whole)
    assert (streamed.id, streamed.usage, streamed.stop_reason) == (whole.id, whole.usage, whole.stop_reason)


@pytest.mark.parametrize("file", sorted(path.name for path in CORPUS.glob("*.sse")))
def test_events_and_lines_say_the_same(file: str) -> None:
    values = [line[6:] for line in (CORPUS / file).read_bytes().splitlines() if line.startswith(b"data: {")]
    events = b"".join(b"data: " + value + b"\n\n" for value in values)
    assert read(b"\n".join(values), LINES) == read(events)
    assert read(b"\n".join(values)) == read(events)


def test_an_answer_at_the_end_without_its_output_takes_nothing_away() -> None:
    assert blocks(read(stream(created(), done(0, SAID), done(1, call("call_1")), completed()))) == (
        *blocks(read(stream(created(), done(0, SAID), done(1, call("call_1")), completed(SAID, call("call_1"))))),
    )


def test_items_whose_events_were_lost_come_with_the_answer_at_the_end() -> None:
    reading = read(stream(done(1, call("call_2")), completed(SAID, call("call_2"), call("call_3"))))
    assert [getattr(block, "id", "") for block in blocks(reading)] == ["", "call_2", "call_3"]


def test_items_are_known_again_though_others_were_left_out_or_all_have_one_id() -> None:
    one, two, three = (SAID | {"id": f"msg_{n}"} for n in range(3))
    events = [created(), done(0, one), done(1, two), done(2, three)]
    assert len(blocks(read(stream(*events, completed(one, three))))) == 3
    calls = [call(f"call_{n}") | {"id": "item"} for n in range(3)]
    reading = read(stream(*(done(n, item) for n, item in enumerate(calls)), completed(*calls)))
    assert [block.id for block in blocks(reading)] == ["call_0", "call_1", "call_2"]


def test_a_cut_stream_has_its_done_items_whole_and_the_open_one_as_far_as_it_came() -> None:
    events = [
        created(),
        added(0, call("call_1", "")),
        delta(0, '{"a"'),
        delta(0, ":1}"),
        done(0, call("call_1", '{"a":1}')),
    ]
    reading = read(stream(*events, added(1, call("call_2", "")), delta(1, '{"b"')))
    whole, cut = blocks(reading)
    assert (whole.input, whole.error) == ({"a": 1}, None)
    assert (cut.id, cut.input, cut.input_raw) == ("call_2", None, '{"b"')
    assert "ended inside" in cut.error
    assert not reading.complete


def test_arguments_told_whole_are_whole_though_the_item_was_never_done() -> None:
    told = {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": '{"a":1}', "name": "read"}
    (block,) = blocks(read(stream(created(), added(0, call("call_1", "")), told)))
    assert isinstance(block, ToolCall)
    assert (block.input, block.error) == ({"a": 1}, None)


def test_thoughts_are_told_in_paragraphs() -> None:
    item = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": t} for t in ("One.", "Two.")]}
    parts = [
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": n, "delta": text}
        for n, text in enumerate(("One.", "Two."))
    ]
    (cut,) = blocks(read(stream(created(), added(0, item | {"summary": []}), *parts)))
    assert isinstance(cut, Thinking)
    assert cut.text == "One.\n\nTwo." == blocks(read(stream(done(0, item))))[0].text


def test_pieces_for_an_item_that_has_not_begun_are_kept() -> None:
    reading = read(stream(created(), delta(3, "lost")))
    assert "lost" in json.dumps(reading.extra)
    assert reading.problems == ("words for an item that has not begun",)


def test_a_second_response_in_one_body_is_told() -> None:
    assert "a second response" in read(stream(created(), created(id="resp_2"))).problems


def test_limits_and_keepalives_may_come_after_the_end() -> None:
    limits = {"type": "codex.rate_limits", "plan_type": "plus"}
    reading = read(lines(created(), completed(SAID), limits), LINES)
    assert (reading.problems, reading.complete, reading.extra["unknown_events"]) == ((), True, [limits])
    assert "events after the end" in read(lines(completed(SAID), delta(0, "x"), created()), LINES).problems


def test_what_a_compaction_gives_again_is_not_what_the_model_said() -> None:
    body = {"object": "response.compaction", "output": [USER, {"type": "compaction", "encrypted_content": "x"}]}
    assert not [block for block in blocks(read(json.dumps(body).encode())) if isinstance(block, Text)]


def test_an_error_in_a_frame_and_one_in_events_are_both_the_providers() -> None:
    error = {"code": "slow_down", "message": "Slow down"}
    frame = read(lines({"type": "error", "status": 429, "error": error}), LINES)
    event = read(stream(created(), {"type": "error", **error}))
    assert frame.error == event.error
    assert frame.error is not None and frame.error.type == "slow_down"
    assert frame.extra["status"] == 429
    assert not frame.complete


def test_an_increment_is_all_new() -> None:
    body = request(OUT, USER, type="response.create", previous_response_id="resp_1")
    assert [index for index, _ in DIALECT.read_turn(body).messages] == [0, 1]


def test_after_a_warm_up_the_new_part_of_the_whole_history_is_new() -> None:
    history = [USER, SAID, USER, {"type": "reasoning", "summary": []}, SAID, call("call_1"), call("call_2"), OUT, OUT]
    body = request(*history, type="response.create", previous_response_id="resp_warm")
    turn = DIALECT.read_turn(body)
    assert [index for index, _ in turn.messages] == [3, 4, 5, 6, 7, 8]
    assert turn == new_tail(DIALECT.read_request(body))


def test_something_odd_in_the_history_is_told_once() -> None:
    body = request(5, SAID, USER)
    assert DIALECT.read_request(body).errors == ("item 0 is none",)
    assert DIALECT.read_turn(body).error == ""


def test_tools_that_items_bring_are_offered_and_kept() -> None:
    item = {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "exec"}]}
    reading = DIALECT.read_request(request(item, USER, tools=[{"type": "function", "name": "read"}]))
    assert [tool.name for tool in reading.tools] == ["read", "exec"]
    assert reading.messages[0].blocks[0].raw == item  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("more", "session"),
    [
        ({"client_metadata": {"x-codex-turn-metadata": '{"session_id":"s"}', "session_id": "t"}}, "s"),
        ({"client_metadata": {"x-codex-turn-metadata": "[]", "session_id": "t"}}, "t"),
        ({"client_metadata": {"x-codex-turn-metadata": 3}}, None),
        ({"prompt_cache_key": "ses_1"}, "ses_1"),
        ({"prompt_cache_key": "anybody's"}, None),
    ],
)
def test_a_session_is_named_only_by_what_is_one(more: dict[str, Any], session: str | None) -> None:
    assert DIALECT.read_request(request(USER, **more)).session_id == session
