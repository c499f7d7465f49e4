"""What is told where something can not be read."""

from __future__ import annotations

from tapes.errors import TapesError
from tapes_cli.deck.model.styled import Line, styled


def trouble(error: TapesError) -> list[Line]:
    """In the words that the commands use."""
    return [styled(str(error), "error"), *([styled(error.hint, "dim")] if error.hint else [])]
