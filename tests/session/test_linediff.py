"""Lines matched: what is said to be the same is, diffs apply, and no input takes long."""

from __future__ import annotations

import difflib
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.session import linediff
from tapes.session.linediff import Same, counts, hunks, lines_of, matches

TEXTS = st.lists(st.sampled_from("abcdefg}"), max_size=30)


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS)
def test_matches_are_equal_in_order_and_about_as_many_as_can_be(old: list[str], new: list[str]) -> None:
    found = matches(old, new)
    x = y = 0
    for same in found:
        assert same.size > 0 and same.old >= x and same.new >= y
        assert old[same.old : same.old + same.size] == new[same.new : same.new + same.size]
        x, y = same.old + same.size, same.new + same.size
    if not set(old) & set(new):
        assert found == []
    if old == new and old:
        assert found == [Same(0, 0, len(old))]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from("ab"), max_size=12), st.lists(st.sampled_from("ab"), max_size=12))
def test_without_anchors_the_fewest_edits_are_found(old: list[str], new: list[str]) -> None:
    table = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i, one in enumerate(old):
        for j, other in enumerate(new):
            table[i + 1][j + 1] = table[i][j] + 1 if one == other else max(table[i][j + 1], table[i + 1][j])
    doubled = matches(old * 2, new * 2)  # nothing stands once
    assert sum(s.size for s in doubled) >= 2 * table[-1][-1]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"\xff\n"]), max_size=20),
    st.lists(st.sampled_from([b"a\n", b"b\n", b"d\n"]), max_size=20),
    st.booleans(),
)
def test_a_diff_makes_the_new_text_of_the_old_one(old: list[bytes], new: list[bytes], cut: bool) -> None:
    ours, theirs = b"".join(old), b"".join(new)
    theirs = theirs[:-1] if cut else theirs
    lines, at, out = lines_of(ours), 0, []
    for hunk in hunks(ours, theirs):
        first = hunk.old - (hunk.old_count > 0)
        out += lines[at:first]
        assert hunk.old_count == sum(sign != "+" for sign, _ in hunk.lines)
        assert hunk.new_count == sum(sign != "-" for sign, _ in hunk.lines)
        assert len(out) == hunk.new - (hunk.new_count > 0)
        assert [text for sign, text in hunk.lines if sign != "+"] == lines[first : first + hunk.old_count]
        out += [text for sign, text in hunk.lines if sign != "-"]
        at = first + hunk.old_count
    assert b"".join([*out, *lines[at:]]) == theirs
    plus, minus = counts(ours, theirs)
    assert plus - minus == len(lines_of(theirs)) - len(lines)


def bad_inputs() -> list[tuple[list[int], list[int]]]:
    draw = random.Random(5)
    size = 100_000
    same = [1] * size
    return [
        (same, [1] * (size // 2) + [2] + [1] * (size // 2)),
        ([n % 2 for n in range(size)], [n % 3 for n in range(size)]),
        ([draw.randrange(50) for _ in range(size)], [draw.randrange(50) for _ in range(size)]),
        (list(range(size)), list(range(size))[::-1]),
        ([n // 2 for n in range(size)], [n // 2 for n in range(1, size)]),
    ]


@pytest.mark.parametrize("number", range(5))
def test_no_input_of_100_000_lines_takes_more_work_than_its_budget(number: int) -> None:
    old, new = bad_inputs()[number]
    for same in matches(old, new):
        assert old[same.old : same.old + same.size] == new[same.new : same.new + same.size]


def test_scattered_edits_of_a_long_text_are_all_found() -> None:
    old = [f"line {n}" for n in range(20_000)]
    new = [line if n % 97 else f"{line}!" for n, line in enumerate(old)]
    assert sum(same.size for same in matches(old, new)) == 20_000 - len(range(0, 20_000, 97))


def test_ends_of_lines_are_line_feeds_alone() -> None:
    assert lines_of(b"a\r\nb\x0cc\x1cd") == [b"a\r\n", b"b\x0cc\x1cd"]
    assert lines_of(b"") == [] and lines_of(b"\n") == [b"\n"] and lines_of(b"a\n") == [b"a\n"]


def test_it_is_no_worse_than_the_standard_librarys_on_an_ordinary_edit() -> None:
    old = Path(linediff.__file__).read_text().splitlines()
    new = [line for n, line in enumerate(old) if n % 13] + ["tail"]
    ours = sum(same.size for same in matches(old, new))
    theirs = sum(block.size for block in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks())
    assert ours >= theirs
