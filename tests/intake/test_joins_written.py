"""Joins through the writer: of exchanges, commands and telemetry as they come."""

from __future__ import annotations

import json
import time
from typing import Any

from tapes.archive.memory_archive import MemoryArchive
from tapes.intake.commands import Surroundings
from tapes.intake.opening import Facts, open_session
from tapes.intake.recording import Recording
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.wire.agents import by_name
from tapes.wire.command import CommandEnded, CommandStarted, ToolSeen
from tapes.wire.exchange import Answered, Arrived, Finished, Moment, Opened
from tapes.wire.redact import Redactor
from tapes.wire.shells import ALL
from tapes.wire.shells.lines import quoted

URL = "https://api.anthropic.com/v1/messages"
HEADERS = ((b"content-type", b"application/json"), (b"user-agent", b"claude-cli/2.1.197 (external, cli)"))
JSON = ((b"content-type", b"application/json"),)
ASKED = {"role": "user", "content": "Go."}


class Desk:
    def __init__(self) -> None:
        self.archive = MemoryArchive()
        self.session, summary = open_session(self.archive, Facts("claude", [b"claude"], b"/"), Redactor())
        splitter = Splitter(self.session, Redactor(), Surroundings("claude", shells=ALL))
        recording = Recording(splitter, by_name("claude"), summary=summary)
        self.writer = Writer(self.archive, lambda who: recording)
        self.writer.start()

    def ask(self, key: str, messages: list[Any]) -> None:
        body = json.dumps({"model": "m", "messages": messages}).encode()
        self.writer.put(
            Opened(key, Moment.now(), "POST", URL, "HTTP/1.1", HEADERS, body, "anthropic", "model", "c", "proxy")
        )

    def answer(self, key: str, content: list[Any]) -> None:
        said = {"type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "tool_use"}
        self.writer.put(Answered(key, Moment.now(), 200, "OK", "HTTP/1.1", JSON))
        self.writer.put(Arrived(key, time.monotonic_ns(), json.dumps(said).encode()))
        self.writer.put(Finished(key, Moment.now(), "eof"))

    def run(self, n: int, line: str, span: str = "") -> None:
        script = b"source /s.sh && eval " + quoted(line.encode()) + b" < /dev/null && pwd -P >| /tmp/f"
        environ = [(b"CLAUDECODE", b"1"), (b"AI_AGENT", b"claude-code_2-1-197_agent")]
        if span:
            environ.append((b"TRACEPARENT", f"00-{'a' * 32}-{span}-01".encode()))
        key = f"{n:032x}"
        argv = (b"/bin/bash", b"-c", script)
        self.writer.put(CommandStarted(key, Moment.now(), "supervisor", argv, b"/w", 7, 6, 7, tuple(environ)))
        self.writer.put(CommandEnded(key, Moment.now(), 0, None, 5))

    def joins(self) -> list[tuple[str, int, str, bool]]:
        """(call, number of the command, method, exact) of each join record, in the order of the calls."""
        assert self.writer.close({}, 10)
        records = dict(self.archive.session_records(self.session))
        assert list(records.values())[-1].type == "session.close"
        found = []
        for record in records.values():
            if record.type == "join":
                use, command = (records[parent] for parent in record.parents)
                assert (use.type, command.type) == ("tool.use", "command.start")
                assert use.body["id"] == record.body["tool"]
                n = int.from_bytes(command.body["id"], "big")
                found.append((record.body["tool"], n, record.body["method"], record.body["exact"]))
        return sorted(found)


def call(id_: str, line: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": "Bash", "input": {"command": line}}


def results(*ids: str) -> dict[str, Any]:
    return {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": id_, "content": "same", "is_error": False} for id_ in ids],
    }


def test_commands_that_start_before_their_answer_is_written_are_joined_exactly() -> None:
    desk = Desk()
    ids, spans = ["t0", "t1", "t2"], ["b" * 16, "c" * 16, "d" * 16]
    calls = [call(id_, "echo same") for id_ in ids]
    desk.ask("1", [ASKED])
    for n, span in enumerate(reversed(spans)):
        desk.run(n, "echo same", span)
    assert desk.writer.wait_safe(10)
    desk.answer("1", calls)
    desk.ask("2", [ASKED, {"role": "assistant", "content": calls}, results(*ids)])
    desk.answer("2", [{"type": "text", "text": "Done."}])
    for id_, span in zip(ids, spans, strict=True):
        desk.writer.put(ToolSeen(Moment.now(), id_, "traceparent", span))
    assert desk.joins() == [(f"t{n}", 2 - n, "traceparent", True) for n in range(3)]


def test_without_anything_that_names_the_call_it_is_guessed_at_the_latest_when_the_session_ends() -> None:
    desk = Desk()
    long = f"echo {'x' * 2000} 'it''s'"  # its input does not stand in the record of the call
    desk.ask("1", [ASKED])
    desk.answer("1", [call("t0", long)])
    desk.run(0, long)
    desk.ask("2", [ASKED, {"role": "assistant", "content": [call("t0", long)]}, results("t0")])
    desk.answer("2", [{"type": "text", "text": "Done."}])
    assert desk.joins() == [("t0", 0, "text", False)]


def test_a_line_that_was_rewritten_is_joined_by_its_time_however_soon_the_next_call_comes() -> None:
    desk = Desk()
    asked: list[Any] = [ASKED]
    for n, (line, ran) in enumerate([("one", "one"), ("two", "two; more"), ("three", "three")]):
        desk.ask(str(n), asked)
        desk.answer(str(n), [call(f"t{n}", line)])
        desk.run(n, ran)
        asked = [*asked, {"role": "assistant", "content": [call(f"t{n}", line)]}, results(f"t{n}")]
    desk.ask("9", asked)
    desk.answer("9", [{"type": "text", "text": "Done."}])
    assert desk.joins() == [(f"t{n}", n, "text", False) for n in range(3)]


def test_a_last_call_that_was_never_answered_is_joined_by_its_text_alone() -> None:
    desk = Desk()
    desk.ask("1", [ASKED])
    desk.answer("1", [call("t0", "echo done"), call("t1", "ls")])
    assert desk.writer.wait_safe(10)
    desk.run(0, "rm -rf x")
    desk.run(1, "echo done")
    assert desk.joins() == [("t0", 1, "text", False)]


def test_a_secret_in_a_command_does_not_stand_in_the_way_of_its_join() -> None:
    desk = Desk()
    line = 'curl -H "Authorization: Bearer sk-ant-api03-' + "a1B2c3D4" * 8 + '" https://x.example'
    desk.ask("1", [ASKED])
    desk.answer("1", [call("t0", line), call("t1", "ls")])
    desk.run(0, "ls")
    desk.run(1, line)
    desk.ask("2", [ASKED, {"role": "assistant", "content": [call("t0", line), call("t1", "ls")]}, results("t0", "t1")])
    desk.answer("2", [{"type": "text", "text": "Done."}])
    assert desk.joins() == [("t0", 1, "text", False), ("t1", 0, "text", False)]
