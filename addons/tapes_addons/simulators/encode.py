"""Content codings, written as a network does for event streams: every event leaves at once, flushed.

A stacked coding such as "gzip, br" is applied from left to right (RFC 9110 §8.4), so a reader undoes it
from right to left. `deflate` is the zlib format (RFC 1950), as the RFC says and not as some old servers
did.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import brotli  # type: ignore[import-untyped]
import zstandard

CODINGS = ("gzip", "deflate", "br", "zstd")


@dataclass(frozen=True, slots=True)
class _Coder:
    feed: Callable[[bytes], bytes]
    """One event in; all of it out, decodable by what has been sent so far."""
    end: Callable[[], bytes]


def _zlib(window: int) -> _Coder:
    coder = zlib.compressobj(6, zlib.DEFLATED, window)
    return _Coder(lambda data: coder.compress(data) + coder.flush(zlib.Z_SYNC_FLUSH), coder.flush)


def _brotli() -> _Coder:
    coder = brotli.Compressor(quality=4)
    return _Coder(lambda data: bytes(coder.process(data) + coder.flush()), lambda: bytes(coder.finish()))


def _zstd() -> _Coder:
    coder = zstandard.ZstdCompressor().compressobj()
    return _Coder(
        lambda data: bytes(coder.compress(data) + coder.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)),
        lambda: bytes(coder.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)),
    )


_CODERS: dict[str, Callable[[], _Coder]] = {
    "gzip": lambda: _zlib(31),
    "deflate": lambda: _zlib(15),
    "br": _brotli,
    "zstd": _zstd,
}


def codings(header: str) -> list[str]:
    """The codings that a Content-Encoding value lists, in order; `identity` is none."""
    names = [name.strip().lower() for name in header.split(",")]
    return [name for name in names if name not in ("", "identity")]


class Encoder:
    """A stack of codings. Raises ValueError on an unknown one."""

    def __init__(self, names: list[str]) -> None:
        if unknown := [name for name in names if name not in _CODERS]:
            raise ValueError(f"unknown content coding {unknown[0]!r}")
        self._coders = [_CODERS[name]() for name in names]

    def feed(self, data: bytes) -> bytes:
        for coder in self._coders:
            data = coder.feed(data)
        return data

    def end(self) -> bytes:
        """What closes the stack: each coder's end must still pass through those after it."""
        data = b""
        for coder in self._coders:
            data = (coder.feed(data) if data else b"") + coder.end()
        return data


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": lambda data: bytes(zstandard.ZstdDecompressor().decompressobj().decompress(data)),
}


def decode(data: bytes, header: str) -> bytes:
    """A whole body out of its Content-Encoding. Raises ValueError when it cannot be undone."""
    for name in reversed(codings(header)):
        if name not in _DECODERS:
            raise ValueError(f"unknown content coding {name!r}")
        try:
            data = _DECODERS[name](data)
        except (OSError, EOFError, zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise ValueError(f"the body is not {name}: {error}") from error
    return data
