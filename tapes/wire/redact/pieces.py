"""Redaction of what a command or a terminal writes, piece by piece; each piece keeps its place in the order of things.

It is searched twice: as it is, like any body, and in the plain view (plain.py), where a secret is found that is broken
up by colours, cursor moves, backspaces or the ends of lines. In that view all lines are one, so what it shows of a key
of open-ended length is taken only as far as it surely is one: the word on the next line is mostly nobody's key.

Nothing is held back but what may still become a secret, and what has not gathered yet (`due` asks for it). What comes
out does not depend on how the pieces were cut.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from tapes.wire.markers import marker
from tapes.wire.redact.blocks import RULE as BLOCK
from tapes.wire.redact.fragments import more_of_it
from tapes.wire.redact.horizon import horizon, pending
from tapes.wire.redact.literals import LITERAL_NAMES
from tapes.wire.redact.plain import MARGIN, Plain, cut_short, lines_of
from tapes.wire.redact.redactor import Redactor
from tapes.wire.redact.scan import RULES, long_keys
from tapes.wire.redact.shapes import LONGEST, LOOKBACK, Hit
from tapes.wire.redact.weave import Cut, joined

GATHER = 64 * 1024
_CLOSE = 4096
"""A secret that is broken up is found when this many plain bytes hold it."""
_CONTEXT = 2048
_LINES = 64
"""Of a key that is broken up into more, its first lines must be one already."""
_NAME_GOES_ON = (b"=", b":", b"(", b"/", b".")


class Released[T](NamedTuple):
    """Bytes that may be stored, of the piece `tag`. With a `rule` they are the marker of what was taken out."""

    tag: T
    data: bytes
    rule: str = ""


class PieceRedactor[T]:
    """One stream's redaction. Not to be shared between threads."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._fresh: list[bytes] = []
        self._waiting = 0
        self._pieces: deque[tuple[T, int]] = deque()
        """Of what is held: tag and length."""
        self._buffer = b""
        """What rules may still look back at, then what is held."""
        self._done = 0
        self._before = b""
        """The plain view's lines before what is held."""
        self._open_rule = ""
        """The rule of a secret too long to hold back: it was taken out to the end of the bytes and may still go on."""

    @property
    def held(self) -> T | None:
        """The tag of the first byte that is held back."""
        return self._pieces[0][0] if self._pieces else None

    def feed(self, tag: T, data: bytes) -> list[Released[T]]:
        """Take a piece in; what is final now, once enough has gathered."""
        if not data:
            return []
        self._pieces.append((tag, len(data)))
        self._fresh.append(data)
        self._waiting += len(data)
        return self.due() if self._waiting >= GATHER else []

    def due(self) -> list[Released[T]]:
        """All that is final now."""
        return self._release(last=False)

    def finish(self) -> list[Released[T]]:
        """The rest, when nothing more will come."""
        return self._release(last=True)

    def _release(self, *, last: bool) -> list[Released[T]]:
        told = self._take_in()
        raw, done = self._buffer, self._done
        if done == len(raw):
            return []
        plain, ready = self._plain(last=last)
        limit = len(raw) if last else min(self._limit(raw), done + ready)
        split, ready = self._split(plain, last=last)
        limit = max(min(limit, done + ready), *(cut.end for cut in told), done)
        found = self._redactor.cuts(raw, self._redactor.scan(raw, done, limit))
        split = [cut._replace(start=cut.start + done, end=cut.end + done) for cut in split]
        pieces = joined(sorted([*told, *found, *(cut for cut in split if cut.start < limit)]))
        pieces = [piece._replace(start=max(piece.start, done)) for piece in pieces if piece.end > done]
        if pieces and pieces[-1].end > limit and not last:
            # What was found is sure, but something still to come may overlap it.
            if len(raw) - pieces[-1].start < 2 * LONGEST:
                limit = max(done, pieces.pop().start)
            else:
                limit = pieces[-1].end
                self._open_rule = pieces[-1].rule if limit == len(raw) else ""
        return list(self._give(limit, pieces, plain))

    def _take_in(self) -> list[Cut]:
        """Append what has gathered; the cut that removes what still belongs to an open secret."""
        fresh, self._fresh, self._waiting = b"".join(self._fresh), [], 0
        start, told = len(self._buffer), []
        if self._open_rule:
            size = more_of_it(fresh)
            told.append(Cut(start, start + size, self._open_rule, b""))
            self._open_rule = self._open_rule if size == len(fresh) else ""
        self._buffer += fresh
        return told

    def _limit(self, raw: bytes) -> int:
        """How far the bytes as they are can be judged."""
        sure = max(self._done, horizon(raw, len(raw), self._redactor.values))
        return sure if len(raw) - sure > _CLOSE else max(sure, pending(raw, self._redactor.values))

    def _plain(self, *, last: bool) -> tuple[Plain, int]:
        """The plain view of what is held, and how much of it is whole."""
        raw = self._buffer[self._done :]
        ready = len(raw) if last else cut_short(raw)
        return Plain.of(self._before, raw[:ready]), ready

    def _split(self, plain: Plain, *, last: bool) -> tuple[list[Cut], int]:
        """The cuts, by place in what is held, of secrets that something breaks up; and how far this was judged."""
        text, values = plain.text, self._redactor.values
        base = max(0, len(text) - _CLOSE - LOOKBACK)
        tail = text[base:].rstrip(MARGIN)  # blanks may be a margin yet: they end no word
        near = len(tail) if last else pending(tail, values)
        upto = len(text) if near == len(tail) else base + near
        hits: list[Hit] = []
        if plain.is_dressed:
            hits = self._redactor.scan(text, plain.start, upto)
        elif not plain.is_as_written:
            hits += [hit for value in values for hit in value.hits(text, plain.start, upto)]
            hits += long_keys(text, plain.start, upto)
        limit = plain.place(upto) if upto < len(text) else len(plain.raw)
        within: list[Cut] = []
        # Also where a sequence stood right before: it may end in a letter, and what follows begins a word.
        if plain.is_dressed or b"\x1b" in self._buffer[: self._done] or b"\x08" in self._buffer[: self._done]:
            within, line_limit = self._split_in_lines(plain, last=last)
            limit = min(limit, line_limit)
        if not hits:
            return within, limit
        at, line = plain.places()
        sure = [found for hit in sorted(hits) if (found := self._surely(text, hit, line))]
        cuts = self._redactor.cuts(text, sure)
        told = [Cut(at[cut.start], at[cut.end - 1] + 1, cut.rule, marker(cut.rule)) for cut in cuts]
        return [*within, *(cut for cut in told if cut.end > 0)], limit

    def _split_in_lines(self, plain: Plain, *, last: bool) -> tuple[list[Cut], int]:
        """The same of what stands in one line each: beside the next line's word a key may not look like one."""
        lines, values = plain.lines, self._redactor.values
        base = max(0, len(lines) - _CLOSE - LOOKBACK)
        upto = len(lines) if last else base + pending(lines[base:], values)
        limit = plain.line_place(upto) if upto < len(lines) else len(plain.raw)
        hits = self._redactor.scan(lines, 0 if b"\x08" in plain.raw else len(plain.before), upto)
        if not hits:
            return [], limit
        _, at = plain.line_places()
        cuts = self._redactor.cuts(lines, hits)
        told = [Cut(at[cut.start], at[cut.end - 1] + 1, cut.rule, marker(cut.rule)) for cut in cuts]
        return [cut for cut in told if cut.end > 0], limit

    def _surely(self, text: bytes, hit: Hit, line: list[int]) -> Hit | None:
        """As much of a hit in the plain view as is no neighbour of another line; None where it is all of that."""
        if hit.rule not in RULES or (hit.rule == BLOCK and text.rfind(b"-----END", hit.start, hit.end) > hit.start):
            return hit  # a value that is known is one wherever it stands
        ends = [at for at in range(hit.start + 1, hit.end) if line[at] != line[at - 1]]
        if hit.rule in LITERAL_NAMES and hit.start and line[hit.start] != line[hit.start - 1]:
            return None  # `Password:`, and the next line's first word
        if not ends:
            return hit
        ends.append(hit.end)
        enough = next((n for n, end in enumerate(ends[:_LINES]) if self._is_whole(text[:end], hit)), None)
        if enough is None:
            return None
        while enough + 1 < len(ends) and _looks_like_more(text, ends[enough], ends[enough + 1]):
            enough += 1
        return hit._replace(end=ends[enough])

    def _is_whole(self, text: bytes, hit: Hit) -> bool:
        found = self._redactor.scan(text, hit.origin, hit.origin + 1)
        return any(other.rule == hit.rule and other.end == len(text) for other in found)

    def _give(self, limit: int, cuts: list[Cut], plain: Plain) -> Iterator[Released[T]]:
        """Hand out what stands before `limit`, by pieces, and forget it."""
        raw, at = self._buffer, self._done
        for cut in cuts:
            if cut.start >= limit:
                break
            yield from self._kept(raw[at : cut.start])
            if cut.text:
                yield Released(self._pieces[0][0], cut.text, cut.rule)
            at = min(cut.end, limit)
            for _ in self._kept(raw[cut.start : at]):
                pass
        yield from self._kept(raw[at:limit])
        given = raw[self._done : limit]
        lines = plain.lines if len(given) == len(plain.raw) else lines_of(self._before, given)
        self._before = lines[-_CONTEXT:]
        self._forget(limit)

    def _kept(self, data: bytes) -> Iterator[Released[T]]:
        """`data`, the first that is held, by its pieces."""
        at = 0
        while at < len(data):
            tag, size = self._pieces.popleft()
            took = min(size, len(data) - at)
            if took < size:
                self._pieces.appendleft((tag, size - took))
            yield Released(tag, data[at : at + took])
            at += took

    def _forget(self, done: int) -> None:
        keep = max(0, done - LOOKBACK)
        if any(value.numeric for value in self._redactor.values):
            # Whether a number stands bare, its whole line tells.
            keep = max(self._buffer.rfind(b"\n", 0, keep) + 1, keep - LONGEST)
        self._buffer = self._buffer[keep:]
        self._done = done - keep


def _looks_like_more(text: bytes, lo: int, hi: int) -> bool:
    """Is the next line's beginning rather a key's rest than a word? A rest of few characters gives nothing away."""
    word = text[lo:hi]
    if text[hi : hi + 1] in _NAME_GOES_ON or not re.search(rb"[0-9]", word):
        return False
    mixed = len(word) >= 8 and re.search(rb"[a-z]", word) and re.search(rb"[A-Z]", word)
    return bool(mixed or re.fullmatch(rb"[0-9a-f]{12,}", word))
