"""Frames of the screen's recording: the codec, and the ring that holds them while nobody takes them."""

from __future__ import annotations

from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st

from tapes_addons.terminal import tape

KINDS = st.sampled_from([tape.OUTPUT, tape.INPUT, tape.RESIZED, tape.MISSED])
FRAMES = st.lists(st.builds(tape.Frame, KINDS, st.integers(0, 2**64 - 1), st.binary(max_size=40)), max_size=12)


def ring(**more: int) -> tape.Ring:
    """On a clock on which everything takes 10 ms."""
    times = count(0, 10_000_000)
    return tape.Ring((80, 24), clock=lambda: next(times), **more)


def frames(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(frame.kind, bytes(frame.payload)) for frame in tape.Decoder().feed(data)]


@given(FRAMES, st.lists(st.integers(0, 200)))
def test_frames_come_back_in_any_slices(given_frames: list[tape.Frame], cuts: list[int]) -> None:
    stream = b"".join(frame.encode() for frame in given_frames)
    at = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    decoder = tape.Decoder()
    found = [frame for a, b in pairwise(at) for frame in decoder.feed(stream[a:b])]
    assert found == given_frames


def test_what_there_is_no_room_for_is_counted_in_its_place() -> None:
    held = ring(waiting=100)
    held.put(tape.OUTPUT, b"a" * 80)
    held.put(tape.OUTPUT, b"b" * 80)
    held.put(tape.INPUT, b"c" * 7)
    held.put(tape.RESIZED, tape.SIZE.pack(1, 2))
    held.take()
    held.put(tape.OUTPUT, b"d")
    first, later = frames(held.take()), held.again()
    assert first == [(tape.OUTPUT, b"d")]
    assert later == 0
    assert frames(held.take()) == [
        (tape.OUTPUT, b"a" * 80),
        (tape.MISSED, tape.COUNT.pack(87)),
        (tape.RESIZED, tape.SIZE.pack(1, 2)),
        (tape.OUTPUT, b"d"),
    ]


def test_output_of_one_moment_is_one_frame() -> None:
    held = tape.Ring((80, 24), clock=lambda: 7)
    held.put(tape.OUTPUT, b"one ")
    held.put(tape.OUTPUT, b"two")
    held.put(tape.INPUT, b"x")
    held.put(tape.OUTPUT, b"three")
    assert frames(held.take()) == [(tape.OUTPUT, b"one two"), (tape.INPUT, b"x"), (tape.OUTPUT, b"three")]


def test_a_successor_is_given_again_what_was_sent_lately_and_the_size_before_that() -> None:
    held = ring(kept=3 * 15)
    held.put(tape.RESIZED, tape.SIZE.pack(100, 30))
    for letter in b"abcd":
        held.put(tape.OUTPUT, bytes([letter]))
        held.take()
    assert held.size == (100, 30)
    assert held.again() == 20_000_000
    assert frames(held.take()) == [(tape.OUTPUT, b"b"), (tape.OUTPUT, b"c"), (tape.OUTPUT, b"d")]


def test_what_was_sent_long_ago_is_not_held() -> None:
    times = iter([0, 1, tape.KEPT_NS + 5])
    held = tape.Ring((80, 24), clock=lambda: next(times))
    for letter in (b"a", b"b", b"c"):
        held.put(tape.INPUT, letter)
        held.take()
    assert held.again() == tape.KEPT_NS + 5
