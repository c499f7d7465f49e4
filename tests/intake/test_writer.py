"""The writer: order, tool events, and what happens when the archive does not take records."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable

from tapes.archive.base import Batch
from tapes.archive.memory_archive import MemoryArchive
from tapes.archive.summary import Summary
from tapes.errors import ArchiveFull
from tapes.intake.linker import Linker
from tapes.intake.opening import Facts, adopt, open_session
from tapes.intake.recording import Recording
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.session.rows import summary_of
from tapes.wire.agents import by_name
from tapes.wire.exchange import Answered, Arrived, Finished, Moment, Opened
from tapes.wire.redact import Redactor

ANSWER = {
    "type": "message",
    "role": "assistant",
    "model": "m-1",
    "stop_reason": "tool_use",
    "content": [
        {"type": "text", "text": "Two things."},
        {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}},
        {"type": "tool_use", "id": "toolu_2", "name": "bash", "input": {"command": "false"}},
    ],
}
RESULTS = [
    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.py"},
    {"type": "tool_result", "tool_use_id": "toolu_2", "content": [{"type": "text", "text": "no"}], "is_error": True},
]
PROMPT = {"role": "user", "content": "Go."}
SECOND = [PROMPT, {"role": "assistant", "content": ANSWER["content"]}, {"role": "user", "content": RESULTS}]


def exchange(key: str, messages: list[object], answer: object) -> list[Opened | Answered | Arrived | Finished]:
    body = json.dumps({"model": "m-1", "max_tokens": 9, "messages": messages}).encode()
    return [
        Opened(
            key, Moment.now(), "POST", "https://api.anthropic.com/v1/messages", "HTTP/1.1", (), body, "anthropic",
            "model", "c", "proxy",
        ),
        Answered(key, Moment.now(), 200, "OK", "HTTP/1.1", ((b"content-type", b"application/json"),)),
        Arrived(key, time.monotonic_ns(), json.dumps(answer).encode()),
        Finished(key, Moment.now(), "eof"),
    ]  # fmt: skip


DONE = {"type": "message", "role": "assistant", "model": "m-1", "content": [{"type": "text", "text": "Done."}]}


class Balky(MemoryArchive):
    """An archive whose disk is full while `full` says so."""

    def __init__(self) -> None:
        super().__init__()
        self.full: Callable[[], bool] = lambda: False
        self.refused = 0

    def commit(self, batch: Batch) -> list[Digest]:
        if self.full():
            self.refused += 1
            raise ArchiveFull("no room on the disk")
        return super().commit(batch)


class Desk:
    """A writer at work on one session."""

    def __init__(self, archive: Balky | None = None, queue_bytes: int = 1 << 28) -> None:
        self.archive = archive or Balky()
        self.redactor = Redactor()
        self.session, summary = open_session(self.archive, Facts("generic", [b"x"], b"/"), self.redactor)
        self.said: list[str] = []
        self.writer = self._writer(summary, Linker(), queue_bytes)

    def _writer(self, summary: Summary, linker: Linker, queue_bytes: int) -> Writer:
        self.recording = Recording(Splitter(self.session, self.redactor), by_name("generic"), linker, summary)
        writer = Writer(self.archive, lambda who: self.recording, queue_bytes=queue_bytes, on_trouble=self.said.append)
        writer.start()
        return writer

    def records(self, type_: str) -> list[tuple[Digest, Record]]:
        return [(d, r) for d, r in self.archive.session_records(self.session) if r.type == type_]

    def types(self) -> list[str]:
        return [r.type for _, r in self.archive.session_records(self.session)]


def test_tool_events_follow_their_exchange_and_name_each_other() -> None:
    desk = Desk()
    for happening in [*exchange("a", [PROMPT], ANSWER), *exchange("b", SECOND, DONE)]:
        desk.writer.put(happening)
        assert desk.writer.wait_safe(10)
    assert desk.writer.close({"status": 0, "signal": None}, 10)
    assert Counter(desk.types()) == Counter(
        {"session.open": 1, "exchange.open": 2, "exchange.end": 2, "tool.use": 2, "tool.result": 2, "session.close": 1}
    )
    ends = [digest for digest, _ in desk.records("exchange.end")]
    opens = [digest for digest, _ in desk.records("exchange.open")]
    uses = {r.body["id"]: d for d, r in desk.records("tool.use")}
    for _, use in desk.records("tool.use"):
        assert use.parents == (ends[0],)
    for _, result in desk.records("tool.result"):
        assert result.parents == (opens[1], uses[result.body["id"]])
    assert [r.body["is_error"] for _, r in desk.records("tool.result")] == [False, True]


def test_a_retried_request_does_not_repeat_its_tool_results() -> None:
    desk = Desk()
    for key in "abc":
        for happening in exchange(key, SECOND, DONE):
            desk.writer.put(happening)
    desk.writer.close({}, 10)
    assert desk.types().count("tool.result") == 2


def test_a_use_whose_answer_was_never_seen_is_taken_from_the_history() -> None:
    desk = Desk()
    for happening in exchange("b", SECOND, DONE):
        desk.writer.put(happening)
    desk.writer.close({}, 10)
    assert [r.body["source"] for _, r in desk.records("tool.use")] == ["request", "request"]


def test_the_summary_in_the_archive_is_what_folding_the_records_gives() -> None:
    desk = Desk()
    for happening in [*exchange("a", [PROMPT], ANSWER), *exchange("b", SECOND, DONE)]:
        desk.writer.put(happening)
    desk.writer.close({"status": 3, "signal": None}, 10)
    kept = summary_of(desk.archive, desk.session)
    desk.archive.commit(Batch(summaries={desk.session: b""}))
    assert summary_of(desk.archive, desk.session) == kept
    assert (kept.exchanges, kept.calls, kept.tool_uses, kept.outcome, kept.models) == (2, 2, 2, "exit 3", {"m-1": 2})


def test_a_full_disk_delays_and_loses_nothing_when_room_comes_back() -> None:
    desk = Desk()
    until = time.monotonic() + 0.6
    desk.archive.full = lambda: time.monotonic() < until
    for happening in exchange("a", [PROMPT], ANSWER):
        assert desk.writer.put(happening)
    assert desk.writer.wait_safe(10)
    desk.writer.close({}, 10)
    assert desk.archive.refused > 0
    assert desk.types().count("exchange.end") == 1
    assert "gap" not in desk.types()
    assert "no room" in desk.said[0]
    assert "again" in desk.said[-1]


def test_what_does_not_fit_the_queue_is_counted_in_a_gap_and_the_rest_is_whole() -> None:
    desk = Desk(queue_bytes=4000)
    stuck = True
    desk.archive.full = lambda: stuck
    results = [[desk.writer.put(h) for h in exchange(str(n), [PROMPT], DONE)] for n in range(30)]
    assert not all(map(all, results))
    stuck = False
    assert desk.writer.wait_safe(10)
    for happening in exchange("later", [PROMPT], DONE):
        assert desk.writer.put(happening)
    desk.writer.close({}, 10)
    (gap,) = (record for _, record in desk.records("gap"))
    refused = sum(not all(row) for row in results)
    assert gap.body["exchanges"] == refused
    assert desk.types().count("exchange.open") == 30 - refused + 1 + sum(r[0] and not all(r) for r in results)


def test_an_archive_that_stays_full_does_not_hold_up_the_end_and_says_so() -> None:
    desk = Desk()
    desk.archive.full = lambda: True
    for happening in exchange("a", [PROMPT], DONE):
        desk.writer.put(happening)
    assert not desk.writer.close({}, 0.5)
    assert desk.types() == ["session.open"]
    assert desk.writer.lost_exchanges == 1


def test_a_successor_ends_what_a_killed_process_left_open() -> None:
    desk = Desk()
    first = exchange("a", [PROMPT], ANSWER)
    for happening in [*first[:2], Arrived("a", time.monotonic_ns(), b'{"half":')]:
        desk.writer.put(happening)
    deadline = time.monotonic() + 10
    while "exchange.part" not in desk.types() and time.monotonic() < deadline:
        time.sleep(0.05)
    summary, linker = adopt(desk.archive, desk.session, lost_since_ns=5)  # as if the first had been killed here
    (_, end), (_, gap) = desk.records("exchange.end")[0], desk.records("gap")[0]
    assert end.body["outcome"] == "capture_lost"
    assert end.body["status"] == 200
    assert desk.archive.body_records(end.body["response"]["hash"])
    assert gap.body["exchanges"] == 1
    assert summary.partial == 1
    assert linker.uses == {}
