"""Happenings to records: what is stored, in which order, and how far behind the wire."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.archive.memory_archive import MemoryArchive
from tapes.intake.answer import PART_AGE_NS, PART_BYTES
from tapes.intake.opening import Facts, open_session
from tapes.intake.split import MOST_PATHS, OTHER_PATHS, Splitter
from tapes.record.digest import blob_digest
from tapes.record.kinds import BodyRef, Record
from tapes.wire.exchange import Answered, Arrived, Finished, Happening, Moment, Opened, PassedBy
from tapes.wire.redact import Redactor
from tapes_addons.simulators.encode import Encoder, codings

DELTA = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%d"}}'
EVENTS = b"".join(b"event: content_block_delta\ndata: " + DELTA % n + b"\n\n" for n in range(40))
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def opened(body: bytes = b'{"model":"m","messages":[]}', headers: Sequence[tuple[bytes, bytes]] = ()) -> Opened:
    return Opened(
        key="k",
        at=Moment(1_000, 1_000),
        method="POST",
        url="https://api.anthropic.com/v1/messages",
        http="HTTP/1.1",
        headers=tuple(headers),
        body=body,
        provider="anthropic",
        cls="model",
        connection="c",
        route="proxy",
    )


def answered(*headers: tuple[bytes, bytes], kind: bytes = b"text/event-stream", status: int = 200) -> Answered:
    return Answered("k", Moment(2_000, 2_000), status, "OK", "HTTP/1.1", ((b"content-type", kind), *headers))


def finished(ended: str = "eof", error: str = "") -> Finished:
    return Finished("k", Moment(9_000, 9_000), ended, error)  # type: ignore[arg-type]


class Tape:
    """A session in a memory archive that happenings are written to, one commit a happening."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        self.archive = MemoryArchive()
        redactor = redactor or Redactor()
        facts = Facts(agent="generic", argv=[b"x"], cwd=b"/")
        self.session, _ = open_session(self.archive, facts, redactor)
        self.splitter = Splitter(self.session, redactor)

    def play(self, *happenings: Happening) -> list[Record]:
        for happening in happenings:
            self.splitter.take(happening)
            self.commit()
        return self.records()

    def commit(self) -> None:
        batch, _ = self.splitter.take_batch()
        if batch.drafts:
            self.archive.commit(batch)

    def records(self) -> list[Record]:
        return [record for _, record in self.archive.session_records(self.session)][1:]

    def body(self, record: Record, name: str) -> bytes:
        return self.archive.body(BodyRef.of(record.body[name]))


def arrivals(data: bytes, sizes: Sequence[int], gap_ns: int = 1_000_000) -> list[Arrived]:
    pieces, at = [], 0
    for n, size in enumerate([*sizes, len(data)]):
        if at < len(data):
            pieces.append(Arrived("k", 3_000 + n * gap_ns, data[at : at + size]))
            at += size
    return pieces


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 400), max_size=30))
def test_any_slicing_of_an_answer_gives_the_same_stored_body(sizes: list[int]) -> None:
    tape = Tape()
    *_, end = tape.play(opened(), answered(), *arrivals(EVENTS + STOP, sizes), finished())
    assert tape.body(end, "response") == EVENTS + STOP
    assert end.body["outcome"] == "complete"


def test_times_of_arrival_cover_the_stored_body_exactly() -> None:
    tape = Tape()
    *_, end = tape.play(opened(), answered(), *arrivals(EVENTS + STOP, [len(EVENTS) // 4] * 5), finished())
    released, waited = end.body["times"][0::2], end.body["times"][1::2]
    assert sum(released) == len(EVENTS + STOP)
    assert waited[1:4] == [1000] * 3


def test_a_long_stream_is_written_in_parts_that_the_body_later_contains() -> None:
    tape = Tape()
    data = EVENTS * 100 + STOP
    *_, end = tape.play(opened(), answered(), *arrivals(data, [PART_BYTES // 3] * 9), finished())
    parts = [r for r in tape.records() if r.type == "exchange.part"]
    whole = tape.body(end, "response")
    assert len(parts) >= 1
    for part in parts:
        piece = whole[part.body["offset"] : part.body["offset"] + part.body["length"]]
        assert blob_digest(piece) == part.body["data"]
    assert parts[0].body["status"] == 200


def test_what_waits_is_written_when_it_is_old_and_not_before() -> None:
    tape = Tape()
    tape.play(opened(), answered(), Arrived("k", 5_000, EVENTS))
    tape.splitter.write_due(5_000 + PART_AGE_NS - 1)
    tape.commit()
    assert [r.type for r in tape.records()] == ["exchange.open"]
    tape.splitter.write_due(5_000 + PART_AGE_NS)
    tape.commit()
    part, digest = tape.records()[-1], [d for d, _ in tape.archive.session_records(tape.session)][-1]
    assert part.type == "exchange.part"
    assert tape.archive.tail(digest) == EVENTS


@pytest.mark.parametrize(("coding", "wire"), [(b"gzip", gzip.compress(EVENTS + STOP)), (b"identity", EVENTS + STOP)])
def test_an_encoded_answer_is_stored_decoded_and_the_wire_is_named(coding: bytes, wire: bytes) -> None:
    tape = Tape()
    head = answered((b"content-encoding", coding))
    *_, end = tape.play(opened(), head, *arrivals(wire, [7] * 5), finished())
    assert tape.body(end, "response") == EVENTS + STOP
    if coding == b"gzip":
        assert (end.body["wire_length"], end.body["wire_hash"]) == (len(wire), blob_digest(wire))


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br", "deflate", "gzip, br"])
def test_a_compressed_request_is_stored_decoded_and_the_wire_is_named(coding: str) -> None:
    plain = b'{"model":"m","messages":[{"role":"user","content":"' + b"words and words " * 400 + b'"}]}'
    encoder = Encoder(codings(coding))
    wire = encoder.feed(plain) + encoder.end()
    tape = Tape()
    first, _ = tape.play(opened(wire, [(b"Content-Encoding", coding.encode())]), finished("client_gone"))
    assert tape.body(first, "request") == plain
    assert (first.body["wire_length"], first.body["wire_hash"]) == (len(wire), blob_digest(wire))


def test_a_body_in_an_unknown_coding_is_kept_as_it_was_on_the_wire() -> None:
    tape = Tape()
    wire = bytes(range(256)) * 3
    request = opened(wire, [(b"Content-Encoding", b"snappy")])
    first, end = tape.play(request, answered((b"content-encoding", b"snappy")), Arrived("k", 3_000, wire), finished())
    assert (tape.body(first, "request"), tape.body(end, "response")) == (wire, wire)
    assert "decode_error" in first.body
    assert "decode_error" in end.body


def test_a_cut_compressed_stream_keeps_what_could_be_decoded() -> None:
    tape = Tape()
    wire = gzip.compress(EVENTS * 20)
    head = answered((b"content-encoding", b"gzip"))
    *_, end = tape.play(
        opened(), head, *arrivals(wire[: len(wire) // 2], [64] * 9), finished("upstream_error", "reset")
    )
    kept = tape.body(end, "response")
    assert kept
    assert (EVENTS * 20).startswith(kept)
    assert (end.body["outcome"], end.body["error"]) == ("partial", "reset")


def test_credentials_leave_no_trace_and_the_record_says_where_they_stood() -> None:
    key = b"sk-ant-api03-" + b"Zq9" * 30
    tape = Tape(Redactor([("env:DB_PASSWORD", b"swordfish-9")]))
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": f"it is {key.decode()}, swordfish-9"}]})
    headers = [(b"X-Api-Key", key), (b"X-Note", b"swordfish-9")]
    records = tape.play(
        opened(body.encode(), headers),
        answered(),
        *arrivals(
            b'data: {"delta":{"text":"' + key[:20] + b'"}}\n\ndata: {"delta":{"text":"' + key[20:] + b'"}}\n\n', [9] * 9
        ),
        finished(),
    )
    stored = b"".join(tape.archive.record_raw(d) for d, _ in tape.archive.session_records(tape.session))
    stored += tape.body(records[0], "request") + tape.body(records[-1], "response")
    assert key not in stored
    assert key[20:] not in stored
    assert b"swordfish-9" not in stored
    where = [row[0] for row in records[0].body["redactions"]]
    assert where == ["header:x-api-key", "header:x-note", "body", "body"]
    for _, offset, length, rule in [row for row in records[0].body["redactions"] if row[0] == "body"]:
        span = tape.body(records[0], "request")[offset : offset + length]
        assert span == f"[REDACTED:{rule}]".encode()


def test_an_exchange_without_an_answer_is_still_an_exchange() -> None:
    tape = Tape()
    _, end = tape.play(opened(), finished("upstream_error", "connection refused"))
    assert (end.body["outcome"], end.body["status"], end.body["response"]) == ("no_response", None, None)


def test_what_is_live_at_the_end_is_ended_as_hung_up() -> None:
    tape = Tape()
    tape.play(opened(), answered(), Arrived("k", 3_000, EVENTS))
    tape.splitter.end_live(Moment(10_000, 10_000))
    tape.commit()
    end = tape.records()[-1]
    assert (end.type, end.body["outcome"]) == ("exchange.end", "aborted")


def test_pieces_of_an_exchange_nobody_opened_are_ignored() -> None:
    assert Tape().play(answered(), Arrived("k", 1, b"x"), finished()) == []


def test_a_later_request_stores_only_what_is_new_in_it() -> None:
    tape = Tape()
    long = "a long prompt, " * 400
    for n in range(3):
        messages = [{"role": "user", "content": long}] + [{"role": "user", "content": f"{i} " * 200} for i in range(n)]
        tape.splitter.take(opened(json.dumps({"messages": messages}).encode()))
        batch, _ = tape.splitter.take_batch()
        stored = sum(len(data) for _, data in batch.objects.values())
        tape.archive.commit(batch)
        assert stored < (8000 if n == 0 else 1500), n


@pytest.mark.parametrize(
    ("url", "kind", "element", "between"),
    [
        ("https://h/v1beta/models/m:streamGenerateContent", b"application/json", '{"text":%s}', ",\r\n"),
        ("http://h:11434/api/chat", b"application/x-ndjson", '{"message":{"content":%s},"done":false}', "\n"),
    ],
)
def test_a_key_said_in_pieces_is_not_stored_in_streams_that_are_no_event_streams(
    url: str, kind: bytes, element: str, between: str
) -> None:
    secret = "sk-proj-" + "Ab3dEf6hIj9kLm2nOp5q" * 3
    tape = Tape(Redactor([("KEY", secret.encode())]))
    pieces = [element % json.dumps(secret[n : n + 9]) for n in range(0, len(secret), 9)]
    body = between.join(["[" + pieces[0], *pieces[1:]]).encode()
    tape.play(replace(opened(), url=url), answered(kind=kind), *arrivals(body, [40] * 50), finished())
    stored = tape.body(tape.records()[-1], "response").decode()
    said = "".join(re.findall(r'"(?:text|content)":"([^"]*)"', stored))
    assert secret[:20] not in said
    assert "[REDACTED" in stored


def test_paths_that_are_only_counted_do_not_fill_the_memory() -> None:
    tape = Tape()
    tape.play(*(PassedBy("h", "POST", f"/event/{n}?x={n}") for n in range(MOST_PATHS + 10)))
    assert len(tape.splitter.passed_by) == MOST_PATHS + 1
    assert tape.splitter.passed_by[OTHER_PATHS] == 10
