"""One file's content, whole or not at all.

It is read by descriptor and compared with what `fstat` says before and after: a file that changed meanwhile is read
once more, and one that changed again is listed as `changing`. What is never read: more than the limit, what is named
like a secret, what is no regular file. A symlink is never followed; its target is its content.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass

from tapes_addons.worktree import stat
from tapes_addons.worktree.stat import Stat

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_QUIET = getattr(os, "O_NOATIME", 0)
_SECRET_NAME = re.compile(
    rb"\.env|\.env\..+|.+\.env|\.netrc|\.pgpass|\.pypirc|\.git-credentials|\.htpasswd|id_(rsa|dsa|ecdsa|ed25519)(_sk)?"
    rb"|.+\.(p12|pfx|jks|keystore|kdbx|ppk|key)",
    re.IGNORECASE,
)
_HARMLESS_NAME = re.compile(rb".*\.(example|sample|template|dist|defaults?)", re.IGNORECASE)
_PRIVATE_KEY = re.compile(rb"\s*(-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|PuTTY-User-Key-File-)")


@dataclass(frozen=True, slots=True)
class Content:
    stat: Stat
    data: bytes | None
    """Not yet redacted."""
    why: str = ""
    """Why there is no data (facts.why of a listing)."""
    torn: bool = False
    read_ns: int = 0
    """Wall clock before it was read."""


def is_secret_name(path: bytes) -> bool:
    """Is a file of this name withheld, whatever it holds?"""
    name = path.rpartition(b"/")[2]
    return bool(_SECRET_NAME.fullmatch(name)) and not _HARMLESS_NAME.fullmatch(name)


def read(full: bytes, seen: Stat, limit: int) -> Content:
    """What is there. OSError (mostly FileNotFoundError) when it is gone, or something else has taken its place."""
    if seen.is_link:
        return _link(full)
    if not seen.is_file:
        return Content(seen, None, "special")
    if is_secret_name(full):
        return Content(seen, None, "secret")
    if seen.size > limit:
        return Content(seen, None, "large")
    content = _once(full, limit)
    if content.why == "changing":
        content = _once(full, limit, torn=True)
    if content.data is not None and _PRIVATE_KEY.match(content.data):
        return Content(content.stat, None, "secret", content.torn, content.read_ns)
    return content


def _once(full: bytes, limit: int, *, torn: bool = False) -> Content:
    began = time.time_ns()
    try:
        handle = _open(full)
    except PermissionError:
        seen = stat.of(os.lstat(full))
        return Content(seen, None, "unreadable", torn, began)
    try:
        before = stat.of(os.fstat(handle))
        if not before.is_file:
            return Content(before, None, "special", torn, began)
        if before.size > limit:
            return Content(before, None, "large", torn, began)
        data = _all(handle, before.size)
        after = stat.of(os.fstat(handle))
    finally:
        os.close(handle)
    if before != after or len(data) != before.size:
        return Content(after, None, "changing", torn, began)
    return Content(after, data, "", torn, began)


def _open(full: bytes) -> int:
    try:
        return os.open(full, _FLAGS | _QUIET)
    except PermissionError:
        return os.open(full, _FLAGS)  # only its owner may read a file without leaving a time


def _all(handle: int, size: int) -> bytes:
    """Up to one byte more than there should be: a file that grew is noticed."""
    data = os.read(handle, size + 1)
    if len(data) > size or not data:
        return data
    parts = [data]
    left = size + 1 - len(data)
    while left > 0 and (more := os.read(handle, left)):
        parts.append(more)
        left -= len(more)
    return b"".join(parts)


def _link(full: bytes) -> Content:
    began = time.time_ns()
    target = os.readlink(full)  # noqa: PTH115 - a path of bytes
    seen = stat.of(os.lstat(full))
    if not seen.is_link:
        raise FileNotFoundError(full)
    return Content(seen, target, "", False, began)
