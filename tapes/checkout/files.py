"""The files of a working directory at a step: what is known of each, and where that is known from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from tapes.values import dataclass, field

type Known = Literal["known", "partial", "unknown"]


@dataclass(frozen=True, slots=True)
class File:
    """One path. `known`: its content at the step, byte for byte, as far as the source says; `partial`: some content
    stands for it, `why` says what is doubtful; `unknown`: there is or was such a file, and no content."""

    path: bytes
    """Below `files/`, `/` between names. Not to be trusted."""
    known: Known
    kind: str = "file"
    """`file`, `link`, `dir`, or `other` (a device, a pipe), which is never made."""
    mode: int = 0o644
    mtime_ns: int = 0
    read: Callable[[], bytes] | None = None
    """Its content, of a link its target; checked as it is read: raises Damaged, Withheld or NotFound."""
    why: str = ""
    hash: str = ""
    """BLAKE3 of what `read` gives, where that has been checked by then."""


@dataclass(frozen=True, slots=True)
class Files:
    """All of them, and what is to be said about all."""

    source: str
    """`snapshot`, or `replay` of what the agent read, wrote and edited."""
    root: bytes
    files: tuple[File, ...] = ()
    doubts: tuple[str, ...] = field(default=())
    head: str = ""
    """Git's commit then, where it is known."""
    branch: str = ""
