"""Archives that are large in one way each, for benchmarks of whoever reads: many sessions, and one long session.

They take minutes to make, so they are kept in a folder of the caller's and made once.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from tapes.archive.base import Batch, Draft
from tapes.archive.cut import cut_once
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.summary import Summary
from tapes.intake.commands import Surroundings
from tapes.intake.opening import Facts, open_session, opening
from tapes.intake.recording import Recording
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.wire.agents import by_name
from tapes.wire.command import CommandEnded, CommandOutput, CommandStarted
from tapes.wire.dialects import by_name as dialect_named
from tapes.wire.exchange import Answered, Arrived, Finished, Moment, Opened
from tapes.wire.redact import Redactor
from tapes.wire.shells import ALL
from tapes.wire.shells.lines import quoted
from tapes.wire.turns import ToolCall
from tapes_addons.simulators.growing import WORDS, growing_session

SECOND = 1_000_000_000
BEGINNING = 1_760_000_000 * SECOND
URL = "https://api.anthropic.com/v1/messages"
JSON, EVENTS = ((b"content-type", b"application/json"),), ((b"content-type", b"text/event-stream"),)
MODELS = ("claude-sonnet-4-5", "gpt-5-codex", "gemini-2.5-pro")
AGENTS = ("claude", "codex", "gemini")
COMMITTED = 250
"""Sessions a commit."""
TURNS = 980
"""Of them the long session has a little more than 5,000 steps."""


def many(folder: Path, count: int = 10_000) -> Path:
    """A home with so many sessions, each of one call and a note, with a summary as capture leaves it."""
    home = folder / f"many-{count}"
    if home.exists():
        return home
    rng = random.Random(7)
    new = _new(home)
    with LmdbArchive.open(new / "archive", create=True) as archive:
        for first in range(0, count, COMMITTED):
            batch = Batch()
            for n in range(first, min(first + COMMITTED, count)):
                _session(batch, n, rng)
            archive.commit(batch)
    return new.rename(home)


def _session(batch: Batch, n: int, rng: random.Random) -> None:
    agent, at = n % len(AGENTS), Moment(BEGINNING + n * 900 * SECOND, n * SECOND)
    cwd = f"/home/alice/{rng.choice(WORDS)}".encode()
    name = f"{rng.choice(WORDS)}-{rng.choice(WORDS)}-{n}"
    root = opening(Facts(AGENTS[agent], [AGENTS[agent].encode()], cwd, name=name, started=at), Redactor())
    drafts, summary = [root], Summary(models={MODELS[agent]: 1})

    def add(type_: str, body: dict[str, Any], *parents: Draft) -> Draft:
        wall_ns = at.wall_ns + len(drafts) * SECOND
        drafts.append(Draft(type_, body, root, parents, wall_ns, at.mono_ns + len(drafts) * SECOND))
        return drafts[-1]

    prompt = " ".join(rng.choices(WORDS, k=12))
    asked = cut_once(json.dumps({"model": MODELS[0], "messages": [{"role": "user", "content": prompt}]}).encode())
    batch.objects |= asked.objects
    opened: dict[str, Any] = {"method": "POST", "url": URL, "class": "model", "provider": "anthropic", "headers": []}
    call = add("exchange.open", opened | {"request": asked.ref.to_value()})
    add("exchange.end", {"outcome": "complete", "status": 200, "response": None}, call)
    add("note", {"kind": "note", "text": " ".join(rng.choices(WORDS, k=6)), "who": "alice"})
    if n % 50:
        add("session.close", {"status": int(n % 9 == 0), "signal": None})
    for draft in drafts:
        summary.fold(draft.type, draft.body, draft.wall_ns)
    batch.drafts += drafts
    batch.names[name] = root
    batch.summaries[root] = summary.to_bytes()


def long(folder: Path, turns: int = TURNS) -> Path:
    """A home with one session of so many turns of a Claude-like agent, whose shell commands really ran, as capture
    would have written them."""
    home = folder / f"long-{turns}"
    if home.exists():
        return home
    new = _new(home)
    with LmdbArchive.open(new / "archive", create=True) as archive:
        redactor = Redactor()
        session, summary = open_session(archive, Facts("claude", [b"claude"], b"/work", name="long"), redactor)
        splitter = Splitter(session, redactor, Surroundings("claude", "alice", shells=ALL))
        recording = Recording(splitter, by_name("claude"), summary=summary)
        writer = Writer(archive, lambda who: recording)
        writer.start()
        for turn, bodies in enumerate(growing_session(turns)):
            request, response = (body.replace(b'"bash"', b'"Bash"') for body in bodies)  # as Claude Code names it
            _turn(writer, turn, request, response)
        if not writer.close({"status": 0, "signal": None}, 600):
            raise SystemExit("the long session could not be written")
    return new.rename(home)


def _turn(writer: Writer, turn: int, request: bytes, response: bytes) -> None:
    key = str(turn)
    headers = (*JSON, (b"user-agent", b"claude-cli/2.1.197 (external, cli)"))
    writer.put(Opened(key, Moment.now(), "POST", URL, "HTTP/1.1", headers, request, "anthropic", "model", "c", "proxy"))
    writer.put(Answered(key, Moment.now(), 200, "OK", "HTTP/1.1", EVENTS))
    for at in range(0, len(response), 2048):
        writer.put(Arrived(key, time.monotonic_ns(), response[at : at + 2048]))
    writer.put(Finished(key, Moment.now(), "eof"))
    writer.wait_safe(60)
    reader = dialect_named("anthropic").response_reader(200, "text/event-stream")
    reader.feed(response)
    message = reader.finish().message
    for n, block in enumerate(message.blocks if message else ()):
        if isinstance(block, ToolCall) and isinstance(block.input, dict) and "command" in block.input:
            _command(writer, f"{turn:024x}{n:08x}", str(block.input["command"]).encode(), turn % 7 == 0)


def _command(writer: Writer, key: str, line: bytes, fails: bool) -> None:
    script = b"source /s.sh && eval " + quoted(line) + b" < /dev/null && pwd -P >| /tmp/f"
    environ = ((b"CLAUDECODE", b"1"), (b"AI_AGENT", b"claude-code_2-1-197_agent"))
    argv = (b"/bin/bash", b"-c", script)
    writer.put(CommandStarted(key, Moment.now(), "supervisor", argv, b"/work", 7, 6, 7, environ))
    writer.put(CommandOutput(key, time.monotonic_ns(), "o", line * 20))
    writer.put(CommandEnded(key, Moment.now(), int(fails), None, 5_000_000))


def _new(home: Path) -> Path:
    """Where it is made, so that one that was made half is not taken for it."""
    new = home.with_name(f"{home.name}.new")
    new.mkdir(mode=0o700, parents=True)
    print(f"making {home} …", file=sys.stderr)
    return new
