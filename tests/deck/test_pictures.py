"""Pictures are the same for the same screen, and say in words what has moved."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Static

from deck import pictures


class Sign(App[None]):
    def __init__(self, said: str) -> None:
        super().__init__()
        self.said = said

    def compose(self) -> ComposeResult:
        yield Static(f"first 日本 [i]third[/]\n[b]{self.said}[/]")


async def drawn(said: str) -> str:
    app = Sign(said)
    async with app.run_test(size=(30, 4)):
        return app.export_screenshot()


async def test_the_same_screen_is_the_same_picture_and_asks_for_no_font() -> None:
    once, again = await drawn("second"), await drawn("second")
    assert pictures.plain(once) == pictures.plain(again)
    assert "http" not in pictures.plain(once).replace('xmlns="http://www.w3.org/2000/svg"', "")


async def test_its_words_are_those_of_the_screen() -> None:
    assert pictures.words(pictures.plain(await drawn("second"))) == ["first 日本 third", "second"]


async def test_what_moved_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "PICTURES", tmp_path / "kept")
    monkeypatch.setenv(pictures.REWRITE, "1")
    pictures.compare(await drawn("second"), "sign", "a sign", tmp_path)
    monkeypatch.delenv(pictures.REWRITE)
    pictures.compare(await drawn("second"), "sign", "a sign", tmp_path)
    with pytest.raises(pytest.fail.Exception, match=r"(?s)to show: a sign.*\n-second\n\+fourth"):
        pictures.compare(await drawn("fourth"), "sign", "a sign", tmp_path)
    with pytest.raises(pytest.fail.Exception, match=r"not there yet"):
        pictures.compare(await drawn("fourth"), "other", "a sign", tmp_path)
    assert (tmp_path / "sign.svg").exists()


async def test_a_change_of_colour_alone_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pictures.REWRITE, raising=False)
    monkeypatch.setattr(pictures, "PICTURES", tmp_path)
    svg = pictures.plain(await drawn("second"))
    (tmp_path / "sign.svg").write_text(svg)
    with pytest.raises(pytest.fail.Exception, match="the words are the same"):
        pictures.compare(svg.replace("font-weight: bold", "font-weight: normal"), "sign", "a sign", tmp_path / "..")
