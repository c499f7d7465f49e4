"""The one owner of writes: a thread behind a bounded queue.

The proxy only ever appends to the queue. It never waits, so a slow disk cannot slow the agent; and the queue is
bounded by bytes, so a dead disk cannot eat the memory. What did not fit is *counted*, by exchange, and written down as
a `gap` as soon as the archive takes records again: a recorder may lose something, but never silently.

Committing is by draining: whatever has gathered goes into one transaction, then the next. No timer, no window.
What was read from exchanges (tool events) is written after they are safe: in a commit of its own, or with the next one
when more exchanges wait. A crash in between leaves exchanges without events; a later reading can make them again.
"""

from __future__ import annotations

import copy
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tapes.archive.base import Archive, Batch
from tapes.archive.summary import Summary
from tapes.errors import ArchiveError
from tapes.intake import events
from tapes.intake.split import Splitter, Written
from tapes.wire.agents import Agent
from tapes.wire.exchange import Answered, Arrived, Finished, Happening, Moment, Opened

QUEUE_BYTES = 256 * 1024 * 1024
DRAIN_ITEMS = 2_000
DRAIN_BYTES = 16 * 1024 * 1024
IDLE_S = 0.25
RETRY_S = (0.05, 0.2, 0.5, 1.0, 2.0)
ITEM_OVERHEAD = 200

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Lost:
    """What could not be kept since the last gap record."""

    reason: str = ""
    since: Moment | None = None
    exchanges: set[str] = field(default_factory=set)
    """Those of which happenings were refused."""
    opened: int = 0
    """Exchange records that could not be written."""
    items: int = 0
    bytes: int = 0

    def add(self, happening: Happening, reason: str) -> None:
        self.reason = self.reason or reason
        self.since = self.since or Moment.now()
        self.items += 1
        self.bytes += _weight(happening)
        if isinstance(happening, Opened | Answered | Arrived | Finished):
            self.exchanges.add(happening.key)


def _weight(happening: Happening) -> int:
    match happening:
        case Opened():
            return len(happening.body) + ITEM_OVERHEAD
        case Arrived():
            return len(happening.data) + ITEM_OVERHEAD
        case _:
            return ITEM_OVERHEAD


class Writer:
    """Writes the happenings of one session. `put` may be called from any thread; everything else is the owner's.

    The session's `session.open` (or the adoption of an earlier one) has been committed before the writer starts.
    """

    def __init__(
        self,
        archive: Archive,
        splitter: Splitter,
        agent: Agent,
        linker: events.Linker,
        summary: Summary,
        *,
        queue_bytes: int = QUEUE_BYTES,
        on_trouble: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.summary = summary
        self.lost_exchanges = 0
        """Exchanges of which not even the request was kept."""
        self._archive = archive
        self._splitter = splitter
        self._agent = agent
        self._linker = linker
        self._queue_bytes = queue_bytes
        self._on_trouble = on_trouble
        self._queue: deque[Happening] = deque()
        self._queued = 0
        self._refused: set[str] = set()
        self._lost = Lost()
        self._gap_lock = threading.Lock()
        self._wake = threading.Condition()
        self._last: dict[str, object] | None = None
        self._give_up_at = float("inf")
        self._losses = 0
        self._taken = 0
        self._safe = 0
        self._failing = ""
        self._finished = False
        self._thread = threading.Thread(target=self._run, name="tapes-writer", daemon=True)

    # -- any thread

    def start(self) -> None:
        self._thread.start()

    def put(self, happening: Happening) -> bool:
        """Queue a happening. False when it is lost, because the queue is full or its exchange was already refused."""
        weight = _weight(happening)
        with self._wake:
            key = getattr(happening, "key", "")
            if key in self._refused or (self._queued + weight > self._queue_bytes and self._queued):
                self._refuse(happening, key)
                return False
            self._queue.append(happening)
            self._queued += weight
            self._taken += 1
            self._wake.notify()
            return True

    def _refuse(self, happening: Happening, key: str) -> None:
        reason = self._failing or "the archive is slower than the traffic"
        with self._gap_lock:
            self._lost.add(happening, reason)
            self._losses += 1
            self.lost_exchanges += isinstance(happening, Opened)
        if key:
            self._refused.add(key)
        if isinstance(happening, Finished):
            # Its end is small and always fits: an exchange that was cut short by us must say so.
            self._refused.discard(key)
            self._queue.append(Finished(key, happening.at, "capture_lost", f"not recorded in full: {reason}"))
            self._queued += ITEM_OVERHEAD
            self._taken += 1
            self._wake.notify()

    def wait_safe(self, timeout_s: float) -> bool:
        """Block until everything put before is committed; False when some of it was lost or that took too long.

        Not for the event loop.
        """
        with self._wake:
            target, losses = self._taken, self._losses
            return self._wake.wait_for(lambda: self._safe >= target, timeout_s) and self._losses == losses

    @property
    def failing(self) -> str:
        """Why the archive takes no records just now; empty when all is well."""
        return self._failing

    def close(self, last: dict[str, object], timeout_s: float) -> bool:
        """Write what is queued, end what is still live, write `session.close` with the facts in `last`, and stop.

        False when the archive did not take everything within the time.
        """
        with self._wake:
            self._last = last
            self._give_up_at = time.monotonic() + timeout_s
            self._wake.notify()
        self._thread.join(timeout_s + 5)
        return self._finished

    # -- the owner's thread

    def _run(self) -> None:
        while True:
            items, closing = self._drain()
            for item in items:
                self._take(item)
            self._splitter.write_parts(time.monotonic_ns())
            self._write_gap()
            self._round()
            with self._wake:
                self._safe += len(items)
                self._wake.notify_all()
                finished = closing and not self._queue
            if finished:
                self._close_session()
                self._finished = not self._failing
                return

    def _close_session(self) -> None:
        self._splitter.end_live(Moment.now())
        self._round()
        self._write_gap()
        counts = {name: self.summary.outcomes[name] for name in sorted(self.summary.outcomes)}
        body: dict[str, object] = {
            **(self._last or {}),
            "exchanges": self.summary.exchanges,
            "outcomes": counts,
            "gaps": self.summary.gaps,
            "redactions": self.summary.redactions,
            "passed_by": dict(self._splitter.passed_by),
        }
        self._splitter.draft("session.close", Moment.now(), body)
        self._round()

    def _drain(self) -> tuple[list[Happening], bool]:
        with self._wake:
            if not self._queue and self._last is None:
                # While a response is live its parts fall due by time; otherwise only news wakes us.
                self._wake.wait(IDLE_S if self._splitter.live else None)
            items: list[Happening] = []
            weight = 0
            while self._queue and len(items) < DRAIN_ITEMS and weight < DRAIN_BYTES:
                items.append(self._queue.popleft())
                weight += _weight(items[-1])
            self._queued -= weight
            return items, self._last is not None

    def _take(self, item: Happening) -> None:
        try:
            self._splitter.take(item)
        except Exception as error:
            logger.exception("could not split a %s", type(item).__name__)
            with self._gap_lock:
                self._lost.add(item, f"defect in tapes: {type(error).__name__}")
                self._losses += 1

    def _round(self) -> None:
        batch, written = self._splitter.take_batch()
        if batch.drafts and self._commit(batch):
            for record in written:
                self._events(record)
            if self._queue:
                return  # what was read goes with the next commit: exchanges that wait to be safe come first
            more, _ = self._splitter.take_batch()
            if more.drafts:
                self._commit(more)

    def _events(self, written: Written) -> None:
        try:
            reading = events.read(written, self._agent, self._linker.uses, self._splitter.redactor)
        except Exception as error:
            logger.exception("could not read an exchange")
            reading = events.Read(error=f"defect in the reader: {type(error).__name__}")
        if reading.model and not written.is_end:
            self.summary.models[reading.model] = self.summary.models.get(reading.model, 0) + 1
        self.summary.agent_version = reading.version or self.summary.agent_version
        if reading.error:
            self._splitter.draft("note", Moment.now(), {"kind": "reading", "text": reading.error}, [written.draft])
        for event in reading.events:
            self._linker.link(event, written.draft, lambda t, b, p: self._splitter.draft(t, Moment.now(), b, p))

    def _commit(self, batch: Batch) -> bool:
        """Commit, trying again for as long as it takes; only the end of the run makes it give up."""
        ahead = self._with_summary(batch)
        for attempt in itertools.count():
            try:
                self._archive.commit(batch)
            except ArchiveError as error:
                self._trouble(str(error))
                if time.monotonic() > self._give_up_at:
                    self._count_lost(batch, str(error))
                    return False
                time.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            except Exception as error:
                logger.exception("a batch can not be written")
                self._salvage(batch, f"could not be written: {error}")
                return False
            else:
                self.summary = ahead
                if self._failing:
                    self._recovered()
                return True
        raise AssertionError("unreachable")

    def _with_summary(self, batch: Batch) -> Summary:
        """The summary as it will be after this batch, put into it.

        Where several processes write one session its count of records is a guess; a reader sees that and folds anew.
        """
        ahead = copy.deepcopy(self.summary)
        for draft in batch.drafts:
            ahead.fold(draft.type, draft.body, draft.wall_ns)
        batch.summaries[self._splitter.session] = ahead.to_bytes()
        return ahead

    def _trouble(self, text: str) -> None:
        if not self._failing:
            self._on_trouble(f"the archive takes no records: {text}")
        self._failing = text

    def _recovered(self) -> None:
        self._on_trouble("the archive takes records again")
        self._failing = ""

    def _salvage(self, batch: Batch, reason: str) -> None:
        """One record of the batch can not be written: write the others, each on its own, and count what is left."""
        self._splitter.forget()
        for draft in batch.drafts:
            alone = Batch(drafts=[draft], objects=batch.objects)
            alone.tails = {part: data for part, data in batch.tails.items() if part is draft}
            if draft.type == "exchange.end":
                alone.drop_tails = [part for part in batch.drop_tails if getattr(part, "hash", part)]
            try:
                self._archive.commit(alone)
            except Exception:  # noqa: BLE001 - this one is what can not be written, or leans on what could not
                self._count_lost(alone, reason)
            else:
                self.summary.fold(draft.type, draft.body, draft.wall_ns)

    def _count_lost(self, batch: Batch, reason: str) -> None:
        self._splitter.forget()
        with self._gap_lock:
            self._lost.reason = self._lost.reason or reason
            self._lost.since = self._lost.since or Moment.now()
            self._lost.items += len(batch.drafts)
            opened = sum(draft.type == "exchange.open" for draft in batch.drafts)
            self._lost.opened += opened
            self.lost_exchanges += opened
            self._losses += 1

    def _write_gap(self) -> None:
        with self._gap_lock:
            lost, self._lost = self._lost, Lost()
        if lost.since is None:
            return
        body: dict[str, object] = {
            "reason": lost.reason,
            "exchanges": len(lost.exchanges) + lost.opened,
            "items": lost.items,
            "bytes": lost.bytes,
            "since_ns": lost.since.wall_ns,
        }
        self._splitter.draft("gap", Moment.now(), body)
