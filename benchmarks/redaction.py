"""Redaction: MB/s of a first body, ms of the next one, µs an event; and what hostile bodies cost.

    python benchmarks/redaction.py

Reach: a cold body at 60 MB/s or more, a repeated 2 MB body with 10 KB new in 2 ms or less.
"""

from __future__ import annotations

import json
import random
import string
import time
from collections.abc import Callable

from tapes.wire.redact import Redactor, StreamRedactor

_RANDOM = random.Random(2026)
_WORDS = [
    "the",
    "of",
    "a",
    "to",
    "in",
    "is",
    "that",
    "for",
    "it",
    "with",
    "as",
    "was",
    "on",
    "are",
    "be",
    "this",
    "at",
    "by",
    "from",
    "or",
    "an",
    "not",
    "which",
    "session",
    "request",
    "tool",
    "record\nfile",
    "path",
    "print",
    "return",
    "import",
    "self",
    "value",
    "index_of_the_first",
    "test_that_nothing_is_lost",
    "https://example.com/docs/page?id=1\n@pytest.fixture",
    "src/components/Header.tsx",
    "0x7f3a",
    "def",
    "class",
    "None",
    "True",
    "user@example.com",
    '{"type":"text"}',
    "\t\n",
    "\n\n",
    "```",
    "-",
    "**",
]


def _prose(size: int) -> str:
    words = _RANDOM.choices(_WORDS, k=size // 4)
    return " ".join(words)[:size]


def claude_like(size: int) -> bytes:
    """Messages of prose and code, tool calls with escaped arguments, thinking with signatures, ids."""
    messages: list[object] = []
    made = 0
    while made < size:
        signature = "".join(_RANDOM.choices(string.ascii_letters + string.digits + "+/", k=400)) + "=="
        turn = [
            {"type": "thinking", "thinking": _prose(600), "signature": signature},
            {"type": "tool_use", "id": f"toolu_{_RANDOM.randbytes(12).hex()}", "input": {"command": _prose(200)}},
            {"type": "tool_result", "content": _prose(4000)},
        ]
        messages.append({"role": "assistant", "content": turn})
        made += len(json.dumps(turn))
    return json.dumps({"model": "m", "messages": messages}).encode()


def _best(work: Callable[[], object], rounds: int = 5) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def _stream(pieces: int) -> bytes:
    event = '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%s}}'
    return b"".join(
        b"data: %s\n\n" % (event % json.dumps(" " + _RANDOM.choice(_WORDS))).encode() for _ in range(pieces)
    )


def main() -> None:
    body = claude_like(2_000_000)
    values = [
        (f"env:KEY_{n}", "".join(_RANDOM.choices(string.ascii_letters + string.digits, k=48)).encode())
        for n in range(8)
    ]
    mb = len(body) / 1e6
    for count in (0, 1, 3, 8):
        redactor = Redactor(values[:count])
        print(f"cold {mb:.1f} MB, {count} exact values: {mb / _best(lambda r=redactor: r.redact(body)):7.1f} MB/s")
    redactor = Redactor(values[:3])
    _, hint = redactor.body(body, None)
    longer = body[:-2] + b"," + claude_like(10_000)[:-1] + b"}]}"
    print(f"hinted, 10 KB new at the end:  {_best(lambda: redactor.body(longer, hint), 20) * 1e3:6.2f} ms")
    moved = body.replace(b'"model": "m"', b'"model": "n"', 1)[:-2] + b"," + claude_like(10_000)[:-1] + b"}]}"
    print(f"hinted, changed at both ends:  {_best(lambda: redactor.body(moved, hint), 20) * 1e3:6.2f} ms")

    stream = _stream(20_000)
    for size in (200, 4096, 262_144):
        cost = _best(lambda s=size: _fed(StreamRedactor(redactor, sse=True), stream, s), 2)
        print(
            f"event stream in pieces of {size:6}: {len(stream) / 1e6 / cost:6.1f} MB/s,"
            f" {cost / 20_000 * 1e6:5.1f} us an event"
        )

    for name, unit in {
        "sk-": b"sk-",
        "quotes": b'"',
        "BEGIN": b"-----BEGIN",
        "BEGIN lines": b"-----BEGIN PRIVATE KEY-----",
        "jwt parts": b"eyJaaaaaaaaaaaaaaaaaaaa.",
        "@": b"@",
        "://": b"://a:a@",
        "backslashes": b"\\",
    }.items():
        small, large = ((unit * (size // len(unit)))[:size] for size in (1_000_000, 10_000_000))
        a, b = _best(lambda d=small: redactor.redact(d), 1), _best(lambda d=large: redactor.redact(d), 1)
        print(f"hostile {name:12} 10 MB: {b:5.2f} s, {b / a:5.1f} times 1 MB")


def _fed(stream: StreamRedactor, data: bytes, size: int) -> bytes:
    return b"".join([*(stream.feed(data[at : at + size]) for at in range(0, len(data), size)), stream.finish()])


if __name__ == "__main__":
    main()
