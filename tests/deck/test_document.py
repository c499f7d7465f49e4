"""Text as documents have it: nothing of it is lost, whatever its lines are, and no row is wider than its place."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tapes.errors import Damaged
from tapes_cli.deck.model.document import PART, Block, Document, Place, cut
from tapes_cli.deck.model.layout import Layout, Spot
from tapes_cli.deck.model.seeking import Hit, pattern, seek
from tapes_cli.deck.model.styled import styled, words
from tapes_cli.deck.model.wrapping import rows, shown

TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from("ab  \n\n\t\r\x1b漢e\u0301\u202e\ufe0f❤\ud800")), max_size=400
)
CHUNKS = st.lists(TEXT, max_size=8)


def whole(document: Document) -> Document:
    while document.more():
        pass
    return document


@given(CHUNKS, st.integers(1, 60))
def test_pieces_of_a_text_are_the_text_and_none_is_longer_than_it_may_be(chunks: list[str], most: int) -> None:
    pieces = list(cut(chunks, most))
    assert "".join(pieces) == "".join(chunks)
    assert all(0 < len(piece) <= most for piece in pieces)
    # A piece ends within a line only where the line is longer than a piece.
    assert all(piece.endswith("\n") or "\n" not in piece for piece in pieces[:-1])


@given(TEXT.map(lambda text: shown(text.replace("\n", ""))), st.integers(2, 40))
def test_a_wrapped_line_is_never_wider_than_its_place_and_only_blanks_between_rows_go(text: str, columns: int) -> None:
    found = rows(text, columns)
    assert all(cell_len(text[start:stop]) <= columns for start, stop in found)
    at = 0
    for start, stop in found:
        assert text[at:start] in ("", " ") and stop >= start
        at = stop
    assert text[at:] in ("", " ")


@given(st.lists(st.tuples(st.text(max_size=20), CHUNKS), max_size=4), st.integers(2, 50), st.booleans())
def test_what_is_drawn_holds_no_control_character_and_fits(
    blocks: list[tuple[str, list[str]]], columns: int, wrap: bool
) -> None:
    document = whole(Document([Block(title, text=chunks) for title, chunks in blocks]))
    layout = Layout(document, columns, wrap=wrap)
    for _, line, row in layout.window(Spot(0, 0), 10_000):
        text = words(line)[row.start : row.stop]
        assert not any(unicodedata.category(char) in ("Cc", "Cs", "Cf") for char in text)
        assert cell_len(text) <= columns or not wrap


@given(CHUNKS)
def test_a_document_keeps_text_as_it_came(chunks: list[str]) -> None:
    document = whole(Document([Block("a title", text=chunks)]))
    assert "".join(part.text for part in document.parts if not part.is_title) == "".join(chunks)


def test_no_more_is_read_than_is_asked_for() -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "x" * 1000 + "\n"

    document = Document([Block("its output", text=endless(), size=100_000_000)])
    assert document.parts == [] and read == 0
    assert document.more(50_000)
    assert 50 <= read <= 50 + 2 * PART // 1000
    title, characters, size = document.of_block
    assert (title, size) == ("its output", 100_000_000) and 50_000 - PART <= characters <= 50_000 + PART


def test_what_is_quick_to_read_is_there_before_the_next_block_is_begun() -> None:
    begun = []

    def blocks() -> Iterator[Block]:
        yield Block("first", text=["quick"])
        begun.append(True)
        yield Block("second", text=["slow"])

    document = Document(blocks())
    assert document.more() and [part.text for part in document.parts] == ["first", "quick"] and not begun
    assert document.more() and len(document.parts) == 4
    assert not document.more() and document.done


def test_a_block_that_can_not_be_read_says_so_in_its_place() -> None:
    def broken() -> Iterator[str]:
        yield "as far as this\n"
        raise Damaged("a blob does not re-hash", hint="tapes verify")

    blocks = [Block("one", text=broken()), Block("two", text=["still there"]), Block("three", empty="(none)")]
    document = whole(Document(blocks))
    said = [part.text for part in document.parts]
    assert said[:3] == ["one", "as far as this\n", "a blob does not re-hash\ntapes verify"]
    assert said[3:] == ["two", "still there", "three", "(none)"]
    assert document.parts[2].style == "error"


def test_a_line_end_of_two_characters_is_one_and_other_controls_are_seen() -> None:
    document = whole(Document.of_text("one\r\ntw\x1b[2Jo\ta\r\n\n\rx"))
    lines = [words(line) for part in document.parts for line in part.lines()]
    assert lines == ["one", "tw␛[2Jo a", "", "␍x"]


LINES = "".join(f"line {n} " + "word " * (n % 40) + "\n" for n in range(3000))
LONG = whole(Document.of_text(LINES, "title"))


@given(st.integers(0, 2999), st.integers(20, 120), st.integers(20, 120))
@settings(max_examples=30)
def test_a_place_is_found_again_at_another_width(number: int, one: int, other: int) -> None:
    document = LONG
    part, line = next(
        (part, line)
        for part, found in enumerate(document.parts)
        for line, text in enumerate(found.lines())
        if words(text).startswith(f"line {number} ")
    )
    for columns in (one, other):
        layout = Layout(document, columns)
        spot = layout.spot_of(part, line, 0)
        assert layout.character(spot) == Place(part, line, 0)
        assert words(layout.window(spot, 1)[0][1]).startswith(f"line {number} ")


EXACT = Layout(LONG, 33)
EVERY = [spot for spot, _, _ in EXACT.window(Spot(0, 0), 1_000_000)]


@given(st.lists(st.integers(-3000, 3000), min_size=1, max_size=10))
@settings(max_examples=30)
def test_moving_by_rows_is_exact_though_heights_are_estimated(moves: list[int]) -> None:
    layout, spot, at = Layout(LONG, 33), Spot(0, 0), 0
    for move in moves:
        spot = layout.moved(spot, move)
        at = max(0, min(at + move, len(EVERY) - 1))
        assert spot == EVERY[at]


def test_once_all_is_drawn_rows_from_the_top_and_places_are_the_same_thing() -> None:
    assert EXACT.total == len(EVERY)
    assert all(EXACT.at(EXACT.y(one)) == one for one in EVERY[:: len(EVERY) // 50])


def test_titles_are_gone_to_in_both_directions() -> None:
    document = whole(Document([Block(name, text=["x\n" * 50]) for name in "abc"]))
    layout = Layout(document, 40)
    below = [Spot(0, 0)]
    while (found := layout.title(below[-1], 1)) is not None:
        below.append(found)
    assert [words(layout.window(spot, 1)[0][1]) for spot in below] == ["── a", "── b", "── c"]
    assert layout.title(layout.last, -1) == below[2] and layout.title(below[2], -1) == below[1]
    assert layout.title(below[0], -1) is None


@given(st.integers(1, 4), st.integers(0, 40))
@settings(max_examples=30)
def test_every_hit_is_found_once_on_the_way_around(count: int, begin: int) -> None:
    text = "".join(f"{n} Needle and needle\n" if n % 9 == 0 else f"{n} hay \x1b\n" for n in range(60))
    for step in (1, -1):
        document = Document([Block(text=[text])] * count)
        document.more()
        here = first = Place(0, begin, 0)
        found = []
        for _ in range(count * 14):
            hit = next(one for one in seek(document, pattern("needle"), here, step) if isinstance(one, Hit))
            found.append(hit.place)
            here = hit.place
        assert len(set(found)) == len(found)
        around = [(place <= first) if step > 0 else (place >= first) for place in found]
        assert around == sorted(around), "first those ahead, then those from the other end"
        hit = next(one for one in seek(document, pattern("needle"), here, step) if isinstance(one, Hit))
        assert hit.place == found[0]


def test_capital_letters_count_where_there_are_any() -> None:
    document = Document.of_text("needle\nNeedle\n")
    assert (
        next(one for one in seek(document, pattern("Needle"), Place(0, 0, -1), 1) if isinstance(one, Hit)).place.line
        == 1
    )
    assert (
        next(one for one in seek(document, pattern("needle"), Place(0, 0, -1), 1) if isinstance(one, Hit)).place.line
        == 0
    )
    assert [one for one in seek(document, pattern("nothing"), Place(0, 0, -1), 1) if isinstance(one, Hit)] == []


def test_lines_with_styles_keep_them_and_are_copied_as_words() -> None:
    document = whole(Document.of_lines([(*styled("ok ", "ok"), *styled("plain"))] * 100, "many"))
    assert [part.count for part in document.parts] == [1, 64, 36]
    assert document.parts[1].lines()[0] == (("ok ", "ok"), ("plain", ""))
    assert document.parts[2].text == "ok plain\n" * 36
