"""Screens as they were at some records, so that going to a time need not begin at the beginning.

Derived and never hashed: it may be lost at any time, and is then made again on the way. A keyframe is the terminal's
whole state behind a `terminal` record, named by that record's hash; as a record's hash vouches for all before it, the
name says everything that led to it, and a session that is still recorded only adds more. They hold what was on the
screen: who destroys a session's content must remove them (`forget_all`), and of a session of which anything is, or is
to be, withheld they are neither read nor kept.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from itertools import accumulate
from pathlib import Path
from typing import Any

from tapes.errors import Damaged
from tapes.record import canon
from tapes.record.digest import Digest
from tapes.session.screen.tape import Tape
from tapes.session.screen.vt import ENGINE, MOST_COLUMNS, MOST_ROWS, Screen

EVERY = 256 * 1024
"""Bytes of the terminal between two."""
_MOST = 64 * MOST_COLUMNS * MOST_ROWS
"""A state unpacked is never larger."""


class Keyframes:
    """Of one recording. `folder` None keeps them in memory only."""

    def __init__(self, tape: Tape, folder: Path | None = None) -> None:
        self.grow(tape)
        self._packed: dict[Digest, bytes] = {}
        self._news = False
        self._path = folder / f"{tape.session.hex()}.{ENGINE}" if folder and not tape.redacted else None
        if self._path:
            self._packed = _read(self._path)

    def grow(self, tape: Tape) -> None:
        """The recording has gone on."""
        self._tape = tape
        self._places = {part.hash: index for index, part in enumerate(tape.parts)}
        self._ends = list(accumulate(part.length for part in tape.parts))

    def before(self, at_ns: int) -> tuple[int, Screen]:
        """The latest known screen not after a time, and the number of the part that comes next."""
        parts = self._tape.parts
        found = [(place, hash_) for hash_ in self._packed if (place := self._places.get(hash_)) is not None]
        for place, hash_ in sorted(found, reverse=True):
            if place + 1 < len(parts) and parts[place + 1].at_ns <= at_ns:
                screen = _unpack(self._packed[hash_])
                if screen is not None:
                    return place + 1, screen
                del self._packed[hash_]
        return 0, Screen(*self._tape.size)

    def passed(self, place: int, screen: Screen) -> None:
        """Tell the screen behind a part; it is kept where enough has been read since the last one."""
        part = self._tape.parts[place]
        end = self._ends[place]
        if part.hash not in self._packed and end // EVERY != (end - part.length) // EVERY:
            self._packed[part.hash] = zlib.compress(canon.encode(screen.state()), 1)
            self._news = True

    def save(self) -> None:
        """Keep them for the next time. A disk that is full or may not be written to is no reason to complain."""
        if not self._path or not self._news or self._tape.redacted_since():
            return
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with open(handle, "wb") as file:
                file.write(canon.encode({hash_.hex(): packed for hash_, packed in self._packed.items()}))
            fresh.replace(self._path)
            self._news = False


def forget_all(folder: Path) -> None:
    """Remove every keyframe of every session. They will be made again where they still can be."""
    if folder.is_dir() and not folder.is_symlink():
        for path in folder.iterdir():
            path.unlink()


def _read(path: Path) -> dict[Digest, bytes]:
    """What is there, if it is what we write; else nothing, and it will be written anew."""
    try:
        value: Any = canon.decode(path.read_bytes())
        return {Digest(bytes.fromhex(name)): bytes(packed) for name, packed in value.items()}
    except (OSError, Damaged, ValueError, TypeError, AttributeError):
        return {}


def _unpack(packed: bytes) -> Screen | None:
    try:
        state: Any = canon.decode(zlib.decompressobj().decompress(packed, _MOST))
        return Screen.of_state(state)
    except (zlib.error, Damaged, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None
