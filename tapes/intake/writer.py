"""The one owner of writes: a thread behind a bounded queue.

The proxy only ever appends to the queue. It never waits, so a slow disk cannot slow the agent; and the queue is
bounded by bytes, so a dead disk cannot eat the memory. What did not fit is *counted*, by exchange, and written down as
a `gap` as soon as the archive takes records again: a recorder may lose something, but never silently.

Committing is by draining: whatever has gathered goes into one transaction, then the next. The first news after a quiet
time are written at once; of a busy session at most one transaction begins in each GATHER_S, because a commit costs the
interpreter that the proxy runs in as much as an exchange does. Whoever waits for safety waits for no window.
What was read from exchanges (tool events) is written after they are safe: in a commit of its own, or with the next one
when more exchanges wait. A crash in between leaves exchanges without events; a later reading can make them again.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from tapes.archive.base import Archive, Batch, Draft
from tapes.archive.summary import Summary
from tapes.errors import ArchiveError
from tapes.intake import events
from tapes.intake.lost import Lost, weight
from tapes.intake.recording import LAUNCH, Recording, Who
from tapes.intake.split import Written
from tapes.record.digest import Digest
from tapes.wire.command import (
    CommandClosed,
    CommandEnded,
    CommandExec,
    CommandLost,
    CommandOutput,
    CommandRefined,
    CommandStarted,
)
from tapes.wire.exchange import Finished, Happening, Moment, SocketGap, SocketMessage
from tapes.wire.worktree import SnapshotsWritten

QUEUE_BYTES = 256 * 1024 * 1024
DRAIN_ITEMS = 2_000
DRAIN_BYTES = 16 * 1024 * 1024
IDLE_S = 0.1
FORGET_S = 60.0
"""A quiet session's last bodies help to cut its next ones; with many sessions they would fill the memory."""
GATHER_S = 0.01
"""A killed process may lose this much more than with a commit for every piece of news."""
RETRY_S = (0.05, 0.2, 0.5, 1.0, 2.0)

logger = logging.getLogger(__name__)


class Writer:
    """Writes the happenings of one session or several. `put` may be called from any thread; everything else is the
    owner's.

    `recording` gives the session of somebody not met before (or not since it was closed). It is called on the owner's
    thread and MUST NOT fail. With `idle_close_s`, a session that nothing has happened in for so long is closed.
    `on_opened` and `on_closed` are called on that thread too, once a session's first and last records are safe.
    """

    def __init__(
        self,
        archive: Archive,
        recording: Callable[[Who], Recording],
        *,
        queue_bytes: int = QUEUE_BYTES,
        idle_close_s: float | None = None,
        on_trouble: Callable[[str], None] = lambda text: None,
        on_opened: Callable[[Who, Recording], None] = lambda who, recording: None,
        on_closed: Callable[[Who, Recording], None] = lambda who, recording: None,
    ) -> None:
        self._archive = archive
        self._recording = recording
        self._recordings: dict[Who, Recording] = {}
        self._queue_bytes = queue_bytes
        self._much = min(DRAIN_BYTES, queue_bytes // 2)
        self._idle_close_s = idle_close_s
        self._on_trouble = on_trouble
        self._on_opened = on_opened
        self._on_closed = on_closed
        self._unsaid: dict[Who, Recording] = {}
        """Sessions whose first record was not safe yet."""
        self._queue: deque[tuple[Who, Happening]] = deque()
        self._queued = 0
        self._refused: set[str] = set()
        self._holed: set[str] = set()
        """WebSockets of which a message was refused: the next one that is taken comes behind a hole."""
        self._dropped: dict[str, int] = {}
        """By command, bytes of its output that were refused."""
        self._lost: dict[Who, Lost] = {}
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        """Told when something has become safe."""
        self._news = threading.Condition(self._lock)
        """Told when the owner has something to do now."""
        self._asleep = False
        """Does the owner wait for news of any kind? While it gathers it does not."""
        self._pressing = 0
        """How many wait for safety."""
        self._drained = float("-inf")
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

    def expect(self, who: Who) -> None:
        """Have a session for somebody, even if nothing of theirs ever happens. To be called before `start`."""
        self._open(who)

    def put(self, happening: Happening, who: Who = LAUNCH) -> bool:
        """Queue a happening. False when it is lost, because the queue is full or its exchange was already refused."""
        size = weight(happening)
        with self._wake:
            key = getattr(happening, "key", "")
            if isinstance(happening, CommandEnded | CommandLost | CommandClosed):
                self._append(self._with_dropped(happening), who)
                return True
            if key in self._refused or (self._queued + size > self._queue_bytes and self._queued):
                self._refuse(happening, key, who)
                return False
            if key in self._holed:
                self._holed.discard(key)
                self._append(SocketGap(key, Moment.now(), "messages before this were not recorded"), who)
            self._append(happening, who)
            return True

    def _append(self, happening: Happening, who: Who) -> None:
        self._queue.append((who, happening))
        self._queued += weight(happening)
        self._taken += 1
        if self._asleep or self._queued > self._much:
            self._news.notify()

    def _with_dropped(self, happening: CommandEnded | CommandLost | CommandClosed) -> Happening:
        """How a command ended is small and always fits; and it says what of the output did not."""
        dropped = self._dropped.pop(happening.key, 0)
        if dropped and not isinstance(happening, CommandLost):
            return replace(happening, dropped=happening.dropped + dropped)
        return happening

    def _refuse(self, happening: Happening, key: str, who: Who) -> None:
        reason = self._failing or "the archive is slower than the traffic"
        self._lost.setdefault(who, Lost()).happening(happening, reason)
        self._losses += 1
        if isinstance(happening, CommandOutput):
            self._dropped[key] = self._dropped.get(key, 0) + len(happening.data)
        elif isinstance(happening, SocketMessage):
            self._holed.add(key)
        elif key and not isinstance(happening, CommandStarted | CommandRefined | CommandExec):
            self._refused.add(key)
        if isinstance(happening, Finished):
            # Its end is small and always fits: an exchange that was cut short by us must say so.
            self._refused.discard(key)
            self._append(Finished(key, happening.at, "capture_lost", f"not recorded in full: {reason}"), who)

    @property
    def lost_exchanges(self) -> int:
        """Exchanges of which not even the request was kept."""
        with self._wake:
            return sum(lost.exchanges for lost in self._lost.values())

    def wait_safe(self, timeout_s: float) -> bool:
        """Block until everything put before is committed; False when some of it was lost or that took too long.

        Not for the event loop.
        """
        with self._wake:
            target, losses = self._taken, self._losses
            self._pressing += 1
            self._news.notify()
            safe = self._wake.wait_for(lambda: self._safe >= target, timeout_s)
            self._pressing -= 1
            return safe and self._losses == losses

    @property
    def failing(self) -> str:
        """Why the archive takes no records just now; empty when all is well."""
        return self._failing

    def close(self, last: dict[str, object], timeout_s: float) -> bool:
        """Write what is queued, end what is still live, write each `session.close` with the facts in `last`, and stop.

        False when the archive did not take everything within the time.
        """
        with self._wake:
            self._last = last
            self._give_up_at = time.monotonic() + timeout_s
            self._news.notify()
        self._thread.join(timeout_s + 5)
        return self._finished

    # -- the owner's thread

    def _run(self) -> None:
        while True:
            items, closing = self._drain()
            for who, item in items:
                self._take(who, item)
            for recording in self._recordings.values():
                recording.splitter.write_due(time.monotonic_ns())
                self._write_gap(recording)
                self._round(recording)
            self._tell_opened()
            with self._wake:
                self._safe += len(items)
                self._wake.notify_all()
                finished = closing and not self._queue
            if finished:
                for who in self._lost.keys() - self._recordings.keys():
                    self._open(who)  # of which nothing at all was taken in: its gap has still to be told
                for who, recording in self._recordings.items():
                    self._close_session(who, recording, self._last or {})
                self._finished = not self._failing
                return
            self._close_idle()

    def _tell_opened(self) -> None:
        for who, recording in list(self._unsaid.items()):
            if recording.summary.upto >= 0:
                del self._unsaid[who]
                self._on_opened(who, recording)

    def _close_session(self, who: Who, recording: Recording, last: dict[str, object]) -> None:
        if who == LAUNCH:
            recording.splitter.end_live(Moment.now())
        else:
            recording.splitter.end_live(Moment.now(), "capture_lost", str(last.get("how", "")))
        self._round(recording)
        if isinstance(recording.session, Draft) and recording.session.hash is None:
            recording.splitter.add(recording.session)  # the batch it was in is lost; a gap needs a session
        self._write_gap(recording)
        recording.joiner.finish()
        # What is no record by now is lost: a join of it would take the last words with it.
        self._write_joins(recording, lambda parent: isinstance(parent, Digest) or parent.hash is not None)
        summary = recording.summary
        body: dict[str, object] = {
            **last,
            "exchanges": summary.exchanges,
            "outcomes": {name: summary.outcomes[name] for name in sorted(summary.outcomes)},
            "gaps": summary.gaps,
            "redactions": summary.redactions,
            "passed_by": dict(recording.splitter.passed_by),
        }
        recording.splitter.draft("session.close", Moment.now(), body)
        self._round(recording, urgent=True)
        self._tell_opened()
        self._unsaid.pop(who, None)
        self._on_closed(who, recording)

    def _close_idle(self) -> None:
        """Let go of the last bodies of sessions that have gone quiet, and close those that have been so for long."""
        if self._idle_close_s is None:
            return
        now = time.monotonic_ns()
        for recording in self._recordings.values():
            if recording.busy_ns < now - int(FORGET_S * 1e9):
                recording.splitter.forget()
        before = now - int(self._idle_close_s * 1e9)
        for who in [w for w, r in self._recordings.items() if r.busy_ns < before and not r.splitter.busy]:
            self._close_session(who, self._recordings.pop(who), {"how": "idle"})

    def _drain(self) -> tuple[list[tuple[Who, Happening]], bool]:
        with self._wake:
            if not self._queue and self._last is None:
                # While a response is live its parts fall due by time; otherwise only news wakes us.
                live = any(recording.splitter.live for recording in self._recordings.values())
                quiet = self._idle_close_s and min(self._idle_close_s, FORGET_S)
                self._asleep = True
                self._news.wait(IDLE_S if live else quiet)
                self._asleep = False
            self._gather()
            items: list[tuple[Who, Happening]] = []
            size = 0
            while self._queue and len(items) < DRAIN_ITEMS and size < DRAIN_BYTES:
                items.append(self._queue.popleft())
                size += weight(items[-1][1])
            self._queued -= size
            return items, self._last is not None

    def _gather(self) -> None:
        """Let news come together, unless somebody waits. Holds the lock, and lets go of it meanwhile."""
        due = self._drained + GATHER_S
        while self._queue and not self._pressing and self._last is None and self._queued <= self._much:
            left = due - time.monotonic()
            if left <= 0:
                break
            self._news.wait(left)
        self._drained = time.monotonic()

    def _take(self, who: Who, item: Happening) -> None:
        recording = self._recordings.get(who) or self._open(who)
        recording.busy_ns = time.monotonic_ns()
        if isinstance(item, SnapshotsWritten):
            recording.summary.upto += item.records
            recording.summary.gaps += item.gaps
        try:
            recording.splitter.take(item)
        except Exception as error:
            logger.exception("could not split a %s", type(item).__name__)
            recording.lost.happening(item, f"defect in tapes: {type(error).__name__}")
            with self._wake:
                self._losses += 1

    def _open(self, who: Who) -> Recording:
        recording = self._recordings[who] = self._unsaid[who] = self._recording(who)
        with self._wake:
            recording.lost = self._lost.setdefault(who, recording.lost)
        return recording

    def _round(self, recording: Recording, *, urgent: bool = False) -> None:
        self._write_joins(recording)
        batch, written = recording.splitter.take_batch()
        batch.urgent = urgent
        if batch.drafts and self._commit(recording, batch):
            for record in written:
                self._events(recording, record)
            self._write_joins(recording)
            if self._queue:
                return  # what was read goes with the next commit: exchanges that wait to be safe come first
            more, _ = recording.splitter.take_batch()
            if more.drafts:
                self._commit(recording, more)

    def _events(self, recording: Recording, written: Written) -> None:
        try:
            reading = events.read(written, recording.agent, recording.linker, recording.splitter.redactor)
        except Exception as error:
            logger.exception("could not read an exchange")
            reading = events.Read(error=f"defect in the reader: {type(error).__name__}")
        summary, splitter = recording.summary, recording.splitter
        if reading.model and not written.is_end:
            summary.models[reading.model] = summary.models.get(reading.model, 0) + 1
        summary.agent_version = reading.version or summary.agent_version
        if reading.error:
            splitter.draft("note", Moment.now(), {"kind": "reading", "text": reading.error}, [written.draft])
        for event in reading.events:
            draft = recording.linker.link(event, written.draft, lambda t, b, p: splitter.draft(t, Moment.now(), b, p))
            if draft is not None:
                recording.joiner.event(event, draft, written.opened, recording.agent.name)

    @staticmethod
    def _write_joins(recording: Recording, there: Callable[[Digest | Draft], bool] = lambda parent: True) -> None:
        splitter, joiner = recording.splitter, recording.joiner
        joiner.hear(splitter.commands.news)
        for join in joiner.take():
            if all(map(there, join.parents)):
                splitter.draft("join", Moment.now(), join.body, join.parents)

    def _commit(self, recording: Recording, batch: Batch) -> bool:
        """Commit, trying again for as long as it takes; only the end of the run makes it give up."""
        ahead = self._with_summary(recording, batch)
        for attempt in itertools.count():
            try:
                self._archive.commit(batch)
            except ArchiveError as error:
                self._trouble(str(error))
                if time.monotonic() > self._give_up_at:
                    self._count_lost(recording, batch, str(error))
                    return False
                time.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            except Exception as error:
                logger.exception("a batch can not be written")
                self._salvage(recording, batch, f"could not be written: {error}")
                return False
            else:
                recording.summary = ahead
                if self._failing and not batch.urgent:  # which says nothing of the next one
                    self._recovered()
                return True
        raise AssertionError("unreachable")

    def _with_summary(self, recording: Recording, batch: Batch) -> Summary:
        """The summary as it will be after this batch, put into it.

        Where several processes write one session its count of records is a guess; a reader sees that and folds anew.
        """
        ahead = recording.summary.copy()
        for draft in batch.drafts:
            ahead.fold(draft.type, draft.body, draft.wall_ns)
        batch.summaries[recording.session] = ahead.to_bytes()
        return ahead

    def _trouble(self, text: str) -> None:
        if not self._failing:
            self._on_trouble(f"the archive takes no records: {text}")
        self._failing = text

    def _recovered(self) -> None:
        self._on_trouble("the archive takes records again")
        self._failing = ""

    def _salvage(self, recording: Recording, batch: Batch, reason: str) -> None:
        """One record of the batch can not be written: write the others, each on its own, and count what is left."""
        recording.splitter.forget()
        for draft in batch.drafts:
            alone = Batch(drafts=[draft], objects=batch.objects)
            alone.urgent = batch.urgent
            alone.tails = {part: data for part, data in batch.tails.items() if part is draft}
            if draft.type == "exchange.end":
                alone.drop_tails = [part for part in batch.drop_tails if getattr(part, "hash", part)]
            try:
                self._archive.commit(alone)
            except Exception:  # noqa: BLE001 - this one is what can not be written, or leans on what could not
                self._count_lost(recording, alone, reason)
            else:
                recording.summary.fold(draft.type, draft.body, draft.wall_ns)

    def _count_lost(self, recording: Recording, batch: Batch, reason: str) -> None:
        recording.splitter.forget()
        recording.lost.batch(batch, reason)
        with self._wake:
            self._losses += 1

    def _write_gap(self, recording: Recording) -> None:
        body = recording.lost.take()
        if body is not None:
            recording.splitter.draft("gap", Moment.now(), body)
