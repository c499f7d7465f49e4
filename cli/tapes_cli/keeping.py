"""How long sessions are kept, and which are pinned: `retention.json` in the home directory.

Beside the archive and not in it, so that no rebuild loses it, and reading it opens nothing. Nothing acts on it but
`tapes archive gc` and `tapes forget`, when a person types them.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tapes.archive.place import sync_directory
from tapes.archive.redaction import Withholding
from tapes.errors import ArchiveError, UsageError
from tapes.record.digest import Digest
from tapes.values import dataclass, field

FILE = "retention.json"


@dataclass(slots=True)
class Keeping:
    days: int | None = None
    """Closed sessions older than this may be collected; None: all are kept."""
    pins: set[Digest] = field(default_factory=set)

    @classmethod
    def load(cls, home: Path) -> Self:
        """The policy; where nothing was said, everything is kept. ArchiveError for a file that is not ours: then
        nothing may be collected."""
        try:
            text = (home / FILE).read_text("utf-8")
        except FileNotFoundError:
            return cls()
        try:
            value = json.loads(text)
            days, pins = value["days"], {Digest.parse(pin) for pin in value["pins"]}
            if days is not None and (type(days) is not int or days < 1):
                raise ValueError("days")
        except (ValueError, KeyError, TypeError) as error:
            raise ArchiveError(f"{home / FILE} cannot be read: {error}", hint="mend it, or remove it") from error
        return cls(days, pins)

    def save(self, home: Path) -> None:
        """A crash leaves the old file or the new one. ArchiveError where it can not be written."""
        text = json.dumps({"days": self.days, "pins": sorted(pin.hex() for pin in self.pins)}, indent=1)
        fresh = home / (FILE + ".new")
        try:
            with open(fresh, "w", encoding="utf-8", opener=_private) as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(home / FILE)
        except OSError as error:
            raise ArchiveError(f"cannot write {home / FILE}: {error.strerror}") from error
        sync_directory(home)

    @classmethod
    @contextmanager
    def held(cls, home: Path) -> Iterator[Self]:
        """The policy, which nobody else can change meanwhile: of two pins that are set at once both hold."""
        handle = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield cls.load(home)
        finally:
            os.close(handle)

    def refuse_pinned(self, wanted: Iterable[Withholding]) -> None:
        """UsageError when something of a pinned session would go."""
        for withholding in wanted:
            if withholding and withholding.session in self.pins:
                short = withholding.session.short()
                raise UsageError(f"session {short} is pinned", hint=f"tapes archive unpin {short}")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
