"""What the names of styles look like: colours of the app's theme, and something that is seen without any colour."""

from __future__ import annotations

from functools import cache
from typing import Any

from rich.style import Style
from textual.app import App
from textual.strip import Strip

from tapes_cli.deck.model.styled import Line

_ATTRIBUTES = {
    "bold": Style(bold=True),
    "dim": Style(dim=True),
    "italic": Style(italic=True),
    "underline": Style(underline=True),
    "reverse": Style(reverse=True),
    "strike": Style(strike=True),
}
_COLOURS = {
    "error": "text-error",
    "ok": "text-success",
    "warn": "text-warning",
    "accent": "text-accent",
    "prompt": "text-primary",
    "answer": "text-success",
    "tool": "text-warning",
    "command": "foreground",
    "note": "text-accent",
    "seam": "text-secondary",
}
"""By the variables of a Textual theme that are made to be read as text."""
_MORE = {"prompt": Style(bold=True), "error": Style(bold=True), "note": Style(italic=True)}
"""What a style has beside its colour."""
_UNSEEN = {"match": Style(reverse=True)}
STYLES = frozenset({*_ATTRIBUTES, *_COLOURS, *_UNSEEN})


def style_of(app: App[Any], name: str) -> Style:
    """The style of a name, or of several with blanks between them. KeyError for one that there is not."""
    if not name:
        return Style.null()
    return _style(name, tuple(app.theme_variables[variable] for variable in _COLOURS.values()))


@cache
def _style(name: str, colours: tuple[str, ...]) -> Style:
    found = Style.null()
    for one in name.split():
        if one in _COLOURS:
            found += Style(color=colours[list(_COLOURS).index(one)]) + _MORE.get(one, Style.null())
        else:
            found += _ATTRIBUTES.get(one) or _UNSEEN[one]
    return found


def strip_of(app: App[Any], line: Line, base: Style, columns: int) -> Strip:
    """A line as Textual draws it, on a background, in just so many columns."""
    from rich.segment import Segment

    strip = Strip([Segment(text, base + style_of(app, style)) for text, style in line])
    return strip.adjust_cell_length(columns, base)
