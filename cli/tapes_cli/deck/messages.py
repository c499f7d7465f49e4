"""What the deck's workers tell its screens. Small, on one page; a newer one replaces an older one that still waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from tapes.record.digest import Digest

if TYPE_CHECKING:
    from tapes.session.view import View
    from tapes_cli.deck.model.comparing import Comparing, Face, Pair
    from tapes_cli.deck.model.file_list import FileList, Key, Look
    from tapes_cli.deck.model.file_pages import Versions
    from tapes_cli.deck.model.files import Files
    from tapes_cli.deck.model.styled import Line
    from tapes_cli.deck.model.tape import Told


class Latest(Message):
    """Of which only the last is of interest."""

    def can_replace(self, message: Message) -> bool:
        return type(message) is type(self)


@dataclass
class ShelfRead(Latest):
    """The sessions were read (again). `whole`: all of them."""

    whole: bool


@dataclass
class TapeRead(Latest):
    """A session was read: some of it, or all that there is now."""

    session: Digest
    whole: bool


@dataclass
class BreaksRead(Latest):
    """Where playing stops was found out anew. `error`: why it could not be."""

    error: str = ""


@dataclass
class Trouble(Message):
    """Something could not be read; said in place."""

    what: str
    hint: str = ""


@dataclass
class FilesListed(Latest):
    """The files at a step; None where they can not be listed, and what is in the way."""

    told: Told
    number: int
    look: Look
    files: Files | None
    listed: FileList | None
    trouble: Sequence[Line] = ()


@dataclass
class VersionsRead(Latest):
    """All versions of a file; None where they can not be told, and why."""

    key: Key
    versions: Versions | None
    trouble: Sequence[Line] = ()


@dataclass
class VersionsCounted(Latest):
    """What came and went in some of them is known by now."""

    versions: Versions


@dataclass
class ComparingAt(Latest):
    """How far two runs have been read."""

    text: str


@dataclass
class Compared(Latest):
    """Two runs were read and aligned; or can not be, and why."""

    of: View | None
    """The reading of the first one."""
    found: Comparing | None
    trouble: Sequence[Line] = ()


@dataclass
class FaceMade(Latest):
    """A face of a comparison; or why there is none."""

    of: Comparing
    face: Face
    pairs: Sequence[Pair]
    trouble: Sequence[Line] = ()
