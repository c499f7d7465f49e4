"""Pairs as lines, folded and walked; two texts as one."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from tapes_cli.deck.model.comparing import AROUND, NARROW, Pair, PairList
from tapes_cli.deck.model.styled import width, words
from tapes_cli.deck.model.unlike import MOST, unlike

KINDS = ("same", "changed", "only_a", "only_b", "moved", "head")


def pair(kind: str, a: str = "left", b: str = "right") -> Pair:
    return Pair(kind, lambda wide, bare: (a, b), lambda: ())


def pairs(kinds: str) -> list[Pair]:
    """`.` the same, `x` changed, `#` a heading."""
    return [pair({".": "same", "x": "changed", "#": "head"}[kind], f"a{n}", f"b{n}") for n, kind in enumerate(kinds)]


def lines(listed: PairList) -> list[str]:
    return [words(listed.line(n, 60)).strip() for n in range(len(listed))]


def test_a_fold_says_how_many_it_hides_and_keeps_three_around() -> None:
    listed = PairList(pairs("......x......x"), folded=True)
    assert [listed.index(n) for n in range(1, len(listed))] == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert lines(listed)[0] == "… 3 pairs the same"
    assert PairList(pairs("..x.."), folded=True).shown == [0, 1, 2, 3, 4]


def test_headings_are_never_folded_away() -> None:
    told = lines(PairList(pairs("#.....#....x"), folded=True))
    assert told[:3] == ["── a0", "… 5 pairs the same", "── a6"]


def test_a_pair_that_is_folded_is_found_at_the_next_that_is_not() -> None:
    listed = PairList(pairs("........x"), folded=True)
    assert listed.index(listed.line_of(1)) == 8 - AROUND
    assert PairList([]).line_of(3) == 0


@given(st.text("x.#", max_size=60), st.booleans())
def test_all_differences_are_walked_stretch_by_stretch(kinds: str, folded: bool) -> None:
    listed = PairList(pairs(kinds), folded=folded)
    begins = [n for n, kind in enumerate(kinds) if kind == "x" and kinds[n - 1 : n] != "x"]
    there, at = [], -1
    while (found := listed.difference(at, 1)) is not None:
        there.append(listed.index(found))
        at = found
    assert there == begins
    back, at = [], len(listed)
    while (found := listed.difference(at, -1)) is not None:
        back.append(listed.index(found))
        at = found
    assert back == begins[::-1]


@given(st.sampled_from(KINDS), st.text(max_size=40), st.text(max_size=40), st.integers(8, 240))
def test_no_line_is_wider_than_it_may_be(kind: str, a: str, b: str, wide: int) -> None:
    line = PairList([pair(kind, a, b)]).line(0, wide)
    assert width(line) <= wide
    assert "\x1b" not in words(line) and "\n" not in words(line)


def test_both_halves_stand_beside_each_other_where_there_is_room() -> None:
    listed = PairList([pair("changed", "made of one", "made of two")])
    told = words(listed.line(0, NARROW))
    assert told.index("|") == (NARROW - 3) // 2 + 1
    assert [half.strip() for half in told.split("|")] == ["made of one", "made of two"]
    assert words(listed.line(0, NARROW - 1)) == "| made of one → two"


TEXTS = st.text(string.ascii_lowercase[:4] + " \n", max_size=60)


@given(TEXTS, TEXTS)
def test_two_texts_as_one_say_all_lines_of_either(old: str, new: str) -> None:
    told = [words(line) for line in unlike(old, new)]
    ours = [line[2:] for line in told if line[0] in " -"]
    theirs = [line[2:] for line in told if line[0] in " +"]
    assert _ends("\n".join(ours)) == _ends(old) and _ends("\n".join(theirs)) == _ends(new)


def _ends(text: str) -> str:
    return text.rstrip("\n")


def test_words_that_only_one_has_are_underlined() -> None:
    old, new = unlike("round net by 19", "round gross by 19")
    assert [text for text, style in old if "underline" in style] == ["net"]
    assert [text for text, style in new if "underline" in style] == ["gross"]


def test_what_is_too_long_is_said_to_be_cut() -> None:
    told = [words(line) for line in unlike("x" * (MOST + 5), "x")]
    assert told[-1] == "… 5 more characters of A are not compared"
