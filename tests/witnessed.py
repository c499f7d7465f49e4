"""A session with commands, record by record: what was asked, what ran, what was told, each as a test wants it.

The agent is a made-up one. It asks by the tools `Bash` (one line) and `Program` (a program that runs some), and its
results begin with lines in brackets: `[exit 1]`, `[signal 9]`, `[denied by a rule]`, `[running]`, `[shortened]`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from strategies import opening
from tapes.archive.base import Archive, Batch, Draft
from tapes.archive.cut import cut_once
from tapes.archive.memory_archive import MemoryArchive
from tapes.record.digest import Digest
from tapes.session.audit import commands
from tapes.session.commands import Command
from tapes.wire.agents.base import Launch, Settings
from tapes.wire.shells.base import Claim, Told, Witness
from tapes.wire.turns import Json

BEGINNING = 1_760_000_000_000_000_000
SECOND = 1_000_000_000
_NOTE = re.compile(r"\[(exit|signal|denied by|running|shortened|timed out) ?(?:a |the )?(-?\w*)\]\n?")


@dataclass(frozen=True)
class FakeShells:
    """Shells of the made-up agent."""

    name: str = "fake"
    marks: tuple[str, ...] = ("FAKE",)
    scope: tuple[str, ...] = ()

    def witnessed(self, launch: Launch, witness: Witness, settings: Settings) -> Settings:
        return settings

    def claims(self, tool: str, arguments: Json) -> tuple[Claim, ...]:
        if not isinstance(arguments, dict):
            return ()
        if tool == "Program":
            lines = arguments["lines"]
            assert isinstance(lines, list)
            return tuple(Claim(str(line), certain=False) for line in lines)
        return (Claim(str(arguments["command"])),) if tool == "Bash" else ()

    def unwrap(self, argv: Sequence[bytes]) -> bytes:
        return argv[-1]

    def told(self, tool: str, result: str, is_error: bool) -> Told:
        facts: dict[str, Any] = {}
        while note := _NOTE.match(result):
            result = result[note.end() :]
            word, value = note[1], note[2]
            if word in ("exit", "signal"):
                facts["status" if word == "exit" else "signal"] = int(value)
            else:
                facts |= {word.replace(" ", "_"): True} if word != "denied by" else {"denied": value}
        return Told(output=result, **facts)

    def join_marks(self, environ: Mapping[bytes, bytes]) -> Mapping[str, str]:
        return {}

    def is_harness(self, environ: Mapping[bytes, bytes], argv: Sequence[bytes]) -> bool:
        return False


@dataclass
class Session:
    """One that is being recorded; a second passes with every record."""

    archive: Archive = field(default_factory=MemoryArchive)
    shells: FakeShells = FakeShells()
    agent: str = "fake"
    name: str = ""
    began: int = BEGINNING
    batch: Batch = field(default_factory=Batch)
    calls: int = 0

    def __post_init__(self) -> None:
        self._ticks = itertools.count()
        self._at = self.began
        self.root = opening(agent=self.agent, participant={"kind": "agent", "name": self.agent}, name=self.name)
        self.root.wall_ns = self.began
        self.batch.drafts.append(self.root)
        if self.name:
            self.batch.names[self.name] = self.root

    @property
    def session(self) -> Digest:
        assert self.root.hash is not None
        return self.root.hash

    def add(self, type_: str, body: Mapping[str, Any], *parents: Draft) -> Draft:
        self._at = self.began + SECOND * next(self._ticks)
        draft = Draft(type_, body, self.root, parents, wall_ns=self._at, mono_ns=self._at)
        self.batch.drafts.append(draft)
        return draft

    def _stored(self, data: bytes) -> dict[str, Any]:
        cut = cut_once(data)
        self.batch.objects.update(cut.objects)
        return cut.ref.to_value()

    def exchange(self, *blocks: dict[str, Any], outcome: str = "complete") -> Draft:
        """A model call; gives its end."""
        opened = self.opened([])
        answer = {"type": "message", "role": "assistant", "content": list(blocks)}
        end = {
            "outcome": outcome,
            "status": 200,
            "response": self._stored(json.dumps(answer).encode()),
            "headers": [[b"content-type", b"application/json"]],
        }
        return self.add("exchange.end", end, opened)

    def opened(self, messages: list[dict[str, Any]]) -> Draft:
        request = self._stored(json.dumps({"model": "m", "messages": messages}).encode())
        body = {
            "method": "POST",
            "url": "https://api.anthropic.com/v1/messages",
            "class": "model",
            "provider": "anthropic",
            "request": request,
            "headers": [],
        }
        return self.add("exchange.open", body)

    def ask(self, line: str, tool: str = "Bash", **more: Any) -> Draft:
        """The model asks for a command; gives the tool.use."""
        return self.ask_all({"command": line}, tool=tool, **more)[0]

    def ask_all(self, *inputs: dict[str, Any], tool: str = "Bash", **more: Any) -> list[Draft]:
        ids = [f"call_{self.calls + n}" for n in range(len(inputs))]
        self.calls += len(inputs)
        blocks = [{"type": "tool_use", "id": i, "name": tool, "input": v} for i, v in zip(ids, inputs, strict=True)]
        end = self.exchange(*blocks)
        return [
            self.add("tool.use", {"id": i, "name": tool, "at": [0, n], "input": json.dumps(v).encode()} | more, end)
            for n, (i, v) in enumerate(zip(ids, inputs, strict=True))
        ]

    def tell(self, *told: tuple[Draft, str], is_error: bool = False) -> None:
        """What the model is told of calls, in the next request."""
        results = [{"type": "tool_result", "tool_use_id": use.body["id"], "content": text} for use, text in told]
        opened = self.opened([{"role": "assistant", "content": []}, {"role": "user", "content": results}])
        for n, (use, text) in enumerate(told):
            body = {"id": use.body["id"], "at": [1, n], "length": len(text), "is_error": is_error}
            self.add("tool.result", body, opened, use)
        answer = {"outcome": "complete", "status": 200, "response": None}
        self.add("exchange.end", answer, opened)

    def start(self, line: str | bytes, outer: Draft | None = None, kind: str = "agent", **more: Any) -> Draft:
        raw = line.encode() if isinstance(line, str) else line
        body = {
            "id": bytes(16),
            "participant": {"kind": kind, "name": self.agent if kind != "human" else "alice"},
            "level": "supervisor",
            "shell": "bash",
            "argv": [b"bash", b"-c", raw],
            "line": raw,
            "cwd": b"/home/alice/project",
            "tty": False,
            "environment": [["AWS_PROFILE", b"staging"]],
        }
        return self.add("command.start", body | more, *([outer] if outer else []))

    def write(self, start: Draft, *pieces: tuple[str, bytes], n: int = 0, **more: Any) -> Draft:
        data = b"".join(piece for _, piece in pieces)
        rows = [[1000, stream, len(piece)] for stream, piece in pieces]
        return self.add("command.output", {"n": n, "data": self._stored(data), "pieces": rows} | more, start)

    def end(self, start: Draft, *pieces: tuple[str, bytes], status: int | None = 0, **more: Any) -> Draft:
        """Its output, if there is any, and its end."""
        if pieces:
            self.write(start, *pieces)
        counts: dict[str, int] = {}
        for stream, data in pieces:
            counts[stream] = counts.get(stream, 0) + len(data)
        data = b"".join(piece for _, piece in pieces)
        body = {
            "status": status if "signal" not in more else None,
            "signal": None,
            "duration_ns": SECOND * 3 // 2,
            "utime_us": 0,
            "stime_us": 0,
            "maxrss_kib": 0,
            "bytes": counts,
            "head": data[:16384],
            "tail": data[16384:][-16384:],
        }
        return self.add("command.end", body | more, start)

    def join(self, use: Draft, start: Draft, method: str = "env", *, exact: bool = True) -> Draft:
        body = {"tool": use.body["id"], "method": method, "exact": exact, "reader": "join", "version": 1}
        return self.add("join", body, use, start)

    def run(self, line: str, output: bytes = b"", status: int = 0, told: str | None = None) -> Draft:
        """Asked, joined, run and told honestly; or told as given."""
        use = self.ask(line)
        start = self.start(line)
        self.join(use, start)
        self.end(start, *([("o", output)] if output else []), status=status)
        self.tell((use, told if told is not None else f"[exit {status}]\n" + output.decode("utf-8", "replace")))
        return start

    def decide(self, use: Draft, decision: str, by: str, mode: str = "") -> None:
        body = {"kind": "decision", "id": use.body["id"], "tool": use.body["name"], "decision": decision, "by": by}
        self.add("note", body | {"text": f"{decision} by {by}"} | ({"mode": mode} if mode else {}), use)

    def commit(self) -> None:
        self.archive.commit(self.batch)
        self.batch = Batch()

    def close(self) -> None:
        self.add("session.close", {"status": 0, "signal": None})
        self.commit()

    def commands(self) -> list[Command]:
        return list(commands(self.archive, self.session, family=lambda name: self.shells))

    def verdicts(self) -> list[str]:
        return [command.judgement.verdict for command in self.commands()]
