"""What two bodies share: their beginning, their end, and long stretches between that only moved.

An agent sends its whole history again, but not as one prefix: a checksum in the first lines changes with every
request, and the cache mark moves on from message to message. After a difference the next common stretch is found by
looking a few samples of the new body up in the old one. What is overlooked costs time, never correctness.
"""

from __future__ import annotations

from typing import NamedTuple

_STEP = 64 * 1024
_WORTHWHILE = 4096
_SAMPLE = 64
_SKIPS = (0, 64, 512, 4096, 32 * 1024)
_WINDOW = 128 * 1024
_MOST = 64
"""Stretches followed at most: two bodies with little in common are not worth comparing."""


class Block(NamedTuple):
    """`old[old_at : old_at + size] == new[new_at : new_at + size]`."""

    old_at: int
    new_at: int
    size: int


def common_blocks(old: bytes, new: bytes) -> list[Block]:
    """Stretches the two share, ascending in both and apart."""
    head, tail = common_ends(old, new)
    last = Block(len(old) - tail, len(new) - tail, tail)
    blocks = [Block(0, 0, head)]
    while len(blocks) < _MOST:
        found = _next(old, new, blocks[-1], last)
        if found is None:
            break
        blocks.append(found)
    return [block for block in (*blocks, last) if block.size]


def common_ends(old: bytes, new: bytes) -> tuple[int, int]:
    """Lengths of the longest common prefix and of the longest common suffix behind it."""
    most = min(len(old), len(new))
    head = _forward(old, new, 0, 0, most)
    return head, _backward(old, new, len(old), len(new), most - head)


def _next(old: bytes, new: bytes, before: Block, last: Block) -> Block | None:
    """The next stretch between two others that is long enough to be worth it."""
    old_from, new_from = before.old_at + before.size, before.new_at + before.size
    for skip in _SKIPS:
        at = new_from + skip
        sample = new[at : at + _SAMPLE]
        if at + _WORTHWHILE > last.new_at:
            return None
        found = old.find(sample, old_from, min(last.old_at, old_from + skip + _WINDOW))
        if found < 0:
            continue
        ahead = _forward(old, new, found, at, min(last.old_at - found, last.new_at - at))
        back = _backward(old, new, found, at, min(found - old_from, at - new_from))
        if ahead + back >= _WORTHWHILE:
            return Block(found - back, at - back, ahead + back)
    return None


def _forward(old: bytes, new: bytes, old_at: int, new_at: int, most: int) -> int:
    """How many bytes from there on are the same: doubling steps while they are, then halving ones."""
    # startswith and endswith compare at memcmp's speed and copy nothing; == of two views does not.
    view = memoryview(new)
    same, step = 0, 1024
    while same < most:
        size = min(step, most - same)
        if old.startswith(view[new_at + same : new_at + same + size], old_at + same):
            same, step = same + size, min(2 * step, _STEP)
        else:
            most, step = same + size - 1, max(1, size // 2)
    return same


def _backward(old: bytes, new: bytes, old_end: int, new_end: int, most: int) -> int:
    """How many bytes before there are the same."""
    view = memoryview(new)
    same, step = 0, 1024
    while same < most:
        size = min(step, most - same)
        if old.endswith(view[new_end - same - size : new_end - same], 0, old_end - same):
            same, step = same + size, min(2 * step, _STEP)
        else:
            most, step = same + size - 1, max(1, size // 2)
    return same
