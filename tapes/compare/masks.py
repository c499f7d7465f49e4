"""What says the same in two runs though it is written differently: places, ids, hashes, times.

A run's working directory, its home, what a tool printed of times and process ids are no differences between two runs.
They are put behind marks (`‹cwd›`, `‹hex›`), and the marked texts are compared. Both sides get the same marks, so a
word that is one side's directory can not make them differ on the other. What was masked is still there to be shown:
a difference that is only masked is told as such.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable
from functools import lru_cache

from tapes.pattern import pattern
from tapes.values import dataclass

WHOLE = 1 << 20
"""Characters of a text that is masked whole; of a longer one only its places are."""

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DAY = r"(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
_MOMENT = pattern(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?" + _ZONE + r"(?!\w)")
_WORD = pattern(r"(?<![\w-])[A-Za-z_-]{0,64}\d[\w-]*")
"""Whatever has a digit in it: nothing else can be an id, a hash or a time since 1970."""
_UUID = pattern(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_EPOCH = pattern(r"1[5-9]\d{8}(?:\d{3}|\d{6}|\d{9})?")
_HEX = pattern(r"0x[0-9a-fA-F]{5,16}|(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,128}|(?=[A-F]*\d)(?=\d*[A-F])[0-9A-F]{16,128}")
_ID = pattern(
    r"[a-zA-Z]{2,12}[_-](?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{14,}"
    r"|(?=[A-Za-z]*\d)(?=[a-z0-9]*[A-Z])(?=[A-Z0-9]*[a-z])[A-Za-z0-9]{20,}"
)
_PORT = pattern(r"\b(localhost|127\.0\.0\.1):\d{5}\b")
_TEMP = pattern(r"(?:/private)?(?:/tmp|/var/tmp|/dev/shm|/var/folders/\w+/\w+/T)/[^\s'\":;,()<>|`\\]+")
_ESCAPED = pattern(r"\\[nrt](?=[0-9A-Za-z])")
"""A line's end in JSON that stands in a text: the word behind it does not begin with its letter."""
_CONTROL = pattern(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_FACT = pattern(
    r"\b((?:[Ww]all[_ ]time(?:_seconds)?|[Dd]uration(?:_seconds|_ms|Ms)?|[Ee]lapsed|[Cc]hunk[_ ](?:ID|id)"
    r"|PGID|cch|[Pp][Ii][Dd]|[Ss]ession ID|Original token count|mtime)[\"'\\]*\s*[:= ]\s*[\"'\\]*)[\w.]+"
)
_COMMIT = pattern(
    r"(\b(?:commit|index|HEAD is now at|Updating|Merge:|blob|tree|parent) |\[[\w./-]+ (?:\(root-commit\) )?)"
    r"(?:‹hex›|[0-9a-f]{7,40}\b)(?:\.\.(?:‹hex›|[0-9a-f]{7,40}\b))?"
)
_DIGITS = pattern(r"(^[*|\\/ ]*|\\n |\")\d{7}(?= [^\d\s]|$)", re.M)
"""One in 27 of git's short hashes has no letter. At the begin of a line, in a text of commits, it is taken for one."""
_JOB = pattern(r"^\[\d+\] \d{3,}$", re.M)
_DATE = pattern(
    _DAY + r"\b(?:" + _MONTH + r" +\d{1,2}|\d{1,2} " + _MONTH + r"(?= \d{4}|(?! *\d)))\b(?:,? +\d{4}\b(?!:))?"
    r"(?:,? +(?:at )?\d{1,2}:\d\d(?::\d\d)?(?: ?[AP]M)?)?(?: +[A-Z]{3,4}\b)?(?: \d{4}\b)?"
)
_CLOCK = pattern(
    r"(?<![\w:.-])(?:\d{4}-\d\d-\d\d(?![\w-])|\d{1,2}/\d{1,2}/\d{4}\b"
    r"|\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[AP]M)?(?![\w:]))"
)
_SPAN = pattern(
    r"\b\d+(?:\.\d+)? ?(?:(?:ns|µs|us|ms|s|secs?|seconds?|mins?|minutes?)\b|(?:hours?|days?|weeks?) ago\b)"
    r"|\b\d+m\d+(?:\.\d+)?s\b"
)
_PARTS = pattern(r"([-_]+)")
_EXTENSION = pattern(r"\.[A-Za-z]\w{0,4}\Z")
_RANDOM = pattern(
    r"tmp[._-]?\w{4,}\Z|.*[._-](?=\w*[\dA-Z])\w{5,}\Z|pytest-(?:of-)?\w+\Z|.*\d{3,}\Z|(?=\w*\d)(?=\w*[a-zA-Z])\w{8,}\Z"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run worked. Empty where it is not known."""

    cwd: str = ""
    home: str = ""


@dataclass(frozen=True, slots=True)
class Masks:
    """Of two runs, for both."""

    roots: tuple[tuple[str, str], ...] = ()
    """Paths and their marks, the longest first."""
    names: tuple[str, ...] = ()
    """What the two directories are called, where that differs."""
    _places: re.Pattern[str] | None = None
    _names: re.Pattern[str] | None = None

    def places(self, text: str) -> str:
        """With the runs' own places masked."""
        return self._places.sub(self._marked, text) if self._places is not None else text

    def identity(self, text: str) -> str:
        """As what somebody says or asks for: without places, ids, hashes, moments, and names made up for temp files."""
        text = self.places(text)
        if len(text) > WHOLE:
            return text
        if "/" in text:
            text = _TEMP.sub(_temp, text)
        if text.isascii() and not any(digit in text for digit in "0123456789"):
            return text
        return _WORD.sub(_named, _PORT.sub(r"\1:‹port›", _MOMENT.sub("‹time›", text)))

    def output(self, text: str) -> str:
        """As what a program writes, or an agent says of its surroundings: also without dates, spans and processes."""
        if "\x1b" in text:
            text = _CONTROL.sub("", text)
        if "\\" in text and len(text) <= WHOLE:
            text = _ESCAPED.sub(r"\g<0> ", self.places(text))
        text = self.identity(text)
        if len(text) > WHOLE:
            return text
        if "‹hex›" in text or "ommit" in text:
            text = _DIGITS.sub(r"\1‹hex›", text)
        if self._names is not None:
            text = self._names.sub("‹dir›", text)
        for found, instead in _WRITTEN:
            text = found.sub(instead, text)
        return text

    def alike(self, one: str, other: str) -> bool:
        """Do two lines say the same but for what is masked? A number may be a hash where the other side has one."""
        a, b = self.output(one).split(), self.output(other).split()
        return len(a) == len(b) and all(x == y or _is_hash(x, y) or _is_hash(y, x) for x, y in zip(a, b, strict=True))

    def _marked(self, match: re.Match[str]) -> str:
        return dict(self.roots)[match[0]]


def masks_of(places: Iterable[Place]) -> Masks:
    """What to mask in the runs that worked there."""
    found = list(places)
    marks: dict[str, str] = {}
    cwds = [one.cwd.rstrip("/") for one in found]
    for cwd in cwds:
        _add(marks, cwd, "‹cwd›")
    for one in found:
        _add(marks, one.home.rstrip("/"), "‹home›")
    for root in _apart(cwds):
        _add(marks, root, "‹root›")
    for path, mark in list(marks.items()):  # so Claude Code calls its folders
        marks.setdefault(re.sub(r"[^A-Za-z0-9]", "-", path), mark)
        if os.path.realpath(path) != path:
            _add(marks, os.path.realpath(path), mark)
    names = sorted({cwd.rpartition("/")[2] for cwd in cwds if cwd})
    unlike = tuple(name for name in names if len(name) > 3) if len(names) > 1 else ()
    roots = tuple(sorted(marks.items(), key=lambda pair: (-len(pair[0]), pair[0])))
    return Masks(
        roots,
        unlike,
        re.compile(rf"(?<!\w)(?:{_any(path for path, _ in roots)})(?!\w|[.-]\w)") if roots else None,
        re.compile(rf"\b(?:{_any(unlike)})\b") if unlike else None,
    )


def _is_hash(number: str, mark: str) -> bool:
    return mark == "‹hex›" and len(number) == 7 and number.isdigit()


def _any(texts: Iterable[str]) -> str:
    return "|".join(map(re.escape, texts))


def _add(marks: dict[str, str], path: str, mark: str) -> None:
    if path.startswith("/") and path not in ("/", "/tmp", "/home", "/usr", "/var", "/etc"):
        marks.setdefault(path, mark)


def _apart(cwds: list[str]) -> list[str]:
    """What stands before the common end of two directories: `/x/one` of /x/one/repo, where the other is /x/two/repo."""
    if len(set(cwds)) != 2 or not all(cwds):
        return []
    one, other = (cwd.split("/") for cwd in dict.fromkeys(cwds))
    while len(one) > 2 and len(other) > 2 and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return ["/".join(parts) for parts in (one, other)]


@lru_cache(4096)
def _word(word: str) -> str:
    if _UUID.fullmatch(word):
        return "‹uuid›"
    if _ID.fullmatch(word):
        return "‹id›"
    if "-" in word or "_" in word:
        return "".join(map(_part, _PARTS.split(word)))
    return _part(word)


def _part(word: str) -> str:
    if _HEX.fullmatch(word):
        return "‹hex›"
    return "‹time›" if _EPOCH.fullmatch(word) else "‹id›" if _ID.fullmatch(word) else word


def _named(match: re.Match[str]) -> str:
    word = match[0]
    return _word(word) if len(word) >= 7 else word


def _temp(match: re.Match[str]) -> str:
    """A temp file's path without the parts of it that were made up for it."""
    return "/".join(
        "‹temp›" if n > 1 and _RANDOM.match(_EXTENSION.sub("", part)) else part
        for n, part in enumerate(match[0].split("/"))
    )


_WRITTEN = (
    (_FACT, r"\1#"),
    (_COMMIT, r"\1‹hex›"),
    (_JOB, "‹job›"),
    (_DATE, "‹time›"),
    (_CLOCK, "‹time›"),
    (_SPAN, "‹span›"),
)
"""What is masked in what programs write, in this order."""
