"""The families of errors a caller may catch, named for the person who can do something about them.

Each carries, where there is one, a `hint`: the next thing to type or to look at. Only these reach a person as one
line; anything else is a defect and keeps its traceback.
"""

from __future__ import annotations


class TapesError(Exception):
    """An error that a person can act upon; `hint` says how."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(TapesError):
    """The caller asked for something that cannot be (a name already taken, a malformed hash)."""


class NotFound(TapesError):
    """Nothing here has that name or hash."""


class Withheld(NotFound):
    """It was here, and its content was destroyed on purpose; `by` is the hash of the record that says so."""

    def __init__(self, what: str, by: str) -> None:
        super().__init__(f"{what} is withheld by record {by[:12]}", hint=f"who, when and why: tapes cat {by[:12]}")
        self.by = by


class Ambiguous(NotFound):
    """A hash prefix that fits several; `candidates` are their full hex forms."""

    def __init__(self, message: str, candidates: tuple[str, ...], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.candidates = candidates


class ArchiveError(TapesError):
    """The archive's keeper must act: permissions, a foreign format, a full disk."""


class FormatError(ArchiveError):
    """Not an archive, or one of a format version this program does not read."""


class ArchiveFull(ArchiveError):
    """No room: the disk or the map is full. Nothing of the failed commit was kept; it may be tried again."""


class ArchiveInUse(ArchiveError):
    """Others have the archive open, and what was asked needs it alone; the message names them."""


class Damaged(TapesError):
    """Stored bytes do not re-hash to their name, or a link does not hold. `where` names the record or object."""

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.where = where
