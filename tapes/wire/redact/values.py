"""One known secret, sought in every form in which text carries it.

Escaping leaves letters, digits and `_.~-` alone. So the longest stretch of those in a secret is the same in the raw
text, in JSON escaped any number of times and in a URL: it is searched for literally, and only where it stands are the
bytes around it compared, each special character in all its spellings at once. Base64 and hexadecimal share nothing
with the raw bytes and are further literals; of base64 the part that does not depend on the neighbours, for each of
the three ways the secret can lie in the encoded bytes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import quote

from tapes.values import dataclass
from tapes.wire.redact.shapes import LONGEST, Hit

SHORTEST = 8
_CHUNK = 4096
_SHORTEST_CORE = 12
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
_NUMERIC = re.compile(rb"[-+0-9.eE]+")
_UNIT = re.compile(r"(\\*)([^\\]|\Z)", re.DOTALL)
_SHORT_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f", "\x1b": "e"}


@dataclass(frozen=True, slots=True)
class Exact:
    """A secret ready to be sought: `before` and `after` match what stands around `anchor`, each in any spelling."""

    rule: str
    source: bytes
    """The whole secret; `value` is the piece of it sought here."""
    value: bytes
    opening: bytes
    """What it begins with in every spelling, up to its first special character."""
    anchor: bytes
    before: re.Pattern[bytes]
    after: re.Pattern[bytes]
    encoded: tuple[bytes, ...]
    reach: int
    """No spelling is longer than this."""
    breaks: bool
    """It holds blanks, quotes or the like, at which a search for the start of a token would stop."""
    numeric: bool

    def hits(self, data: bytes, lo: int, hi: int) -> Iterator[Hit]:
        """Every place in `data` with its start in `[lo, hi)`; overlapping places come as one."""
        yield from self._spelled(data, lo, hi)
        for core in self.encoded:
            yield from _joined(_encoded(data, core, lo, hi), self.rule)

    def may_begin(self, data: bytes, place: int) -> bool:
        """Whether a spelling could begin at or behind `place` and go on behind the end of `data`."""
        tail = data[max(place, len(data) - self.reach) :]
        if self.opening == self.value:
            return any(_begins(tail, form) for form in (self.value, *self.encoded))
        first = (self.opening[:1], b"") if self.opening else (self.value[:1], b"\\", b"%", b"+")
        return any(byte and byte in tail for byte in first) or any(_begins(tail, form) for form in self.encoded)

    def _spelled(self, data: bytes, lo: int, hi: int) -> Iterator[Hit]:
        if len(self.anchor) == len(self.value):
            yield from _joined(_literal(data, self.anchor, lo, hi), self.rule)
        else:
            yield from _joined(self._around(data, lo, hi), self.rule)

    def _around(self, data: bytes, lo: int, hi: int) -> Iterator[tuple[int, int]]:
        if not self.anchor:
            yield from self._anywhere(data, lo, hi)
            return
        for at, _ in _literal(data, self.anchor, lo, hi + self.reach):
            start = self.before.search(data, max(0, at - self.reach), at)
            end = self.after.match(data, at + len(self.anchor)) if start else None
            if start and end and lo <= start.start() < hi:
                yield start.start(), end.end()

    def _anywhere(self, data: bytes, lo: int, hi: int) -> Iterator[tuple[int, int]]:
        """A secret without one plain character has no anchor; `after` spells all of it."""
        found = self.after.search(data, lo, hi + self.reach)
        while found and found.start() < hi:
            yield found.span()
            found = self.after.search(data, found.start() + 1, hi + self.reach)


def exact_values(rule: str, value: bytes, *, encoded: bool = True) -> tuple[Exact, ...]:
    """`value` ready to be sought; a very long one in pieces, one under 8 bytes not at all.

    `encoded=False` leaves base64 and hexadecimal out: for values that are many and change often, as cookies do.
    """
    pieces = [value[at : at + _CHUNK] for at in range(0, len(value), _CHUNK)]
    return tuple(_exact(rule, value, piece, encoded) for piece in pieces if len(piece) >= SHORTEST)


def _exact(rule: str, source: bytes, value: bytes, encoded: bool) -> Exact:
    text = value.decode("utf-8", "surrogateescape")
    plain = max(_PLAIN.finditer(text), key=lambda found: found.end() - found.start(), default=None)
    opening = _PLAIN.match(text)
    start, end = plain.span() if plain else (0, 0)
    before, after = _spelling(text[:start], last=False), _spelling(text[end:], last=True)
    forms = (*_base64_cores(value), *_hexadecimal(value)) if encoded else ()
    return Exact(
        rule,
        source,
        value,
        opening[0].encode() if opening else b"",
        text[start:end].encode(),
        re.compile(before + rb"\Z"),
        re.compile(after),
        tuple(dict.fromkeys(forms)),
        min(LONGEST, len(value) + 40 * (len(text) - end + start)),
        bool(re.search(rb"[\s\"]", value)),
        bool(_NUMERIC.fullmatch(value)),
    )


def _spelling(text: str, *, last: bool) -> bytes:
    """An expression for `text` in all its spellings; `last` when nothing of the secret stands behind it.

    Each run of backslashes belongs to one quantifier, so that a text of many backslashes is not tried in many ways.
    """
    units = (found.groups() for found in _UNIT.finditer(text) if found[0])
    return b"".join(_unit(len(slashes), char) if char else _ending(len(slashes), last) for slashes, char in units)


def _ending(slashes: int, last: bool) -> bytes:
    quoted = rb"(?:%%(?:25){0,3}5[cC]){%d}" % slashes
    if not last:
        return rb"(?:\\{%d,%d}|%s)" % (slashes, 8 * slashes, quoted)
    # Only whole pairs are taken: an odd backslash escapes whatever follows the secret, and has to stay.
    return rb"(?:(?:\\\\){1,%d}|(?=\\)|%s)" % (4 * slashes, quoted)


def _unit(slashes: int, char: str) -> bytes:
    """`slashes` backslashes and the character behind them; a backslash doubles with each of up to three escapings."""
    most = 8 * slashes
    quoted = b"".join(rb"%%(?:25){0,3}(?i:%02x)" % byte for byte in char.encode("utf-8", "surrogateescape"))
    lead = rb"(?:%%(?:25){0,3}5[cC]){%d}" % slashes if slashes else b""
    if _PLAIN.fullmatch(char):
        return (rb"(?:\\{%d,%d}|%s)" % (slashes, most, lead) if slashes else b"") + re.escape(char).encode()
    forms = [lead + quoted, rb"\\{%d,%d}%s" % (slashes, most + 15, _raw(char))]
    forms += [lead + _raw(char)] if lead else []  # a URL keeps some special characters as they are
    forms += [rb"\\{%d,%d}%s" % (slashes + 1, most + 15, escape) for escape in _escapes(char)]
    if char == " ":
        forms.append(lead + rb"\+")
    return b"(?:" + b"|".join(forms) + b")"


def _raw(char: str) -> bytes:
    # A terminal shows a line feed as carriage return and line feed.
    return rb"\r?\n" if char == "\n" else re.escape(char.encode("utf-8", "surrogateescape"))


def _escapes(char: str) -> Iterator[bytes]:
    """What stands behind the backslashes of an escape for `char`."""
    if char in _SHORT_ESCAPES:
        yield (rb"(?:r\\{1,15})?n" if char == "\n" else _SHORT_ESCAPES[char].encode())
    if ord(char) < 0x100:
        yield rb"x(?i:%02x)" % ord(char)
    units = char.encode("utf-16-be", "surrogatepass")
    yield rb"\\{1,15}".join(rb"u(?i:%s)" % units[at : at + 2].hex().encode() for at in range(0, len(units), 2))


def _base64_cores(value: bytes) -> Iterator[bytes]:
    for lead in range(3):
        whole = base64.b64encode(b"\0" * lead + value)
        first = (lead * 8 + 5) // 6  # characters that also hold bits of what stands before
        core = whole[first : (lead + len(value)) * 8 // 6]
        if len(core) >= _SHORTEST_CORE:
            yield core
            yield core.translate(bytes.maketrans(b"+/", b"-_"))
            yield core.replace(b"/", rb"\/")
            yield quote(core, safe="").encode()


def _hexadecimal(value: bytes) -> Iterator[bytes]:
    yield value.hex().encode()
    yield value.hex().upper().encode()


def _begins(tail: bytes, form: bytes) -> bool:
    """Whether `tail` ends in a beginning of `form`."""
    at = tail.find(form[:1], max(0, len(tail) - len(form) + 1))
    while at >= 0:
        if form.startswith(tail[at:]):
            return True
        at = tail.find(form[:1], at + 1)
    return False


def _literal(data: bytes, needle: bytes, lo: int, hi: int) -> Iterator[tuple[int, int]]:
    size = len(needle)
    at = data.find(needle, lo, hi + size - 1)
    while at >= 0:
        yield at, at + size
        at = data.find(needle, at + 1, hi + size - 1)


_TAIL = re.compile(rb"[A-Za-z0-9+/_-]?={0,2}")


def _encoded(data: bytes, core: bytes, lo: int, hi: int) -> Iterator[tuple[int, int]]:
    """With the one character behind that holds the secret's last bits."""
    for start, end in _literal(data, core, lo, hi):
        tail = _TAIL.match(data, end)
        yield start, tail.end() if tail else end


def _joined(places: Iterator[tuple[int, int]], rule: str) -> Iterator[Hit]:
    """Overlapping places as one hit: a body of one repeated letter must not yield a hit for each."""
    first = last = -1
    for start, end in places:
        if start < last:
            last = max(last, end)
            continue
        if last >= 0:
            yield Hit(first, first, last, rule)
        first, last = start, end
    if last >= 0:
        yield Hit(first, first, last, rule)
