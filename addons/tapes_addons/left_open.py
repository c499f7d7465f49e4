"""Sessions that a standing proxy left open when it was killed: the next one ends them.

`writer`, 16 random bytes that stand in every record, names the process that wrote it. A standing proxy holds a file of
that name under `run/` from before its first record to after its last (`held.py`), so a session whose `session.open` has
a writer without such a file can have no more records. What is missing is written as after any loss of a capture
process: ends of its open exchanges, made of the parts that were committed, and a `gap`; then `session.close`.

A crash in the middle leaves the session open, and the next proxy does the rest.
"""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tapes.archive.base import Archive, Batch, Draft
from tapes.archive.summary import Summary
from tapes.errors import TapesError
from tapes.intake.opening import adopt
from tapes.record.digest import Digest
from tapes.wire.exchange import Moment
from tapes_addons.held import content, held

LOST = {"serve": "the serve was lost", "mitmproxy": "the mitmproxy was lost"}
"""By route, how the sessions of a standing proxy end that did not end them itself."""

logger = logging.getLogger("tapes")


def alive(home: Path, writer: bytes) -> AbstractContextManager[Path]:
    """While the block runs, the sessions of this writer are nobody else's to end. Raises OSError."""
    return held(_path(home, writer), b"")


def _path(home: Path, writer: bytes) -> Path:
    return home / "run" / f"recorder-{writer.hex()}.lock"


class Ending:
    """Ends what others have left, in a thread beside the proxy: an archive may have ten thousand sessions.

    `say` is called from that thread, with a line for each session.
    """

    def __init__(self, home: Path, archive: Archive, say: Callable[[str], object]) -> None:
        self._home = home
        self._archive = archive
        self._say = say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tapes-ending", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Leave the rest to the next one."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            with open(self._home / "run" / "ending.lock", "ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for session, route in left_open(self._archive, self._home):
                    if self._stopping.is_set():
                        return
                    self._end(session, route)
                for path in (self._home / "run").glob("recorder-*.lock"):
                    content(path)
        except BlockingIOError:
            return  # another one that has just been started is at it
        except (TapesError, OSError) as error:
            if not self._stopping.is_set():
                logger.warning("sessions of lost proxies stay open: %s", error)

    def _end(self, session: Digest, route: str) -> None:
        try:
            summary = end(self._archive, session, LOST[route])
        except TapesError as error:
            logger.warning("session %s stays open: %s", session.short(), error)
        else:
            cut = summary.outcomes.get("capture_lost", 0)
            self._say(f"session {session.short()}  {summary.label}: ended, for {LOST[route]}; {cut} exchanges cut")


def left_open(archive: Archive, home: Path) -> Iterator[tuple[Digest, str]]:
    """Sessions of standing proxies that are gone, with their route."""
    for session in archive.sessions():
        summary = Summary.from_bytes(archive.summary(session))
        if summary is not None and (summary.closed or not summary.label):
            continue  # known without reading a record, as nearly all are
        try:
            opened = archive.record(session)
            head = archive.head(session)
            route = str(opened.body.get("route"))
            if route not in LOST or head is None or content(_path(home, opened.writer)) is not None:
                continue
            if archive.session_record(session, head[1])[1].type != "session.close":
                yield session, route
        except TapesError as error:
            logger.warning("session %s stays open: %s", session.short(), error)


def end(archive: Archive, session: Digest, how: str) -> Summary:
    """Write what a dead proxy could not; the session's summary then. Raises TapesError."""
    head = archive.head(session)
    assert head is not None
    since = archive.session_record(session, head[1])[1].wall_ns
    summary, _ = adopt(archive, session, since)
    now = Moment.now()
    body: dict[str, object] = {
        "how": how,
        "exchanges": summary.exchanges,
        "outcomes": {name: summary.outcomes[name] for name in sorted(summary.outcomes)},
        "gaps": summary.gaps,
        "redactions": summary.redactions,
        "passed_by": {},
    }
    draft = Draft(type="session.close", body=body, session=session, wall_ns=now.wall_ns, mono_ns=now.mono_ns)
    summary.fold(draft.type, draft.body, draft.wall_ns)
    archive.commit(Batch(drafts=[draft], summaries={session: summary.to_bytes()}))
    return summary
