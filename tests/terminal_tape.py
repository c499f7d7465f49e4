"""A session with a recorded terminal, made of `terminal` records on the archive in memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from tapes.archive.base import Batch, Draft
from tapes.archive.cut import cut_once
from tapes.archive.memory_archive import MemoryArchive
from tapes.record.digest import Digest
from tapes.session.screen.tape import Tape, tape_of

WALL = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


class TerminalSession:
    """Times are seconds since the session began. Nonces count, so that its hashes are the same each time."""

    def __init__(self, archive: Any = None, argv: Sequence[bytes] = (b"/bin/bash",)) -> None:
        self.archive = archive if archive is not None else MemoryArchive()
        self._nonces = itertools.count(1)
        body = {"agent": "generic", "argv": list(argv), "cwd": b"/work/place", "scheme": "plain"}
        self._n = 0
        draft = self._draft("session.open", 0, body, None)
        self.session: Digest = self.commit(draft)

    def _draft(
        self, type_: str, at: float, body: dict[str, Any], session: Digest | None, parents: Sequence[Digest] = ()
    ) -> Draft:
        since = round(at * SECOND)
        nonce = next(self._nonces).to_bytes(16)
        return Draft(type_, body, session, tuple(parents), WALL + since, 5 * SECOND + since, nonce)

    def commit(self, draft: Draft, objects: Any = None) -> Digest:
        return self.archive.commit(Batch([draft], objects or {}))[0]

    def record(self, type_: str, at: float, body: dict[str, Any], parents: Sequence[Digest] = ()) -> Digest:
        return self.commit(self._draft(type_, at, body, self.session, parents))

    def terminal(
        self, at: float, told: Sequence[tuple[Any, ...]], size: tuple[int, int] = (80, 24), **more: Any
    ) -> Digest:
        """What happened, as (microseconds, "o" or "i", bytes), (…, "r", columns, rows), (…, "x", bytes)."""
        data = b"".join(event[2] for event in told if event[1] in ("o", "i"))
        rows = [[e[0], e[1], len(e[2])] if e[1] in ("o", "i") else list(e) for e in told]
        cut = cut_once(data) if data else None
        body = {"n": self._n, "columns": size[0], "rows": size[1], "events": rows}
        body["data"] = cut.ref.to_value() if cut else None
        body |= more
        self._n = body["n"] + 1
        return self.commit(self._draft("terminal", at, body, self.session), cut.objects if cut else None)

    def said(self, *texts: bytes, size: tuple[int, int] = (80, 24)) -> None:
        """Output, a text a second, each in a record of its own."""
        for second, text in enumerate(texts):
            self.terminal(second, [(0, "o", text)], size)

    def command(self, at: float, line: bytes, status: int | None = 0, signal: int | None = None) -> Digest:
        """A command that takes half a second."""
        start = self.record(
            "command.start",
            at,
            {
                "id": bytes(16),
                "participant": {"kind": "agent", "name": "generic"},
                "level": "supervisor",
                "shell": "bash",
                "argv": [b"bash", b"-c", line],
                "line": line,
                "cwd": b"/work/place",
                "pid": 7,
                "ppid": 6,
                "pgid": 7,
                "tty": False,
                "environment": [],
                "variables": [],
                "marks": {},
            },
        )
        counts = {"o": 3, "e": 0, "m": 0}
        end = {"status": status, "signal": signal, "duration_ns": SECOND // 2, "utime_us": 1, "stime_us": 1}
        end |= {"maxrss_kib": 100, "bytes": counts, "head": b"out", "tail": b""}
        self.record("command.end", at + 0.5, end, [start])
        return start

    def close(self, at: float, status: int | None = 0) -> None:
        self.record("session.close", at, {"status": status, "signal": None})

    @property
    def tape(self) -> Tape:
        tape = tape_of(self.archive, self.session)
        assert tape is not None
        return tape
