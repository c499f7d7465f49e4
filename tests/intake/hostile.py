"""One hostile body through the whole intake, as request and as answer: python hostile.py FOLDER KIND SCALE HOST PATH.

The process limits itself: more processor time than a body of this size can need ends it. SCALE multiplies the sizes; 1
is a few MB, 25 is 100 MB and more. Says as JSON what is in the archive then, and how much memory that took.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli
import zstandard

from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import verify
from tapes.intake.opening import Facts
from tapes.intake.recording import LAUNCH, Recording
from tapes.intake.writer import Writer
from tapes.record.kinds import BodyRef
from tapes.wire.exchange import Answered, Arrived, Finished, Happening, Moment, Opened
from tapes.wire.redact import Redactor

MB = 1 << 20
SECONDS = 100
"""Of processor time for each unit of SCALE. What takes quadratic time takes hours."""


def said(text: bytes) -> bytes:
    return b'{"model":"m","messages":[{"role":"user","content":' + text + b"}]}"


def zeros(size: int) -> Iterator[bytes]:
    for _ in range(size // MB):
        yield bytes(MB)


def gzipped(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(piece) for piece in zeros(size)) + packer.flush()


def zstd(size: int) -> bytes:
    packer = zstandard.ZstdCompressor(19).compressobj()
    return b"".join(packer.compress(piece) for piece in zeros(size)) + packer.flush()


def br(size: int) -> bytes:
    packer = brotli.Compressor(quality=5)
    return b"".join(packer.process(piece) for piece in zeros(size)) + packer.finish()


KINDS: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "quotes": ("", lambda n: b'"' * (2 * MB * n)),
    "escaped quotes": ("", lambda n: said(b'"' + b'\\"' * (MB * n) + b'"')),
    "backslashes": ("", lambda n: said(b'"' + b"\\" * (2 * MB * n))),
    "deep lists": ("", lambda n: b"[" * (100_000 * n) + b"]" * (100_000 * n)),
    "deep objects": ("", lambda n: b'{"a":' * (100_000 * n) + b"1" + b"}" * (100_000 * n)),
    "deep content": ("", lambda n: said(b"[" * 100_000 + b"]" * 100_000)),
    "not a number": ("", lambda n: said(b"[NaN,Infinity,-Infinity,1e999,-0.0]")),
    "many digits": ("", lambda n: said(b"9" * (MB * n))),
    "byte order mark": ("", lambda n: b"\xef\xbb\xbf" + said(b'"x"')),
    "utf-16": ("", lambda n: said(b'"x"').decode().encode("utf-16")),
    "lone surrogates": ("", lambda n: said(b'"\\ud800 \\udc00\\ud800 \xed\xa0\x80 \xed\xb0\x80"')),
    "duplicate keys": ("", lambda n: b'{"model":"a",' + b'"model":"b","messages":[],' * (50_000 * n) + b'"x":1}'),
    "no end of keys": ("", lambda n: b"{" + b",".join(b'"%d":1' % i for i in range(150_000 * n)) + b"}"),
    "NUL bytes": ("", lambda n: bytes(2 * MB * n)),
    "noise": ("", lambda n: os.urandom(2 * MB * n)),
    "large": ("", lambda n: said(b'"' + os.urandom(4 * MB * n).hex().encode() + b'"')),
    "events of quotes": ("", lambda n: b"data: " + b'"' * (MB * n) + b"\n\ndata: " + b'{"' * (MB * n) + b"\n\n"),
    "empty events": ("", lambda n: b"data:\n\n" * (60_000 * n)),
    "lines without end": ("", lambda n: b"data: {}\n" * (200_000 * n)),
    "a record": ("", lambda n: bytes.fromhex("aa617601637365710064626f6479a0")),
    "gzip bomb": ("gzip", lambda n: gzipped(24 * MB * n)),
    "gzip in gzip": ("gzip, gzip", lambda n: gzip.compress(gzipped(32 * MB * n))),
    "zstd bomb": ("zstd", lambda n: zstd(24 * MB * n)),
    "br bomb": ("br", lambda n: br(24 * MB * n)),
    "empty members": ("gzip", lambda n: gzip.compress(b"", 9) * (20_000 * n)),
}


def happenings(kind: str, scale: int, host: str, path: str) -> tuple[bytes, list[Happening]]:
    coding, make = KINDS[kind]
    body = make(scale)
    headers = ((b"content-type", b"application/json"), *([(b"content-encoding", coding.encode())] if coding else []))
    kind_of_stream = b"text/event-stream" if "event" in kind or "lines" in kind else b"application/json"
    streamed = ((b"content-type", kind_of_stream), *headers[1:])
    url = f"https://{host}{path}"
    told: list[Happening] = [
        Opened("k", Moment.now(), "POST", url, "HTTP/1.1", headers, body, "", "model", "c", "proxy"),
        Answered("k", Moment.now(), 200, "OK", "HTTP/1.1", streamed),
    ]
    for start in range(0, len(body), 64 * 1024):
        told.append(Arrived("k", time.monotonic_ns(), body[start : start + 64 * 1024]))
    return body, [*told, Finished("k", Moment.now(), "eof")]


def main() -> None:
    folder, kind, scale = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    body, told = happenings(kind, scale, *sys.argv[4:6])
    archive = LmdbArchive.open(folder / "archive", create=True)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS * scale, SECONDS * scale))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    recording = Recording.begin(Facts("generic", [b"x"], b"/"), Redactor())
    writer = Writer(archive, lambda who: recording)
    writer.expect(LAUNCH)
    writer.start()
    for n, happening in enumerate(told):
        assert writer.put(happening)
        if n % 500 == 0:  # 32 MB: the queue is not what this is about
            assert writer.wait_safe(SECONDS * scale)
    closed = writer.close({"how": "test"}, SECONDS * scale)
    processor = time.process_time()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    records = [record for _, _, record in archive.log()]
    opened = next(record for record in records if record.type == "exchange.open")
    end = next(record for record in records if record.type == "exchange.end")
    refs = [BodyRef.match(ref) for ref in (opened.body["request"], end.body["response"])]
    kept = [archive.body(ref) if ref else b"" for ref in refs]
    print(
        json.dumps(
            {
                "closed": closed,
                "types": [record.type for record in records],
                "notes": [record.body["text"][:80] for record in records if record.type == "note"],
                "outcome": end.body["outcome"],
                "size": len(body),
                "same": [one == body for one in kept],
                "stored": [len(one) for one in kept],
                "grown": grown * 1024,
                "seconds": processor,
                "sound": verify(archive).ok,
            }
        )
    )


if __name__ == "__main__":
    main()
