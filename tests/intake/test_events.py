"""Tool events in every dialect: each call once, each result with the call it answers."""

from __future__ import annotations

import json
import time
from typing import Any

from tapes.archive.memory_archive import MemoryArchive
from tapes.intake.opening import Facts, open_session
from tapes.intake.recording import Recording
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.record.kinds import Record
from tapes.session.view import Step, steps
from tapes.wire.agents import by_name
from tapes.wire.exchange import Answered, Arrived, Finished, Moment, Opened
from tapes.wire.redact import Redactor

GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-x:generateContent"
CHAT = "https://api.openai.com/v1/chat/completions"
RESPONSES = "https://api.openai.com/v1/responses"


class Desk:
    """A session that whole exchanges are written to."""

    def __init__(self) -> None:
        self.archive = MemoryArchive()
        self.session, summary = open_session(self.archive, Facts("generic", [b"x"], b"/"), Redactor())
        recording = Recording(Splitter(self.session, Redactor()), by_name("generic"), summary=summary)
        self.writer = Writer(self.archive, lambda who: recording)
        self.writer.start()
        self.count = 0

    def say(self, provider: str, url: str, request: Any, answer: Any) -> None:
        self.count += 1
        key, body = str(self.count), json.dumps(request).encode()
        at, json_type = Moment.now, ((b"content-type", b"application/json"),)
        self.writer.put(Opened(key, at(), "POST", url, "HTTP/1.1", json_type, body, provider, "model", "c", "proxy"))
        self.writer.put(Answered(key, at(), 200, "OK", "HTTP/1.1", json_type))
        self.writer.put(Arrived(key, time.monotonic_ns(), json.dumps(answer).encode()))
        self.writer.put(Finished(key, at(), "eof"))
        assert self.writer.wait_safe(10)

    def close(self) -> None:
        assert self.writer.close({}, 10)

    def events(self) -> list[tuple[str, str, str]]:
        """(type, id, what) in order; a result's `what` is the name of the call it has as a parent."""
        records = dict(self.archive.session_records(self.session))
        found = []
        for record in records.values():
            if record.type == "tool.use":
                found.append(("use", record.body["id"], record.body["name"]))
            elif record.type == "tool.result":
                uses: list[Record] = [records[p] for p in record.parents if records[p].type == "tool.use"]
                found.append(("result", record.body["id"], uses[0].body["name"] if uses else ""))
        return found

    def steps(self) -> list[Step]:
        return list(steps(self.archive, self.session))


def gemini_call(name: str, **args: object) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": args}}


def gemini_answer(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP"}]}


def test_calls_without_ids_are_paired_with_results_under_ids_that_the_agent_made_up() -> None:
    desk = Desk()
    user = {"role": "user", "parts": [{"text": "Go."}]}
    calls = [gemini_call("shell", command="ls"), gemini_call("shell", command="pwd")]
    desk.say("gemini", GEMINI, {"contents": [user]}, gemini_answer(*calls))
    history = [
        user,
        {
            "role": "model",
            "parts": [{"functionCall": {**c["functionCall"], "id": f"shell_{n}"}} for n, c in enumerate(calls)],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": f"shell_{n}", "name": "shell", "response": {"output": said}}}
                for n, said in enumerate(("a.py", "/w"))
            ],
        },
    ]
    for _ in range(2):  # the second is a retry
        desk.say("gemini", GEMINI, {"contents": history}, gemini_answer({"text": "Done."}))
    desk.close()
    (_, first, _), (_, second, _), *results = desk.events()
    assert first != second
    assert results == [("result", first, "shell"), ("result", second, "shell")]
    said = [(step.type, step.text) for step in desk.steps() if step.type.startswith("tool")]
    assert said == [
        ("tool.use", '{"command":"ls"}'),
        ("tool.use", '{"command":"pwd"}'),
        ("tool.result", "a.py"),
        ("tool.result", "/w"),
    ]


def test_calls_and_results_that_have_no_ids_at_all_are_paired() -> None:
    desk = Desk()
    user = {"role": "user", "parts": [{"text": "Go."}]}
    history: list[Any] = [user]
    for turn in range(3):  # the same call each time: only its place tells it apart
        desk.say("gemini", GEMINI, {"contents": history}, gemini_answer(gemini_call("shell", command="ls")))
        result = {"functionResponse": {"name": "shell", "response": {"output": f"{turn}"}}}
        history = [*history, {"role": "model", "parts": [gemini_call("shell", command="ls")]}]
        history = [*history, {"role": "user", "parts": [result]}]
    desk.say("gemini", GEMINI, {"contents": history}, gemini_answer({"text": "Done."}))
    desk.close()
    events = desk.events()
    assert [kind for kind, _, _ in events] == ["use", "result"] * 3
    assert [events[n][1] == events[n + 1][1] for n in (0, 2, 4)] == [True] * 3
    assert len({id_ for _, id_, _ in events}) == 3
    assert [step.text for step in desk.steps() if step.type == "tool.result"] == ["0", "1", "2"]


def test_results_that_stand_before_the_models_last_word_are_not_overlooked() -> None:
    desk = Desk()
    user = {"role": "user", "content": "Go."}
    calls = [{"type": "function_call", "call_id": f"c{n}", "name": "sh", "arguments": "{}"} for n in range(2)]
    outputs = [{"type": "function_call_output", "call_id": f"c{n}", "output": f"said {n}"} for n in range(2)]
    done = {"id": "r", "object": "response", "status": "completed", "output": []}
    desk.say("openai-responses", RESPONSES, {"input": [user]}, done | {"output": calls})
    between = [user, calls[0], outputs[0], calls[1], outputs[1]]  # as some SDKs order them
    desk.say("openai-responses", RESPONSES, {"input": between}, done)
    desk.close()
    assert [event for event in desk.events() if event[0] == "result"] == [
        ("result", "c1", "sh"),
        ("result", "c0", "sh"),
    ]
    assert {step.text for step in desk.steps() if step.type == "tool.result"} == {"said 0", "said 1"}


def test_a_server_that_counts_its_ids_from_nothing_with_every_answer_loses_no_call() -> None:
    desk = Desk()
    history: list[Any] = [{"role": "user", "content": "Go."}]
    for turn in range(3):
        call = {"id": "call_0", "type": "function", "function": {"name": "sh", "arguments": json.dumps({"n": turn})}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        desk.say(
            "openai-chat", CHAT, {"model": "m", "messages": history}, {"object": "chat.completion", "choices": [choice]}
        )
        history = [*history, message, {"role": "tool", "tool_call_id": "call_0", "content": f"said {turn}"}]
    stop = {"index": 0, "message": {"role": "assistant", "content": "Done."}, "finish_reason": "stop"}
    desk.say("openai-chat", CHAT, {"model": "m", "messages": history}, {"object": "chat.completion", "choices": [stop]})
    desk.close()
    assert [kind for kind, _, _ in desk.events()] == ["use", "result"] * 3
    assert [step.text for step in desk.steps() if step.type == "tool.result"] == ["said 0", "said 1", "said 2"]


def test_a_call_whose_answer_was_lost_is_taken_from_the_history_beside_its_result() -> None:
    desk = Desk()
    call = {"id": "call_a", "type": "function", "function": {"name": "sh", "arguments": "{}"}}
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_a", "content": "x"},
    ]
    desk.say("openai-chat", CHAT, {"model": "m", "messages": history}, {"object": "chat.completion", "choices": []})
    desk.close()
    assert desk.events() == [("use", "call_a", "sh"), ("result", "call_a", "sh")]
