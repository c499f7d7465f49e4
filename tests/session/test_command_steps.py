"""Commands in the timeline: under the call that asked for them, and forgotten with all that they wrote."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from session.test_forget import carry_out, held
from tapes.archive.base import Archive
from tapes.archive.memory_archive import MemoryArchive
from tapes.archive.summary import Summary
from tapes.record import canon
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.session.forget import forget_steps
from tapes.session.rows import summary_of
from tapes.session.view import STEP_TYPES, Step, as_told, steps, view
from witnessed import Session


def shown(session: Session) -> list[Step]:
    return list(steps(session.archive, session.session))


def test_a_command_stands_under_its_call_and_what_ran_in_it_under_that() -> None:
    session = Session()
    uses = session.ask_all({"command": "make"}, {"command": "ls"})
    make, ls = session.start("make"), session.start("ls")
    inner = session.start("cc x.c", make)
    for start in (inner, ls, make):
        session.end(start)
    session.join(uses[0], make)
    session.join(uses[1], ls)
    session.tell((uses[0], "done"), (uses[1], "x.c"))
    session.close()
    found = [step for step in as_told(shown(session)) if step.type in ("tool.use", "command")]
    assert [(step.type, step.hash) for step in found] == [
        ("tool.use", uses[0].hash),
        ("command", make.hash),
        ("command", inner.hash),
        ("tool.use", uses[1].hash),
        ("command", ls.hash),
    ]
    assert [step.facts["within"] for step in found if step.type == "command"] == [0, 1, 0]
    assert {step.type for step in found} <= set(STEP_TYPES)
    assert {step.exchange for step in found[:2]} == {found[0].exchange}


class Upto:
    """An archive as it was when a session had so many records."""

    def __init__(self, archive: Archive, count: int) -> None:
        self._archive, self._count = archive, count

    def session_records(self, session: Digest, first: int = 0) -> Iterator[tuple[Digest, Record]]:
        return islice(self._archive.session_records(session), first, self._count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)


def test_a_number_that_a_step_has_had_is_its_number_for_ever() -> None:
    session = Session()
    uses = session.ask_all({"command": "make"}, {"command": "ls"})
    starts = [session.start("make"), session.start("ls")]
    session.end(starts[1])
    session.exchange({"type": "text", "text": "meanwhile"})
    session.end(starts[0])
    for use, start in zip(uses, starts, strict=True):
        session.join(use, start)  # long after they ran
    session.tell((uses[0], "done"), (uses[1], "x.c"))
    session.close()
    last = [(step.hash, step.item, step.type) for step in shown(session)]
    for count in range(1, len(list(session.archive.session_records(session.session)))):
        found = view(cast(Archive, Upto(session.archive, count)), session.session).steps
        assert [(step.hash, step.item, step.type) for step in found] == last[: _steps_of(session, count)]


def _steps_of(session: Session, count: int) -> int:
    known = {digest for digest, _ in islice(session.archive.session_records(session.session), count)}
    return sum(step.hash in known for step in shown(session))


def test_a_row_counts_commands_whose_call_is_known_and_an_old_one_does_not_say() -> None:
    session = Session()
    (use,) = session.ask_all({"command": "make"})
    session.join(use, session.start("make"))
    session.start("curl evil")
    session.close()
    row = summary_of(session.archive, session.session)
    assert (row.commands, row.joined) == (2, 1)
    written = canon.decode(row.to_bytes())
    assert isinstance(written, dict)
    kept = Summary.from_bytes(canon.encode({key: value for key, value in written.items() if key != "joined"}))
    assert kept is not None and kept.joined == -1


def test_a_command_that_is_joined_to_nothing_stands_where_it_ran() -> None:
    session = Session(agent="claude")
    session.exchange({"type": "text", "text": "first"})
    session.end(session.start("curl evil"), status=7)
    session.exchange({"type": "text", "text": "second"})
    session.close()
    found = shown(session)
    assert [(step.type, step.text) for step in found] == [
        ("answer", "first"),
        ("command", "curl evil"),
        ("answer", "second"),
    ]
    facts = found[1].facts
    assert (found[1].failed, facts["exit"], facts["duration_us"], facts["verdict"]) == (
        True,
        7,
        1_500_000,
        "not-requested",
    )


def test_steps_of_a_live_session_stay_as_they_are_when_more_comes() -> None:
    session = Session()
    session.run("ls", b"a\n")
    session.commit()
    before = shown(session)
    session.run("pwd", b"/\n")
    session.close()
    assert shown(session)[: len(before)] == before


def test_a_call_that_nobody_saw_run_says_so_beside_commands_that_were_seen() -> None:
    session = Session()
    session.run("ls")
    session.tell((session.ask("make"), "[exit 0]\nfine"))
    session.close()
    (call,) = [step for step in shown(session) if step.type == "tool.use"][1:]
    assert call.facts["verdict"] == "not-witnessed"


SECRET = "the harbour master keeps the spare key under the third lobster pot"


def test_forgetting_a_command_takes_its_output_wherever_it_stands() -> None:
    archive = MemoryArchive()
    session = Session(archive)
    session.run("ls", b"a\n")
    session.run("cat harbour.txt", SECRET.encode() * 9)
    session.run("pwd", b"/\n")
    session.close()
    before = shown(session)
    (step,) = (step for step in before if step.type == "command" and step.text.startswith("cat"))
    plan = forget_steps(archive, session.session, step.number, step.number)
    types = {loss.type for loss in plan.losses}
    assert {"command.start", "command.output", "command.end", "exchange.open"} <= types
    carry_out(archive, plan)
    assert SECRET.encode() not in held(archive) and b"harbour.txt" not in held(archive)
    after = shown(session)
    assert len(after) == len(before) and after[step.number - 1].type == "withheld"
    assert [one.text for one in after if one.type == "command"] == ["ls", "pwd"]


def test_forgetting_a_result_takes_the_output_that_says_the_same() -> None:
    archive = MemoryArchive()
    session = Session(archive)
    session.run("cat harbour.txt", SECRET.encode())
    session.close()
    (step,) = (step for step in shown(session) if step.type == "tool.result")
    carry_out(archive, forget_steps(archive, session.session, step.number, step.number))
    assert SECRET.encode() not in held(archive)


def test_only_a_refusal_is_a_step_of_its_own() -> None:
    session = Session()
    use = session.ask("ls")
    session.decide(use, "allowed", "config")
    session.decide(use, "denied", "user_reject")
    session.close()
    assert [step.text for step in shown(session) if step.type == "note"] == ["denied by user_reject"]
