"""Sessions with fixed bytes: recorded through the real intake, with clocks, nonces and ids that are the same each time.

A `Scene` is one session: its happenings go through the writer's own steps (splitter, reader of tool calls, joiner), one
commit each, on this thread and by a clock that only the scene moves. So what stands in the archive is what a run would
have left there, and every hash, time and number of it is the same on each machine.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from snapped import Shot
from tapes.archive.base import Batch, Draft, Object
from tapes.archive.cut import cut_once
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.intake.commands import Surroundings
from tapes.intake.opening import Facts, open_session
from tapes.intake.recording import LAUNCH, Recording
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.record.digest import Digest
from tapes.wire.agents import by_name
from tapes.wire.command import CommandEnded, CommandOutput, CommandStarted, Decided, ToolSeen
from tapes.wire.exchange import Answered, Arrived, Finished, Happening, Moment, Opened
from tapes.wire.redact import Redactor
from tapes.wire.shells import ALL
from tapes.wire.shells.lines import quoted
from tapes.wire.terminal import TerminalClosed, TerminalInput, TerminalOpened, TerminalOutput, TerminalResized
from tapes_addons.simulators.apis.anthropic import stream_events

type Blocks = Sequence[dict[str, Any]]

SECOND = 1_000_000_000
BEGINNING = 1_773_480_413 * SECOND
"""2026-03-14 09:26:53 UTC."""
SONNET = "claude-sonnet-4-5"
URL = "https://api.anthropic.com/v1/messages?beta=true"
BOOT = "00000000-0000-4000-8000-000000000000"


class Clock:
    """Both clocks, and chance: they stand still, and are no chance, until `wait`."""

    def __init__(self) -> None:
        self.ns = 0
        self._drawn = itertools.count()

    def urandom(self, length: int) -> bytes:
        return hashlib.shake_128(str(next(self._drawn)).encode()).digest(length)

    @contextmanager
    def running(self) -> Iterator[None]:
        """While this is open, everybody in the process sees these clocks."""
        with (
            mock.patch("time.time_ns", lambda: BEGINNING + self.ns),
            mock.patch("time.monotonic_ns", lambda: 5 * SECOND + self.ns),
            mock.patch("os.urandom", self.urandom),
            mock.patch("tapes.intake.opening.__version__", "1.0"),
        ):
            yield


class Scene:
    """One session of Claude Code's. Seconds pass as its methods say."""

    def __init__(self, archive: LmdbArchive, clock: Clock, name: str = "", *, at: float = 0, **facts: Any) -> None:
        self.archive, self.clock = archive, clock
        self.cwd: bytes = facts.get("cwd", b"/home/alice/shop")
        clock.ns = round(at * SECOND)
        given: dict[str, Any] = {"argv": [b"claude"], "cwd": self.cwd, "name": name, "host": "desk", "user": "alice"}
        redactor = Redactor()
        self.session, summary = open_session(archive, Facts("claude", **(given | facts)), redactor)
        splitter = Splitter(self.session, redactor, Surroundings("claude", "alice", shells=ALL))
        self._recording = Recording(splitter, by_name("claude"), summary=summary)
        self._writer = Writer(archive, lambda who: self._recording)
        self._writer.expect(LAUNCH)
        self._keys = itertools.count(1)
        self.messages: dict[str, list[dict[str, Any]]] = {}
        """What has been said so far, by thread."""
        self._objects: dict[Digest, Object] = {}
        """Of the next record that is added by hand."""

    def wait(self, seconds: float) -> None:
        self.clock.ns += round(seconds * SECOND)

    @property
    def now(self) -> Moment:
        return Moment.now()

    def play(self, *happenings: Happening) -> None:
        for happening in happenings:
            self._writer._take(LAUNCH, happening)
            self._recording.splitter.write_due(self.now.mono_ns)
            self._writer._round(self._recording)

    # -- what is said

    def hears(self, *said: dict[str, Any] | str, thread: str = "") -> None:
        """What the next request adds."""
        content = [{"type": "text", "text": one} if isinstance(one, str) else one for one in said]
        self.messages.setdefault(thread, []).append({"role": "user", "content": content})

    def ask(self, *said: dict[str, Any] | str, thread: str = "") -> str:
        """Send what has been said so far, and this; gives the exchange's key."""
        if said:
            self.hears(*said, thread=thread)
        headers = [(b"content-type", b"application/json"), (b"user-agent", b"claude-cli/2.1.197 (external, cli)")]
        if thread:
            headers.append((b"x-claude-code-agent-id", thread.encode()))
        asked = {
            "model": SONNET,
            "max_tokens": 32000,
            "stream": True,
            "system": [{"type": "text", "text": "You are a coding agent. " * 40 + (thread and f"You are {thread}.")}],
            "tools": [{"name": name, "description": name, "input_schema": {"type": "object"}} for name in TOOLS],
            "messages": self.messages[thread],
        }
        key = f"x{next(self._keys)}"
        body = json.dumps(asked, ensure_ascii=False).encode()
        opened = Opened(
            key, self.now, "POST", URL, "HTTP/1.1", tuple(headers), body, "anthropic", "model", "c", "proxy"
        )
        self.play(opened)
        return key

    def answer(
        self, key: str, *blocks: dict[str, Any], thread: str = "", seconds: float = 4, tokens: int = 800
    ) -> None:
        """The model's answer, streamed over so many seconds."""
        count = len(json.dumps(self.messages[thread])) // 4
        reason = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"
        usage = {
            "input_tokens": 12,
            "cache_creation_input_tokens": 400 + count // 8,
            "cache_read_input_tokens": 9000 + count,
            "output_tokens": tokens,
        }
        message = {"id": f"msg_{key}", "type": "message", "role": "assistant", "model": SONNET, "content": list(blocks)}
        events = list(stream_events({**message, "stop_reason": reason, "stop_sequence": None, "usage": usage}, 40))
        self.wait(seconds / 4)
        self.play(self._head(key))
        for event in events:
            self.wait(seconds * 3 / 4 / len(events))
            self.play(Arrived(key, self.now.mono_ns, event))
        self.play(Finished(key, self.now, "eof"))
        self.messages[thread].append({"role": "assistant", "content": list(blocks)})

    def turn(self, *blocks: dict[str, Any], said: Sequence[dict[str, Any] | str] = (), **how: Any) -> None:
        """A request with what is new, and its answer."""
        self.answer(self.ask(*said, thread=how.get("thread", "")), *blocks, **how)

    def refuse(self, status: int, kind: str, message: str) -> None:
        """The provider has no answer to what has been said so far."""
        key = self.ask()
        self.wait(0.4)
        error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
        self.play(
            self._head(key, status, b"application/json"),
            Arrived(key, self.now.mono_ns, json.dumps(error).encode()),
            Finished(key, self.now, "eof"),
        )

    def begin_answer(self, key: str, *blocks: dict[str, Any], events: int) -> None:
        """So many events of an answer that is still on its way."""
        usage = {"input_tokens": 12, "output_tokens": 90}
        message = {"id": f"msg_{key}", "type": "message", "role": "assistant", "model": SONNET, "content": list(blocks)}
        told = list(stream_events({**message, "stop_reason": None, "stop_sequence": None, "usage": usage}, 40))
        self.play(self._head(key))
        for event in told[:events]:
            self.wait(0.3)
            self.play(Arrived(key, self.now.mono_ns, event))

    def _head(self, key: str, status: int = 200, kind: bytes = b"text/event-stream") -> Answered:
        return Answered(key, self.now, status, "OK" if status == 200 else "", "HTTP/1.1", ((b"content-type", kind),))

    # -- what is done

    def run(
        self,
        line: str,
        *output: tuple[str, bytes],
        call: str = "",
        status: int | None = 0,
        seconds: float = 1,
        **how: Any,
    ) -> None:
        """A command in the agent's shell, over so many seconds."""
        key = self.begin(line, *output, call=call, seconds=seconds)
        self.wait(seconds / (len(output) + 1))
        ended = {"utime_us": round(seconds * 4e5), "stime_us": 12_000, "maxrss_kib": 48_000, "signal": None} | how
        self.play(CommandEnded(key, self.now, status, duration_ns=round(seconds * SECOND), **ended))

    def begin(self, line: str, *output: tuple[str, bytes], call: str = "", seconds: float = 1) -> str:
        """A command that goes on; gives its key. `call`: the id of the tool call that its environment carries."""
        key = f"{next(self._keys):032x}"
        script = b"source /home/alice/.claude/snapshot.sh && eval " + quoted(line.encode())
        environ = [(b"CLAUDECODE", b"1"), (b"AI_AGENT", b"claude-code_2-1-197_agent"), (b"AWS_PROFILE", b"staging")]
        if call:
            span = hashlib.sha256(call.encode()).hexdigest()[:16]
            environ.append((b"TRACEPARENT", f"00-{'a' * 32}-{span}-01".encode()))
            self.play(ToolSeen(self.now, call, "traceparent", span))
        argv = (b"/bin/bash", b"-c", script + b" < /dev/null && pwd -P >| /tmp/cwd")
        self.play(CommandStarted(key, self.now, "supervisor", argv, self.cwd, 4711, 4242, 4711, tuple(environ)))
        for stream, data in output:
            self.wait(seconds / (len(output) + 1))
            self.play(CommandOutput(key, self.now.mono_ns, "e" if stream == "e" else "o", data))
        return key

    def decide(self, call: str, tool: str, decision: Any, by: str) -> None:
        self.play(Decided(self.now, call, tool, decision, by))

    def opens_terminal(self, columns: int, rows: int) -> None:
        self.play(TerminalOpened(self.now, columns, rows, "xterm-256color"))

    def shows(self, data: str, seconds: float = 0.2) -> None:
        self.wait(seconds)
        self.play(TerminalOutput(self.now.mono_ns, data.encode()))

    def types(self, data: str, seconds: float = 0.2) -> None:
        self.wait(seconds)
        self.play(TerminalInput(self.now.mono_ns, data.encode()))

    def resizes(self, columns: int, rows: int) -> None:
        self.play(TerminalResized(self.now.mono_ns, columns, rows))

    def closes_terminal(self) -> None:
        self.play(TerminalClosed(self.now))

    # -- records that others write into a session: notes, gaps, snapshots. `Shot` takes a scene for its session.

    def add(self, type_: str, body: dict[str, Any], *parents: Draft) -> Draft:
        at, nonce = self.now, self.clock.urandom(16)
        draft = Draft(type_, body, self.session, parents, at.wall_ns, at.mono_ns, nonce)
        self.archive.commit(Batch([draft], objects=self._objects))
        self._recording.summary.fold(type_, body, at.wall_ns)
        self._objects = {}
        return draft

    def _stored(self, data: bytes) -> dict[str, Any]:
        cut = cut_once(data)
        self._objects = self._objects | cut.objects
        return cut.ref.to_value()

    def shot(self) -> Shot:
        return Shot(self, self.cwd)  # type: ignore[arg-type]

    def note(self, text: str) -> None:
        self.add("note", {"kind": "note", "text": text, "who": "alice"})

    def gap(self, reason: str, **counts: int) -> None:
        self.add("gap", {"reason": reason, "since_ns": self.now.wall_ns - 2 * SECOND, **counts})

    def close(self, status: int = 0) -> None:
        self._writer._close_session(LAUNCH, self._recording, {"status": status, "signal": None})


TOOLS = ("Bash", "Read", "Edit", "Write", "Task", "TodoWrite")


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def thinking(words: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": "c2lnbmF0dXJl"}


def use(id_: str, name: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": given}


def result(id_: str, words: str, *, is_error: bool = False) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id_, "content": words, "is_error": is_error}
