"""Which parts of a root were stored as what, so that the next session need not read 50,000 files to say it again.

A part is known by what `lstat` says of each of its files, their inodes and change times among it; it leads to the two
bodies of that part, by name. So the cache holds no content and no name of a file, only hashes; forgetting deletes it.
What was read so soon after a change that it may have changed again is not in it. It is good for the same secrets only:
what is one now may stand in a file that was stored as it is. They are told apart by a digest that is expensive to try
(scrypt, salted). Losing it costs a reading of all files.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tapes import __version__
from tapes.errors import Damaged
from tapes.record import canon
from tapes.record.digest import blob_digest
from tapes.record.kinds import BodyRef
from tapes_addons.worktree.stat import Stat

_FORM = 1
_MOST = 64 * 1024 * 1024

type _Part = tuple[BodyRef, BodyRef | None]


class Cache:
    """Of one root."""

    def __init__(self, folder: Path, root: bytes, secrets: Iterable[bytes], rules: str) -> None:
        # A file in the folder that forgetting empties (tapes/session/screen/keyframes.py).
        self._path = folder / f"worktree-{blob_digest(root).hex()[:32]}"
        self._old: dict[str, _Part] = {}
        self._new: dict[str, _Part] = {}
        held = _read(self._path)
        self._salt = held["salt"] if isinstance(held.get("salt"), bytes) else os.urandom(16)
        self._made_with = _fingerprint(secrets, rules, self._salt)
        if held.get("form") == _FORM and held.get("made_with") == self._made_with:
            self._old = dict(_parts(held.get("parts")))

    @staticmethod
    def key(rows: Iterable[tuple[bytes, Stat, str]]) -> str:
        """Of a part: each path, what it looks like, and why it is not read."""
        return blob_digest(canon.encode([[path, *seen, why] for path, seen, why in rows])).hex()

    def find(self, key: str) -> _Part | None:
        return self._old.get(key)

    def keep(self, key: str, listing: BodyRef, content: BodyRef | None) -> None:
        self._new[key] = (listing, content)

    def save(self, *, complete: bool) -> None:
        """Write it anew; with what was known before where not everything has been looked at. A cache that can not be
        written is none."""
        parts = self._new if complete else self._old | self._new
        data = canon.encode(
            {
                "form": _FORM,
                "salt": self._salt,
                "made_with": self._made_with,
                "parts": {key: [ref.to_value() if ref else None for ref in part] for key, part in parts.items()},
            }
        )
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            aside = self._path.with_suffix(f".{os.getpid()}")
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            aside.replace(self._path)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with open(path, "rb") as file:
            value = canon.decode(file.read(_MOST))
    except (OSError, Damaged):
        return {}
    return value if isinstance(value, Mapping) else {}


def _parts(value: object) -> Iterable[tuple[str, _Part]]:
    if not isinstance(value, Mapping):
        return
    for key, refs in value.items():
        listing = BodyRef.match(refs[0])
        if listing is not None:
            yield key, (listing, BodyRef.match(refs[1]))


def _fingerprint(secrets: Iterable[bytes], rules: str, salt: bytes) -> bytes:
    told = b"\0".join([__version__.encode(), rules.encode(), *sorted(set(secrets))])
    return hashlib.scrypt(told, salt=salt, n=2**14, r=8, p=1, dklen=32)
