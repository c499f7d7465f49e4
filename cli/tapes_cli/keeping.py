"""How long sessions are kept, and which are pinned: `retention.json` in the home directory.

Nothing acts on it but `tapes archive gc` and `tapes forget`, when a person types them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tapes.archive.redaction import Withholding
from tapes.errors import ArchiveError, UsageError
from tapes.record.digest import Digest
from tapes.values import dataclass, field
from tapes_cli.beside import held, put

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
        put(home / FILE, text + "\n")

    @classmethod
    @contextmanager
    def held(cls, home: Path) -> Iterator[Self]:
        """The policy, which nobody else can change meanwhile: of two pins that are set at once both hold."""
        with held(home):
            yield cls.load(home)

    def refuse_pinned(self, wanted: Iterable[Withholding]) -> None:
        """UsageError when something of a pinned session would go."""
        for withholding in wanted:
            if withholding and withholding.session in self.pins:
                short = withholding.session.short()
                raise UsageError(f"session {short} is pinned", hint=f"tapes archive unpin {short}")
