"""Bytes of the pipe to happenings: however sliced, whatever else is written there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tapes.wire.command import (
    CommandClosed,
    CommandEnded,
    CommandExec,
    CommandHappening,
    CommandLost,
    CommandOutput,
    CommandRefined,
    CommandsMissed,
    CommandStarted,
)
from tapes.wire.exchange import Moment
from tapes_addons.terminal.frames import FRAME, FrameReader, FrameWriter

NONCE, KEY = b"12345678", bytes(range(16))
WORDS = st.lists(st.binary(max_size=9000), max_size=4)


def reading(nonce: bytes) -> FrameReader:
    return FrameReader(nonce, lambda: Moment(10**9 + 99, 99))


def started(writer: FrameWriter, argv: list[bytes]) -> list[bytes]:
    ids = b"".join(n.to_bytes(8, "little") for n in (7, 6, 5))
    fields = [(1, word) for word in argv]
    fields += [(2, b"/w"), (3, b"A=1=2"), (4, ids), (5, (10**9 + 5).to_bytes(8, "little")), (6, b"s"), (8, b"\1")]
    return writer.fields(b"S", 5, fields)


def story(argv: list[bytes], output: bytes) -> tuple[list[bytes], list[CommandHappening]]:
    """Frames of one command, and what they tell."""
    writer, key = FrameWriter(NONCE, KEY), KEY.hex()
    end = CommandEnded(key, Moment(10**9 + 9, 9), 3, None, 4, 1, 2, 3, 11, True)
    frames = started(writer, argv) + writer.output(6, "o", output) + writer.output(7, "e", b"x")
    frames += writer.fields(b"R", 8, [(1, b"sh")]) + writer.fields(b"X", 8, [(1, b"ls"), (2, b"/")])
    frames += [writer.ended(end), writer.closed(12, 13)]
    start = CommandStarted(
        key, Moment(10**9 + 5, 5), "supervisor", tuple(argv), b"/w", 7, 6, 5, ((b"A", b"1=2"),), "", True
    )
    pieces = [output[at : at + FRAME - 49] for at in range(0, len(output), FRAME - 49)]
    told: list[CommandHappening] = [start, *(CommandOutput(key, 6, "o", piece) for piece in pieces)]
    told += [CommandOutput(key, 7, "e", b"x"), CommandRefined(key, Moment(10**9 + 8, 8), (b"sh",))]
    told += [CommandExec(key, 8, 0, 0, (b"ls",), b"/"), end, CommandClosed(key, Moment(10**9 + 12, 12), 13)]
    return frames, told


@given(WORDS, st.binary(max_size=9000), st.integers(1, 5000))
def test_any_slices_give_the_same_happenings(argv: list[bytes], output: bytes, size: int) -> None:
    frames, told = story(argv, output)
    assert all(len(frame) <= FRAME for frame in frames)
    data = b"".join(frames)
    reader = reading(NONCE)
    found = [h for at in range(0, len(data), size) for h in reader.feed(data[at : at + size])]
    assert found + reader.finish() == told


@given(st.binary(max_size=200))
def test_bytes_that_are_no_frame_cost_no_frame_behind_them(noise: bytes) -> None:
    frames, told = story([b"sh"], b"out")
    # What looks like the beginning of a frame may take what follows with it: the agent can write here too.
    noise = noise.replace(b"T", b"t")
    reader = reading(NONCE)
    found = [h for h in reader.feed(noise + b"".join(frames)) if not isinstance(h, CommandsMissed)]
    assert found == told
    assert reader.skipped == len(noise)


@given(st.binary(max_size=6000))
def test_forged_bytes_never_stop_the_reader(noise: bytes) -> None:
    reader = reading(NONCE)
    head = FrameWriter(NONCE, KEY).output(1, "o", b"")[:0]
    reader.feed(b"".join(head) + b"TPS1" + NONCE + KEY + noise)
    reader.feed(b"TPS1" + NONCE + KEY + b"S" + noise)
    reader.finish()


def test_frames_that_are_missing_are_counted() -> None:
    frames, _ = story([b"sh"], b"out")
    reader = reading(NONCE)
    found = reader.feed(b"".join(frames[:1] + frames[3:]))
    assert [h.frames for h in found if isinstance(h, CommandsMissed)] == [2]


def test_frames_of_another_run_are_counted_and_not_read() -> None:
    reader = reading(b"another1")
    found = reader.feed(b"".join(story([b"sh"], b"out")[0]))
    assert all(isinstance(h, CommandsMissed) for h in found)
    assert reader.foreign == len(found) == 7


def test_an_end_that_nobody_saw_is_a_loss() -> None:
    lost = CommandLost(KEY.hex(), Moment(5, 6), "its witness saw no end")
    assert reading(NONCE).feed(FrameWriter(NONCE, KEY).ended(lost)) == [lost]


def test_a_report_that_was_cut_off_is_told_at_the_end() -> None:
    frames = started(FrameWriter(NONCE, KEY), [b"x" * 9000])
    reader = reading(NONCE)
    assert reader.feed(frames[0] + frames[1][:100]) == []
    [missed] = reader.finish()
    assert isinstance(missed, CommandsMissed)
    assert (missed.frames, missed.bytes) == (1, 100)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_no_report_is_of_the_future_or_counts_more_than_a_record_holds(number: int, wall_ns: int) -> None:
    end = CommandEnded(KEY.hex(), Moment(wall_ns, number), 0, None, number, number, number, number, number)
    writer = FrameWriter(NONCE, KEY)
    ended, closed = reading(NONCE).feed(writer.ended(end) + writer.closed(number, number))
    assert isinstance(ended, CommandEnded) and isinstance(closed, CommandClosed)
    for told in (ended, closed):
        assert told.at.mono_ns <= 99 and told.dropped < 2**60 and 0 <= told.at.wall_ns < 2 * 24 * 3600 * 10**9
    assert max(ended.duration_ns, ended.utime_us, ended.stime_us, ended.maxrss_kib) < 2**60


def test_a_deep_witness_that_could_not_be_set_up_is_told_once() -> None:
    writer, reader = FrameWriter(NONCE, KEY), FrameReader(NONCE)
    told = [one for _ in range(3) for one in reader.feed(writer._frame(b"D", 1, b""))]
    assert [type(one) for one in told] == [CommandsMissed]
