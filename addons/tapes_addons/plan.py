"""What one run is to do: decided by the command line, carried to the launcher and to each capture process as JSON.

Standard library only, because the launcher imports it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass(slots=True)
class Plan:
    """A run. Paths are absolute. The command line may hold secrets: a plan is never written to a named file."""

    home: str
    """The archive's home: archive/, ca/, run/."""
    run_dir: str
    """0700, of this run alone: bundles and the capture's log; removed at the end unless something went wrong."""
    argv: list[str]
    cwd: str
    agent: str
    environment: dict[str, str]
    """Variables to set for the agent; `{port}` stands for our port."""
    route: str = "proxy"
    name: str = ""
    base_url: str = ""
    map_host: list[str] = field(default_factory=list)
    model_hosts: list[str] = field(default_factory=list)
    insecure_upstream: bool = False
    strict: bool = False
    all_paths: bool = False
    redact: str = "standard"
    port: int = 0
    ca: str = ""
    upstream_ca: str = ""
    python: list[str] = field(default_factory=list)
    """How to start a Python that can import us."""
    banner: str = ""
    started_ns: int = 0
    started_mono_ns: int = 0
    session: str = ""
    """Set when a capture process takes over from one that died."""
    lost_since_ns: int = 0

    def to_json(self) -> bytes:
        """One line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @staticmethod
    def from_json(line: bytes) -> Plan:
        return Plan(**json.loads(line))
