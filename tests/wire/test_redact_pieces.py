"""Output in pieces: however it is cut and dressed, a secret in it is found, and nothing else changes."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tapes.wire.redact import Redactor
from tapes.wire.redact.pieces import GATHER, PieceRedactor, Released

ANTHROPIC = b"sk-ant-api03-" + b"aB3x" * 23 + b"xA9zQ7Lk"
GITHUB = b"ghp_" + b"a1B2" * 9
EXACT = b"hunter2+zz/9f8e==Q"
SECRETS = [ANTHROPIC, GITHUB, EXACT]
INLINE = [
    b"\x1b[31m",
    b"\x1b[38;2;10;20;30m",
    b"\x1b]0;a title\x07",
    b"\x1b]8;;http://x\x1b\\",
    b"\x1b[K",
    b"\x1b(B",
    b"x\x08",
    b"xy\x08\x08",
    b"x\x08 \x08",
]
LINE_ENDS = [
    b"\r\n",
    b"\n",
    b"\n    ",
    b"  \r\n  ",
    b"\x1b[12G",
    b"\r\x1b[1B",
    b" \xe2\x94\x82\n\xe2\x94\x82 ",
]
BREAKS = INLINE + LINE_ENDS
ORDINARY = [
    b"a word ",
    b"\n",
    b"\r\n",
    b"\x1b[1mbold\x1b[0m ",
    b"50%\r",
    b"50%\x08\x08\x08",
    b"sk-",
    b"ghp_",
    b'"x": 1, ',
    b"\tif x:\n",
    b"\x00\xff\x1b",
    b"https://example.com/a?b=c\n",
    b"ANTHROPIC_API_KEY=",
    b"\x1b]0;",
    b"\x1b[",
]


def redactor() -> Redactor:
    return Redactor([("env:TOKEN", EXACT)])


def joined(pieces: list[Released[int]]) -> bytes:
    return b"".join(piece.data for piece in pieces)


def in_pieces(slices: list[bytes], due: int = 1) -> list[Released[int]]:
    stream = PieceRedactor[int](redactor())
    out: list[Released[int]] = []
    for number, data in enumerate(slices):
        out += stream.feed(number, data)
        if number % due == 0:
            out += stream.due()
    return out + stream.finish()


def sliced(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[lo:hi] for lo, hi in pairwise(places)]


texts = st.lists(st.sampled_from([*ORDINARY, *BREAKS, *SECRETS, GITHUB[:20], GITHUB[20:]]), max_size=14).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(texts, st.lists(st.integers(0, 4000), max_size=12), st.integers(1, 3))
def test_the_result_is_the_same_however_the_bytes_were_cut(data: bytes, cuts: list[int], due: int) -> None:
    # A sequence that swallows a key's first letter: all of it goes, but how many keys it was is told differently.
    assume(not re.search(rb"\x1b\[?(?:sk-|ghp_|hunter)", data))
    assert joined(in_pieces(sliced(data, cuts), due)) == joined(in_pieces([data]))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SECRETS), st.data())
def test_a_secret_is_found_whatever_stands_between_its_letters(secret: bytes, data: st.DataObject) -> None:
    places = sorted(data.draw(st.sets(st.integers(1, len(secret) - 1), max_size=4)))
    parts = sliced(secret, places)
    # How long a key of no fixed length is, lines do not tell: of those the next test speaks.
    kinds = INLINE if secret is ANTHROPIC else BREAKS
    breaks = [data.draw(st.sampled_from(kinds)) for _ in parts[1:]]
    dressed = parts[0] + b"".join(gap + part for gap, part in zip(breaks, parts[1:], strict=True))
    text = b"before it " + dressed + b" and after\n"
    cuts = data.draw(st.lists(st.integers(0, 400), max_size=6))
    out = joined(in_pieces(sliced(text, cuts)))
    # Its first letters may be out before the backspace behind them comes, and with it the next.
    begun, marker, rest = out.partition(b"[REDACTED:")
    assert marker
    assert re.fullmatch(rb"[\w:-]+\] and after\n", rest), out
    for gap in {*breaks}:
        begun = begun.replace(gap, b"")
    assert len(begun) <= len(b"before it ") + 4, out


@settings(max_examples=200, deadline=None)
@given(texts.map(lambda data: re.sub(rb"sk-|ghp_|aB3x|a1B2|hunter2", b"", data)), st.lists(st.integers(0, 4000)))
def test_without_a_secret_nothing_changes_and_each_byte_keeps_its_piece(data: bytes, cuts: list[int]) -> None:
    slices = sliced(data, cuts)
    out = in_pieces(slices)
    assert [joined([piece for piece in out if piece.tag == n]) for n in range(len(slices))] == slices


@pytest.mark.parametrize(
    "text",
    [
        b"TOKEN=" + ANTHROPIC + b"\nPATH=/usr/bin\nAWS_S3_BUCKET=things\n",
        b"the key\n" + ANTHROPIC + b"\nnext to it\n",
        b"-----BEGIN PRIVATE KEY----- is how a key begins\nand nothing follows\n",
        b"Password:\nwelcome-to-this-machine-2026\n",
        b"eyJhbGciOi\nis a beginning\n",
    ],
)
def test_the_words_of_the_next_line_are_not_taken_for_a_key(text: bytes) -> None:
    assert joined(in_pieces([text])) == redactor().redact(text).data


def test_a_key_and_its_rest_on_the_next_line_are_one() -> None:
    out = joined(in_pieces([b"key: " + ANTHROPIC[:60] + b"\r\n" + ANTHROPIC[60:] + b"\r\nbye\r\n"]))
    assert out == b"key: [REDACTED:anthropic-api-key]\r\nbye\r\n"


def test_a_marker_belongs_to_the_piece_the_secret_began_in() -> None:
    out = in_pieces([b"a " + GITHUB[:10], GITHUB[10:20], GITHUB[20:] + b" b"], due=9)
    assert out == [(0, b"a ", ""), (0, b"[REDACTED:github-token]", "github-token"), (2, b" b", "")]


def test_what_is_held_back_is_bounded_and_ordinary_words_are_not() -> None:
    stream = PieceRedactor[int](redactor())
    assert joined([*stream.feed(0, b"how are you? fine"), *stream.due()]) == b"how are you? fine"
    assert stream.held is None
    given_out = fed = 0
    for number in range(60):
        data = b"a1B2C3d4" * (GATHER // 16)  # one word without end
        fed += len(data)
        given_out += len(joined([*stream.feed(number, data), *stream.due()]))
        assert fed - given_out <= 4 * GATHER
    assert stream.held is not None


def test_a_secret_without_end_is_taken_out_to_its_end() -> None:
    slices = [b"ghs_1_eyJ" + b"a" * 90, *[b"b1C" * 30_000] * 8, b" done"]
    out = joined(in_pieces(slices))
    assert out == b"[REDACTED:github-token] done"
