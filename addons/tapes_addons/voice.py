"""Lines on standard error, said by a thread of its own: a terminal that stands still must hold nobody up."""

from __future__ import annotations

import logging
import queue
import sys
import threading

from tapes_addons.harmless import harmless

LONGEST_QUEUE = 10_000


class Voice(logging.Handler):
    """Says lines in order, and log records of level WARNING and above. Any thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: queue.Queue[str | None] = queue.Queue(LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._run, name="tapes-voice", daemon=True)
        self._thread.start()

    def say(self, line: str, *rows: str) -> None:
        """One line, whatever names and labels in it hold; and rows below it, as they are to be pasted."""
        said = "".join(f"{harmless(each)}\n" for each in (f"tapes: {line}", *rows))
        try:
            self._lines.put_nowait(said)
        except queue.Full:
            return  # nobody has read ten thousand lines; what matters is in the archive

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.say(f"{record.getMessage()}: {error}" if error else record.getMessage())

    def close(self, timeout_s: float = 1.0) -> None:
        """Say what is left, if anybody still listens."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(timeout_s)
        super().close()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                sys.stderr.write(line)
                sys.stderr.flush()
            except (OSError, ValueError, AttributeError):
                continue  # a closed terminal ends nothing
