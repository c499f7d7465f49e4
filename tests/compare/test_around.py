"""Files, commands and surroundings of two recorded runs."""

from __future__ import annotations

from pathlib import Path

from snapped import Shot
from tapes.archive.memory_archive import MemoryArchive
from tapes.compare.around import files, surroundings
from tapes.compare.ran import commands
from tapes.compare.run import Run
from tapes.compare.runs import compare
from witnessed import BEGINNING, Session


def two() -> tuple[MemoryArchive, Session, Session]:
    archive = MemoryArchive()
    return archive, Session(archive, agent="claude"), Session(archive, agent="claude", began=BEGINNING + 10**13)


def runs(archive: MemoryArchive, *sessions: Session) -> tuple[Run, Run]:
    for session in sessions:
        session.close()
    a, b = (Run(archive, session.session) for session in sessions)
    return a, b


def test_files_that_came_out_otherwise_are_told_with_who_changed_them() -> None:
    archive, one, other = two()
    start = {"a.py": b"x = 1\n", "same.py": b"y\n", "b.py": b"z\n"}
    for session, end in (
        (one, {**start, "a.py": b"x = 2\n", "only.py": b"1\n", "log": b"took 0.1s\n"}),
        (other, {**start, "a.py": b"x = 3\n", "log": b"took 0.9s\n", "__pycache__/a.pyc": b"\0other"}),
    ):
        shot = Shot(session)
        shot.take(start, "start")
        session.run("make")
        shot.take(end, "end")
    a, b = runs(archive, one, other)
    made = compare(a.side, b.side)
    found = files(a, b, made.masks)
    assert (found.known, found.touched, found.both) == (True, (3, 3), 2)
    told = {file.path: (file.where, file.counts, file.touched) for file in found.found}
    assert told == {
        b"a.py": ("end", True, (True, True)),
        b"only.py": ("end", True, (True, False)),
        b"log": ("end", False, (True, True)),
        b"__pycache__/a.pyc": ("end", False, (False, True)),
    }


def test_files_that_were_not_the_same_to_begin_with_are_told_apart() -> None:
    archive, one, other = two()
    for session, text in ((one, b"1\n"), (other, b"2\n")):
        Shot(session).take({"config": text}, "start")
        session.run("make")
    a, b = runs(archive, one, other)
    found = files(a, b, compare(a.side, b.side).masks)
    assert [(file.path, file.where) for file in found.found] == [(b"config", "start")]


def test_without_snapshots_nothing_is_said_of_files() -> None:
    archive, one, other = two()
    for session in (one, other):
        session.run("make")
    a, b = runs(archive, one, other)
    assert not files(a, b, compare(a.side, b.side).masks).known


def test_the_variable_that_was_another_is_told_with_the_command_that_ended_otherwise() -> None:
    archive, one, other = two()
    for session, mode, status in ((one, b"fast", 0), (other, b"slow", 1)):
        use = session.ask("make")
        start = session.start("make", environment=[[b"MODE", mode], [b"HOME", b"/root"]])
        session.end(start, ("o", b"built in 0.%ds" % status), status=status)
        session.join(use, start)
        session.tell((use, f"[exit {status}]"))
    a, b = runs(archive, one, other)
    (ran,) = commands(compare(a.side, b.side), a, b)
    assert ran.what == "exit"
    assert ran.variables == (("MODE", "fast", "slow"),)
    assert ran.output == ("", "")


def test_what_a_command_wrote_is_compared_but_for_times() -> None:
    archive, one, other = two()
    for session, text in ((one, b"3 passed in 0.1s"), (other, b"2 passed in 0.2s")):
        session.run("pytest", text, told="done")
        session.run("ls", b"at 10:0%d:00" % len(text), told="done")
    a, b = runs(archive, one, other)
    found = list(commands(compare(a.side, b.side), a, b))
    assert [ran.what for ran in found] == ["output", "same"]
    assert found[0].output == ("3 passed in 0.1s", "2 passed in 0.2s")


def test_surroundings_that_are_the_same_are_not_told(tmp_path: Path) -> None:
    archive, one, other = two()
    other.root.body = {**other.root.body, "host": "other", "environment": [[b"LANG", b"C"]]}
    a, b = runs(archive, one, other)
    told = {(fact.kind, fact.name): (fact.a, fact.b) for fact in surroundings(a, b, compare(a.side, b.side).masks)}
    assert told[("variable", "LANG")] == (None, "C")
    assert ("fact", "host") in told
    assert ("fact", "agent") not in told
    assert not list(surroundings(a, a, compare(a.side, a.side).masks))


def test_what_runs_took_adds_up() -> None:
    archive, one, other = two()
    for session in (one, other):
        session.run("ls", b"x", status=1)
    a, b = runs(archive, one, other)
    assert (a.took.commands, a.took.commands_failed, a.took.tools) == (1, 1, 1)
    assert a.took == b.took
