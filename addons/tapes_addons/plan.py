"""What one run is to do: decided by the command line, carried to the launcher and to each capture process as JSON.

Standard library only, because the launcher imports it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

OWN_URL = "http://127.0.0.1:{port}"
"""Our own address, where the port is not known yet: only the launcher knows it."""


PARENT = "TAPES_PARENT"
"""Variable: the process id of the agent's parent."""


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
    """Variables to set for the agent; in them and in `arguments`, OWN_URL stands for our address."""
    arguments: list[str] = field(default_factory=list)
    """Words for the agent that the user did not say, put before `argv[arguments_at]`."""
    arguments_at: int = 1
    route: str = "proxy"
    name: str = ""
    base_urls: dict[str, str] = field(default_factory=dict)
    """Base-URL route: what each path prefix of our address stands for; "" is the whole address."""
    map_host: list[str] = field(default_factory=list)
    model_hosts: list[str] = field(default_factory=list)
    rows: list[dict[str, str | None]] = field(default_factory=list)
    """The user's own endpoints, as fields of wire.endpoints.Row."""
    insecure_upstream: bool = False
    strict: bool = False
    all_paths: bool = False
    redact: str = "standard"
    commands: str = ""
    """The pipe into which supervisors of the agent's commands report; empty where commands are not witnessed."""
    nonce: str = ""
    """Hex of 8 random bytes that each of their reports carries."""
    witness: dict[str, str | bool] = field(default_factory=lambda: {"level": "none"})
    """As `session.open` tells it: by whom commands are witnessed, and how they are joined."""
    person: str = ""
    """Who types, where the agent is a shell of a person's."""
    playback: str = ""
    """The session whose recording answers all model calls of this run, in hex."""
    player: list[int] = field(default_factory=list)
    """Where one does: a descriptor of our line to the process that plays it, and its process id."""
    offline: bool = False
    """Other hosts than model hosts and this machine are refused."""
    port: int = 0
    ca: str = ""
    upstream_ca: str = ""
    python: list[str] = field(default_factory=list)
    """How to start a Python that can import us."""
    banner: str = ""
    worktree: list[str] = field(default_factory=list)
    """Directories to take snapshots of; none where none are wanted."""
    file_limit: int = 0
    """Bytes: larger files are listed, not stored. 0: as ever."""
    screen: bool = False
    """Give the agent a terminal of its own where there is one, and record it."""
    marks: str = ""
    """Where the agent is a person's shell with our prompt (terminal/prompt.py): the nonce in its marks."""
    branch_of: list[str | int] = field(default_factory=list)
    """The session that this one branches off, the record of the step there, and which item of that; hashes in hex."""
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


def choose_base[T](base_urls: Mapping[str, T], path: str) -> tuple[T, str] | None:
    """What a request to our own address is for, and its path there: by the first segment when that is a known prefix,
    else by the prefix "". None when there is neither. The path (a query may follow) begins with a slash, before and
    after.
    """
    first, mark, query = path.partition("?")
    prefix, _, rest = first.removeprefix("/").partition("/")
    if prefix and prefix in base_urls:
        return base_urls[prefix], f"/{rest}{mark}{query}"
    return (base_urls[""], path) if "" in base_urls else None
