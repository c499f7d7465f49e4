"""A known value is found in whatever spelling it comes, JSON stays JSON, and redacting again changes nothing."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapes.wire.redact import Redactor

SECRETS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=8, max_size=24).filter(
        lambda s: len(s.encode()) >= 8
    ),
    st.text("ab12-_.!\"\\/<>&'+= \n\té€😀", min_size=8, max_size=20),
)
AROUND = st.text(st.characters(codec="utf-8"), max_size=12)


def _json(text: str, *, ascii: bool = True, depth: int = 1) -> str:
    for _ in range(depth):
        text = json.dumps(text, ensure_ascii=ascii)[1:-1]
    return text


def _html_safe(text: str) -> str:
    for char in "<>&'":
        text = text.replace(char, f"\\u00{ord(char):02x}")
    return text


SPELLINGS = {
    "raw": str,
    "json": _json,
    "json twice": lambda s: _json(s, depth=2),
    "json three times": lambda s: _json(s, depth=3),
    "json, not ascii": lambda s: _json(s, ascii=False),
    "json twice, not ascii": lambda s: _json(s, ascii=False, depth=2),
    "json, slashes escaped": lambda s: _json(s).replace("/", "\\/"),
    "json, safe in html": lambda s: _html_safe(_json(s)),
    "url": lambda s: quote(s, safe=""),
    "url, slashes kept": quote,
    "url form": quote_plus,
    "url, lower case": lambda s: "".join(
        c if (c.isascii() and c.isalnum()) or c in "_.-~" else "".join(f"%{b:02x}" for b in c.encode()) for c in s
    ),
    "url twice": lambda s: quote(quote(s, safe=""), safe=""),
    "hex": lambda s: s.encode().hex(),
    "hex, upper case": lambda s: s.encode().hex().upper(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(secret=SECRETS)
@example(secret="a\"b\\c/d<e>f&g'h")
@example(secret="\\\\\\\\\\\\\\\\")
@example(secret='"\\"\\"\\"\\"')
@example(secret="correct horse battery staple")
@example(secret="0\\/00000")
@settings(max_examples=30, deadline=None)
def test_a_value_is_found_in_every_spelling(spelling: str, secret: str) -> None:
    redactor = Redactor([("env:X", secret.encode())])
    spelled = SPELLINGS[spelling](secret)
    out = redactor.redact(f"({spelled})".encode()).data.decode()
    # Where a secret ends in backslashes an odd last one stays behind: it may belong to what follows.
    assert out in ("([REDACTED:env:X])", "([REDACTED:env:X]\\)")


@given(
    secret=st.text("abcdefghijXYZ0123456789-_!", min_size=12, max_size=40),
    lead=st.binary(max_size=7),
    tail=st.binary(max_size=7),
)
@settings(max_examples=60, deadline=None)
def test_a_value_inside_base64_is_found_wherever_it_lies(secret: str, lead: bytes, tail: bytes) -> None:
    redactor = Redactor([("env:X", secret.encode())])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        out = redactor.redact(b" " + encode(lead + secret.encode() + tail)).data
        assert b"[REDACTED:env:X]" in out
        # At most the characters that its first and last byte share with its neighbours are left.
        assert len(out) - len(b"[REDACTED:env:X]") - 1 <= len(base64.b64encode(lead + b"xx")) + len(
            base64.b64encode(tail + b"xx")
        )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(secret=SECRETS, before=AROUND, after=AROUND, rest=JSON, ascii=st.booleans(), indent=st.sampled_from([None, 2]))
@example(secret="n0t-secret", before="\n", after="", rest=None, ascii=True, indent=None)
@example(secret="abcdefgh\\", before="", after='"', rest=None, ascii=True, indent=None)
@example(secret="00e9secret", before="é", after="", rest=None, ascii=True, indent=None)
@example(secret="e9secret", before="éééé", after="e9secret", rest=None, ascii=True, indent=None)
@settings(max_examples=300, deadline=None)
def test_json_stays_json_the_secret_is_gone_and_redacting_again_changes_nothing(
    secret: str, before: str, after: str, rest: object, ascii: bool, indent: int | None
) -> None:
    redactor = Redactor([("env:X", secret.encode())])
    inner = json.dumps({"cmd": f"{before}{secret}{after}"}, ensure_ascii=ascii)
    body = json.dumps(
        {"text": f"{before}{secret}{after}", "inner": inner, "rest": rest}, ensure_ascii=ascii, indent=indent
    )
    out = redactor.redact(body.encode()).data
    read = json.loads(out)
    assert "[REDACTED:env:X]" in read["text"]
    assert "[REDACTED:env:X]" in read["inner"]
    assert secret not in read["text"].replace("[REDACTED:env:X]", "\0")
    assert redactor.redact(out).data == out


@given(
    digits=st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True),
    more=st.from_regex(r"[0-9]{0,3}", fullmatch=True),
    indent=st.sampled_from([None, 1]),
)
@settings(max_examples=60, deadline=None)
def test_a_secret_of_digits_that_stands_as_a_number_becomes_a_string(
    digits: str, more: str, indent: int | None
) -> None:
    redactor = Redactor([("env:PIN", digits.encode())])
    number = int(digits + more)
    body = {
        "pin": number,
        "list": [1, number, -number],
        "said": f"[1, {number}, 2]",
        "inner": json.dumps({"pin": number, "x": 1}),
    }
    out = redactor.redact(json.dumps(body, indent=indent).encode()).data
    read = json.loads(out)
    assert read["pin"] == "[REDACTED:env:PIN]"
    assert read["list"] == [1, "[REDACTED:env:PIN]", "[REDACTED:env:PIN]"]
    assert read["said"] == f"[1, [REDACTED:env:PIN]{more}, 2]"
    assert json.loads(read["inner"]) == {"pin": "[REDACTED:env:PIN]", "x": 1}
    assert digits.encode() not in out
    assert redactor.redact(out).data == out


def test_the_longest_of_overlapping_secrets_gives_the_name() -> None:
    key = b"ghp_" + b"a1" * 18
    redactor = Redactor([("env:PART", key[:12])])
    assert redactor.redact(b"x " + key + b" y").data == b"x [REDACTED:github-token] y"
    redactor.learn("env:WHOLE", key + b"!!")
    assert redactor.redact(b"x " + key + b"!! y").data == b"x [REDACTED:env:WHOLE] y"


def test_values_under_eight_bytes_are_not_sought_and_learning_again_changes_nothing() -> None:
    redactor = Redactor([("env:A", b"short12")])
    redactor.learn("env:B", b"longer-one")
    before = redactor.values
    redactor.learn("env:C", b"longer-one")
    redactor.learn("env:D", b"tiny")
    assert redactor.values == before
    assert redactor.redact(b"short12 longer-one").data == b"short12 [REDACTED:env:B]"


def test_a_learned_value_that_is_seen_again_stays_among_the_newest() -> None:
    redactor = Redactor()
    for n in range(200):
        redactor.learn("header:x-api-key", b"the-key-of-every-request")
        redactor.learn("header:cookie", b"renewed-cookie-%04d" % n, encoded=False)
    assert redactor.redact(b"the-key-of-every-request").data == b"[REDACTED:header:x-api-key]"


def test_of_learned_values_the_newest_are_kept_and_the_first_given_for_ever() -> None:
    redactor = Redactor([("env:A", b"from-the-start")])
    for n in range(200):
        redactor.learn("header:cookie", b"renewed-cookie-%04d" % n, encoded=False)
    out = redactor.redact(b"from-the-start renewed-cookie-0000 renewed-cookie-0199").data
    assert out == b"[REDACTED:env:A] renewed-cookie-0000 [REDACTED:header:cookie]"


def test_a_terminal_shows_a_secret_of_several_lines_with_carriage_returns() -> None:
    redactor = Redactor([("env:X", b"line one\nline two\n")])
    assert redactor.redact(b"> line one\r\nline two\r\n$").data == b"> [REDACTED:env:X]$"


def test_a_secret_that_is_a_part_of_its_own_marker_leaves_the_marker_whole() -> None:
    redactor = Redactor([("env:MY_TOKEN", b"MY_TOKEN"), ("env:R", b"REDACTED")])
    out = redactor.redact(b"MY_TOKEN and REDACTED").data
    assert out == b"[REDACTED:env:MY_TOKEN] and [REDACTED:env:R]"
    assert redactor.redact(out).data == out
