"""WebSockets: turns are exchanges, every other message is kept with its connection, and nothing is stored twice."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from socket_tape import ASK, CANCEL, CREATED, DELTA, DONE, FAILED, Tape, split
from tapes.intake.answer import PART_AGE_NS
from tapes.intake.sockets import lengths, message_type
from tapes.session.sockets import messages
from tapes.wire.exchange import SocketGap, SocketMessage
from tapes.wire.redact import Redactor


def test_a_turn_is_an_exchange_whose_parent_is_the_handshake() -> None:
    tape = Tape()
    tape.agent(ASK)
    tape.provider(CREATED, DELTA, DONE)
    assert tape.turns() == [(ASK, b"\n".join([CREATED, DELTA, DONE]), "complete")]
    handshake, turn = list(tape.archive.session_records(tape.session))[1], tape.records("exchange.open")[1]
    assert turn.parents == (handshake[0],)
    assert turn.body["url"] == "wss://api.openai.com/v1/responses"
    assert turn.body["class"] == "model"
    end = tape.records("exchange.end")[1]
    assert end.body["messages"] == [len(CREATED), len(DELTA), len(DONE)]
    assert sum(end.body["times"][0::2]) == end.body["response"]["length"]


def test_turns_follow_each_other_on_one_connection() -> None:
    tape = Tape()
    for n in range(3):
        tape.agent(ASK)
        tape.provider(CREATED, DONE)
        assert len(tape.turns()) == n + 1
    tape.close()
    closed = tape.records("connection")[-1]
    assert (closed.body["event"], closed.body["turns"], closed.body["messages"]) == ("closed", 3, 9)


def test_a_request_sent_before_the_last_answer_ended_waits_its_turn() -> None:
    tape = Tape()
    second = ASK.replace(b"[]", b"[2]")
    tape.agent(ASK, second)
    tape.provider(CREATED, DONE, DELTA, DONE)
    assert tape.turns() == [
        (ASK, CREATED + b"\n" + DONE, "complete"),
        (second, DELTA + b"\n" + DONE, "complete"),
    ]


def test_an_error_message_ends_its_turn_as_one() -> None:
    tape = Tape()
    tape.agent(ASK)
    tape.provider(FAILED)
    assert tape.turns() == [(ASK, FAILED, "error_event")]


def test_messages_of_no_turn_are_kept_with_the_connection_in_order() -> None:
    tape = Tape()
    tape.provider(b'{"type":"session.created"}')
    tape.agent(CANCEL, ASK, CANCEL)
    tape.provider(DONE, b'{"type":"rate_limits"}')
    tape.close()
    assert tape.turns() == [(ASK, DONE, "complete")]
    assert tape.asides() == [
        ("provider", b'{"type":"session.created"}'),
        ("agent", CANCEL),
        ("agent", CANCEL),
        ("provider", b'{"type":"rate_limits"}'),
    ]


def test_the_messages_of_a_protocol_nobody_knows_are_kept_with_the_connection() -> None:
    tape = Tape(provider="raw")
    tape.agent(b"hello\nthere", ASK, b"")
    tape.provider(b"\n")
    tape.close()
    assert tape.turns() == []
    assert tape.asides() == [("agent", b"hello\nthere"), ("agent", ASK), ("agent", b""), ("provider", b"\n")]


def test_messages_that_wait_are_written_when_they_are_old() -> None:
    tape = Tape()
    tape.agent(CANCEL)
    assert tape.splitter.live
    assert not tape.asides()
    tape.splitter.write_due(tape.at + PART_AGE_NS)
    tape.play()
    assert tape.asides() == [("agent", CANCEL)]
    assert not tape.splitter.live


def test_a_turn_that_its_connection_did_not_outlive_says_who_left() -> None:
    for by_agent, outcome in ((True, "aborted"), (False, "partial")):
        tape = Tape()
        tape.agent(ASK)
        tape.provider(CREATED)
        tape.close(by_agent, 1006)
        assert tape.turns() == [(ASK, CREATED, outcome)]
        assert not tape.splitter.busy


def test_a_turn_without_any_answer_has_no_response() -> None:
    tape = Tape()
    tape.agent(ASK)
    tape.close(by_agent=False, code=1011)
    assert tape.turns() == [(ASK, b"", "no_response")]
    assert "1011" in tape.records("exchange.end")[-1].body["error"]


def test_behind_lost_messages_a_turn_begins_anew() -> None:
    tape = Tape()
    tape.agent(ASK)
    tape.provider(CREATED)
    tape.play(SocketGap("k", tape.now(), "the queue was full"))
    tape.agent(ASK)
    tape.provider(CREATED, DONE)
    assert [outcome for *_, outcome in tape.turns()] == ["capture_lost", "complete"]


def test_what_the_agent_leaves_open_is_ended_with_it() -> None:
    tape = Tape()
    tape.agent(ASK)
    tape.provider(CREATED)
    tape.splitter.end_live(tape.now())
    tape.play()
    assert tape.turns() == [(ASK, CREATED, "aborted")]
    assert tape.records("connection")[-1].body["code"] == 1006


def test_a_secret_that_is_said_in_pieces_over_messages_is_not_stored() -> None:
    secret = b"sk-proj-" + b"Ab3dEf6hIj9kLm2nOp5q" * 3
    tape = Tape(Redactor([("KEY", secret)]))
    deltas = [DELTA.replace(b'"x"', json.dumps(secret[n : n + 7].decode()).encode()) for n in range(0, len(secret), 7)]
    tape.agent(ASK)
    tape.provider(CREATED, *deltas, DONE)
    ((_, response, outcome),) = tape.turns()
    said = "".join(m["delta"] for m in map(json.loads, response.split(b"\n")) if "delta" in m)
    assert secret.decode() not in said
    assert secret[:20].decode() not in said
    assert outcome == "complete"
    assert tape.records("exchange.end")[-1].body["redactions"]
    tape.agent(CANCEL.replace(b"cancel", b"x." + secret))
    tape.close()
    assert all(secret not in data for _, data in tape.asides())


def test_the_type_of_a_message_is_found_wherever_it_stands() -> None:
    assert message_type(b' {"type" : "response.create", "x": 1}') == "response.create"
    assert message_type(b'{"x":{"type":"no"},"type":"yes"}') == "yes"
    for strange in (b"", b"[]", b"3", b'{"type":', b'"type"', b'{"a":1}', b"\xff", b"[" * 100_000):
        assert message_type(strange) == ""


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8))
def test_joined_messages_can_be_told_apart_again(messages: list[bytes]) -> None:
    sizes = lengths(b"\n".join(messages), [message.count(b"\n") for message in messages])
    assert sizes is not None
    assert split(b"\n".join(messages), sizes) == messages


def test_lengths_are_withheld_where_line_feeds_were_redacted() -> None:
    assert lengths(b"a\n[key]", [0, 3]) is None


def test_a_binary_message_of_a_turn_is_told_as_one() -> None:
    tape = Tape()
    tape.agent(ASK)
    tape.provider(CREATED)
    tape.play(SocketMessage("k", tape.now(), False, False, b"\x00\xfe"))
    tape.provider(DONE)
    end = tape.records("exchange.end")[-1]
    assert end.body["binary"] == [1]
    turn = next(d for d, r in tape.archive.session_records(tape.session) if r.body.get("http") == "websocket")
    said = messages(tape.archive, tape.session, turn)
    assert [(m.kind, m.data) for m in said][1:] == [("text", CREATED), ("binary", b"\x00\xfe"), ("text", DONE)]
