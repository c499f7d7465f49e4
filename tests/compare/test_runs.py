"""Two runs compared: what belongs together, where they part, and what is no difference."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compare.pairs import BASE, CASES, FAILS, Case, Thing, bash, say, turns
from tapes.compare.align import align
from tapes.compare.masks import Masks
from tapes.compare.runs import Comparison, compare
from tapes.compare.units import units


def found_pairs(case: Case) -> set[tuple[str, str]]:
    a, b = case.recorded()
    rows = compare(a.side(), b.side()).rows
    return {
        (a.names[row.a.number], b.names[row.b.number])
        for row in rows
        if row.a and row.b and row.a.number in a.names and row.b.number in b.names
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_belongs_together_is_what_a_person_would_say(case: Case) -> None:
    assert found_pairs(case) == case.truth()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_step_of_either_run_is_in_one_row(case: Case) -> None:
    a, b = case.recorded()
    rows = compare(a.side(), b.side()).rows
    assert sorted(row.a.number for row in rows if row.a) == [step.number for step in a.steps]
    assert sorted(row.b.number for row in rows if row.b) == [step.number for step in b.steps]


def differing(made: Comparison) -> list[tuple[str, int | None, int | None]]:
    return [
        (row.kind, row.a.number if row.a else None, row.b.number if row.b else None) for row in made.rows if row.differs
    ]


def of(a: list[tuple[Thing, ...]], b: list[tuple[Thing, ...]]) -> Comparison:
    one, other = Case("", a, b).recorded()
    return compare(one.side(), other.side())


def test_the_same_task_in_another_directory_is_the_same() -> None:
    made = of(BASE, BASE)
    assert made.same
    assert differing(made) == []


def test_the_order_of_parallel_calls_is_no_difference() -> None:
    case = next(case for case in CASES if case.name.startswith("parallel"))
    a, b = case.recorded()
    assert compare(a.side(), b.side()).same


def test_what_stands_elsewhere_is_moved() -> None:
    case = next(case for case in CASES if case.name.endswith("later"))
    a, b = case.recorded()
    moved = [row for row in compare(a.side(), b.side()).rows if row.kind == "moved"]
    assert {a.names.get((row.a or row.step).number) for row in moved if row.a} >= {"deps"}
    assert all(row.peer is not None and row.peer.text == row.step.text for row in moved)


def test_where_they_part_is_the_first_step_that_differs_and_they_meet_again_behind_it() -> None:
    made = of(BASE, [*BASE[:3], (bash("new", "git stash", "saved"),), *BASE[3:]])
    assert made.first is not None
    assert made.first.a is None
    assert made.first.b is not None
    assert "git stash" in made.first.b.text
    assert made.first.before is not None
    assert made.first.before.step.text == FAILS
    assert made.first.again is not None
    assert made.first.again.step.facts["name"] == "Read"


def test_a_result_that_differs_is_where_they_part_though_the_calls_are_the_same() -> None:
    other = [(bash("t1", "pytest -q tests/test_parser.py", "2 failed in 0.1s", failed=True),)]
    made = of(BASE, [*BASE[:2], *other, *BASE[3:]])
    assert made.first is not None
    assert made.first.a is not None
    assert (made.first.a.type, made.first.a.text) == ("tool.result", FAILS)
    assert len(differing(made)) == 1


def test_a_run_that_was_tried_again_is_as_one_that_was_not() -> None:
    a, b = Case("", BASE, BASE).recorded()
    broken = a.steps[2]
    facts = {"outcome": "partial", "retries": 1, "outcomes": ["complete"]}
    first = [
        replace(broken, number=98, type="answer", text="Loo", exchange=a.steps[0].hash),
        replace(broken, number=99, type="error", text="partial", failed=True, exchange=a.steps[0].hash, facts=facts),
    ]
    side = a.side()
    made = compare(replace(side, steps=[*side.steps[:1], *first, *side.steps[1:]]), b.side())
    assert [step.number for step in made.tried[0]] == [98, 99]
    assert made.same


def test_what_two_other_agents_of_a_run_did_is_compared_agent_by_agent() -> None:
    case = next(case for case in CASES if case.name.startswith("agents below"))
    a, b = case.recorded()
    made = compare(a.side(), b.side())
    assert {row.kind for row in made.rows if row.differs} == {"only_b"}
    assert made.first is not None
    assert made.first.b is not None
    assert json.loads(made.first.b.text)["command"] == "wc -l tests/a"


def test_what_an_agent_adds_by_itself_is_not_where_two_runs_part() -> None:
    note = Thing("note", "The task tools have not been used recently.", type="reminder")
    made = of([*BASE[:2], (note,), *BASE[2:]], [*BASE[:3], (bash("new", "git stash", "saved"),), *BASE[3:]])
    assert made.first is not None
    assert made.first.b is not None
    assert "git stash" in made.first.b.text
    assert [row.kind for row in made.rows if row.step.type == "reminder"] == ["only_a"]
    alone = of([*BASE[:2], (note,), *BASE[2:]], BASE)
    assert alone.first is not None
    assert alone.first.a is not None
    assert alone.first.a.type == "reminder"


def test_a_comparison_can_be_turned_round() -> None:
    for case in CASES:
        a, b = case.recorded()
        one, other = compare(a.side(), b.side()), compare(b.side(), a.side())
        pairs = {(row.a.number, row.b.number) for row in one.rows if row.a and row.b}
        assert pairs == {(row.b.number, row.a.number) for row in other.rows if row.a and row.b}, case.name


THINGS = st.sampled_from(
    [bash("a", "make"), bash("b", "make test"), bash("c", "ls src"), say("d", "Well then."), say("e", "One more try.")]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(THINGS, max_size=14), st.lists(THINGS, max_size=14))
def test_an_alignment_is_in_order_and_holds_everything_once(a: list[Thing], b: list[Thing]) -> None:
    one, other = Case("", turns(*a), turns(*b)).recorded()
    ours, theirs = (
        [unit for at in units(made.side(), Masks()).conversations.values() for unit in at.units]
        for made in (one, other)
    )
    pairs = align(ours, theirs)
    left = [i for i, _ in pairs if i is not None]
    right = [j for _, j in pairs if j is not None]
    assert left == list(range(len(ours)))
    assert right == list(range(len(theirs)))
    assert all(i is not None or j is not None for i, j in pairs)
