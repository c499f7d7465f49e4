"""The language of `tapes search`: text in, a tree out.

    words side by side      all of them, in any order
    "two words"             side by side
    pre*  "two wor"*        words that begin so
    -word  -"…"  -tool:x    without it
    a OR b                  one of them; binds closer than standing side by side: `x a OR b` is x and one of a and b
    ( … )                   together
    tool:Bash  path:"a b"   a fact, by its field

A word is letters and digits; with anything between them (`a.py`, `foo-bar`) it is a phrase of its parts.
"""

from __future__ import annotations

import re

from tapes.errors import UsageError
from tapes.pattern import pattern
from tapes.values import dataclass

FIELDS = (
    "tool",
    "agent",
    "model",
    "session",
    "thread",
    "path",
    "cwd",
    "type",
    "exit",
    "is",
    "since",
    "until",
    "participant",
)
_TOKEN = pattern(
    r"""\s*(?:
      (?P<open>-?\() | (?P<close>\))
    | (?P<minus>-)? (?:(?P<field>[A-Za-z]+):)? (?: "(?P<quoted>[^"]*)"(?P<star>\*)? | (?P<bare>[^\s()"]+) )
    | (?P<wrong>\S)
    )""",
    re.VERBOSE,
)
_WORD = pattern(r"(.+?)(\*?)", re.DOTALL)
DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Words:
    """A word or a phrase; `prefix`: its last word may go on."""

    text: str
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    """One of FIELDS."""
    value: str


@dataclass(frozen=True, slots=True)
class All:
    """Every one; without parts, everything."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


type Node = Words | Field | All | Any | Not


def parse(text: str) -> Node:
    """UsageError, with what may be typed, for what is no query."""
    parser = _Parser(list(_TOKEN.finditer(text.rstrip())) if text.strip() else [])
    found = parser.all()
    if parser.token is not None:
        raise UsageError("a ) stands where none was opened", hint='to search for it: --substring ")"')
    return found


class _Parser:
    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def token(self) -> re.Match[str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def all(self) -> Node:
        """As far as a closing bracket, or the end."""
        parts: list[Node] = []
        while self.token is not None and not self.token["close"]:
            if _is_or(self.token):
                raise UsageError("OR stands between two words", hint='as a word: "OR"')
            options = [self._one()]
            while self.token is not None and _is_or(self.token):
                self._at += 1
                if self.token is None or self.token["close"] or _is_or(self.token):
                    raise UsageError("OR stands between two words", hint='as a word: "OR"')
                options.append(self._one())
            parts.append(options[0] if len(options) == 1 else Any(tuple(options)))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Node:
        token = self.token
        assert token is not None
        self._at += 1
        if token["open"]:
            return self._group(negative=token["open"].startswith("-"))
        if token["wrong"]:
            what = token["wrong"]
            raise UsageError(f"{what} stands there alone", hint=f"to search for it: --substring '{what}'")
        found = _leaf(token)
        return Not(found) if token["minus"] else found

    def _group(self, negative: bool) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise UsageError(f"more than {DEEPEST} brackets within one another")
        found = self.all()
        if self.token is None:
            raise UsageError("a ( is not closed", hint='to search for it: --substring "("')
        self._at += 1
        self._depth -= 1
        if found == All(()):
            raise UsageError("nothing stands between ( and )")
        return Not(found) if negative else found


def _is_or(token: re.Match[str]) -> bool:
    return token["bare"] == "OR" and not token["minus"] and not token["field"]


def _leaf(token: re.Match[str]) -> Node:
    field = (token["field"] or "").lower()
    if field in FIELDS:
        value = token["quoted"] if token["quoted"] is not None else token["bare"]
        if not value.strip():
            raise UsageError(f"{field}: has no value")
        return Field(field, value + (token["star"] or ""))
    if field:
        # No field of ours, so words: http://… is searched for as it stands.
        if token["quoted"] is not None or not re.match(r"[/\d\\:]", token["bare"]):
            raise UsageError(f"there is no field {field}:", hint=f'fields: {", ".join(FIELDS)}; as words: "{field} …"')
        return Words(f"{token['field']}:{token['bare'].rstrip('*')}", token["bare"].endswith("*"))
    if token["quoted"] is not None:
        return Words(token["quoted"], bool(token["star"]))
    bare = token["bare"]
    if bare[-1] == ":" and bare[:-1].lower() in FIELDS:
        raise UsageError(f"{bare} has no value", hint=f'as a word: "{bare}"')
    return Words(bare.rstrip("*") or bare, bare.endswith("*"))
