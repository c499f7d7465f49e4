"""A part of a page."""

from __future__ import annotations

from collections.abc import Iterable

from tapes.values import dataclass
from tapes_cli.deck.model.styled import Line


@dataclass(frozen=True, slots=True)
class Section:
    """`lines` are read as they are asked for."""

    title: str
    lines: Iterable[Line]
    failed: bool = False
