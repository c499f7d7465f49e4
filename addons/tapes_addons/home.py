"""Where the archive and everything beside it is."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """`$TAPES_HOME`, else the platform's data directory."""
    set_ = os.environ.get("TAPES_HOME")
    if set_:
        return Path(set_).expanduser().absolute()
    from platformdirs import user_data_path  # slow to import, and not needed when the variable is set

    return user_data_path("tapes", appauthor=False)
