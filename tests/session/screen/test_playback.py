"""Going to a time shows the same screen as watching up to it, with keyframes and without."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tapes.errors import Withheld
from tapes.session.screen import keyframes
from tapes.session.screen.playback import Playback, screen_at, show
from tapes.session.screen.tape import Tape
from tapes.session.screen.timeline import marks
from tapes.session.screen.vt import Screen
from terminal_tape import SECOND, TerminalSession


def long_session(seconds: int = 40) -> TerminalSession:
    """A screen that moves, changes its size and leaves sequences open at the ends of its records."""
    chance, session, size = random.Random(5), TerminalSession(), (40, 10)
    for second in range(seconds):
        place = f"\x1b[{chance.randrange(1, 10)};{chance.randrange(1, 40)}H\x1b[3{second % 8}m{second}漢\x07"
        data = (place + "line\r\n" * chance.randrange(3)).encode() + "\x1b[1;3漢".encode()[: chance.randrange(8)]
        told: list[tuple[object, ...]] = [(0, "o", data[:5]), (300_000, "o", data[5:])]
        begun = size
        if second % 7 == 3:
            size = (chance.randrange(5, 60), chance.randrange(3, 15))
            told.append((100_000, "r", *size))
        session.terminal(second, told, begun)
    return session


def watched(tape: Tape, at_ns: int) -> Screen:
    screen = Screen(*tape.size)
    for event in tape.events():
        if event.at_ns <= at_ns:
            show(event, screen)
    return screen


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keyframes every few records."""
    monkeypatch.setattr(keyframes, "EVERY", 100)


@pytest.mark.usefixtures("often")
def test_wherever_one_goes_the_screen_is_that_of_whoever_watched(tmp_path: Path) -> None:
    tape, chance = long_session().tape, random.Random(9)
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        playback = Playback(tape, cache=cache)
        for _ in range(30):
            at = chance.randrange(41 * SECOND)
            playback.go_to(at)
            assert playback.screen.state() == watched(tape, min(at, tape.upto_ns)).state()
        playback.keyframes.save()
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.usefixtures("often")
def test_a_cache_that_was_deleted_spoilt_or_replaced_changes_nothing(tmp_path: Path) -> None:
    tape, cache = long_session().tape, tmp_path / "cache"
    at = 30 * SECOND
    expected = watched(tape, at).state()
    screen_at(tape, at, cache)
    (file,) = cache.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    good = file.read_bytes()
    for spoilt in (b"", b"nonsense", good[:-3], good[:200] + b"\0" + good[201:], good):
        file.write_bytes(spoilt)
        assert screen_at(tape, at, cache)[0].state() == expected
    file.unlink()
    assert screen_at(tape, at, cache)[0].state() == expected


@pytest.mark.usefixtures("often")
def test_a_warm_cache_reads_only_what_lies_behind_its_keyframe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = long_session().tape
    screen_at(tape, None, tmp_path)
    read: list[int] = []
    reading = Tape.events

    def events(self: Tape, start: int = 0, stop: int | None = None) -> object:
        read.append(start)
        return reading(self, start, stop)

    monkeypatch.setattr(Tape, "events", events)
    screen_at(tape, None, tmp_path)
    assert 0 < len(read) < 10


@pytest.mark.usefixtures("often")
def test_a_session_that_goes_on_uses_what_was_kept_of_it(tmp_path: Path) -> None:
    session = long_session()
    screen_at(session.tape, None, tmp_path)
    session.terminal(50, [(0, "o", b"more")], n=99)
    tape = session.tape
    assert screen_at(tape, None, tmp_path)[0].state() == watched(tape, tape.upto_ns).state()


def test_no_place_to_keep_them_is_no_reason_to_complain(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    screen_at(long_session(3).tape, None, tmp_path / "file" / "cache")


@pytest.mark.usefixtures("often")
def test_forgetting_removes_every_keyframe(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    screen_at(long_session().tape, None, cache)
    assert os.listdir(cache)
    keyframes.forget_all(cache)
    assert os.listdir(cache) == []
    keyframes.forget_all(tmp_path / "none")


@pytest.mark.usefixtures("often")
def test_of_a_session_that_is_being_forgotten_none_are_read_nor_kept(tmp_path: Path) -> None:
    session, cache = long_session(), tmp_path / "cache"
    watching = Playback(session.tape, cache=cache)
    watching.go_to(watching.tape.upto_ns)
    what = {"who": "a", "reason": "b", "what": "c", "records": [[1, 2]], "tombs": bytes(32), "bodies": []}
    session.record("redaction", 60, what)
    watching.keyframes.save()
    screen_at(session.tape, None, cache)
    assert not cache.exists()


def test_stepping_shows_one_moment_after_the_other() -> None:
    session = TerminalSession()
    session.terminal(0, [(0, "o", b"a"), (1_000_000, "o", b"b"), (0, "o", b"c"), (1_000_000, "o", b"d")])
    playback, seen = Playback(session.tape), []
    while not playback.ended:
        playback.advance()
        seen.append(playback.screen.text()[0])
    assert seen == ["a", "abc", "abcd"]
    assert playback.wait_ns == 0


def test_one_can_go_from_command_to_command() -> None:
    session = TerminalSession()
    session.said(*(b"%d" % n for n in range(6)))
    for at in (1.5, 3.5):
        session.command(at, b"ls")
    playback = Playback(session.tape, marks(session.archive, session.tape))
    at = [(mark.at_ns if (mark := playback.go_to_mark(way)) else None) for way in (1, 1, 1, -1, -1)]
    assert at == [1.5 * SECOND, 3.5 * SECOND, None, 1.5 * SECOND, None]
    playback.go_to(4 * SECOND)
    back = playback.go_to_mark(-1, SECOND)
    assert back is not None
    assert back.at_ns == 1.5 * SECOND
    assert playback.screen.text()[0] == "01"


@pytest.mark.usefixtures("often")
def test_one_who_is_stopped_on_the_way_goes_on_from_there_or_goes_elsewhere() -> None:
    tape, chance = long_session().tape, random.Random(3)
    playback = Playback(tape)
    for _ in range(30):
        at, steps = chance.randrange(41 * SECOND), iter(range(chance.randrange(4)))
        arrived = playback.go_to(at, stop=lambda steps=steps: next(steps, None) is None)
        assert playback.at_ns <= at
        assert not arrived or playback.at_ns == min(at, tape.upto_ns)
        if chance.random() < 0.5:
            assert playback.go_to(at)
            assert playback.screen.state() == watched(tape, min(at, tape.upto_ns)).state()


@pytest.mark.usefixtures("often")
def test_a_recording_that_goes_on_is_watched_on() -> None:
    session = long_session(5)
    playback = Playback(session.tape)
    for second in range(50, 60):
        playback.go_to(playback.tape.upto_ns)
        assert playback.ended
        session.terminal(second, [(0, "o", b"more %d" % second), (0, "x", 3)], n=second - 45)
        playback.grow(playback.tape.grown())
        assert playback.tape == session.tape
        assert not playback.ended
    playback.go_to(playback.tape.upto_ns)
    assert playback.screen.state() == watched(session.tape, session.tape.upto_ns).state()
    assert list(playback.holes) == [event.at_ns for event in session.tape.holes()]


@pytest.mark.usefixtures("often")
def test_what_was_redacted_meanwhile_is_not_shown_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    session = long_session(10)
    playback = Playback(session.tape)
    playback.go_to(playback.tape.upto_ns)
    what = {"who": "a", "reason": "b", "what": "c", "records": [[1, 2]], "tombs": bytes(32), "bodies": []}
    session.record("redaction", 60, what)

    def gone(*_: object) -> bytes:
        raise Withheld("a body", "ab" * 32)

    monkeypatch.setattr("tapes.session.screen.tape._data", gone)
    playback.grow(playback.tape.grown())
    assert not any(playback.screen.text())
    assert len(playback.holes) == 10
    playback.go_to(5 * SECOND)
    assert not any(playback.screen.text())
