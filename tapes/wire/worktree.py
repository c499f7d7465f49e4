"""What a capture process hears of the snapshots that another process takes of the working directory.

They are written into the session by that process itself; only what it can not say comes this way.
"""

from __future__ import annotations

from tapes.values import dataclass
from tapes.wire.exchange import Moment


@dataclass(frozen=True, slots=True)
class SnapshotsWritten:
    """Records that were added to the session beside the writer, since the last time."""

    records: int
    gaps: int = 0
    """Those of them that are gaps."""


@dataclass(frozen=True, slots=True)
class SnapshotsMissed:
    """Nobody took snapshots for a while, or any more."""

    at: Moment
    reason: str
    files: int = 0
    """Paths that had changed and could not be written down."""


WorktreeHappening = SnapshotsWritten | SnapshotsMissed
