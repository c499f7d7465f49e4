"""What of a session can be found, what never enters the index, and what is taken back."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest

from session.test_view import FIRST, SECOND, USE, Tape, message
from tapes.archive.base import Archive, Batch
from tapes.archive.memory_archive import MemoryArchive
from tapes.index.index import Index
from tapes.index.words import MOST, kept, plain
from tapes.search.find import Search, search
from tapes.search.hits import Hit
from tapes.search.query import parse
from tapes.session.forget import forget_session, forget_steps
from tapes.session.view import steps
from witnessed import Session

WORD = "xylophone"


def hits(folder: Path, archive: Archive, query: str = WORD) -> list[Hit]:
    with Index(folder / "index" / "search.sqlite", archive) as index:
        return index.answer(lambda: search(index, Search(parse(query)))).hits


def stored(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in (folder / "index").iterdir())


# -- texts


@pytest.mark.parametrize("width", [76, 64, 100_000])
@pytest.mark.parametrize("size", [60, 300, 5000])
def test_base64_is_left_out_and_the_words_around_it_are_not(size: int, width: int) -> None:
    data = base64.b64encode(random.Random(size).randbytes(size)).decode()
    lines = "\n".join(data[n : n + width] for n in range(0, len(data), width))
    text = kept(f"before {lines}\nbehind it")
    assert text.startswith("before ")
    assert text.endswith("behind it")
    assert not any(data[n : n + 20] in text for n in range(0, len(data) - 20, 7))


@pytest.mark.parametrize(
    "text",
    [
        "b3a1" * 16,
        "/home/alice/projects/some-service/src/main/java/com/example/orders/OrderServiceImplementationV2.java",
        "a_rather_long_name_of_a_test_that_says_what_must_be_true_of_the_thing_in_2026",
        "https://example.com/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/0/1/2/3/4/5",
        "one line\nanother one\r\nand\ta third",
    ],
)
def test_what_a_person_may_look_for_is_kept(text: str) -> None:
    assert kept(text) == text


def test_what_drives_a_terminal_is_left_out() -> None:
    assert kept("\x1b[31mred\x1b[0m\x1b]0;title\x07 and\x00 \x1b[1;2Hgreen") == "red and  green"


def test_of_a_long_text_the_beginning_and_the_end_are_kept() -> None:
    text = kept("first " + "word " * MOST + "last")
    assert len(text) < MOST + 10
    assert text.startswith("first ")
    assert text.endswith(" last")


def test_words_in_json_stand_alone() -> None:
    assert plain(json.dumps({"command": "ls\nnewline", "n": 3, "list": ["a", {"b": None}]})) == (
        "command: ls\nnewline\nn: 3\nlist: a\nb: null"
    )
    assert plain('{"broken": ') == '{"broken": '


# -- sessions


def test_what_every_request_repeats_is_found_once(tmp_path: Path) -> None:
    tape = Tape()
    tape.call(FIRST, message(USE))
    tape.call(SECOND, message({"type": "text", "text": "Two files."}))
    assert [hit.type for hit in hits(tmp_path, tape.archive, "files")] == ["answer", "prompt"]
    tape.steps()  # it is over now
    assert [hit.type for hit in hits(tmp_path, tape.archive, "files")] == ["answer", "prompt"]


def test_a_retry_says_nothing_again(tmp_path: Path) -> None:
    tape = Tape()
    for _ in range(2):
        tape.call(FIRST, {"type": "error", "error": {"type": "overloaded_error", "message": "wait"}}, status=529)
    tape.call(FIRST, message({"type": "text", "text": "Two files."}))
    assert [hit.type for hit in hits(tmp_path, tape.archive, "files")] == ["answer", "prompt"]
    assert [hit.step for hit in hits(tmp_path, tape.archive, "overloaded OR wait")] == [3]


def test_of_a_picture_only_its_kind_is_known(tmp_path: Path) -> None:
    data = base64.b64encode(random.Random(1).randbytes(3000)).decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    tape = Tape()
    tape.call([{"role": "user", "content": [image, {"type": "text", "text": "What is this?"}]}], message())
    assert [hit.text for hit in hits(tmp_path, tape.archive, "type:media")] == ["image image/png"]
    assert not any(data[n : n + 16].encode() in stored(tmp_path) for n in range(0, 3000, 16))


def test_a_command_is_found_while_it_runs_and_how_it_ended_when_it_has(tmp_path: Path) -> None:
    session = Session(MemoryArchive(), agent="claude")
    start = session.start(f"play {WORD}")
    session.write(start, ("o", b"do re"))
    session.commit()
    assert [hit.type for hit in hits(tmp_path, session.archive, "is:error OR re")] == ["output"]
    session.write(start, ("e", b"mi fa"), n=1)
    session.end(start, status=2)
    session.commit()
    assert [hit.text for hit in hits(tmp_path, session.archive, 'exit:2 "remi fa"')] == ["do remi fa"]
    assert [hit.step for hit in hits(tmp_path, session.archive, "exit:2")] == [1, 1]


# -- forgetting


def spoken(*, over: bool) -> Session:
    session = Session(MemoryArchive(), agent="claude", name="concert")
    session.run(f"play {WORD}", WORD.encode() * 3, told=f"a {WORD} sounds")
    session.run("ls", b"score.txt", told="score.txt")
    session.close() if over else session.commit()
    return session


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_what_is_to_be_withheld_is_taken_back_before_it_is_destroyed(tmp_path: Path, over: bool, whole: bool) -> None:
    session = spoken(over=over)
    archive = session.archive
    assert len(hits(tmp_path, archive)) >= 3
    assert WORD.encode() in stored(tmp_path)
    last = max(step.number for step in steps(archive, session.session) if WORD in step.text)
    plan = forget_session(archive, session.session) if whole else forget_steps(archive, session.session, 1, last)
    drafts = [each.draft(who="alice", reason="", what="a test", tapes="0") for each in plan.withholdings]
    archive.commit(Batch(drafts=drafts))
    assert hits(tmp_path, archive) == []
    assert WORD.encode() not in stored(tmp_path)
    (tmp_path / "anew").mkdir()
    anew = [(hit.record, hit.item, hit.text) for hit in hits(tmp_path / "anew", archive, "-nothing")]
    assert [(hit.record, hit.item, hit.text) for hit in hits(tmp_path, archive, "-nothing")] == anew
    assert whole or any(text == "score.txt" for _, _, text in anew)
    archive.destroy()  # type: ignore[attr-defined]
    assert hits(tmp_path, archive) == []
