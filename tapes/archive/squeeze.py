"""Compression of everything an archive keeps: zstd with a dictionary beforehand.

Alone (the bytes of open parts), as a zstd frame with the size inside:

    number of the dictionary u8 · zstd frame

Packs come as pieces of one zstd frame (`Stream`): each ends where a block ends, so it can be unpacked as soon as it is
there, but only behind the pieces before it, whose text it may repeat at almost no cost.

No checksum: what comes out is re-hashed by whoever asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import IO, cast

import zstandard

from tapes.archive.dictionary import BY_NUMBER, NUMBER
from tapes.errors import Damaged

QUICK, THOROUGH = 1, 6
"""Levels of zstd: for bytes that are soon given up, and for packs."""
WINDOW_LOG = 20
"""Of streams: how far back a piece can refer, as a power of two."""


class Stream:
    """Compresses pieces, each with all before it as its dictionary. Not for two threads at once."""

    def __init__(self) -> None:
        self.number = NUMBER
        parameters, prepared = _prepared_for_streams(NUMBER)
        self._stream = zstandard.ZstdCompressor(compression_params=parameters, dict_data=prepared).compressobj()

    def add(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


def unpack(number: int, pieces: Iterable[tuple[bytes, int]]) -> Iterator[bytes]:
    """The pieces of a stream, unpacked one after the other; with each comes its unpacked size, which is never exceeded.
    Damaged at the first that cannot be unpacked. One that was changed may also come out as other bytes, as may all
    behind it."""
    if number not in BY_NUMBER:
        raise Damaged("cannot be unpacked: no dictionary of ours")
    source = _OneByOne()
    unpacker = zstandard.ZstdDecompressor(dict_data=_dictionary(number), max_window_size=1 << WINDOW_LOG)
    reader = unpacker.stream_reader(cast(IO[bytes], source))  # of a file it needs no more than `read`
    for piece, size in pieces:
        source.give(piece)
        try:
            data = reader.read(size)
        except zstandard.ZstdError as error:
            raise Damaged(f"cannot be unpacked: {error}") from error
        if len(data) != size:
            raise Damaged("cannot be unpacked: it is shorter than it claims")
        yield data


class _OneByOne:
    """A file for zstd to read, which never gives it the next piece before the one before is wanted and unpacked: else
    damage in the next would show in this one."""

    def __init__(self) -> None:
        self._piece = b""

    def give(self, piece: bytes) -> None:
        self._piece = piece

    def read(self, size: int = -1) -> bytes:
        piece, self._piece = self._piece, b""
        return piece


def compress(data: bytes) -> bytes:
    # A compressor of its own each time: one of theirs must not be used by two threads at once.
    squeezed = zstandard.ZstdCompressor(level=QUICK, dict_data=_prepared(NUMBER, QUICK)).compress(data)
    return bytes((NUMBER,)) + squeezed


def decompress(data: bytes, most: int) -> bytes:
    """Damaged when the bytes are not what `compress` made, or claim to be more than `most` bytes unpacked."""
    if not data or data[0] not in BY_NUMBER:
        raise Damaged("cannot be unpacked: no dictionary of ours")
    frame = data[1:]
    try:
        size = zstandard.frame_content_size(frame)
        if not 0 <= size <= most:
            raise Damaged("cannot be unpacked: it claims a size that cannot be")
        unpacker = zstandard.ZstdDecompressor(dict_data=_dictionary(data[0]))
        return unpacker.decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Damaged(f"cannot be unpacked: {error}") from error


@cache
def _dictionary(number: int) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(BY_NUMBER[number], dict_type=zstandard.DICT_TYPE_RAWCONTENT)


@cache
def _prepared(number: int, level: int) -> zstandard.ZstdCompressionDict:
    """The same, digested once for compressing at a level."""
    made = zstandard.ZstdCompressionDict(BY_NUMBER[number], dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    made.precompute_compress(level=level)
    return made


@cache
def _prepared_for_streams(
    number: int,
) -> tuple[zstandard.ZstdCompressionParameters, zstandard.ZstdCompressionDict]:
    parameters = zstandard.ZstdCompressionParameters.from_level(THOROUGH, window_log=WINDOW_LOG)
    made = zstandard.ZstdCompressionDict(BY_NUMBER[number], dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    made.precompute_compress(compression_params=parameters)
    return parameters, made
