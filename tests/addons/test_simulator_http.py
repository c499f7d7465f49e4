"""The simulators' own HTTP: requests are read however they come, codings can be undone, nonsense is refused."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes_addons.simulators import http1
from tapes_addons.simulators.encode import CODINGS, Encoder, decode


@given(st.lists(st.binary(max_size=200), max_size=8), st.lists(st.sampled_from(CODINGS), max_size=3))
@settings(max_examples=60)
def test_a_stack_of_codings_can_be_undone(data: list[bytes], names: list[str]) -> None:
    encoder = Encoder(names)
    wire = b"".join(map(encoder.feed, data)) + encoder.end()
    assert decode(wire, ", ".join(names)) == b"".join(data)


@given(st.binary(max_size=300), st.integers(0, 2**32))
@settings(max_examples=60)
def test_a_request_is_the_same_however_it_was_chunked(body: bytes, seed: int) -> None:
    rng, rest, chunks = random.Random(seed), body, b""
    while rest:
        size = rng.randint(1, len(rest))
        chunks += b"%X;note=x\r\n%s\r\n" % (size, rest[:size])
        rest = rest[size:]
    head = b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n"
    whole = head % (b"Content-Length: %d" % len(body)) + body
    chunked = head % b"transfer-encoding: chunked" + chunks + b"0\r\nTrailer: x\r\n\r\n"
    for data in (whole, chunked):
        request = asyncio.run(_read(data, rng))
        assert request
        assert (request.path, request.body) == ("/v1/messages", body)


async def _read(data: bytes, rng: random.Random) -> http1.Request | None:
    reader = asyncio.StreamReader(limit=http1.HEAD_LIMIT)
    while data:
        size = rng.randint(1, len(data))
        reader.feed_data(data[:size])
        data = data[size:]
    reader.feed_eof()
    return await http1.read_request(reader, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP",
        b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx",
    ],
)
async def test_what_is_not_a_request_is_refused(data: bytes) -> None:
    with pytest.raises(http1.Malformed):
        await _read(data, random.Random(0))
