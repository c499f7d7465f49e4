"""A part of a page; what is told where something can not be read."""

from __future__ import annotations

from collections.abc import Iterable

from tapes.errors import TapesError
from tapes.values import dataclass
from tapes_cli.deck.model.styled import Line, styled


@dataclass(frozen=True, slots=True)
class Section:
    """`lines` are read as they are asked for."""

    title: str
    lines: Iterable[Line]
    failed: bool = False


def trouble(error: TapesError) -> list[Line]:
    """What is in the way, in the words that the commands use."""
    return [styled(str(error), "error"), *([styled(error.hint, "dim")] if error.hint else [])]
