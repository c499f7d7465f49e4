"""Content-encodings: every coding, in any slices, cut, corrupt, stacked, and hostile."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from itertools import pairwise

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.wire.encoding import TRUNCATED, Decoded, StreamDecoder, decode


def bare_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


CODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd),
    "stacked": ("gzip, br", lambda data: brotli.compress(gzip.compress(data))),
    "stacked with identity": ("identity , ZSTD,x-gzip", lambda data: gzip.compress(zstd(data))),
}
TEXT = b'{"model":"m","messages":[{"role":"user","content":"ping"}]}' * 300

slices = st.lists(st.integers(0, 5000), max_size=8)


def in_slices(header: str, wire: bytes, cuts: list[int]) -> tuple[bytes, StreamDecoder]:
    decoder = StreamDecoder(header)
    places = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    data = b"".join(decoder.feed(wire[a:b]) for a, b in pairwise(places))
    return data + decoder.finish(), decoder


@pytest.mark.parametrize("header", ["", "identity", " Identity ", "identity, identity"])
def test_without_a_coding_bytes_pass_through(header: str) -> None:
    assert decode(header, b"\x1f\x8bnot gzip") == Decoded(b"\x1f\x8bnot gzip", None, False)


@pytest.mark.parametrize("coder", CODERS)
@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=3000), cuts=slices)
def test_any_slicing_decodes_to_the_same_bytes(coder: str, data: bytes, cuts: list[int]) -> None:
    header, encode = CODERS[coder]
    decoded, decoder = in_slices(header, encode(data), cuts)
    assert decoded == data
    assert (decoder.error, decoder.failed) == (None, False)


@pytest.mark.parametrize("coder", CODERS)
def test_a_whole_body_decodes_one_byte_at_a_time(coder: str) -> None:
    header, encode = CODERS[coder]
    wire = encode(TEXT)
    decoded, decoder = in_slices(header, wire, list(range(len(wire))))
    assert (decoded, decoder.error) == (TEXT, None)


@pytest.mark.parametrize(("header", "encode"), [("gzip", gzip.compress), ("zstd", zstd)])
@settings(max_examples=25, deadline=None)
@given(parts=st.lists(st.binary(max_size=200), min_size=1, max_size=6), cuts=slices)
def test_members_after_each_other_are_one_body(
    header: str, encode: Callable[[bytes], bytes], parts: list[bytes], cuts: list[int]
) -> None:
    decoded, decoder = in_slices(header, b"".join(map(encode, parts)), cuts)
    assert (decoded, decoder.error) == (b"".join(parts), None)


@pytest.mark.parametrize("coder", CODERS)
def test_a_body_cut_anywhere_is_truncated_and_gives_a_true_beginning(coder: str) -> None:
    header, encode = CODERS[coder]
    wire = encode(TEXT)
    for cut in range(1, len(wire)):
        decoded = decode(header, wire[:cut])
        assert TEXT.startswith(decoded.data)
        assert decoded.error == TRUNCATED
        assert decoded.failed == (not decoded.data), "with nothing decoded, only the wire bytes are left"


def test_a_flushed_stream_is_decoded_as_it_arrives() -> None:
    made = zlib.compressobj(wbits=31)
    decoder = StreamDecoder("gzip")
    for event in (b"event: a\n\n", b"event: b\n\n"):
        assert decoder.feed(made.compress(event) + made.flush(zlib.Z_SYNC_FLUSH)) == event


def test_no_body_under_a_coding_is_no_body() -> None:
    assert decode("gzip", b"") == Decoded(b"", None, False)


@pytest.mark.parametrize("header", ["compress", "gzip, rot13", "gzip;q=1", "," * 3 + "x" * 10_000])
def test_an_unknown_coding_is_a_failure_that_names_it(header: str) -> None:
    decoded = decode(header, gzip.compress(b"x"))
    assert decoded.failed and decoded.error is not None
    assert decoded.error.startswith("unknown coding") and len(decoded.error) < 80
    assert decoded.data == b""


@pytest.mark.parametrize("coder", ["gzip", "deflate", "zstd"])
def test_corrupt_bytes_fail_and_what_came_before_them_stays(coder: str) -> None:
    header, encode = CODERS[coder]
    good = encode(TEXT)
    decoder = StreamDecoder(header)
    first = decoder.feed(good[:-3])
    assert TEXT.startswith(first)
    decoder.feed(bytes(byte ^ 0xFF for byte in good[-3:]) + b"rubbish" * 100)
    decoder.finish()
    assert decoder.failed
    assert decoder.feed(b"more") == b""


@pytest.mark.parametrize("coder", CODERS)
@settings(max_examples=40, deadline=None)
@given(wire=st.binary(max_size=400), at=st.integers(0, 10_000), cuts=slices)
def test_no_bytes_whatever_raise(coder: str, wire: bytes, at: int, cuts: list[int]) -> None:
    header, encode = CODERS[coder]
    in_slices(header, wire, cuts)
    good = bytearray(encode(TEXT))
    good[at % len(good)] ^= 0x55
    in_slices(header, bytes(good), cuts)


@pytest.mark.parametrize("coder", ["deflate", "br"])
def test_bytes_after_the_end_are_not_dropped_silently(coder: str) -> None:
    header, encode = CODERS[coder]
    decoded = decode(header, encode(b"all of it") + b"and more")
    assert decoded.failed


@pytest.mark.parametrize("coder", CODERS)
def test_a_bomb_is_stopped_at_the_limit(coder: str) -> None:
    header, encode = CODERS[coder]
    decoded = decode(header, encode(bytes(4_000_000)), max_output=1_000_000)
    assert decoded.failed and decoded.error is not None and "more than is allowed" in decoded.error
    assert len(decoded.data) <= 1_000_000


@pytest.mark.parametrize("coder", ["gzip", "br", "zstd"])
def test_a_body_of_exactly_the_limit_is_decoded(coder: str) -> None:
    header, encode = CODERS[coder]
    assert decode(header, encode(bytes(1_000_000)), max_output=1_000_000) == Decoded(bytes(1_000_000), None, False)


def test_one_step_of_a_stream_expands_only_so_far() -> None:
    decoder = StreamDecoder("br", max_step=1_000_000)
    assert len(decoder.feed(brotli.compress(bytes(10_000_000)))) <= 1_000_000
    assert decoder.failed


def test_a_bomb_inside_a_bomb_is_stopped() -> None:
    assert decode("gzip, gzip", gzip.compress(gzip.compress(bytes(50_000_000))), max_output=1_000_000).failed
    assert decode(", ".join(["gzip"] * 1000), b"x").failed


def test_endless_empty_members_are_stopped() -> None:
    decoded = decode("gzip", gzip.compress(b"") * 70_000)
    assert decoded.failed and decoded.error is not None and "too many members" in decoded.error


def test_a_zstd_frame_that_asks_for_too_much_memory_is_refused() -> None:
    # Window descriptors 0x78 and 0x88: 32 MiB and 128 MiB (RFC 8878 §3.1.1.1.2).
    for descriptor, failed in ((0x78, False), (0x88, True)):
        frame = bytes.fromhex("28b52ffd00") + bytes([descriptor]) + bytes.fromhex("290000") + b"hello"
        decoded = decode("zstd", frame)
        assert decoded.failed is failed
        assert decoded.data == (b"" if failed else b"hello")
