"""Bodies that repeat: a hint changes the price and never the result; hostile bodies take linear time."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.wire.redact import Redactor
from tapes.wire.redact.common import common_blocks, common_ends

GITHUB = b"ghp_" + b"a1B2" * 9
PEM = (
    b"-----BEGIN PRIVATE KEY-----\\n"
    + b"\\n".join([b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA" * 2] * 3)
    + b"\\n-----END PRIVATE KEY-----"
)
VALUES = [
    ("env:A", b"exact-value-A"),
    ("env:B", b'two words "q" \\ \n end'),
    ("env:N", b"1234567890"),
    ("env:P", b"aaaaaaaa"),
]
PIECES = st.sampled_from(
    [
        b'"',
        b" ",
        b"\\n",
        b"\\",
        b",",
        b"@",
        b"-----",
        b"[REDACTED:env:A]",
        b"hello world",
        b'{"type":"text","text":"',
        GITHUB,
        GITHUB[:20],
        GITHUB[20:],
        b"sk-ant-api03-",
        b"x" * 40,
        b"AKIAIOSFODNN7EXAMPLE",
        b"Bearer ",
        b"abcdef0123456789abcd",
        b"postgres://app:",
        b"pw1234@h/",
        PEM,
        PEM[:80],
        PEM[80:],
        b"exact-value-A",
        b"exact-",
        b"value-A",
        b"ZXhhY3QtdmFsdWUtQQ==",
        b'two words "q" ',
        b"\\\\ \\n end",
        b'two words \\"q\\" ',
        b"1234567890",
        b":",
        b"12345",
        b"aaaa",
        b"aaaaaaaaaaaa",
        b"A" * 35,
        b";User Id=sa;",
        b"Password=",
        b"aws_secret_access_key=",
        b"A/" * 20,
        b"eyJhbGciOiJIUzI1NiJ9.",
        b"eyJzdWIiOiIxMjM0NTY3ODkwIn0.",
        b"\x1b[32m",
    ]
)
PADDING = b", ".join(b"number %d" % n for n in range(1000))
BODIES = st.lists(PIECES, max_size=14).map(b"".join)


@given(
    first=BODIES,
    second=BODIES,
    third=BODIES,
    fourth=BODIES,
    strict=st.booleans(),
    padding=st.sampled_from([b"", b"lorem ipsum " * 80, PADDING]),
)
@settings(max_examples=400, deadline=None)
def test_a_hint_never_changes_the_result(
    first: bytes, second: bytes, third: bytes, fourth: bytes, strict: bool, padding: bytes
) -> None:
    redactor = Redactor(VALUES, strict=strict)
    hint = None
    for body in (
        first + padding + second,
        first + padding + third + padding + second,
        first + third + padding + second,
        fourth + second,
    ):
        redacted, hint = redactor.body(body, hint)
        assert redacted == redactor.redact(body)


@given(first=BODIES, more=BODIES)
@settings(max_examples=60, deadline=None)
def test_a_value_learned_meanwhile_is_found_in_the_part_already_seen(first: bytes, more: bytes) -> None:
    redactor = Redactor(VALUES)
    _, hint = redactor.body(first, None)
    redactor.learn("header:x-api-key", b"hello world")
    assert redactor.body(first + more, hint)[0] == redactor.redact(first + more)


@given(body=BODIES, strict=st.booleans(), data=st.data())
@settings(max_examples=200, deadline=None)
def test_scanning_in_two_parts_finds_what_scanning_at_once_finds(
    body: bytes, strict: bool, data: st.DataObject
) -> None:
    redactor = Redactor(VALUES, strict=strict)
    cut = data.draw(st.integers(0, len(body)))
    parts = [*redactor.scan(body, 0, cut), *redactor.scan(body, cut, len(body))]
    whole = redactor.scan(body, 0, len(body))
    assert _covered(parts) == _covered(whole)


def _covered(hits) -> set[int]:  # type: ignore[no-untyped-def]
    return {place for hit in hits for place in range(hit.start, hit.end)}


@given(body=BODIES, strict=st.booleans())
@settings(max_examples=300, deadline=None)
def test_redacting_twice_changes_nothing(body: bytes, strict: bool) -> None:
    redactor = Redactor(VALUES, strict=strict)
    once = redactor.redact(body).data
    assert redactor.redact(once).data == once


@given(texts=st.lists(BODIES.map(lambda body: body.decode("latin-1")), min_size=1, max_size=4), ascii=st.booleans())
@settings(max_examples=200, deadline=None)
def test_json_of_secrets_stays_json(texts: list[str], ascii: bool) -> None:
    redactor = Redactor(VALUES, strict=True)
    body = json.dumps({"messages": texts, "n": 1234567890, "nested": json.dumps(texts)}, ensure_ascii=ascii)
    read = json.loads(redactor.redact(body.encode()).data)
    assert read["n"] == "[REDACTED:env:N]"
    assert len(read["messages"]) == len(texts)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 3000))
def test_common_ends_are_the_longest(head: bytes, a: bytes, b: bytes, filler: int) -> None:
    old, new = head + b"=" * filler + a, head + b"=" * filler + b
    prefix, suffix = common_ends(old, new)
    assert (old[:prefix] == new[:prefix] and old[prefix : prefix + 1] != new[prefix : prefix + 1]) or prefix == min(
        len(old), len(new)
    )
    assert prefix + suffix <= min(len(old), len(new))
    assert old[len(old) - suffix :] == new[len(new) - suffix :]
    if prefix + suffix < min(len(old), len(new)):
        assert old[len(old) - suffix - 1] != new[len(new) - suffix - 1]


@given(
    st.lists(st.tuples(st.binary(max_size=8), st.sampled_from([b"", PADDING[:5000], PADDING[5000:]])), max_size=5),
    st.data(),
)
@settings(max_examples=100, deadline=None)
def test_common_blocks_are_common_ascending_and_apart(parts: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    old = b"".join(head + body for head, body in parts)
    new = b"".join(data.draw(st.sampled_from([head, b"", b"changed"])) + body for head, body in parts)
    old_end = new_end = 0
    for old_at, new_at, size in common_blocks(old, new):
        assert old[old_at : old_at + size] == new[new_at : new_at + size]
        assert old_at >= old_end and new_at >= new_end
        old_end, new_end = old_at + size, new_at + size


def test_a_body_whose_first_line_changes_is_still_shared_nearly_whole() -> None:
    history = b", ".join(b"message %d" % n for n in range(20_000))
    blocks = common_blocks(
        b"cch=1234;" + history[:-5000] + b"cache" + history[-5000:], b"cch=98765;" + history + b"new"
    )
    assert sum(block.size for block in blocks) > len(history) - 50


HOSTILE = {
    "key prefixes": b"sk-",
    "quotes": b'"',
    "begins": b"-----BEGIN",
    "begin lines": b"-----BEGIN PRIVATE KEY-----",
    "begin lines with key": b"-----BEGIN PRIVATE KEY-----AAAAAAAAAAAAAAAAAAAA",
    "backslashes": b"\\",
    "tokens": b"eyJaaaaaaaaaaaaaaaaaaaa.",
    "jwts": b"eyJaaaaaaaaaaaaaaaaaaaa.eyJaaaaaaaaaaaa.",
    "ats": b"a@",
    "urls": b"://a:",
    "one letter": b"a",
    "bearers": b"bearer ",
    "passwords": b"password=;",
    "colours": b"\x1b[0m",
    "escapes": b"\\u001b[1m",
    "markers": b"[REDACTED:",
    "digits": b"1234567890,",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_body_is_gone_through_and_stays_what_it_is(kind: str) -> None:
    """Anything worse than linear would take minutes here; benchmarks/redaction.py has the figures."""
    body = HOSTILE[kind] * (1_000_000 // len(HOSTILE[kind]))
    out = Redactor(VALUES[:2]).redact(body)
    assert out.spans or out.data == body
    assert bool(out.spans) == (kind in ("begin lines with key", "tokens", "jwts"))
