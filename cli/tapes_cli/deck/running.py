"""Another verb of ours as a process of its own: how the deck writes, as it has the archive open for reading alone.

What is run is the very command that a person would type, and it is shown to them; so nothing can be done here that
could not be done without the deck. Its words are its own too: what it says of an error is what the deck says.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tapes.values import dataclass
from tapes_addons.harmless import harmless

SHOWN = 12
"""Lines of its words that a notice has; the others are counted."""
MOST = 64 * 1024
"""Bytes of its words that are kept."""
SHORT_S, LONG_S = 6.0, 15.0
"""For how long a notice stays: of what went well in a word or two, and of all else."""


@dataclass(frozen=True, slots=True)
class Ran:
    words: tuple[str, ...]
    status: int
    out: str
    err: str

    @property
    def command(self) -> str:
        return typed(self.words)

    @property
    def said(self) -> str:
        """All its words, harmless; what it said of an error first."""
        lines = harmless(f"{self.err}\n{self.out}".strip(), lines=True).split("\n")
        more = len(lines) - SHOWN
        return "\n".join(lines[:SHOWN]) + (f"\n… {more} more lines" if more > 0 else "")

    @property
    def notice(self) -> str:
        """What came of it."""
        if self.status == 0:
            return self.said or "done"
        return f"exit {self.status}\n{self.said}".rstrip()


type Then = Callable[[Ran], None]


def typed(words: tuple[str, ...]) -> str:
    """The command as a person would type it; harmless, as a label in it may be anything."""
    return harmless(shlex.join(("tapes", *words)))


def ran(home: Path, words: tuple[str, ...]) -> Ran:
    """Run `tapes WORDS` on the archive of a home; how it ended. It reads nothing: nobody is there to be asked. For a
    worker's thread, which the deck waits for when one leaves it: nothing is broken off half done."""
    done = subprocess.run(
        (sys.executable, "-m", "tapes_cli", *words),
        env={**os.environ, "TAPES_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,  # a ctrl+c in the deck's terminal is the deck's
        check=False,
    )
    out, err = (data[:MOST].decode("utf-8", "replace") for data in (done.stdout, done.stderr))
    return Ran(words, done.returncode, out, err)
