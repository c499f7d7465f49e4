"""What statistics are made of: of one session its calls with their price, its tool calls and its commands, as numbers.

They are read from bodies, which takes time, and of a session that is over they never change. So they are kept in a
file beside the archive, named by the session's last record: whatever was recorded, redacted or forgotten since is
another last record, and then they are read again. The file is derived and may be lost, or be of another version, at
any time. It holds numbers and the names of models and tools; the folder is the one that `tapes forget` empties.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.session import prices
from tapes.session.usage import KINDS, Call, Tokens, calls_of
from tapes.values import dataclass

VERSION = 1
"""Rises with every change of what is read from the same records."""
FILE = f"facts.{VERSION}.sqlite"
_TOGETHER = 200
"""Sessions in one transaction."""


@dataclass(frozen=True, slots=True)
class Priced:
    """A model call, without its thread, and what it cost in US dollars; None where that is not known."""

    call: Call
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call of a tool. `model` is whose answer it was in."""

    name: str
    model: str
    wall_ns: int
    failed: bool
    """The model was told that it failed."""
    took_us: int | None
    """From the answer that asked for it to the request that told what came of it; None where none did."""
    told: int
    """Bytes of what the model was told."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one session."""

    calls: tuple[Priced, ...]
    tools: tuple[ToolUse, ...]
    commands: tuple[tuple[int, bool], ...]
    """Of each that was witnessed: when it began, and whether it failed."""


def facts(archive: Archive, session: Digest) -> Facts:
    """Read from the records. NotFound for an unknown session, Damaged where a record itself is."""
    records = list(archive.session_records(session))
    found = [_priced(replace(call, thread="")) for call in calls_of(archive, records, threads=False)]
    models = {d: one.call.model for one in found for d in (one.call.hash, one.call.end) if d}
    return Facts(tuple(found), tuple(_tools(records, models)), tuple(_commands(records)))


def _priced(call: Call) -> Priced:
    return Priced(call, prices.price(call.tokens, call.model, call.url, call.wall_ns) if call.tokens else None)


def _priced_anew(found: Facts) -> Facts:
    """By the lists that are installed now."""
    return replace(found, calls=tuple(_priced(one.call) for one in found.calls))


def _tools(records: list[tuple[Digest, Record]], models: dict[Digest, str]) -> Iterator[ToolUse]:
    at = dict(records)
    uses = [(digest, record) for digest, record in records if record.type == "tool.use"]
    results = {record.parents[-1]: record for _, record in records if record.type == "tool.result" and record.parents}
    for digest, use in uses:
        told = results.get(digest)
        asked = next((at[parent] for parent in use.parents if parent in at), use)
        heard = next((at[parent] for parent in told.parents if parent in at), told) if told else None
        yield ToolUse(
            name=str(use.body["name"]),
            model=next((models[parent] for parent in use.parents if parent in models), ""),
            wall_ns=use.wall_ns,
            failed=bool(told and told.body.get("is_error")),
            took_us=max(0, heard.wall_ns - asked.wall_ns) // 1000 if heard else None,
            told=int(told.body.get("length") or 0) if told else 0,
        )


def _commands(records: list[tuple[Digest, Record]]) -> Iterator[tuple[int, bool]]:
    ends = {record.parents[0]: record.body for _, record in records if record.type == "command.end"}
    for digest, record in records:
        if record.type == "command.start":
            end = ends.get(digest, {})
            yield record.wall_ns, bool(end.get("status") or end.get("signal"))


class FactsFile:
    """Facts that were read before. Every trouble with the file means that they are read again, and nothing else."""

    def __init__(self, folder: Path | None) -> None:
        self._rows: sqlite3.Connection | None = None
        self._new: list[tuple[str, str, str]] = []
        if folder is not None:
            with contextlib.suppress(OSError, sqlite3.Error):  # a full disk, or one that may not be written to
                folder.mkdir(mode=0o700, exist_ok=True)
                path = folder / FILE
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
                self._rows = _opened(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
        if self._rows is not None:
            self._rows.close()

    def of(self, archive: Archive, session: Digest) -> Facts:
        """The session's facts. Raises as `facts` does."""
        head = archive.head(session)
        last, lists = head[0].hex() if head else "", prices.version()
        kept = self._kept(session, last)
        if kept is not None and kept[0] == lists:
            return kept[1]
        found = facts(archive, session) if kept is None else _priced_anew(kept[1])
        self._keep(session, f"{last} {lists}", found)
        return found

    def _kept(self, session: Digest, last: str) -> tuple[str, Facts] | None:
        """By which price lists, and the facts; None where there are none up to this record."""
        if self._rows is None:
            return None
        try:
            row = self._rows.execute("SELECT key, data FROM facts WHERE session = ?", (session.hex(),)).fetchone()
            record, _, lists = row[0].partition(" ") if row else ("", "", "")
            return (lists, _unpacked(json.loads(row[1]))) if row and record == last else None
        except (sqlite3.Error, ValueError, TypeError, ArithmeticError):
            return None

    def _keep(self, session: Digest, key: str, found: Facts) -> None:
        if self._rows is not None:
            self._new.append((session.hex(), key, json.dumps(_packed(found), separators=(",", ":"))))
            if len(self._new) >= _TOGETHER:
                self._write()

    def _write(self) -> None:
        """At once, so that others who read or write the file wait for a moment only."""
        if self._rows is None or not self._new:
            return
        try:
            with self._rows:
                self._rows.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", self._new)
        except sqlite3.Error:  # no room, or another holds it for long: this time nothing more is kept
            self._rows.close()
            self._rows = None
        self._new = []


def _opened(path: Path) -> sqlite3.Connection:
    """Makes it anew where it is no database."""
    for _ in range(2):
        rows = sqlite3.connect(path, timeout=1)
        try:
            rows.execute("CREATE TABLE IF NOT EXISTS facts (session TEXT PRIMARY KEY, key TEXT, data TEXT)")
        except sqlite3.OperationalError:  # another writes just now, or may not: it is no worse for it
            rows.close()
            raise
        except sqlite3.DatabaseError:
            rows.close()
            path.unlink()
        else:
            return rows
    raise sqlite3.DatabaseError(f"{path} can not be made")


def _packed(found: Facts) -> list[Any]:
    calls = []
    for one in found.calls:
        c = one.call
        hashes = [d.hex() if d else None for d in (c.hash, c.end, c.retry_of)]
        tokens = [getattr(c.tokens, kind) for kind in KINDS] if c.tokens else None
        said = [c.model, c.url, c.wall_ns, c.outcome, c.status, c.whole, c.warm_up, c.retried]
        times = [c.first_byte_us, c.first_content_us, c.duration_us]
        calls.append([hashes, said, tokens, times, None if one.cost is None else str(one.cost)])
    tools = [[t.name, t.model, t.wall_ns, t.failed, t.took_us, t.told] for t in found.tools]
    return [calls, tools, [list(command) for command in found.commands]]


def _unpacked(value: Any) -> Facts:
    """Raises ValueError, TypeError, ArithmeticError for anything else than `_packed` makes."""
    calls, tools, commands = value
    return Facts(
        tuple(_call(*row) for row in calls),
        tuple(ToolUse(*row) for row in tools),
        tuple((wall_ns, failed) for wall_ns, failed in commands),
    )


def _call(hashes: list[Any], said: list[Any], tokens: list[int] | None, times: list[Any], cost: str | None) -> Priced:
    own, end, retry_of = (Digest(bytes.fromhex(text)) if text else None for text in hashes)
    model, url, wall_ns, outcome, status, whole, warm_up, retried = said
    first_byte, first_content, duration = times
    if own is None:
        raise ValueError("a call without a hash")
    call = Call(
        hash=own,
        end=end,
        thread="",
        model=model,
        url=url,
        wall_ns=wall_ns,
        outcome=outcome,
        status=status,
        tokens=Tokens(*tokens) if tokens else None,
        whole=whole,
        warm_up=warm_up,
        retry_of=retry_of,
        retried=retried,
        first_byte_us=first_byte,
        first_content_us=first_content,
        duration_us=duration,
    )
    return Priced(call, None if cost is None else Decimal(cost))
