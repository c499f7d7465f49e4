"""Derive bodies again without reading 4 GB for 10 MB: a session's bodies mostly begin as the body before them did.

The whole hash of a body is over all its bytes, and an agent's thousand requests repeat them a thousand times. But a
tree's leaves are named by what they hold. If two bodies begin with the same leaves, which were read and checked, then
they begin with the same bytes, and BLAKE3's state behind those bytes is the same. So a copy of that state is kept per
leaf, and the next body is hashed from where it differs. Nothing is taken on trust: each leaf was checked in this run.
"""

from __future__ import annotations

from collections import deque

from blake3 import blake3

from tapes.archive.base import Archive, Link
from tapes.errors import Damaged
from tapes.record.kinds import BodyRef
from tapes.values import dataclass, field

REMEMBERED = 4
"""Bodies whose states are kept: threads of one session take turns."""


@dataclass(slots=True, eq=False)
class _Walk:
    leaves: list[Link] = field(default_factory=list)
    states: list[blake3] = field(default_factory=list)
    """The hash's state behind each leaf; copied, never updated."""

    def common(self, leaves: list[Link]) -> int:
        pairs = zip(self.leaves, leaves, strict=False)
        return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(self.leaves), len(leaves)))


class BodyChecker:
    """Checks bodies of one archive. Counts what it read: `bytes` of bodies, each body once."""

    def __init__(self, archive: Archive) -> None:
        self.bytes = 0
        self._archive = archive
        self._whole: set[BodyRef] = set()
        self._walks: deque[_Walk] = deque(maxlen=REMEMBERED)

    def check(self, ref: BodyRef) -> None:
        """Damaged or NotFound when the body does not come out whole."""
        if ref in self._whole:
            return
        leaves = list(self._archive.leaves(ref))
        before = max(self._walks, key=lambda walk: walk.common(leaves), default=_Walk())
        common = before.common(leaves)
        walk = _Walk(leaves[:common], before.states[:common])
        state = walk.states[-1].copy() if common else blake3()
        for leaf in leaves[common:]:
            state.update(self._archive.leaf(leaf))
            walk.leaves.append(leaf)
            walk.states.append(state.copy())
        if state.digest() != ref.hash:
            raise Damaged(f"body {ref.hash.short()} does not match its hash", where=ref.hash.hex())
        if common:  # this body goes on where that one left off: it takes its place
            self._walks.remove(before)
        self._walks.append(walk)
        self._whole.add(ref)
        self.bytes += ref.length
