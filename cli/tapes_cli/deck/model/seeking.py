"""Where a document says something: in what is shown of it, so that every hit can be pointed at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tapes_cli.deck.model.document import Document, Place
from tapes_cli.deck.model.styled import words
from tapes_cli.deck.model.wrapping import shown


class Hit(NamedTuple):
    """`around`: beyond the end, where seeking went on from the other one."""

    place: Place
    around: bool


def pattern(text: str) -> re.Pattern[str]:
    """Capital letters count if there are any."""
    return re.compile(re.escape(shown(text)), 0 if text != text.lower() else re.IGNORECASE)


def seek(document: Document, sought: re.Pattern[str], here: Place, step: int) -> Iterator[Hit | int]:
    """The next hit behind a place (1), or the last before it (-1), and no more. Meanwhile come the numbers of the parts
    that do not say it, so that whoever waits may stop. Reads on as far as it has to: backwards only from the beginning
    around."""
    begun = False
    for part in _parts(document, here.part, step):
        if part is not None:
            places = [Place(part, line, at) for line, at in _in(document, part, sought)]
            if not begun:
                begun = True
                places = [place for place in places if (place > here if step > 0 else place < here)]
            if places:
                found = places[0 if step > 0 else -1]
                yield Hit(found, found <= here if step > 0 else found >= here)
                return
        yield len(document.parts) if part is None else part


def _parts(document: Document, part: int, step: int) -> Iterator[int | None]:
    """From one on, around, and to that one again; those are read that are not yet."""
    if step < 0:
        yield from range(part, -1, -1)
        while document.more():
            yield None
        yield from range(len(document.parts) - 1, part - 1, -1)
        return
    at = part
    while at < len(document.parts) or not document.done:
        if at < len(document.parts):
            yield at
            at += 1
        else:
            document.more()
            yield None
    yield from range(min(part + 1, len(document.parts)))


def _in(document: Document, part: int, sought: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    one = document.parts[part]
    if not one.styled and _is_plain(one.text) and sought.search(one.text) is None:
        return  # which is most of what is long, and four times as quick as to look at each line
    for number, line in enumerate(one.lines()):
        for hit in sought.finditer(words(line)):
            yield number, hit.start()


def _is_plain(text: str) -> bool:
    """Is it shown just as it is?"""
    return text.replace("\n", "").isprintable()
