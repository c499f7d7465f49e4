"""What a running `tapes serve` says about itself, for `tapes env` and `tapes doctor`: a file of $TAPES_HOME/run.

The server holds a lock on its file for as long as it lives, so that a file left by one that was killed is known for
what it is, whatever process has its pid now.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

PATTERN = "serve-*.json"


@dataclass(frozen=True, slots=True)
class State:
    """A server and what it is ready for."""

    pid: int
    host: str
    """As it listens; 0.0.0.0 and :: stand for every address."""
    port: int
    upstreams: dict[str, str] = field(default_factory=dict)
    """Base-URL route: what each path prefix of its address stands for."""
    model_hosts: list[str] = field(default_factory=list)
    started_ns: int = 0

    @property
    def authority(self) -> str:
        """host:port by which a program on this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@contextmanager
def announced(home: Path, state: State) -> Iterator[Path]:
    """The state can be found by others while the block runs."""
    folder = home / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"serve-{state.port}-{state.pid}.json"
    draft = folder / f".{path.name}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        # Locked before it has its name: nobody ever sees it free.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, json.dumps(asdict(state)).encode())
        draft.rename(path)
        yield path
    finally:
        path.unlink(missing_ok=True)
        draft.unlink(missing_ok=True)
        os.close(descriptor)


def running(home: Path) -> list[State]:
    """The servers of this archive, the newest first. Files of dead ones are removed."""
    found = [state for path in (home / "run").glob(PATTERN) if (state := _read(path))]
    return sorted(found, key=lambda state: -state.started_ns)


def _read(path: Path) -> State | None:
    try:
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return State(**json.load(file))
            path.unlink(missing_ok=True)
            return None
    except (FileNotFoundError, ValueError, TypeError):
        return None  # gone since, or of another version of tapes
