"""The row that `tapes log` shows for a session: folded from its records as they are written, so that listing is cheap.

Derived: it may be missing or behind (a crash, another writer), which `upto` tells, and is then folded again from the
records. What needs a reading of bodies (models, the agent's version) is added by whoever reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tapes.errors import Damaged
from tapes.record import canon
from tapes.values import dataclass, field

VERSION = 1
HOSTS_MOST = 200
"""Hosts that are told apart: the row is written again with every commit."""


@dataclass(slots=True)
class Summary:
    """Counts and times of one session; times are wall-clock nanoseconds, 0 where unknown."""

    upto: int = -1
    """The last `seq` folded in."""
    agent: str = ""
    agent_version: str = ""
    name: str = ""
    label: str = ""
    """Of a session that came through a standing proxy."""
    agent_session: str = ""
    continues: str = ""
    """Hex."""
    branch_of: str = ""
    """Hex: the session it branches off."""
    branch_at: str = ""
    """Hex: the record of the step there."""
    playback: str = ""
    """The session whose recording answered its model calls, in hex: no provider was asked."""
    command: str = ""
    cwd: str = ""
    started_ns: int = 0
    ended_ns: int = 0
    exchanges: int = 0
    calls: int = 0
    """Exchanges of class `model`."""
    ended: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    tool_uses: int = 0
    tool_results: int = 0
    gaps: int = 0
    redactions: int = 0
    egress: int = 0
    """Connections."""
    hosts: dict[str, int] = field(default_factory=dict)
    """That they led to, and how many to each; of more than HOSTS_MOST the first."""
    models: dict[str, int] = field(default_factory=dict)
    commands: int = 0
    commands_failed: int = 0
    """Those that ended with another status than 0, or by a signal."""
    commands_lost: int = 0
    joined: int = 0
    """Commands of which the tool call is known that asked for them; -1 where nobody counted."""
    closed: bool = False
    status: int | None = None
    signal: int | None = None

    @property
    def complete(self) -> int:
        return self.outcomes.get("complete", 0)

    @property
    def partial(self) -> int:
        """Exchanges whose answer did not arrive in full, the ones still open among them."""
        cut = sum(self.outcomes.get(name, 0) for name in ("partial", "aborted", "capture_lost"))
        return cut + self.exchanges - self.ended

    @property
    def outcome(self) -> str:
        """`open` while it runs (or when nobody could close it), then how the agent left."""
        if not self.closed:
            return "open"
        if self.signal:
            return f"signal {self.signal}"
        if self.status is None:
            # Nobody launched it, so nobody saw how the agent left.
            return "closed" if self.label else "unknown"
        return f"exit {self.status}"

    def fold(self, type_: str, body: Mapping[str, Any], wall_ns: int) -> None:
        """Take the session's next record in."""
        self.upto += 1
        if not self.closed and type_ != "redaction":  # notes and redactions of later are no part of the run
            self.ended_ns = max(self.ended_ns, wall_ns)
        if "session.open" in (type_, body.get("type")):  # the second: of what stands in its place
            self.started_ns = wall_ns
        step = _FOLDS.get(type_)
        if step:
            step(self, body)

    def to_bytes(self) -> bytes:
        return canon.encode({"v": VERSION, **{name: getattr(self, name) for name in _NAMES}})

    def copy(self) -> Summary:
        """One that can be folded further while this stays as it is."""
        return replace(self, outcomes=dict(self.outcomes), models=dict(self.models), hosts=dict(self.hosts))

    @staticmethod
    def from_bytes(data: bytes | None) -> Summary | None:
        """None where there is nothing usable: a summary may always be folded again."""
        if data is None:
            return None
        try:
            value = canon.loosely(data)
        except Damaged:
            return None
        if not isinstance(value, Mapping) or value.get("v") != VERSION:
            return None
        known: dict[str, Any] = {name: value[name] for name in _NAMES if name in value}
        return Summary(**({"joined": -1} | known)) if known.keys() >= _EARLY else None


_NAMES: tuple[str, ...] = Summary.__match_args__
_LATER = {"commands", "commands_failed", "commands_lost", "joined", "hosts", "branch_of", "branch_at", "playback"}
_EARLY = frozenset(_NAMES) - _LATER
"""Those of the first rows: who wrote a row without the others wrote no commands, branches and playbacks, and told no
hosts."""


def _opened(row: Summary, body: Mapping[str, Any]) -> None:
    row.agent = body["agent"]
    row.name = body.get("name", "")
    row.label = body.get("label", "")
    row.agent_session = body.get("agent_session", "")
    row.continues = bytes(body.get("continues", b"")).hex()
    branch = body.get("branch_of") or {}
    row.branch_of, row.branch_at = (bytes(branch.get(key, b"")).hex() for key in ("session", "record"))
    row.playback = bytes(body.get("playback", b"")).hex()
    row.command = b" ".join(body["argv"]).decode("utf-8", "replace")
    row.cwd = body["cwd"].decode("utf-8", "replace")
    row.redactions += len(body.get("redactions", ()))


def _exchange_opened(row: Summary, body: Mapping[str, Any]) -> None:
    row.exchanges += 1
    row.calls += body["class"] == "model"
    row.redactions += len(body.get("redactions", ()))


def _exchange_ended(row: Summary, body: Mapping[str, Any]) -> None:
    row.ended += 1
    outcome = body["outcome"]
    row.outcomes[outcome] = row.outcomes.get(outcome, 0) + 1
    row.redactions += len(body.get("redactions", ()))


def _count(name: str) -> Callable[[Summary, Mapping[str, Any]], None]:
    def fold(row: Summary, body: Mapping[str, Any]) -> None:
        setattr(row, name, getattr(row, name) + 1)

    return fold


def _passed_by(row: Summary, body: Mapping[str, Any]) -> None:
    row.egress += 1
    host = str(body["host"])
    if host in row.hosts or len(row.hosts) < HOSTS_MOST:
        row.hosts[host] = row.hosts.get(host, 0) + 1


def _command_ended(row: Summary, body: Mapping[str, Any]) -> None:
    row.commands_failed += bool(body["status"] or body["signal"])


def _joined(row: Summary, body: Mapping[str, Any]) -> None:
    row.joined += row.joined >= 0  # or the first of them were not counted


def _withheld(row: Summary, body: Mapping[str, Any]) -> None:
    if body["type"] == "session.open":
        row.agent = "withheld"
    row.closed = row.closed or body["type"] == "session.close"


def _closed(row: Summary, body: Mapping[str, Any]) -> None:
    row.closed = True
    row.status, row.signal = body.get("status"), body.get("signal")


_FOLDS: dict[str, Callable[[Summary, Mapping[str, Any]], None]] = {
    "session.open": _opened,
    "exchange.open": _exchange_opened,
    "exchange.end": _exchange_ended,
    "tool.use": _count("tool_uses"),
    "tool.result": _count("tool_results"),
    "command.start": _count("commands"),
    "command.end": _command_ended,
    "command.lost": _count("commands_lost"),
    "join": _joined,
    "gap": _count("gaps"),
    "egress": _passed_by,
    "session.close": _closed,
    "withheld": _withheld,
}
