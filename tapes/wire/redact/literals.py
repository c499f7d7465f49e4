"""Credentials that only their surroundings give away: in a URL, behind `Bearer`, in a connection string.

Each rule is anchored at a literal that is rare in text; the hit is the value behind it. The value has to look like a
literal value (a template's `$TOKEN`, code's `config.apiKey` are none), because here no prefix vouches for it.
"""

from __future__ import annotations

import re

from tapes.wire.redact.rules import START
from tapes.wire.redact.shapes import Hit

_USERINFO = re.compile(
    rb"[A-Za-z][A-Za-z0-9+.-]{1,24}://[^\s/@:\"'\\<>?#]{0,128}:"
    # A template's placeholder is not a password, nor is what an earlier pass left.
    rb"(?P<value>(?![$%{*]|\[REDACTED:)(?:(?!\[REDACTED:)[^\s/\"'\\<>?#]){1,256})@(?!sha\d)"
)


def url_passwords(data: bytes, lo: int, hi: int) -> list[Hit]:
    """`scheme://user:PASSWORD@host`, sought from the `@`, which is rare where `://` is not."""
    hits: list[Hit] = []
    misses = 0
    at = data.find(b"@", lo, hi + 257)
    while at >= 0:
        marks = data.rfind(b"://", max(0, at - 420), at)
        if marks < 0:
            misses += 1
            # A text full of `@`: from now on go by the next `://`.
            marks = data.find(b"://", at, hi + 257) if misses > 256 else at
            at = data.find(b"@", max(at + 1, marks), hi + 257) if marks >= 0 else -1
            continue
        word = _SCHEME.search(data, max(0, marks - 25), marks)
        found = _USERINFO.match(data, word.start()) if word else None
        if found and found.end() == at + 1 and lo <= found.start("value") < hi:
            hits.append(Hit(found.start("value"), *found.span("value"), "url-password"))
        at = data.find(b"@", at + 1, hi + 257)
    return hits


_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{1,24}\Z")
_QUOTES = rb"[\\\"']{0,12}"
# A name in quotes wants its value in quotes: `"x-api-key": settings.key1` is code, not a credential.
_ASSIGN = rb"(?:[ \t]{0,4}[:=][ \t]{0,4}" + _QUOTES + rb"|" + rb"[\\\"']{1,12}[ \t]{0,4}[:=,][ \t]{0,4}[\\\"']{1,12})"
_BEARER = rb"(?P<value>(?=[\w.~+/=-]*\d)[\w.~+/-]{16,}=*)"

_Literal = tuple[bytes, bool, str, re.Pattern[bytes]]

_AWS_KEY = rb"(?P<value>[\w/+]{40})(?![\w/+=])"
_AWS_TOKEN = rb"(?P<value>[\w/+]{100,}=*)"
_SLACK = rb"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<value>[\w/+-]{30,})"
_CONNECTION_PASSWORD = rb"password=(?P<value>(?![$%{*]|\[REDACTED:)[^\s;&\"'\\<>{}()\[\]]{4,200})"

# A literal sought in the lower-cased (True) or in the raw text, and what must stand where it is found.
_LITERALS: tuple[_Literal, ...] = tuple(
    (literal, lowered, name, re.compile(expression, re.IGNORECASE if lowered else 0))
    for literal, lowered, name, expression in (
        (b"bearer", True, "bearer-token", rb"bearer(?: |%20|\+)" + _BEARER),
        (b"api-key", True, "api-key-header", rb"api-key" + _ASSIGN + _BEARER),
        (b"authorization", True, "authorization", rb"authorization" + _ASSIGN + rb"(?:basic|token) " + _BEARER),
        (b"secret_access_key", True, "aws-secret-key", rb"secret_access_key" + _ASSIGN + _AWS_KEY),
        (b"secretaccesskey", True, "aws-secret-key", rb"secretaccesskey" + _ASSIGN + _AWS_KEY),
        (b"session_token", True, "aws-session-token", rb"session_token" + _ASSIGN + _AWS_TOKEN),
        (b"sessiontoken", True, "aws-session-token", rb"sessiontoken" + _ASSIGN + _AWS_TOKEN),
        (b"AccountKey=", False, "azure-account-key", rb"AccountKey=(?P<value>[A-Za-z0-9+/]{80,}={0,2})"),
        (b"SharedAccessKey=", False, "azure-account-key", rb"SharedAccessKey=(?P<value>[A-Za-z0-9+/]{40,}={0,2})"),
        (b"whsec_", False, "webhook-secret", rb"(?P<value>" + START + rb"whsec_[A-Za-z0-9+/]{23,}[A-Za-z0-9]={0,2})"),
        (b"hooks.slack.com/", False, "slack-webhook", _SLACK),
        (b"password=", True, "connection-password", _CONNECTION_PASSWORD),
    )
)  # fmt: skip
_CONNECTION = re.compile(
    rb"(?:user id|uid|user|username|server|host|data source|database|initial catalog|endpoint)"
    rb" ?= ?[^;&\"'\\(){}\s]{1,100}(?: [^;&\"'\\(){}\s]{1,40})?; ?\Z",
    re.IGNORECASE,
)
_SETTING = re.compile(rb"; ?[A-Za-z][\w ]{1,30} ?=")
_SETTING_BEFORE = re.compile(rb"[\w ]{2,30} ?= ?[^;&\"'(){}\s]{1,60}; ?\Z")
_LINE_VALUE = (
    rb"[\w-]{0,24}[\\\"']{0,8}[ \t]{0,4}[:=][ \t]{0,4}[\\\"']{0,8}"
    rb"(?P<value>(?!(?:true|false|null|none|undefined)\b|[$%*]|\[REDACTED:)[^\s\"'\\,;&<>{}()\[\]]{4,200})"
)
_ANCHOR = 96
"""A literal and what may stand between it and its value are shorter than this."""


_STRICT = tuple(
    (literal, True, "password-line", re.compile(literal + _LINE_VALUE, re.IGNORECASE))
    for literal in (b"password", b"passwd", b"pwd", b"passphrase", b"secret")
)

LITERAL_NAMES = frozenset({*(name for _, _, name, _ in (*_LITERALS, *_STRICT)), "url-password"})


def strict_lines(data: bytes, lo: int, hi: int) -> list[Hit]:
    """What stands behind `password=`, `secret:` and the like on a line: only in strict mode, as it takes code along."""
    return literals(data, lo, hi, _STRICT)


def literals(data: bytes, lo: int, hi: int, rules: tuple[_Literal, ...] = _LITERALS) -> list[Hit]:
    """Rules anchored at a literal; the hit is the value behind it, so the literal may stand a little before `lo`."""
    base = max(0, lo - _ANCHOR)
    lower = data[base:hi].lower()
    hits: list[Hit] = []
    for literal, lowered, name, pattern in rules:
        text, shift = (lower, base) if lowered else (data, 0)
        at = text.find(literal, base - shift, hi - shift)
        while at >= 0:
            found = pattern.match(data, at + shift)
            if found and lo <= found.start("value") < hi and _confirmed(name, data, at + shift, found.end()):
                hits.append(Hit(found.start("value"), *found.span("value"), name))
            at = text.find(literal, at + len(literal), hi - shift)
    return hits


def _confirmed(name: str, data: bytes, at: int, end: int) -> bool:
    """`password=` is a connection string's only behind one of its settings, and with another one on either side."""
    if name != "connection-password":
        return True
    found = _CONNECTION.search(data, max(0, at - 200), at)
    return bool(
        found
        and (_SETTING_BEFORE.search(data, max(0, found.start() - 100), found.start()) or _SETTING.match(data, end))
    )
