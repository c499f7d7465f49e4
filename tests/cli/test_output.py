"""What reaches the screen can not drive it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes_cli import output


@given(st.text())
def test_no_text_keeps_a_control_or_a_reordering_character(text: str) -> None:
    shown = output.harmless(text)
    assert all(c.isprintable() or c == " " for c in shown)
    assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\x07b\x7f", "a␇b␡"),
        ("abc\u202edef", "abc\\u202edef"),
        ("a\x9b31mb", "a\\u009b31mb"),
        ("one\ntwo\tthree", "one⏎two three"),
        ("é 漢字 🙂", "é 漢字 🙂"),
    ],
)
def test_what_is_harmful_is_made_visible_and_the_rest_is_left(text: str, shown: str) -> None:
    assert output.harmless(text) == shown


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.integers(1, 60))
def test_a_fitted_text_is_never_wider_than_it_may_be(text: str, columns: int) -> None:
    assert output.cell_width(output.fit(output.harmless(text), columns)) <= columns


def test_json_is_one_ascii_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_json({"text": "\x1b[2J é\n", "hash": b"\x00" * 32})
    line = capsys.readouterr().out
    assert line.isascii()
    assert line.count("\n") == 1
    assert json.loads(line) == {"text": "\x1b[2J é\n", "hash": "00" * 32}


def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = output.table([("a" * 10, "漢字" * 50, "c")], ("first", "second", "third"), stretch=1)
    assert all(output.cell_width(line) <= 60 for line in lines)
    assert "…" in lines[1]
