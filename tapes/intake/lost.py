"""What could not be kept: counted, and written down as a `gap` as soon as the archive takes records again."""

from __future__ import annotations

import threading
import time

from tapes.archive.base import Batch
from tapes.values import dataclass, field
from tapes.wire.command import CommandExec, CommandOutput, CommandRefined, CommandStarted
from tapes.wire.exchange import Answered, Arrived, Finished, Happening, Opened, SocketMessage
from tapes.wire.terminal import TerminalInput, TerminalOutput

ITEM_OVERHEAD = 200


def weight(happening: Happening) -> int:
    """About how many bytes of memory a happening holds."""
    match happening:
        case Opened():
            return len(happening.body) + ITEM_OVERHEAD
        case CommandStarted():
            words = sum(map(len, happening.argv)) + sum(len(k) + len(v) for k, v in happening.environ)
            return words + ITEM_OVERHEAD
        case CommandExec() | CommandRefined():
            return sum(map(len, happening.argv)) + ITEM_OVERHEAD
        case Arrived() | SocketMessage() | CommandOutput() | TerminalOutput() | TerminalInput():
            return len(happening.data) + ITEM_OVERHEAD
        case _:
            return ITEM_OVERHEAD


@dataclass(slots=True)
class _Count:
    reason: str = ""
    since_ns: int = 0
    exchanges: set[str] = field(default_factory=set)
    """Those of which happenings were refused."""
    opened: int = 0
    """Exchange records that could not be written."""
    items: int = 0
    bytes: int = 0


class Lost:
    """The losses of one session since its last gap record. Any thread may add."""

    def __init__(self) -> None:
        self.exchanges = 0
        """Exchanges of which not even the request was kept, of all time."""
        self._count = _Count()
        self._lock = threading.Lock()

    def happening(self, item: Happening, reason: str) -> None:
        """A happening that was not taken in."""
        with self._lock:
            self._begin(reason)
            self._count.items += 1
            self._count.bytes += weight(item)
            if isinstance(item, Opened | Answered | Arrived | Finished | SocketMessage):
                self._count.exchanges.add(item.key)
            self.exchanges += isinstance(item, Opened)

    def batch(self, batch: Batch, reason: str) -> None:
        """Records that were not written."""
        with self._lock:
            self._begin(reason)
            gaps = [draft.body for draft in batch.drafts if draft.type == "gap"]
            self._count.items += len(batch.drafts) - len(gaps)
            for gap in gaps:  # what it would have said has still to be said
                self._count.opened += gap.get("exchanges", 0)
                self._count.items += gap.get("items", gap.get("frames", 0) + gap.get("commands", 0))
                self._count.bytes += gap.get("bytes", 0)
                self._count.since_ns = min(self._count.since_ns, gap.get("since_ns", self._count.since_ns))
            opened = sum(draft.type == "exchange.open" for draft in batch.drafts)
            self._count.opened += opened
            self.exchanges += opened

    def take(self) -> dict[str, object] | None:
        """The body of a `gap` record, and count from nothing again; None when nothing was lost."""
        with self._lock:
            lost, self._count = self._count, _Count()
        if not lost.since_ns:
            return None
        return {
            "reason": lost.reason,
            "exchanges": len(lost.exchanges) + lost.opened,
            "items": lost.items,
            "bytes": lost.bytes,
            "since_ns": lost.since_ns,
        }

    def _begin(self, reason: str) -> None:
        self._count.reason = self._count.reason or reason
        self._count.since_ns = self._count.since_ns or time.time_ns()
