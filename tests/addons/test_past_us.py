"""Connections that pass us by: the kernel's tables read, and a process tree as /proc shows it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes_addons.past_us import LISTEN, Connection, Past, PastUs, outgoing, parse

OWN = 40000
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
AGENT, CHILD, GRANDCHILD, STRANGER = 100, 101, 102, 200


def line(local: str, remote: str, state: int, inode: int) -> str:
    return f"   0: {local} {remote} {state:02X} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0 20\n"


pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the tables below are those of such a machine")


def test_addresses_of_both_families_are_read_in_this_machines_byte_order() -> None:
    v4 = HEAD + line("0100007F:9C40", "2EF21268:01BB", 1, 11)
    v6 = HEAD + line("0" * 32 + ":0050", "B80D0120000000000000000001000000:01BB", 2, 12)
    mapped = HEAD + line("0" * 32 + ":0050", "0000000000000000FFFF00000100007F:0050", 1, 13)
    assert parse(v4) == [Connection(40000, "104.18.242.46", 443, 1, 11)]
    assert parse(v6) == [Connection(80, "2001:db8::1", 443, 2, 12)]
    assert parse(mapped) == [Connection(80, "127.0.0.1", 80, 1, 13)]


@given(st.text(alphabet="0123456789ABCDEF: \n\t-x", max_size=200))
@settings(max_examples=200)
def test_a_table_that_is_none_is_no_connections_and_no_error(text: str) -> None:
    for found in parse(HEAD + text):
        assert found.port >= 0


def test_only_the_end_that_opened_a_connection_counts_and_never_one_to_us() -> None:
    def to(host: str, port: int, *, local: int = 5000, state: int = 1, inode: int = 1) -> Connection:
        return Connection(local, host, port, state, inode)

    wanted = [to("10.0.0.1", 443), to("127.0.0.1", 1234), to("10.0.0.1", OWN), to("10.0.0.1", 80, state=2)]
    unwanted = [
        to("127.0.0.1", OWN),
        to("::1", OWN),
        to("10.0.0.1", 53),
        to("10.0.0.1", 443, state=6),
        to("10.0.0.1", 443, inode=0),
        Connection(8080, "0.0.0.0", 0, LISTEN, 9),
        to("127.0.0.1", 5001, local=8080),
    ]
    assert outgoing(wanted + unwanted, OWN) == wanted


class Proc:
    """A /proc of our own: AGENT > CHILD > GRANDCHILD, and a STRANGER."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "net").mkdir()
        self.processes: dict[int, Path] = {}
        for pid, parent in ((AGENT, 1), (CHILD, AGENT), (GRANDCHILD, CHILD), (STRANGER, 1)):
            path = self.processes[pid] = folder / str(pid)
            (path / "fd").mkdir(parents=True)
            (path / "net").mkdir()
            (path / "stat").write_text(f"{pid} (a ) b) S {parent} 1 1 0")
            (path / "comm").write_text(f"prog{pid}\n")
        self.table("")

    def table(self, lines: str) -> None:
        (self.folder / "net" / "tcp").write_text(HEAD + lines)
        (self.processes[AGENT] / "net" / "tcp").write_text(HEAD + lines)

    def owns(self, pid: int, inode: int) -> None:
        (self.processes[pid] / "fd" / str(inode)).symlink_to(f"socket:[{inode}]")


FAR = "2EF21268:01BB"


def test_a_connection_of_the_agents_family_is_named_with_its_program_and_a_strangers_is_not(tmp_path: Path) -> None:
    proc, us = Proc(tmp_path), PastUs(OWN, tmp_path)
    proc.table(line("0100007F:1000", FAR, 1, 11) + line("0100007F:1001", "01020304:0050", 1, 12))
    proc.owns(GRANDCHILD, 11)
    proc.owns(STRANGER, 12)
    us.look(AGENT)
    assert us.seen == ["104.18.242.46:443 (prog102)"]


def test_what_the_agents_own_processes_listen_on_is_their_own_affair(tmp_path: Path) -> None:
    proc, us = Proc(tmp_path), PastUs(OWN, tmp_path)
    own = line("0100007F:1F90", "00000000:0000", LISTEN, 20) + line("0100007F:1000", "0100007F:1F90", 1, 21)
    foreign = line("0100007F:1F91", "00000000:0000", LISTEN, 30) + line("0100007F:1001", "0100007F:1F91", 1, 31)
    proc.table(own + foreign)
    for pid, inode in ((CHILD, 20), (AGENT, 21), (STRANGER, 30), (AGENT, 31)):
        proc.owns(pid, inode)
    us.look(AGENT)
    assert us.seen == ["127.0.0.1:8081 (prog100)"]


def test_processes_are_looked_through_once_for_each_new_connection(tmp_path: Path) -> None:
    proc, us = Proc(tmp_path), PastUs(OWN, tmp_path)
    proc.table(line("0100007F:1000", FAR, 1, 11))
    us.look(AGENT)
    proc.owns(AGENT, 11)
    us.look(AGENT)
    assert us.seen == []
    proc.table(line("0100007F:1000", FAR, 1, 11) + line("0100007F:1001", FAR, 1, 12))
    proc.owns(AGENT, 12)
    us.look(AGENT)
    assert us.seen == ["104.18.242.46:443 (prog100)"]


def test_where_there_is_no_such_table_we_say_that_we_can_not_tell(tmp_path: Path) -> None:
    us = PastUs(OWN, tmp_path)
    assert not us.can_tell
    us.start(AGENT)
    assert us.seen == []
    us.stop()


def test_an_address_with_colons_is_written_in_brackets() -> None:
    assert str(Past("node", "2001:db8::1", 443)) == "[2001:db8::1]:443 (node)"


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="watches real connections in /proc")
def test_a_real_child_that_connects_past_us_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"import socket, sys; c = socket.create_connection(('127.0.0.1', {port})); sys.stdin.read()"
        process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
        us = PastUs(OWN)
        try:
            us.start(process.pid)
            deadline = time.monotonic() + 20
            while not us.seen and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            us.stop()
            process.communicate()
        assert [seen.partition(" ")[0] for seen in us.seen] == [f"127.0.0.1:{port}"]
