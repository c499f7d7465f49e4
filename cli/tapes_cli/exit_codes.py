"""What our exit codes mean. docs/cli.md lists them; scripts rely on them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Of the reading verbs. `tapes run` exits with the agent's own status, or 125, 126, 127 as env(1) does."""

    OK = 0
    FOUND = 1
    """A difference or a failure that was asked about; of `tapes search`, that nothing was found."""
    USAGE = 2
    NOT_FOUND = 3
    DAMAGED = 4
    COULD_NOT_CAPTURE = 125
