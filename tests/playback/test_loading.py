"""A session as a tape: pieces at their times, ends as they were, and what can not be played is said."""

from __future__ import annotations

import pytest

from socket_tape import ASK, CREATED, DELTA, DONE, Tape
from tapes.errors import NotFound
from tapes.playback.loading import load
from tapes.playback.recorded import Answer, Recorded
from tapes.wire.exchange import Answered, Arrived, Ended, Finished, Headers, Opened
from tapes.wire.redact import Redactor

KEY = b"a-secret-of-the-environment"
STREAM = b'data: {"type":"message_stop"}\n\n'


def called(tape: Tape, key: str, pieces: list[bytes], ended: Ended, status: int = 200, headers: Headers = ()) -> None:
    """A model call over HTTP, its pieces a millisecond apart."""
    url = "https://api.anthropic.com/v1/messages?beta=true"
    tape.play(Opened(key, tape.now(), "POST", url, "HTTP/1.1", (), b'{"a":1}', "anthropic", "model", "c", "proxy"))
    if status:
        told = ((b"content-type", b"text/event-stream"), *headers)
        tape.play(Answered(key, tape.now(), status, "Fine", "HTTP/1.1", told))
    for piece in pieces:
        tape.play(Arrived(key, tape.now().mono_ns, piece))
    tape.play(Finished(key, tape.now(), ended, ""))


def loaded(tape: Tape) -> list[Recorded]:
    return [one for one in load(tape.archive, tape.session).recorded if one.kind != "handshake"]


def test_chunks_come_when_they_came_and_headers_of_a_connection_do_not() -> None:
    tape = Tape()
    headers = ((b"Transfer-Encoding", b"chunked"), (b"request-id", b"r"), (b"Content-Encoding", b"identity"))
    called(tape, "a", [b"data: 1\n\n", b"data: 2\n\n", STREAM], "eof", headers=headers)
    (one,) = loaded(tape)
    answer = one.answer()
    assert answer.body == b"data: 1\n\ndata: 2\n\n" + STREAM
    assert len(answer.pieces) >= 2
    assert sum(piece.after_us for piece in answer.pieces) + answer.after_us == 5_000
    assert dict(answer.headers) == {b"content-type": b"text/event-stream", b"request-id": b"r"}
    assert (answer.status, answer.reason, answer.end, answer.sized) == (200, "Fine", "whole", False)


@pytest.mark.parametrize(
    ("pieces", "ended", "status", "end"),
    [
        ([b"data: 1\n\n"], "upstream_error", 200, "cut"),
        ([b"data: 1\n\n"], "client_gone", 200, "held"),
        ([b"data: 1\n\n"], "capture_lost", 200, "cut"),
        ([b"data: 1\n\n"], "eof", 200, "whole"),
        ([STREAM], "client_gone", 200, "whole"),
        ([], "upstream_error", 0, "cut"),
        ([b'{"error":{}}'], "eof", 529, "whole"),
    ],
)
def test_an_answer_ends_as_it_ended(pieces: list[bytes], ended: Ended, status: int, end: str) -> None:
    tape = Tape()
    called(tape, "a", pieces, ended, status)
    (one,) = loaded(tape)
    answer = one.answer()
    assert (answer.end, answer.status) == (end, status or None)
    assert answer.body == b"".join(pieces)


def test_messages_of_turns_are_apart_and_the_last_one_closes_as_the_provider_did() -> None:
    tape = Tape()
    tape.agent(ASK)
    tape.provider(CREATED, DELTA, DONE)
    tape.agent(ASK)
    tape.provider(CREATED, DELTA)
    tape.close(by_agent=False, code=1006)
    first, second = (one.answer() for one in loaded(tape))
    assert [piece.data for piece in first.pieces] == [CREATED, DELTA, DONE]
    assert [piece.after_us for piece in first.pieces] == [1_000, 1_000, 1_000]
    assert (first.end, first.code) == ("whole", 0)
    assert [piece.data for piece in second.pieces] == [CREATED, DELTA]
    assert (second.end, second.code) == ("cut", 1006)


def test_a_connection_that_the_agent_closed_is_not_closed_by_us() -> None:
    tape = Tape()
    tape.agent(ASK)
    tape.provider(CREATED, DONE)
    tape.close()
    (one,) = loaded(tape)
    assert one.answer() == Answer(101, pieces=one.answer().pieces, after_us=one.answer().after_us)


def test_markers_and_what_was_lost_are_said() -> None:
    tape = Tape(Redactor([("env:KEY", KEY)]))
    called(tape, "a", [b"data: " + KEY + b"\n\n", STREAM], "eof")
    called(tape, "b", [b"data: 1\n\n"], "capture_lost")
    doubts = load(tape.archive, tape.session).doubts
    assert len(doubts) == 2
    assert "1 markers" in doubts[0] and "env:KEY" in doubts[0]
    assert "not recorded to the end" in doubts[1]


def test_a_session_without_a_model_call_can_not_be_played() -> None:
    tape = Tape()
    with pytest.raises(NotFound, match="no model call"):
        load(tape.archive, tape.session)
