"""Two texts word by word."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.compare.words import Piece, shortened, words

TEXT = st.text(st.sampled_from("ab c\n.é"), max_size=60)


def test_words_that_differ_are_told_and_the_others_stay() -> None:
    assert words("run the old test now", "run the new test now") == [
        Piece(" ", "run the "),
        Piece("-", "old"),
        Piece("+", "new"),
        Piece(" ", " test now"),
    ]
    assert words("same", "same") == [Piece(" ", "same")]
    assert words("", "all of it") == [Piece("+", "all of it")]


@settings(max_examples=100, deadline=None)
@given(TEXT, TEXT)
def test_both_texts_can_be_had_back(old: str, new: str) -> None:
    pieces = words(old, new)
    assert "".join(piece.text for piece in pieces if piece.sign != "+") == old
    assert "".join(piece.text for piece in pieces if piece.sign != "-") == new
    assert all(piece.text for piece in pieces)


def test_what_stays_is_shortened_and_what_changes_is_not() -> None:
    pieces = list(shortened(words("x" * 500 + " one " + "y" * 500, "x" * 500 + " two " + "y" * 500), 10))
    assert [piece.text for piece in pieces if piece.sign != " "] == ["one", "two"]
    assert max(len(piece.text) for piece in pieces) <= 21
