"""Regular expressions that are compiled when they are first used.

Half of what it takes to import a reader is to compile patterns, of which most sessions need a few.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any


class _Pattern:
    """Looks like what `re.compile` gives; ValueError (re.error) of a wrong pattern comes with its first use."""

    def __init__(self, pattern: str | bytes, flags: int = 0) -> None:
        self._told = (pattern, flags)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._compiled(), name)
        setattr(self, name, found)  # the next use comes here no more
        return found

    def _compiled(self) -> re.Pattern[Any]:
        told, flags = self._told
        return re.compile(told, flags)


if TYPE_CHECKING:
    pattern = re.compile
else:
    pattern = _Pattern
