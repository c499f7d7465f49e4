"""Marks are read from notes alone, in the order of the chain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tapes.archive.memory_archive import MemoryArchive
from tapes.record.digest import Digest
from tapes.session.marks import marks_of
from tapes.session.view import Step, steps
from terminal_tape import TerminalSession


def noted(session: TerminalSession, kind: str, about: Digest, item: object = 0, text: str = "") -> Digest:
    return session.record("note", 9, {"kind": kind, "text": text, "who": "me", "item": item}, (about,))


def told(session: TerminalSession) -> list[Step]:
    return list(steps(session.archive, session.session))


def test_a_step_has_its_labels_and_the_note_says_which_step_it_is_about() -> None:
    session = TerminalSession()
    session.command(1, b"first")
    start = next(step.hash for step in told(session))
    mark = noted(session, "mark", start, text="here")
    noted(session, "mark", start, text="and again")
    command, first, second = told(session)
    assert command.facts["marks"] == ["here", "and again"]
    assert (first.type, first.text, first.hash) == ("note", "★ here", mark)
    assert first.facts["about"] == {"step": 1, "hash": start.hex(), "item": 0}
    assert "marks" not in second.facts


def test_what_is_taken_back_is_gone_until_it_is_marked_again() -> None:
    session = TerminalSession()
    session.command(1, b"first")
    start = told(session)[0].hash
    noted(session, "mark", start, text="one")
    noted(session, "unmark", start)
    command, mark, _ = told(session)
    assert "marks" not in command.facts and mark.facts["taken_back"]
    noted(session, "mark", start, text="two")
    command, mark, _, again = told(session)
    assert command.facts["marks"] == ["two"]
    assert mark.facts["taken_back"] and "taken_back" not in again.facts


def test_a_mark_is_of_one_item_of_a_record() -> None:
    session = TerminalSession()
    session.command(1, b"first")
    start = told(session)[0].hash
    noted(session, "mark", start, 1, "of another")
    noted(session, "mark", start, "odd", "of none")
    noted(session, "unmark", start, 2)
    assert [step.facts.get("marks") for step in told(session)] == [None] * 4
    ((place, (mark,)),) = marks_of(session.archive.session_records(session.session)).items()
    assert place == (start, 1) and mark.label == "of another" and mark.who == "me"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 1)), max_size=12))
def test_marks_are_those_set_since_the_last_unmark_of_their_step(said: list[tuple[bool, int, int]]) -> None:
    session = TerminalSession(MemoryArchive())
    places = [session.record("gap", n, {"reason": "x"}) for n in range(3)]
    wanted: dict[tuple[Digest, int], list[str]] = {}
    for n, (sets, which, item) in enumerate(said):
        noted(session, "mark" if sets else "unmark", places[which], item, str(n))
        if sets:
            wanted.setdefault((places[which], item), []).append(str(n))
        else:
            wanted.pop((places[which], item), None)
    found = marks_of(session.archive.session_records(session.session))
    assert {place: [mark.label for mark in marks] for place, marks in found.items()} == wanted
