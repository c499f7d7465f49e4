"""Undoing a content-encoding, in whatever slices the wire delivers (RFC 9110 §8.4).

Known codings: identity, gzip and x-gzip (RFC 1952, several members), deflate (zlib's wrapper, RFC 1950, or
the bare RFC 1951 that some servers send), br (RFC 7932), zstd (RFC 8878, several frames), and lists of them:
a list names them in the order they were applied, so they are undone from its end.

Nothing that was decoded is ever taken back. A stream that ends early is `truncated`: what came out is a true
beginning of the body. Anything worse is `failed`: an unknown coding, corrupt data, a bomb, or an early end
before the first byte came out. Then what came out before is still a true beginning, but only the wire's own
bytes are the whole story, so a caller that keeps truth MUST keep those.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

from tapes.values import dataclass

MAX_OUTPUT = 512 * 1024 * 1024
"""Bytes that one layer of one body may decode to."""
MAX_STEP = 64 * 1024 * 1024
"""Bytes that one `feed` may return: what 64 KiB of the densest gzip expands to."""
MAX_LAYERS = 5
MAX_MEMBERS = 65_536
"""Members or frames of one layer. Empty ones cost time and no output, so that MAX_OUTPUT does not stop them."""
MAX_WINDOW = 32 * 1024 * 1024
"""Largest zstd window. RFC 9659 allows 8 MiB on the wire; a frame that asks for more memory than this is hostile."""

TRUNCATED = "truncated"

_SLICE = 16 * 1024
_PIECE = 256 * 1024
_ZSTD_SLICE = 1024
"""zstd has no output limit per call; a block of 4 bytes may become 128 KiB, so that this much becomes 32 MiB."""


class _Corrupt(Exception):
    """These bytes are not what the header says they are."""


class _Inflater(Protocol):
    """One member of one layer. `done` once its last byte was seen; `rest` is then what follows it."""

    @property
    def done(self) -> bool: ...

    @property
    def rest(self) -> bytes: ...

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode, in pieces of bounded size. Raises _Corrupt."""
        ...


class _Zlib:
    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data and not self._inner.eof:
                yield self._inner.decompress(data, _PIECE)
                data = self._inner.unconsumed_tail
        except zlib.error as error:
            raise _Corrupt(str(error)) from error
        self.done, self.rest = self._inner.eof, self._inner.unused_data


class _Deflate:
    """zlib's wrapper or none: the first two bytes tell (RFC 1950 §2.2: method 8, divisible by 31)."""

    def __init__(self) -> None:
        self._held = b""
        self._inner: _Zlib | None = None

    @property
    def done(self) -> bool:
        return self._inner is not None and self._inner.done

    @property
    def rest(self) -> bytes:
        return self._inner.rest if self._inner else b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        data = self._held + data
        if self._inner is None:
            if len(data) < 2:
                self._held = data
                return
            wrapped = data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._inner, self._held = _Zlib(15 if wrapped else -15), b""
        yield from self._inner.feed(data)


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Decompressor()
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            piece = self._inner.process(data, output_buffer_limit=_PIECE)
            # It may have taken all its input and still hold output: only an empty piece says that there is no more.
            while piece:
                yield piece
                piece = b"" if self._inner.is_finished() else self._inner.process(b"", output_buffer_limit=_PIECE)
        except brotli.error as error:
            raise _Corrupt(str(error)) from error
        self.done = self._inner.is_finished()


class _Zstd:
    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            for at in range(0, len(data), _ZSTD_SLICE):
                yield self._inner.decompress(data[at : at + _ZSTD_SLICE])
                if self._inner.eof:
                    self.done, self.rest = True, self._inner.unused_data + data[at + _ZSTD_SLICE :]
                    return
        except zstandard.ZstdError as error:
            raise _Corrupt(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Coding:
    make: Callable[[], _Inflater]
    concatenates: bool
    """Whether the format says that another member may follow the first."""


_GZIP = _Coding(lambda: _Zlib(31), True)
_CODINGS = {
    "gzip": _GZIP,
    "x-gzip": _GZIP,
    "deflate": _Coding(_Deflate, False),
    "br": _Coding(_Brotli, False),
    "zstd": _Coding(_Zstd, True),
}


class _Layer:
    """One coding of the list: its members one after the other, and the limits on all of them together."""

    def __init__(self, name: str, max_output: int) -> None:
        self._name = name
        self._coding = _CODINGS[name]
        self._left = max_output
        self._members = 0
        self._member: _Inflater | None = None

    @property
    def ended(self) -> bool:
        """Between members: an end here is a real one."""
        return self._member is None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises _Corrupt, also for output beyond the limit."""
        for at in range(0, len(data), _SLICE):
            yield from self._slice(data[at : at + _SLICE])

    def _slice(self, data: bytes) -> Iterator[bytes]:
        while data:
            member = self._member = self._member or self._next_member()
            try:
                for piece in member.feed(data):
                    self._left -= len(piece)
                    if self._left < 0:
                        raise _Corrupt("decodes to more than is allowed")
                    if piece:
                        yield piece
            except _Corrupt as error:
                raise _Corrupt(f"{self._name}: {error}") from error
            if not member.done:
                return
            data, self._member = member.rest, None

    def _next_member(self) -> _Inflater:
        if self._members and not self._coding.concatenates:
            raise _Corrupt(f"{self._name}: bytes after the end")
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise _Corrupt(f"{self._name}: too many members")
        return self._coding.make()


class StreamDecoder:
    """Undoes the codings of a Content-Encoding header value (any case; empty or `identity` passes bytes
    through).

    Never raises. `error` says what is wrong, once something is: `truncated`, or a sentence. `failed` is true
    for everything but a truncation that left something to read; `feed` then returns nothing more.
    """

    def __init__(self, header_value: str, *, max_output: int = MAX_OUTPUT, max_step: int = MAX_STEP) -> None:
        self.error: str | None = None
        self.failed = False
        self._max_step = max_step
        self._fed = self._produced = False
        names = [name for part in header_value.split(",") if (name := part.strip().lower()) not in ("", "identity")]
        self._layers: list[_Layer] = []
        unknown = [name for name in names if name not in _CODINGS]
        if unknown:
            self._fail(f"unknown coding {unknown[0][:40]!r}")
        elif len(names) > MAX_LAYERS:
            self._fail(f"{len(names)} codings on top of each other")
        else:
            self._layers = [_Layer(name, max_output) for name in reversed(names)]

    def feed(self, data: bytes) -> bytes:
        """What these wire bytes decode to; where they are corrupt, what came before that."""
        self._fed = self._fed or bool(data)
        if self.failed:
            return b""
        if not self._layers:
            return data
        out, size = [], 0
        try:
            for piece in self._through(data, 0):
                size += len(piece)
                if size > self._max_step:
                    raise _Corrupt("expands too much at once")
                out.append(piece)
        except _Corrupt as error:
            self._fail(str(error))
        self._produced = self._produced or bool(out)
        return b"".join(out)

    def finish(self) -> bytes:
        """The stream has ended: judge how. Returns what was held back (today's codings hold nothing)."""
        # No byte at all under a coding is a body that was never sent (HEAD, 304): nothing is missing from it.
        if self._fed and self.error is None and not all(layer.ended for layer in self._layers):
            self.error = TRUNCATED
            self.failed = not self._produced
        return b""

    def _through(self, data: bytes, depth: int) -> Iterator[bytes]:
        if depth == len(self._layers):
            yield data
            return
        for piece in self._layers[depth].feed(data):
            yield from self._through(piece, depth + 1)

    def _fail(self, error: str) -> None:
        self.error, self.failed = error, True


@dataclass(frozen=True, slots=True)
class Decoded:
    """A whole body, decoded. With `failed`, `data` is a beginning at best: keep the wire bytes."""

    data: bytes
    error: str | None
    failed: bool


def decode(header_value: str, body: bytes, *, max_output: int = MAX_OUTPUT) -> Decoded:
    """Undo the codings of a whole body. Never raises."""
    decoder = StreamDecoder(header_value, max_output=max_output, max_step=max_output)
    data = decoder.feed(body)
    data += decoder.finish()
    return Decoded(data, decoder.error, decoder.failed)
