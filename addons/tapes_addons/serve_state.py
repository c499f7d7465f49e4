"""What a running `tapes serve` says about itself, for `tapes env` and `tapes doctor`: a file of $TAPES_HOME/run that it
holds for as long as it lives."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tapes_addons.held import content, held

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


def announced(home: Path, state: State) -> AbstractContextManager[Path]:
    """The state can be found by others while the block runs. Raises OSError."""
    return held(home / "run" / f"serve-{state.port}-{state.pid}.json", json.dumps(asdict(state)).encode())


def running(home: Path) -> list[State]:
    """The servers of this archive, the newest first. Files of dead ones are removed."""
    found = [state for path in (home / "run").glob(PATTERN) if (state := _read(path))]
    return sorted(found, key=lambda state: -state.started_ns)


def _read(path: Path) -> State | None:
    said = content(path)
    try:
        return State(**json.loads(said)) if said is not None else None
    except (ValueError, TypeError):
        return None  # of another version of tapes
