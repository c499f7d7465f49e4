"""What the deck's workers tell its screens. Small, on one page; a newer one replaces an older one that still waits."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from tapes.record.digest import Digest


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
class Trouble(Message):
    """Something could not be read; said in place."""

    what: str
    hint: str = ""
