"""The loop of the snapshot process: news in, snapshots out."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import asdict, replace
from pathlib import Path

from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.errors import TapesError
from tapes.record import listing
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef
from tapes.record.listing import Entry
from tapes.values import dataclass, field
from tapes.wire.redact import Redactor, secret_variables
from tapes_addons.worktree.cache import Cache
from tapes_addons.worktree.snapshots import Counts, Snapshots
from tapes_addons.worktree.task import Task, line
from tapes_addons.worktree.tree import Limits, Tree

DRAIN_S = 0.05
"""Between two readings of the watchers' queues, so that a busy build does not wake us for each of its writes."""
SHOW_S = 1.0
TAKE_OVER_S = 10.0

logger = logging.getLogger("tapes.worktree")


@dataclass(slots=True)
class News:
    """What has been said since the snapshot before."""

    commands: list[bytes] = field(default_factory=list)
    request: bool = False
    end: bool = False
    gone: bool = False
    """The capture process has died."""

    @property
    def any(self) -> bool:
        return bool(self.commands or self.request or self.end or self.gone)


class Line:
    """Our end of the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.news = News()
        self.secrets: list[tuple[str, bytes]] = []
        self._pending = b""
        self._task: Task | None = None

    def first(self) -> Task | None:
        """Wait for the task; None when there will be none. What stands before it is taken in too."""
        while self._task is None:
            data = self.sock.recv(65536)
            if not data:
                return None
            self._pending += data
            self._take()
        return self._task

    def read(self) -> None:
        """Take in what has come; never waits."""
        try:
            while data := self.sock.recv(65536, socket.MSG_DONTWAIT):
                self._pending += data
            self.news.gone = True
        except BlockingIOError:
            pass
        except OSError:
            self.news.gone = True
        self._take()

    def _take(self) -> None:
        *lines, self._pending = self._pending.split(b"\n")
        for told in lines:
            message = json.loads(told)
            if "task" in message:
                self._task = Task.of(message)
            if "command" in message:
                self.news.commands.append(bytes.fromhex(message["command"]))
            if "secret" in message:
                label, value = message["secret"]
                self.secrets.append((label, base64.b64decode(value)))
            self.news.request |= "request" in message
            self.news.end |= "end" in message

    def send(self, **message: object) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more: `read` finds that out
            self.sock.sendall(line(**message))


def run(fd: int, committing: Executor) -> int:
    """Take snapshots until told to stop."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a run that is stopped still has an end
    news = Line(socket.socket(fileno=fd))
    task = news.first()
    if task is None:
        return 0
    _log(task)
    try:
        with Process(task, news, committing) as process:
            process.run()
    except TapesError as error:
        news.send(trouble=f"the files are NOT recorded: {error}")
        return 1
    return 0


def _log(task: Task) -> None:
    with contextlib.suppress(OSError):
        log = os.open(Path(task.run_dir) / "capture.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")


class Process:
    def __init__(self, task: Task, news: Line, committing: Executor) -> None:
        self._line = news
        self._lock = _only_one(task)
        self._committing = committing
        self._archive = committing.submit(LmdbArchive.open, Path(task.home) / "archive").result()
        self._redactor = Redactor(secret_variables(dict(os.environb)), strict=task.strict)
        self._counts = Counts()
        self._shown = 0.0
        self._hurry = False
        self._main = threading.current_thread()
        session = Digest.parse(task.session)
        limits = Limits() if not task.file_limit else replace(Limits(), file_bytes=task.file_limit)
        home = os.fsencode(os.path.realpath(task.home))
        firsts = _firsts(self._archive, session) if task.restart else {}
        self._learn()
        secrets = [value.source for value in self._redactor.values]
        rules = f"{task.strict} {limits.file_bytes}"
        self._cause = "restart" if task.restart else "start"
        self._roots = [
            Snapshots(
                Tree(root, (home,), limits),
                session,
                self._redactor,
                self._commit,
                first=firsts.get(self._redactor.redact(root).data, 0),
                counts=self._counts,
                cache=Cache(Path(task.home) / "cache", root, secrets, rules),
                known_part=self._known_part,
            )
            for root in map(os.fsencode, task.roots)
        ]

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        for root in self._roots:
            root.tree.close()
        self._committing.submit(self._archive.close).result()

    def run(self) -> None:
        self._take(self._cause, [])
        while True:
            self._wait()
            news, self._line.news = self._line.news, News()
            self._learn()
            over = news.end or news.gone
            self._hurry = news.end
            cause = "end" if over else "command" if news.commands else "request"
            self._take(cause, news.commands, whole=over)
            if over:
                for root in self._roots:
                    gap = root.untold()
                    if gap:
                        self._line.send(missed=gap["reason"], files=gap["files"])
                self._line.send(done=asdict(self._counts))
                return

    def _wait(self) -> None:
        """Until there are news. Meanwhile the watchers' queues are kept short, without waking up for each change."""
        quiet = self._line.sock.fileno()
        while not self._line.news.any:
            fds = [root.tree.fd for root in self._roots if root.tree.fd >= 0]
            ready, _, _ = select.select([quiet, *fds], [], [])
            if quiet not in ready and not select.select([quiet], [], [], DRAIN_S)[0]:
                for root in self._roots:
                    root.tree.drain()
                continue
            self._line.read()

    def _take(self, cause: str, commands: list[bytes], *, whole: bool = False) -> None:
        began = self._shown = time.monotonic()
        for root in self._roots:
            try:
                steps = root.steps(cause, commands, whole=whole)
                while (rows := self._next(steps)) is not None:
                    self._busy(rows)
            except TapesError as error:
                self._line.send(trouble=f"a snapshot of the files failed: {error}")
        told = [command.hex() for command in commands]
        took_ms = int((time.monotonic() - began) * 1000)
        self._line.send(taken=asdict(self._counts), commands=told, took_ms=took_ms)

    def _next(self, steps: Iterator[int]) -> int | None:
        """Go on with a snapshot: by this thread, which gives way to everybody; when the agent has gone and its user
        waits, by the one that does not."""
        if self._hurry or self._line.news.end:
            return self._committing.submit(next, steps, None).result()
        return next(steps, None)

    def _known_part(self, listed: BodyRef, stored: BodyRef | None) -> list[Entry] | None:
        """The rows of a part of an earlier session. What was forgotten since is read anew."""
        archive = self._archive
        if not archive.has_object(listed.node) or (stored is not None and not archive.has_object(stored.node)):
            return None
        try:
            return list(listing.read(archive.body(listed)))
        except TapesError:
            return None

    def _commit(self, batch: Batch) -> object:
        if threading.current_thread() is not self._main:
            return self._archive.commit(batch)
        return self._committing.submit(self._archive.commit, batch).result()

    def _busy(self, rows: int) -> None:
        self._line.read()
        now = time.monotonic()
        if now - self._shown > SHOW_S:
            self._shown = now
            self._line.send(under_way=rows)

    def _learn(self) -> None:
        secrets, self._line.secrets = self._line.secrets, []
        for label, value in secrets:
            self._redactor.learn(label, value)


def _firsts(archive: LmdbArchive, session: Digest) -> dict[bytes, int]:
    """The number of the next snapshot of each root, by what the session has."""
    found: dict[bytes, int] = {}
    for _, record in archive.session_records(session):
        if record.type == "snapshot":
            root = record.body["root"]
            found[root] = max(found.get(root, 0), record.body["n"] + 1)
    return found


def _only_one(task: Task) -> int:
    """Hold the run's lock: the snapshot process of a capture process that died may still be at its last one."""
    handle = os.open(Path(task.run_dir) / "worktree.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + TAKE_OVER_S
    while time.monotonic() < until:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        time.sleep(0.02)
    return handle
