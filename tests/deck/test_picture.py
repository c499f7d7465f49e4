"""A recorded screen is drawn as it was, in just so many columns, and nothing in it can drive a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult

from tapes.session.screen.vt import Screen
from tapes_cli.deck.model.shot import Shot
from tapes_cli.deck.widgets.picture import Picture, pieces


def shot(text: str, columns: int = 20, rows: int = 5) -> Shot:
    screen = Screen(columns, rows)
    screen.feed(text.encode())
    return Shot.of(screen)


class Frame(App[None]):
    """A picture alone."""

    def compose(self) -> ComposeResult:
        yield Picture()

    @property
    def picture(self) -> Picture:
        return self.query_one(Picture)


def drawn(app: Frame) -> list[str]:
    return [app.picture.render_line(y).text for y in range(app.picture.size.height)]


async def test_a_screen_is_shown_with_an_edge_where_it_ends() -> None:
    app = Frame()
    async with app.run_test(size=(12, 5)) as pilot:
        app.picture.show(shot("one\r\ntwo\x1b[?25l", 8, 3))
        await pilot.pause()
        assert drawn(app) == [
            "one     │   ",
            "two     │   ",
            "        │   ",
            "────────╯   ",
            "            ",
        ]
        assert app.picture.seen() == ""


async def test_of_a_larger_screen_the_cursors_row_is_seen_and_which_rows_are_is_said() -> None:
    app = Frame()
    async with app.run_test(size=(10, 4)) as pilot:
        app.picture.show(shot("\r\n".join(f"row {n}" for n in range(1, 10)), 30, 12))
        await pilot.pause()
        assert [line.strip() for line in drawn(app)] == ["row 6", "row 7", "row 8", "row 9"]
        assert app.picture.seen() == "rows 6–9 of 12, columns 1–10 of 30"


async def test_who_scrolled_away_from_the_cursor_is_left_there_and_else_it_is_followed() -> None:
    app = Frame()
    async with app.run_test(size=(10, 4)) as pilot:
        text = "\r\n".join(f"row {n}" for n in range(1, 10))
        app.picture.show(shot(text, 30, 12))
        await pilot.pause()
        app.picture.show(shot(text + "\r\nmore", 30, 12))
        await pilot.pause()
        assert app.picture.seen().startswith("rows 7–10 of 12")
        app.picture.scroll_to(y=0, animate=False)
        await pilot.pause()
        app.picture.show(shot(text + "\r\nmore\r\nmore", 30, 12))
        await pilot.pause()
        assert app.picture.seen().startswith("rows 1–4 of 12")


async def test_only_rows_that_differ_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Frame()
    async with app.run_test(size=(20, 5)) as pilot:
        app.picture.show(shot("one\r\ntwo\r\nthree\x1b[?25l"))
        await pilot.pause()
        asked: list[int] = []
        rendering = Picture.render_line
        monkeypatch.setattr(Picture, "render_line", lambda self, y: asked.append(y) or rendering(self, y))
        app.picture.show(shot("one\r\nTWO\r\nthree\x1b[?25l"))
        await pilot.pause()
        assert asked == [1]
        app.picture.show(shot("one\r\nTWO\r\nthree\x1b[?25h"))
        await pilot.pause()
        assert asked == [1, 2]


async def test_colours_and_attributes_are_those_of_the_cells() -> None:
    app = Frame()
    async with app.run_test(size=(40, 3)) as pilot:
        text = "\x1b[1;31mA\x1b[0;3;4;9;38;5;196mB\x1b[0;48;2;1;2;3mC\x1b[0;7mD\x1b[0;8mE\x1b[0;2mF\x1b[0mG\x1b[?25l"
        app.picture.show(shot(text, 40, 3))
        await pilot.pause()
        segments = {segment.text.strip(): segment.style for segment in app.picture.render_line(0)}
        assert "E" not in segments
        a, b, c, d, f, g = (segments[name] for name in "ABCDFG")
        assert a and a.bold and a.color and a.color.triplet == (0xCD, 0x31, 0x31)
        assert b and b.italic and b.underline and b.strike and b.color and b.color.triplet == (255, 0, 0)
        assert c and c.bgcolor and c.bgcolor.triplet == (1, 2, 3)
        assert d and d.reverse
        assert f and f.dim
        assert g and not (g.bold or g.reverse or g.dim)


async def test_the_sixteen_colours_are_the_terminals_own_under_a_theme_that_is() -> None:
    app = Frame(ansi_color=True)
    async with app.run_test(size=(20, 2)) as pilot:
        app.picture.show(shot("\x1b[31;42mA", 20, 2))
        await pilot.pause()
        style = next(iter(app.picture.render_line(0))).style
        assert style and style.color and style.bgcolor
        assert (style.color.number, style.bgcolor.number) == (1, 2)


async def test_without_colour_the_cursor_is_still_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Frame()
    async with app.run_test(size=(20, 2)) as pilot:
        app.picture.show(shot("\x1b[31mab\b", 20, 2))
        await pilot.pause()
        turned = [segment.text for segment in app.picture.render_line(0) if segment.style and segment.style.reverse]
        assert turned == ["b"]


def test_the_cursor_on_the_right_half_of_a_wide_character_turns_all_of_it() -> None:
    line = shot("漢字").lines[0]
    assert [(text, pen.flags) for text, pen in pieces(line, 20, 3)][:2] == [("漢", 0), ("字", 1 << 5)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("漢字x", "漢字x"),
        ("👨\u200d👩x", "👨👩x"),
        ("👍🏽x", "👍  x"),
        ("❤\ufe0fx", "❤x"),
        ("🇩🇪x", "🇩🇪x"),
        ("क\u093ex", "क\u093e x"),
        ("e\u0301x", "e\u0301x"),
        ("שלום x", "שלום x"),
        ("a\u202eb\u200fc", "abc"),
    ],
)
def test_what_terminals_may_join_takes_the_columns_that_it_was_given(text: str, shown: str) -> None:
    line = "".join(text for text, _ in pieces(shot(text).lines[0], 20))
    assert line.rstrip() == shown
    assert cell_len(line) == 20


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.integers(2, 12))
def test_whatever_was_printed_a_row_takes_just_its_columns_and_drives_nothing(text: str, columns: int) -> None:
    taken = shot(text, columns, 4)
    for y, row in enumerate(taken.lines):
        drawn = [text for text, _ in pieces(row, columns, taken.x if taken.y == y else -1)]
        assert sum(map(cell_len, drawn)) == columns
        assert not {unicodedata.category(char) for char in "".join(drawn)} & {"Cc", "Cf", "Zl", "Zp", "Cs"}


async def test_no_recording_is_an_empty_place() -> None:
    app = Frame()
    async with app.run_test(size=(10, 2)) as pilot:
        app.picture.show(shot("x", 5, 1))
        app.picture.show(None)
        await pilot.pause()
        assert drawn(app) == [" " * 10] * 2
