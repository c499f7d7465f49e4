"""What was said up to a step, and the request that carries it: exact where it was sent, else said to be built."""

from __future__ import annotations

import json
from typing import Any

import pytest

import socket_tape as sockets
from session.test_view import FIRST, SECOND, USE, Tape, message, told
from tapes.errors import NotFound, UsageError
from tapes.session.transcript import Conversation, NextRequest, history, moment, next_request
from tapes.session.view import view
from tapes.wire.dialects import by_name
from tapes.wire.dialects.writing import as_history, with_more
from tapes.wire.turns import Json, Text, ToolCall


def at(tape: Tape, number: int | None, thread: str = "") -> tuple[Conversation, NextRequest | None]:
    tape.steps()  # ends it
    found = view(tape.archive, tape.session)
    steps = list(found.steps)
    point = moment(found, steps, number, thread)
    return history(tape.archive, found, point), next_request(tape.archive, found, point)


def sent(request: NextRequest | None) -> Any:
    assert request is not None
    return json.loads(request.body)["messages"]


def test_a_prompt_is_at_the_request_that_carries_it() -> None:
    said, request = at(told(), 2)
    assert [one.message.role for one in said.messages] == ["user"]
    assert said.messages[0].raw == (FIRST[0],)
    assert request is not None and request.sent is not None
    assert sent(request) == FIRST


def test_behind_a_call_the_request_is_the_one_that_answers_it_and_the_history_is_not_ahead_of_it() -> None:
    said, request = at(told(), 4)  # the tool's use
    assert [one.message.role for one in said.messages] == ["user", "assistant"]
    assert said.open_calls == ("toolu_1",)
    assert request is not None and request.sent is not None
    assert (request.answers, sent(request)) == (("toolu_1",), SECOND)


def test_a_result_is_at_the_request_that_tells_it() -> None:
    said, request = at(told(), 5)
    assert (len(said.messages), said.open_calls) == (3, ())
    assert sent(request) == SECOND


def test_behind_the_last_answer_the_request_is_built_and_says_so() -> None:
    said, request = at(told(), None)
    assert [one.message.role for one in said.messages] == ["user", "assistant", "user", "assistant"]
    assert request is not None and request.sent is None
    assert "built, not sent" in request.doubts[0]
    assert sent(request) == [*SECOND, {"role": "assistant", "content": [{"type": "text", "text": "Two files."}]}]


def test_what_a_person_said_later_is_not_in_the_request() -> None:
    tape = told()
    asked = {"role": "user", "content": "And now?"}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "Two files."}]}
    tape.call([*SECOND, answer, asked], message({"type": "text", "text": "Nothing."}))
    _, request = at(tape, 6)
    assert request is not None and request.sent is None
    assert sent(request) == [*SECOND, answer]
    said, request = at(tape, 7)
    assert request is not None and request.sent is not None
    assert said.messages[-1].message.blocks == (Text("And now?"),)


def test_a_call_without_a_result_is_named_in_a_built_request() -> None:
    tape = Tape()
    tape.call(FIRST, message(USE))
    said, request = at(tape, None)
    assert said.open_calls == ("toolu_1",)
    assert request is not None and request.sent is None
    assert any("toolu_1" in doubt for doubt in request.doubts)


def test_a_thread_has_its_own_history_at_every_step() -> None:
    tape = Tape()
    tape.call(FIRST, message(USE))
    tape.call([{"role": "user", "content": "sub"}], message({"type": "text", "text": "done"}), thread="a1b2")
    said, _ = at(tape, None, "a1b2")
    assert [one.message.role for one in said.messages] == ["user", "assistant"]
    assert at(tape, 1, "a1b2")[0] == Conversation()
    assert at(tape, 1, "a1b2")[1] is None
    with pytest.raises(NotFound, match="no thread"):
        at(tape, None, "zzz")


def test_a_step_that_is_not_there_is_said() -> None:
    with pytest.raises(NotFound, match="no step 99"):
        at(told(), 99)


def test_a_name_that_fits_several_threads_is_refused() -> None:
    tape = told()
    for name in ("a1", "a2"):
        tape.call([{"role": "user", "content": name}], message({"type": "text", "text": "done"}), thread=name)
    with pytest.raises(UsageError, match="a1, a2"):
        at(tape, None, "a")


ANSWERS: dict[str, tuple[Json, Json]] = {
    "anthropic": (
        {
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
                {"type": "redacted_thinking", "data": "sealed"},
                {"type": "text", "text": "é"},
                {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}},
            ],
        },
        {"messages": []},
    ),
    "openai-chat": (
        {
            "choices": [
                {
                    "message": {
                        "role": "assistant",
                        "content": "é",
                        "tool_calls": [
                            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
                        ],
                    }
                }
            ]
        },
        {"messages": []},
    ),
    "openai-responses": (
        {
            "object": "response",
            "output": [
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"},
                {
                    "type": "message",
                    "id": "m_1",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "é"}],
                },
                {"type": "function_call", "id": "f_1", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
                {"type": "custom_tool_call", "id": "f_2", "call_id": "c2", "name": "exec", "input": "text(1)"},
            ],
        },
        {"input": []},
    ),
    "gemini": (
        {
            "candidates": [
                {
                    "content": {
                        "role": "model",
                        "parts": [
                            {"text": "é"},
                            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "sealed"},
                        ],
                    },
                    "finishReason": "STOP",
                }
            ]
        },
        {"contents": []},
    ),
    "ollama": (
        {
            "message": {
                "role": "assistant",
                "content": "é",
                "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
            },
            "done": True,
        },
        {"messages": []},
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_written_as_history_reads_as_the_same_answer(name: str) -> None:
    answer, request = ANSWERS[name]
    reader = by_name(name).response_reader(200, "application/json")
    reader.feed(json.dumps(answer).encode())
    said = reader.finish().message
    assert said is not None
    items = as_history(name, said)
    assert items
    body = with_more(json.dumps(request).encode(), items)
    assert body is not None
    again = [block for one in by_name(name).read_request(body).messages for block in one.blocks]
    assert len(again) == len(said.blocks)
    for written, block in zip(again, said.blocks, strict=True):
        if isinstance(block, ToolCall) and not block.id:  # one is made up where the wire has none
            assert isinstance(written, ToolCall)
            assert (written.name, written.input) == (block.name, block.input)
        elif "item" in getattr(block, "extra", {}):  # what belongs to the item as a whole stands with its message
            assert isinstance(written, Text) and isinstance(block, Text) and written.text == block.text
        else:
            assert written == block


def test_all_before_the_new_entries_stays_the_bytes_it_was() -> None:
    body = b'{ "model":"m",  "messages":[ {"role":"user","content":"\\u00e9"} ] , "stream":true}'
    made = with_more(body, [{"role": "assistant", "content": "x"}])
    assert made is not None
    assert made.startswith(body[: body.index(b"} ]") + 1])
    assert made.endswith(b' ] , "stream":true}')
    assert json.loads(made)["messages"][1]["content"] == "x"


def test_increments_are_put_together_and_the_built_request_stands_by_itself() -> None:
    tape = sockets.Tape()

    def turn(id_: str, asked: dict[str, Json], *output: Json) -> None:
        tape.agent(json.dumps({"type": "response.create", "model": "m", **asked}).encode())
        done = {"type": "response.completed", "response": {"id": id_, "object": "response", "output": list(output)}}
        tape.provider(json.dumps(done).encode())

    prompt: Json = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go."}]}
    call: Json = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    result: Json = {"type": "function_call_output", "call_id": "c1", "output": "7"}
    last: Json = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Seven."}]}
    turn("r0", {"input": [], "generate": False})
    turn("r1", {"input": [prompt], "previous_response_id": "r0"}, call)
    turn("r2", {"input": [result], "previous_response_id": "r1"}, last)
    tape.close()
    found = view(tape.archive, tape.session)
    steps = list(found.steps)
    assert [step.type for step in steps] == ["prompt", "answer"]
    first = next_request(tape.archive, found, moment(found, steps, 1))
    assert first is not None and first.sent is not None
    assert json.loads(first.body)["previous_response_id"] == "r0"  # as it was sent
    said = history(tape.archive, found, moment(found, steps))
    assert [item for one in said.messages for item in one.raw] == [prompt, call, result, last]
    end = next_request(tape.archive, found, moment(found, steps))
    assert end is not None and end.sent is None
    built = json.loads(end.body)
    assert built["input"] == [prompt, call, result, last]
    assert "previous_response_id" not in built


def test_a_call_that_the_provider_runs_is_not_open() -> None:
    own = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
    tape = Tape()
    tape.call(FIRST, message(own, {"type": "text", "text": "Found."}))
    assert at(tape, None)[0].open_calls == ()
