"""The small values redaction passes around.

A `Hit` is what a rule saw in raw bytes; a `Span` is what stands in the output in its place. Hits are found
independently of each other and of where the search began, so a part of a body may be searched again and the rest
remembered; only weaving (weave.py) joins those that overlap.
"""

from __future__ import annotations

from typing import NamedTuple

from tapes.values import dataclass

LOOKBACK = 512
"""No rule looks further back than this from where its hit starts (private-key blocks count from their BEGIN)."""
LONGEST = 64 * 1024
"""Nothing is held back, and no unbroken run of characters is followed, for more bytes than this."""


class Hit(NamedTuple):
    """Raw bytes `[start, end)` are secret; `origin` ≤ start is where the finding rule began to look."""

    origin: int
    start: int
    end: int
    rule: str

    def moved(self, by: int) -> Hit:
        """The same hit in a text in which it stands `by` bytes further on."""
        return Hit(self.origin + by, self.start + by, self.end + by, self.rule)


@dataclass(frozen=True, slots=True)
class Span:
    """A marker in the output: `length` bytes at `offset`; 0 long where a fragment was only taken away."""

    offset: int
    length: int
    rule: str


@dataclass(frozen=True, slots=True)
class Redacted:
    """Bytes that may be stored, and the spans in them that stand for secrets."""

    data: bytes
    spans: tuple[Span, ...] = ()
