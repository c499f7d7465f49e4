"""Compression of everything an archive keeps: zstd frames with the size inside and a dictionary beforehand.

    number of the dictionary u8 · zstd frame

No checksum: what comes out is re-hashed by whoever asked for it.
"""

from __future__ import annotations

from functools import cache

import zstandard

from tapes.archive.dictionary import BY_NUMBER, NUMBER
from tapes.errors import Damaged

QUICK, THOROUGH = 1, 6
"""Levels of zstd: for records, where a higher one gains nothing, and for packs."""
RECORD_MAX = 1 << 30
"""More than any record of ours: the bound on what a damaged row may ask us to unpack."""


def compress(data: bytes, level: int = QUICK) -> bytes:
    # A compressor of its own each time: one of theirs must not be used by two threads at once.
    squeezed = zstandard.ZstdCompressor(level=level, dict_data=_prepared(NUMBER, level)).compress(data)
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


def record(data: bytes) -> bytes:
    """A row of the log, unpacked. One that cannot be is given back as it is: then it does not match the hash it is
    asked by, and so is reported under its own name and place, which nobody knows here."""
    try:
        return decompress(data, RECORD_MAX)
    except Damaged:
        return data


@cache
def _dictionary(number: int) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(BY_NUMBER[number], dict_type=zstandard.DICT_TYPE_RAWCONTENT)


@cache
def _prepared(number: int, level: int) -> zstandard.ZstdCompressionDict:
    """The same, digested once for compressing at a level."""
    made = zstandard.ZstdCompressionDict(BY_NUMBER[number], dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    made.precompute_compress(level=level)
    return made
