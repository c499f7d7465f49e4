"""What stands behind the script in a mitmproxy of the user's own: archive and writer, heard through mitmproxy's log."""

from __future__ import annotations

import logging
import os

from mitmproxy import log

from tapes.archive.lmdb_archive import LmdbArchive
from tapes.intake.recording import Recording, Who
from tapes.intake.writer import Writer
from tapes.wire.redact import Redactor, secret_variables
from tapes_addons.home import home
from tapes_addons.standing import IDLE_CLOSE_S, Persons, Sessions, Waiting, short, told

CLOSE_S = 15.0
STOPPED = "mitmproxy was stopped"

logger = logging.getLogger("tapes")


class Recorder:
    """Archive and writer, from mitmproxy's start to its end."""

    def __init__(self) -> None:
        """Raises TapesError when the archive can not be opened."""
        self.home = home()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.archive = LmdbArchive.open(self.home / "archive", create=True)
        self.persons = Persons()
        redactor = Redactor(secret_variables(dict(os.environb)))
        self.writer = Writer(
            self.archive,
            Sessions(self.archive, redactor, "mitmproxy").begin,
            idle_close_s=IDLE_CLOSE_S,
            on_trouble=lambda text: logger.error("tapes: %s", text),
            on_opened=self._opened,
            on_closed=self._closed,
        )
        self.waiting = Waiting(self.writer.put, self.persons)
        self.writer.start()

    def close(self) -> None:
        self.waiting.release_all()
        if not self.writer.close({"how": STOPPED}, CLOSE_S):
            logger.error("tapes: the archive did NOT take everything")
        self.archive.close()

    def _opened(self, who: Who, recording: Recording) -> None:
        summary = recording.summary
        logger.log(log.ALERT, "tapes: session %s  %s  %s", short(recording), summary.agent, summary.label)

    def _closed(self, who: Who, recording: Recording) -> None:
        self.waiting.closed(who)
        summary = recording.summary
        logger.log(log.ALERT, "tapes: session %s  %s: %s", short(recording), summary.label, told(recording))
