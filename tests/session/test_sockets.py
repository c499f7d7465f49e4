"""Messages of a WebSocket come back one by one, wherever they are kept."""

from __future__ import annotations

import pytest

from socket_tape import ASK, CANCEL, CREATED, DELTA, DONE, Tape
from tapes.errors import UsageError
from tapes.record.digest import Digest
from tapes.session.sockets import messages


def hashes(tape: Tape, type_: str) -> list[Digest]:
    return [digest for digest, record in tape.archive.session_records(tape.session) if record.type == type_]


def said(tape: Tape, digest: Digest) -> list[tuple[str, bytes]]:
    found = messages(tape.archive, tape.session, digest)
    return [("agent" if message.from_agent else "provider", message.data) for message in found]


@pytest.fixture
def tape() -> Tape:
    tape = Tape()
    tape.agent(ASK)
    tape.provider(CREATED, DELTA, DONE)
    tape.agent(CANCEL)
    tape.agent(ASK)
    tape.provider(DONE)
    tape.close()
    return tape


def test_a_handshake_gives_all_that_was_said_on_its_connection(tape: Tape) -> None:
    handshake = hashes(tape, "exchange.open")[0]
    everything = [("agent", ASK), ("provider", CREATED), ("provider", DELTA), ("provider", DONE)]
    everything += [("agent", ASK), ("provider", DONE), ("agent", CANCEL)]
    assert said(tape, handshake) == everything


def test_a_turn_gives_its_own_messages_by_either_of_its_records(tape: Tape) -> None:
    for type_ in ("exchange.open", "exchange.end"):
        turn = hashes(tape, type_)[1]
        assert said(tape, turn) == [("agent", ASK), ("provider", CREATED), ("provider", DELTA), ("provider", DONE)]


def test_a_connection_record_gives_the_messages_of_no_turn(tape: Tape) -> None:
    assert [said(tape, digest) for digest in hashes(tape, "connection")] == [[("agent", CANCEL)], []]


def test_a_record_that_has_no_messages_says_so(tape: Tape) -> None:
    with pytest.raises(UsageError, match="no WebSocket"):
        said(tape, tape.session)
