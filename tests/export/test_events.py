"""The log as events: stable names, in order, each with the hash of its record."""

from __future__ import annotations

from tapes.export.events import events
from terminal_tape import WALL, TerminalSession


def session() -> TerminalSession:
    session = TerminalSession()
    session.terminal(0, [(0, "o", b"\x1b]0;hi\x07x"), (250_000, "r", 90, 20), (0, "o", b"\x07\x07")], term="xterm")
    session.command(1, b"kill -9 $$ \xff", None, 9)
    session.record("gap", 2, {"reason": "a test", "frames": 3})
    session.terminal(3, [(0, "x", 5), (0, "o", b"\x1b]2;bye\x1b")], (90, 20))
    session.terminal(4, [(0, "o", b"\\")], (90, 20), last=True)
    session.close(5, 0)
    return session


def test_every_event_of_the_log_is_told_in_order() -> None:
    made = session()
    assert [row["event"] for row in events(made.archive, made.session)] == [
        "session.open",
        "terminal.open",
        "terminal.title",
        "terminal.resize",
        "terminal.bell",
        "terminal.bell",
        "command.start",
        "step",
        "command.end",
        "gap",
        "step",
        "terminal.missed",
        "terminal.title",
        "terminal.close",
        "session.close",
    ]


def test_each_has_its_time_and_a_hash_that_the_archive_knows() -> None:
    made = session()
    for row in events(made.archive, made.session):
        (digest,) = made.archive.find(row["hash"])
        assert made.archive.record(digest).session in (made.session, None)
        assert row["time"] >= WALL


def test_a_killed_command_says_its_signal_and_names_its_beginning() -> None:
    made = session()
    start, end = (row for row in events(made.archive, made.session) if row["event"].startswith("command."))
    assert (start["line"], start["cwd"]) == ("kill -9 $$ \\xff", "/work/place")
    assert (end["status"], end["signal"], end["parents"]) == (None, 9, [start["hash"]])


def test_what_the_terminal_did_is_told_where_it_did_it() -> None:
    made = session()
    rows = {row["event"]: row for row in events(made.archive, made.session)}
    assert rows["terminal.resize"]["time"] == WALL + 250_000_000
    assert (rows["terminal.resize"]["columns"], rows["terminal.resize"]["rows"]) == (90, 20)
    assert rows["terminal.title"]["title"] == "bye"
    assert rows["terminal.missed"]["bytes"] == 5


def test_the_output_of_commands_is_not_in_it() -> None:
    made = session()
    assert all("head" not in row and "tail" not in row for row in events(made.archive, made.session))
