"""A recording as it is played: by `tapes playback` in the foreground, by `tapes run --playback` in a process beside it.

The latter is given its listening socket, which is bound already, and a line. The line brings one JSON object, the
`Playing`; when it is closed at the other end, by the launcher at the end of the run or by the launcher's death, what
there is to say is said over it as one JSON object, `{"said": [...], "refused": n}`, and the process ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict

from tapes.archive.base import Archive
from tapes.archive.refs import resolve
from tapes.errors import UsageError
from tapes.playback.loading import Loaded, load
from tapes.playback.matching import Tape
from tapes.playback.places import Places
from tapes.record.digest import Digest
from tapes.values import dataclass, field
from tapes.wire.redact import Redactor, secret_variables
from tapes_cli.home import open_archive

SHOWN = 8
"""Refused requests that are told at the end of a run."""


@dataclass(frozen=True, slots=True)
class Playing:
    """What is played, and how."""

    session: str
    fast: bool = False
    lenient: bool = False
    repeat: bool = False
    places: dict[str, str] = field(default_factory=dict)
    """Today's directories, by their names; those that are missing are learned."""


def chosen(archive: Archive, ref: str) -> Loaded:
    """The session that a REF means. UsageError where it means a part of one, else as resolve and load."""
    found = resolve(archive, ref)
    if found.step is not None or found.record is not None:
        raise UsageError("a whole session is played", hint=f"tapes playback {found.session.short()}")
    return load(archive, found.session)


def tape_of(loaded: Loaded, playing: Playing) -> Tape:
    places = Places(loaded.places, dict(playing.places))
    return Tape(loaded.recorded, places, lenient=playing.lenient, repeat=playing.repeat)


def redactor(environ: Mapping[bytes, bytes]) -> Redactor:
    """What the recording's bodies were redacted with, as far as that is the same today."""
    return Redactor(secret_variables(dict(environ)))


def told(loaded: Loaded, tape: Tape) -> list[str]:
    """What is said before it begins."""
    moved = ", ".join(f"{old} is {new}" for old, new in tape.places.moved.items() if old.startswith("/"))
    said = [f"note: {doubt}" for doubt in loaded.doubts]
    return [*said, f"in its answers {moved}"] if moved else said


def start(playing: Playing) -> tuple[int, int, int]:
    """The process beside a run: its port, its process id, and the descriptor of our end of its line."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ours, theirs = socket.socketpair()
    with listener, theirs:
        words = [sys.executable, "-P", "-m", "tapes_cli.playing", str(listener.fileno()), str(theirs.fileno())]
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(listener.fileno(), theirs.fileno()),
            start_new_session=True,  # a Ctrl-C meant for the agent does not reach it
        )
        ours.sendall(json.dumps(asdict(playing)).encode() + b"\n")
        ours.set_inheritable(True)
        return listener.getsockname()[1], process.pid, ours.detach()


def main(argv: list[str]) -> int:
    listener, line = (socket.socket(fileno=int(number)) for number in argv)
    with line.makefile("rb") as lines:
        playing = Playing(**json.loads(lines.readline()))
        with open_archive() as archive:
            loaded = load(archive, Digest.parse(playing.session))
            said = asyncio.run(_serve(tape_of(loaded, playing), listener, lines.fileno(), playing))
    line.sendall(json.dumps(said).encode() + b"\n")
    return 0


async def _serve(tape: Tape, listener: socket.socket, line: int, playing: Playing) -> dict[str, object]:
    """Until the line closes."""
    from tapes_addons.playback.server import Player
    from tapes_addons.playback.words import summary

    said: list[str] = []
    player = Player(tape, redactor(os.environb), said.append, fast=playing.fast)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(line, over.set)  # nothing more is said to us: what can be read is its end
    await player.start(listener)
    await over.wait()
    loop.remove_reader(line)
    await player.stop()
    lines = [*said[:SHOWN], *summary(player.counts, tape, playing.session, brief=len(said) <= SHOWN)]
    return {"said": lines, "refused": len(player.counts.refused)}


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
