"""What searching costs in a large archive: indexing it, one word, one more record, and `tapes search` as a command.

    python benchmarks/search.py [records] [--bare]

The archive is made up: sessions of 500 records, each a note of a few dozen words out of a vocabulary in which, as in a
language, some words are in every tenth text and most in one of thousands. With --bare the index is filled without an
archive (the same rows), so that a million are there within a minute or two; what needs records is then left out.
To reach at a million: a word p50 <= 5 ms in the core and <= 150 ms as a command, one more record <= 5 ms.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tapes.archive.base import Batch, Draft
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.index.index import Index
from tapes.index.sound import row_sum, word_sum
from tapes.search.find import Search, search
from tapes.search.query import parse

SESSION = 500
ROUNDS = 30


def vocabulary() -> tuple[list[str], list[int]]:
    words = [f"{a}{b}{n}" for n in range(20) for a in ("ka", "lo", "mi", "ne", "su") for b in ("ra", "to", "vi", "zu")]
    words += [f"w{n:05}" for n in range(20_000)]
    weights = [10_000_000 // (rank + 10) for rank in range(len(words))]
    return words, weights


def texts(count: int) -> Iterator[str]:
    draw = random.Random(7)
    words, weights = vocabulary()
    for at in range(0, count, 5000):
        many = min(5000, count - at)
        drawn = draw.choices(words, weights, k=many * 30)
        for n in range(many):
            yield " ".join(drawn[n * 30 : n * 30 + 30])


def opening(number: int) -> Draft:
    body = {
        "agent": ("claude", "codex", "gemini")[number % 3],
        "argv": [b"agent"],
        "cwd": b"/home/a/project",
        "scheme": "plain",
        "tapes": "0",
        "participant": {"kind": "agent", "name": "claude", "user": "a"},
    }
    return Draft("session.open", body, None, wall_ns=1_700_000_000_000_000_000 + number * 10**12)


def fill(archive: LmdbArchive, count: int) -> None:
    batch, session = Batch(), opening(0)
    for n, text in enumerate(texts(count)):
        if n % SESSION == 0:
            session = opening(n // SESSION)
            batch.drafts.append(session)
        elif n % SESSION == SESSION - 1 and n + SESSION < count:  # the last one is being recorded
            batch.drafts.append(Draft("session.close", {"status": 0, "signal": None}, session))
        else:
            batch.drafts.append(Draft("note", {"kind": "note", "text": text}, session, wall_ns=session.wall_ns + n))
        if len(batch.drafts) >= 5000:
            archive.commit(batch)
            batch = Batch()
    archive.commit(batch)


def fill_bare(index: Index, count: int) -> None:
    """The rows that the same archive would have led to."""
    db = index.db
    for n, fact in enumerate((("agent", "claude"), ("type", "note")), 1):
        db.execute("INSERT INTO words VALUES (?, ?, ?, ?)", (n, *fact, word_sum(*fact)))
    with index.file.writing():
        for n, text in enumerate(texts(count)):
            key = n + 1 << 20
            if n % SESSION == 0:
                hash_ = (n + 1).to_bytes(32)
                db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, '', 500)", (n, hash_, n, n, key, key))
            row = (key, n - n % SESSION, (n + 1).to_bytes(32), n, "k1 k2", text, n)
            db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, row_sum(*row)))
            db.execute("INSERT INTO fts (rowid, text, facts) VALUES (?, ?, 'k1 k2')", (key, text))
            if n % 2000 == 1999:
                db.execute("COMMIT")
                db.execute("BEGIN IMMEDIATE")


def timed(work: Callable[[], object], rounds: int = ROUNDS) -> str:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return f"p50 {statistics.median(took):.2f} ms, p95 {took[int(len(took) * 0.95)]:.2f} ms"


def ask(index: Index, text: str, **more: object) -> object:
    return search(index, Search(parse(text), limit=20, **more))  # type: ignore[arg-type]


def queries(index: Index) -> None:
    words, _ = vocabulary()
    draw = random.Random(3)
    any_word = lambda: draw.choice(words)  # noqa: E731
    kinds: dict[str, Callable[[], object]] = {
        "a word, any": lambda: ask(index, any_word()),
        "the commonest word": lambda: ask(index, words[0]),
        "two common words": lambda: ask(index, f"{words[0]} {words[3]}"),
        "a phrase": lambda: ask(index, f'"{words[0]} {words[1]}"'),
        "a beginning": lambda: ask(index, "w1*"),
        "a word and a field": lambda: ask(index, f"{any_word()} agent:claude type:note"),
    }
    for name, work in kinds.items():
        print(f"{name:<28}{timed(work)}")
    print(f"{'a word, ranked':<28}{timed(lambda: ask(index, any_word(), ranked=True), 10)}")
    print(f"{'commonest, by session':<28}{timed(lambda: ask(index, words[0], by_session=True), 3)}")
    print(f"{'substring, narrowed':<28}{timed(lambda: ask(index, '', substrings=(f'{words[0]} {words[900]} ',)), 3)}")
    print(f"{'substring, all looked at':<28}{timed(lambda: ask(index, '', substrings=('zzz',)), 1)}")


def one_more(index: Index, archive: LmdbArchive) -> None:
    session = archive.sessions()[-1]
    took = []
    for text in texts(200):
        archive.commit(Batch(drafts=[Draft("note", {"kind": "note", "text": text}, session)]))
        began = time.perf_counter()
        index.catch_up()
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    print(f"{'one more record':<28}p50 {took[100]:.2f} ms, p95 {took[190]:.2f} ms")


def as_command(home: Path) -> None:
    env = os.environ | {"TAPES_HOME": str(home)}
    words, _ = vocabulary()
    draw = random.Random(5)

    def search_command() -> None:
        subprocess.run(
            [sys.executable, "-m", "tapes_cli", "search", draw.choice(words)], env=env, capture_output=True, check=False
        )

    def nothing() -> None:
        subprocess.run([sys.executable, "-c", "pass"], check=True)

    search_command()
    print(f"{'tapes search WORD':<28}{timed(search_command, 15)}")
    print(f"{'python -c pass':<28}{timed(nothing, 15)}")


def main() -> None:
    numbers = [word for word in sys.argv[1:] if word.isdecimal()]
    count, bare = int(numbers[0]) if numbers else 100_000, "--bare" in sys.argv
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with LmdbArchive.open(home / "archive", create=True) as archive:
            began = time.perf_counter()
            if not bare:
                fill(archive, count)
                print(f"{count} records written in {time.perf_counter() - began:.0f} s")
            with Index(home / "index" / "search.sqlite", archive) as index:
                began = time.perf_counter()
                if bare:
                    fill_bare(index, count)
                else:
                    index.catch_up()
                took = time.perf_counter() - began
                size = index.file.path.stat().st_size
                print(f"indexed in {took:.0f} s ({count / took:.0f} a second), file {size / 1e6:.0f} MB")
                index.db.execute("PRAGMA wal_checkpoint (TRUNCATE)")
                queries(index)
                if not bare:
                    one_more(index, archive)
        if not bare:
            as_command(home)


if __name__ == "__main__":
    main()
