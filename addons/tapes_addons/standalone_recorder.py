"""What stands behind the script in a mitmproxy of the user's own: archive and writer, heard through mitmproxy's log."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack

from mitmproxy import log

from tapes.archive.lmdb_archive import LmdbArchive
from tapes.intake.recording import Recording, Who
from tapes.intake.writer import Writer
from tapes.wire.redact import Redactor, secret_variables
from tapes_addons import left_open
from tapes_addons.harmless import harmless
from tapes_addons.home import home
from tapes_addons.standing import IDLE_CLOSE_S, Persons, Sessions, Waiting, short, told

CLOSE_S = 15.0
STOPPED = "mitmproxy was stopped"

logger = logging.getLogger("tapes")


class Recorder:
    """Archive and writer, from mitmproxy's start to its end."""

    def __init__(self) -> None:
        """Raises TapesError when the archive can not be opened, OSError when its home can not be written."""
        self.home = home()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.archive = LmdbArchive.open(self.home / "archive", create=True)
        self._alive = ExitStack()
        self._alive.enter_context(left_open.alive(self.home, self.archive.writer))
        redactor = Redactor(secret_variables(dict(os.environb)))
        self.persons = Persons(redactor)
        self.writer = Writer(
            self.archive,
            Sessions(self.archive, redactor, "mitmproxy").begin,
            idle_close_s=IDLE_CLOSE_S,
            on_trouble=lambda text: logger.error("tapes: %s", harmless(text)),
            on_opened=self._opened,
            on_closed=self._closed,
        )
        self.waiting = Waiting(self.writer.put, self.persons)
        self._ending = left_open.Ending(self.home, self.archive, self._say)
        self.writer.start()
        self._ending.start()

    @staticmethod
    def _say(text: str) -> None:
        logger.log(log.ALERT, "tapes: %s", harmless(text))

    def close(self) -> None:
        self._ending.stop()
        self.waiting.release_all()
        if not self.writer.close({"how": STOPPED}, CLOSE_S):
            logger.error("tapes: the archive did NOT take everything")
        self.archive.close()
        self._alive.close()

    def _opened(self, who: Who, recording: Recording) -> None:
        summary = recording.summary
        self._say(f"session {short(recording)}  {summary.agent}  {summary.label}")

    def _closed(self, who: Who, recording: Recording) -> None:
        self.waiting.closed(who)
        self._say(f"session {short(recording)}  {recording.summary.label}: {told(recording)}")
