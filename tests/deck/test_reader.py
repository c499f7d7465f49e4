"""The reader, driven as by a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tapes_cli.deck.model.document import Block, Document
from tapes_cli.deck.model.styled import words
from tapes_cli.deck.widgets.reader import Reader

NASTY = "\x1b[2J\x1b]0;owned\x07‮evil\x00"


class Shown(App[None]):
    """A reader that fills the screen."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.reader = Reader()
        self.document = document

    def compose(self) -> ComposeResult:
        yield self.reader

    def on_mount(self) -> None:
        self.reader.focus()
        self.reader.show(self.document)


def seen(reader: Reader) -> list[str]:
    return [strip.text.rstrip() for strip in (reader.render_line(y) for y in range(reader.size.height))]


def top(reader: Reader) -> str:
    return seen(reader)[0]


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, f"never came: {seen(pilot.app.query_one(Reader))}"
        await pilot.pause(0.01)


def lines(count: int) -> Iterator[str]:
    for n in range(count):
        yield f"line {n} of it\n"


async def test_only_what_is_near_is_read_and_more_as_one_scrolls() -> None:
    document = Document([Block("its output", text=lines(100_000))])
    async with Shown(document).run_test(size=(80, 24)) as pilot:
        reader = pilot.app.query_one(Reader)
        await until(pilot, lambda: seen(reader)[1] == "line 0 of it")
        first = document.read
        assert 0 < first < 600_000 and not document.done
        for _ in range(20):
            reader.action_page(1)
            await until(pilot, lambda: len(seen(reader)[-1]) > 0)
        assert "line 459 of it" in seen(reader)
        await pilot.press("end")
        await until(pilot, lambda: "line 99999 of it" in seen(reader))
        assert seen(reader)[-1] == "line 99999 of it" and document.done
        await pilot.press("up", "home")
        assert top(reader) == "── its output"


async def test_reading_to_the_end_says_how_far_it_is_and_stops_at_the_next_move() -> None:
    def slowly() -> Iterator[str]:
        for _ in range(10_000):
            time.sleep(0.002)
            yield ("x" * 99 + "\n") * 10

    document = Document([Block("its output", text=slowly(), size=10_000_000)])
    app = Shown(document)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(seen(app.reader)[1]) > 70)
        await pilot.press("G")
        await until(pilot, lambda: "MB read" in app.reader.says)
        await pilot.press("j")
        assert app.reader.says == "" and seen(app.reader)[0].startswith("xxx")
        read = document.read
        await pilot.pause(0.3)
        assert document.read < read + 400_000 and not document.done


@pytest.mark.parametrize("size", [(40, 10), (120, 40)])
async def test_another_width_keeps_the_line_at_the_top(size: tuple[int, int]) -> None:
    text = "".join(f"line {n} " + "word " * (n % 50) + "\n" for n in range(5000))
    app = Shown(Document.of_text(text))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: top(app.reader).startswith("line 0"))
        while not top(app.reader).startswith("line 101 "):
            app.reader.move(1)
        await pilot.resize_terminal(*size)
        await pilot.pause()
        assert top(app.reader).startswith("line 101 ")
        await pilot.press("w")
        await pilot.pause()
        assert top(app.reader).startswith("line 101 ")
        assert seen(app.reader)[1].startswith("line 102 ")
        await pilot.press("w", "k", "j")
        await pilot.pause()
        assert top(app.reader).startswith("line 101 ")


async def test_up_and_down_again_leads_to_the_same_place_however_heights_were_estimated() -> None:
    text = "".join(f"{n}. " + "漢字 " * (n % 90) + "\n" for n in range(4000))
    app = Shown(Document.of_text(text))
    async with app.run_test(size=(50, 20)) as pilot:
        await until(pilot, lambda: top(app.reader).startswith("0."))
        await pilot.press("end")
        await until(pilot, lambda: any(line.startswith("3999.") for line in seen(app.reader)))
        rows = [seen(app.reader)]
        for _ in range(60):
            app.reader.action_page(-1)
            rows.append(seen(app.reader))
        for one, other in pairwise(rows):
            assert one[0] == other[-1], "a page is just so far"
        for _ in range(60):
            app.reader.action_page(1)
        assert seen(app.reader) == rows[0]


async def test_a_text_is_found_marked_and_gone_to_in_both_directions_also_where_it_was_not_read_yet() -> None:
    def text() -> Iterator[str]:
        for n in range(40_000):
            yield f"{n} a Needle [red]here\n" if n in (10, 30_000) else f"{n} hay\n"

    app = Shown(Document([Block(text=text())]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: top(app.reader) == "0 hay")
        app.reader.find("needle [red]")
        await until(pilot, lambda: marked(app.reader, here=True) == ["Needle [red]"])
        assert top(app.reader) == "0 hay", "it was to be seen already"
        await pilot.press("n")
        await until(pilot, lambda: "30000 a Needle [red]here" in seen(app.reader))
        await pilot.press("n")
        await until(pilot, lambda: "10 a Needle [red]here" in seen(app.reader))
        assert "other end" in app.reader.says
        await pilot.press("N")
        await until(pilot, lambda: "30000 a Needle [red]here" in seen(app.reader))
        app.reader.find("no such thing")
        await until(pilot, lambda: app.reader.says == "not found")
        app.reader.find("")
        assert marked(app.reader) == []


def marked(reader: Reader, *, here: bool = False) -> list[str]:
    """Hits that are seen, or (`here`) the one that was gone to."""
    pieces = [piece for y in range(reader.size.height) for piece in reader.render_line(y)]
    styled = [(piece.text, piece.style) for piece in pieces if piece.style]
    return [text for text, style in styled if style.reverse and (style.underline or not here)]


async def test_one_huge_line_and_what_could_drive_a_terminal_are_shown_as_text() -> None:
    blocks = [Block("nasty", text=[NASTY * 3, "\ud800漢e\u0301\n"]), Block("huge", text=["ab" * 5_000_000])]
    app = Shown(Document(blocks))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: any("abab" in line for line in seen(app.reader)))
        assert "␛[2J" in seen(app.reader)[1] and "\\ud800漢" in "".join(seen(app.reader))
        assert not any(ord(char) < 32 for line in seen(app.reader) for char in line)
        await pilot.press("right_curly_bracket")
        await until(pilot, lambda: top(app.reader) == "── huge")
        await pilot.press("end")
        await until(pilot, lambda: app.document.done and "abab" in top(app.reader))
        await pilot.press("w")
        await pilot.pause()
        assert all(len(line) <= 80 for line in seen(app.reader))


async def test_titles_are_gone_to_and_the_block_at_the_top_is_copied_as_it_came() -> None:
    app = Shown(Document([Block(name, text=[f"\t{name}\r\n" * 100]) for name in ("one", "two", "three")]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: top(app.reader) == "── one")
        await pilot.press("right_curly_bracket")
        await until(pilot, lambda: top(app.reader) == "── two")  # a key that moves would stop what is read for it
        await pilot.press("j", "j", "C")
        assert app.clipboard == "\ttwo\r\n" * 100
        await pilot.press("left_curly_bracket")
        assert top(app.reader) == "── two"
        await pilot.press("left_curly_bracket")
        assert top(app.reader) == "── one"


async def test_another_page_replaces_the_one_before_once_something_of_it_is_there() -> None:
    begun: list[bool] = []

    def slow() -> Iterator[str]:
        while not begun:
            time.sleep(0.01)
        yield "the new page"

    app = Shown(Document.of_text("the old page"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: top(app.reader) == "the old page")
        app.reader.show(Document([Block(text=slow())]))
        await pilot.pause(0.1)
        assert top(app.reader) == "the old page"
        begun.append(True)
        await until(pilot, lambda: top(app.reader) == "the new page")


async def test_the_same_page_read_again_stays_where_it_was() -> None:
    app = Shown(Document([Block("out", text=lines(5000))]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: top(app.reader) == "── out")
        for _ in range(60):
            app.reader.action_page(1)
            await pilot.pause()
        here = top(app.reader)
        app.reader.show(Document([Block("out", text=lines(6000))]), keep=True)
        await until(pilot, lambda: app.reader.document is not app.document)
        assert top(app.reader) == here != "── out"


async def test_what_is_made_anew_does_not_take_away_what_somebody_waits_for() -> None:
    go: list[bool] = []

    def slow() -> Iterator[str]:
        yield from lines(5000)
        while not go:
            time.sleep(0.01)
        yield "the end\n"

    app = Shown(Document([Block("out", text=slow())]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: top(app.reader) == "── out")
        await pilot.press("G")
        app.reader.show(Document.of_text("made anew"), keep=True)
        await pilot.pause(0.1)
        go.append(True)
        await until(pilot, lambda: seen(app.reader)[-1] == "the end")


async def test_what_to_find_is_asked_for_and_escape_ends_one_thing_at_a_time() -> None:
    app = Shown(Document.of_text("".join(lines(3000))))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: top(app.reader) == "line 0 of it")
        await pilot.press("slash", *"line 2222", "enter")
        await until(pilot, lambda: marked(app.reader, here=True) == ["line 2222"])
        await pilot.press("n")
        await until(pilot, lambda: "other end" in seen(app.reader)[-1])
        await pilot.press("slash", *"gone", "escape")
        assert app.reader.sought == "line 2222", "a dialog that was closed changes nothing"
        app.reader.find("gone")
        await until(pilot, lambda: "not found" in seen(app.reader)[-1])
        await pilot.press("escape")
        assert app.reader.sought == "" and app.reader.says == ""


async def test_a_key_on_a_page_that_is_still_to_come_is_meant_for_it() -> None:
    def slow() -> Iterator[str]:
        time.sleep(0.3)
        yield from lines(100)

    app = Shown(Document.of_text("the old page"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: top(app.reader) == "the old page")
        app.reader.show(Document([Block(text=slow())]))
        app.reader.action_last()
        await until(pilot, lambda: seen(app.reader)[-1] == "line 99 of it")


async def test_the_wheel_and_the_scrollbar_move_it() -> None:
    app = Shown(Document.of_text("".join(lines(30_000))))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: top(app.reader) == "line 0 of it")
        await pilot._post_mouse_events([events.MouseScrollDown], app.reader)
        assert top(app.reader) == "line 3 of it"
        app.reader.scroll_to(y=500, animate=False)
        await pilot.pause()
        assert top(app.reader) == "line 500 of it"


async def test_lines_that_are_not_broken_run_out_to_the_right() -> None:
    app = Shown(Document.of_text("漢" * 100 + "end\n" + "0123456789" * 30 + "\n" + "short\n" * 50))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: top(app.reader).startswith("漢"))
        await pilot.press("w")
        await pilot.pause()
        assert seen(app.reader)[2] == "short"
        for _ in range(40):
            await pilot.press("l")
        assert seen(app.reader)[1].endswith("789") and len(seen(app.reader)[1]) == 78
        await pilot.press("h", "h", "h")
        assert "end" in top(app.reader)
        app.reader.find("short")
        await until(pilot, lambda: marked(app.reader, here=True) == ["short"])
        await pilot.press("w")
        await pilot.pause()
        assert top(app.reader).startswith("漢")


async def test_a_fault_costs_the_page_and_not_the_deck() -> None:
    def faulty() -> Iterator[str]:
        yield "as far as this\n" * 1000
        raise AssertionError("never")

    app = Shown(Document([Block(text=faulty())]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "a fault of tapes: AssertionError: never" in seen(app.reader)[-1])
        await pilot.press("end")
        await until(pilot, lambda: app.document.done)
        app.reader.show(Document.of_text("the next page"))
        await until(pilot, lambda: top(app.reader) == "the next page")


async def test_the_scrollbar_knows_what_is_not_read_yet_and_can_be_pulled_there() -> None:
    size = sum(len(line) for line in lines(200_000))
    app = Shown(Document([Block("out", text=lines(200_000), size=size)]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: top(app.reader) == "── out")
        assert not app.document.done and 150_000 < app.reader.virtual_size.height < 250_000
        app.reader.scroll_to(y=app.reader.virtual_size.height // 2, animate=False)
        await until(pilot, lambda: top(app.reader).startswith("line "))
        assert not app.document.done and 0.4 < app.document.read / size < 0.7
        assert 60_000 < int(top(app.reader).split()[1]) < 140_000


def test_an_empty_document_is_shown() -> None:
    assert Reader()._layout.total == 0 and words(()) == ""
