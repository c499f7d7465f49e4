"""Did the agent connect past us? A look at the TCP connections of its processes, until its first model call has come.

A program that honours no proxy variable makes its calls all the same, and a run that recorded nothing should say where
they went. Linux shows every connection in /proc/net/tcp, with the inode of its socket; whose it is stands in the open
files of processes. The table is read a few times a second; processes are looked through only when it has a connection
that was not there before, so a quiet agent costs next to nothing. What opens and closes between two looks is missed,
and so is UDP (QUIC). Other systems show no such thing: there we can not tell.

Standard library only.
"""

from __future__ import annotations

import ipaddress
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY_S = 0.25
BURST_S, SHARE = 0.04, 0.003
"""Processor time that looks may take: so much at once, and this share of a core over time."""
MAX_SEEN = 20
"""Addresses kept: enough to show what goes on."""
SYN_SENT, ESTABLISHED, LISTEN = 2, 1, 10
DNS = 53
_IN_USE = re.compile(r"^TCP6?: inuse (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Connection:
    """One line of /proc/net/tcp."""

    local_port: int
    host: str
    port: int
    state: int
    inode: int

    @property
    def is_local(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback


@dataclass(frozen=True, slots=True)
class Past:
    """A connection that did not come to us, and the program that made it."""

    program: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port} ({self.program})" if self.program else f"{host}:{self.port}"


def parse(table: str) -> list[Connection]:
    """The lines of /proc/net/tcp or tcp6 (proc(5)): addresses are hex words in this machine's byte order."""
    return [c for line in table.splitlines()[1:] if (c := _parse_line(line.split())) is not None]


def _parse_line(fields: list[str]) -> Connection | None:
    if len(fields) < 10:
        return None
    try:
        host, port = _address(fields[2])
        return Connection(_address(fields[1])[1], host, port, int(fields[3], 16), int(fields[9]))
    except ValueError:
        return None


def _address(text: str) -> tuple[str, int]:
    address, _, port = text.partition(":")
    raw = bytes.fromhex(address)
    words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    found = ipaddress.ip_address(packed)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found), int(port, 16)


def outgoing(connections: Iterable[Connection], own_port: int) -> list[Connection]:
    """Those that some process here opened to anywhere but us; of a loopback connection only the end that opened it."""
    connections = list(connections)
    listening = {c.local_port for c in connections if c.state == LISTEN}
    return [
        c
        for c in connections
        if c.state in (SYN_SENT, ESTABLISHED)
        and c.inode
        and c.local_port not in listening
        and c.port not in (0, DNS)
        and not (c.port == own_port and c.is_local)
    ]


class PastUs:
    """Watches one agent and its children in a thread of its own. `start`, `seen` and `stop` may be called from any."""

    def __init__(self, own_port: int, proc: Path = Path("/proc")) -> None:
        self._own_port = own_port
        self._proc = proc
        self._stop = threading.Event()
        self._judged: set[int] = set()
        self._seen: dict[Past, None] = {}
        self._counted: list[str] | None = None
        self.can_tell = (proc / "net" / "tcp").is_file()

    def start(self, pid: int) -> None:
        """Watch the process `pid` and all that it starts, until `stop`."""
        if self.can_tell:
            threading.Thread(target=self._watch, args=[pid], name="tapes-past-us", daemon=True).start()

    def stop(self) -> None:
        """Enough: a model call has come, or the agent is gone. What was seen stays."""
        self._stop.set()

    @property
    def seen(self) -> list[str]:
        """Addresses with the program that connected, in the order seen."""
        return [str(past) for past in list(self._seen)]

    def _watch(self, pid: int) -> None:
        began = time.monotonic()
        while not self._stop.is_set() and len(self._seen) < MAX_SEEN:
            if time.thread_time() < BURST_S + SHARE * (time.monotonic() - began) and self._has_changed(pid):
                self.look(pid)
            self._stop.wait(LOOK_EVERY_S)

    def _has_changed(self, pid: int) -> bool:
        """Is the number of sockets another one than the last time?"""
        before = self._counted
        # The other numbers there are of the whole machine, or of memory.
        self._counted = _IN_USE.findall(self._read(f"{pid}/net/sockstat") + self._read(f"{pid}/net/sockstat6"))
        return self._counted != before

    def look(self, pid: int) -> None:
        """One look at the table, and at processes if it has something new (then some ten milliseconds in all)."""
        table = [*parse(self._read(f"{pid}/net/tcp")), *parse(self._read(f"{pid}/net/tcp6"))]
        new = {c.inode: c for c in outgoing(table, self._own_port) if c.inode not in self._judged}
        if not new:
            return
        listening = {c.inode: c.local_port for c in table if c.state == LISTEN}
        owned = {inode: process for process in self._family(pid) for inode in self._sockets(process)}
        # A port that the agent's own processes listen on is their own affair: an MCP server, an editor's bridge.
        internal = {port for inode, port in listening.items() if inode in owned}
        for inode, connection in new.items():
            if inode in owned and not (connection.is_local and connection.port in internal):
                self._seen[Past(self._program(owned[inode]), connection.host, connection.port)] = None
        # Another process's for good, or told: neither needs a second look, and inodes are not soon used again.
        self._judged |= new.keys()

    def _family(self, pid: int) -> list[int]:
        """`pid` and its living descendants. A process that has left its parents (a daemon) is not found."""
        children: dict[int, list[int]] = {}
        for name in self._entries(""):
            # pid (comm) state ppid …; the name may hold anything, a parenthesis too
            fields = self._read(f"{name}/stat").rpartition(")")[2].split() if name.isdigit() else []
            if len(fields) > 1:
                children.setdefault(int(fields[1]), []).append(int(name))
        family = [pid]
        for process in family:
            family += children.get(process, [])
        return family

    def _sockets(self, pid: int) -> Iterator[int]:
        """Inodes of a process's open sockets."""
        for fd in self._entries(f"{pid}/fd"):
            try:
                target = str((self._proc / str(pid) / "fd" / fd).readlink())
            except OSError:
                continue  # closed since
            if target.startswith("socket:["):
                yield int(target[8:-1])

    def _program(self, pid: int) -> str:
        return self._read(f"{pid}/comm").strip()

    def _entries(self, path: str) -> list[str]:
        try:
            return [entry.name for entry in (self._proc / path).iterdir()]
        except OSError:
            return []  # gone since, or not ours to look at

    def _read(self, path: str) -> str:
        try:
            return (self._proc / path).read_text(errors="replace")
        except OSError:
            return ""  # gone since
