"""The writer: order, tool events, and what happens when the archive does not take records."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tapes.archive.base import Batch
from tapes.archive.memory_archive import MemoryArchive
from tapes.archive.summary import Summary
from tapes.errors import ArchiveFull
from tapes.intake.linker import Linker
from tapes.intake.opening import Facts, adopt, open_session
from tapes.intake.recording import LAUNCH, Recording, Who
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.session.rows import summary_of
from tapes.wire.agents import by_name
from tapes.wire.command import CommandEnded, CommandOutput, CommandStarted
from tapes.wire.exchange import Answered, Arrived, Egress, Finished, Moment, Opened, SocketMessage
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
        self.commits = 0

    def commit(self, batch: Batch) -> list[Digest]:
        if self.full():
            self.refused += 1
            raise ArchiveFull("no room on the disk")
        self.commits += 1
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
        writer.expect(LAUNCH)
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
    desk.writer.put(Egress(Moment.now(), "h", 1, "tunnel", 0, 0, 0))
    assert wait_for(lambda: desk.writer.failing)  # else the flood may meet the writer between two rounds: two gaps
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


def several(archive: Balky, **options: object) -> tuple[Writer, list[Who]]:
    """A writer of as many sessions as there are people, and those it met."""
    met: list[Who] = []

    def begin(who: Who) -> Recording:
        met.append(who)
        return Recording.begin(Facts("generic", [], b"", user=who.id), Redactor())

    writer = Writer(archive, begin, **options)  # type: ignore[arg-type]
    writer.start()
    return writer, met


def test_everybody_has_a_session_of_their_own_and_none_is_mixed_up() -> None:
    archive = Balky()
    writer, met = several(archive)
    people = [Who("user", id=name) for name in ("ann", "bob", "eve")]
    told = {who: exchange(f"{who.id}-1", [{"role": "user", "content": who.id}], DONE) for who in people}
    for happenings in zip(*told.values(), strict=True):
        for who, happening in zip(people, happenings, strict=True):
            assert writer.put(happening, who)
    assert writer.close({"how": "stopped"}, 10)
    assert met == people
    assert len(archive.sessions()) == 3
    for session, who in zip(archive.sessions(), people, strict=True):
        records = [record for _, record in archive.session_records(session)]
        assert [r.type for r in records] == ["session.open", "exchange.open", "exchange.end", "session.close"]
        assert who.id.encode() in archive.body(BodyRef.of(records[1].body["request"]))
        assert summary_of(archive, session).closed


def test_a_session_that_has_gone_quiet_is_closed_and_its_person_gets_another() -> None:
    archive = Balky()
    writer, met = several(archive, idle_close_s=0.05)
    for key in ("a", "b"):
        for happening in exchange(key, [PROMPT], DONE):
            writer.put(happening, Who("user", id="ann"))
        assert wait_for(lambda: archive.sessions() and summary_of(archive, archive.sessions()[-1]).closed)
    writer.close({}, 10)
    assert len(met) == len(archive.sessions()) == 2


def test_a_session_with_an_open_exchange_is_not_quiet() -> None:
    archive = Balky()
    writer, met = several(archive, idle_close_s=0.05)
    first, *rest = exchange("a", [PROMPT], DONE)
    writer.put(first, Who("user", id="ann"))
    time.sleep(0.3)
    for happening in rest:
        writer.put(happening, Who("user", id="ann"))
    writer.close({}, 10)
    assert len(met) == 1


def test_people_of_whom_everything_was_lost_have_a_gap_to_show_for_it() -> None:
    archive = Balky()
    writer, _ = several(archive, queue_bytes=1)
    archive.full = lambda: True
    writer.put(exchange("a", [PROMPT], DONE)[0], Who("user", id="ann"))
    assert wait_for(lambda: writer.failing)
    writer.put(exchange("b", [PROMPT], DONE)[0], Who("user", id="ann"))
    assert not writer.put(exchange("c", [PROMPT], DONE)[0], Who("user", id="bob"))
    archive.full = lambda: False
    writer.close({}, 10)
    gaps = [r for s in archive.sessions() for _, r in archive.session_records(s) if r.type == "gap"]
    assert len(archive.sessions()) == 2
    assert gaps and gaps[0].body["exchanges"] == 1
    assert writer.lost_exchanges == 1


def test_lost_messages_of_a_websocket_end_its_turn_and_the_next_one_is_whole() -> None:
    desk = Desk(queue_bytes=2_000)
    at, ask, done = Moment.now, b'{"type":"response.create"}', b'{"type":"response.completed"}'
    url = "https://api.openai.com/v1/responses"
    for happening in (
        Opened("k", at(), "GET", url, "HTTP/1.1", (), b"", "openai-responses", "other", "c", "proxy"),
        Answered("k", at(), 101, "", "HTTP/1.1", ()),
        Finished("k", at(), "eof"),
        SocketMessage("k", at(), True, True, ask),
    ):
        desk.writer.put(happening)
    assert desk.writer.wait_safe(10)
    desk.archive.full = lambda: True
    desk.writer.put(Egress(at(), "h", 1, "tunnel", 0, 0, 0))
    assert wait_for(lambda: desk.writer.failing)
    desk.writer.put(SocketMessage("k", at(), False, True, b"x" * 1_500))
    assert not desk.writer.put(SocketMessage("k", at(), False, True, b"y" * 1_500))
    desk.archive.full = lambda: False
    assert desk.writer.wait_safe(10)
    assert wait_for(lambda: not desk.writer.failing)
    desk.writer.put(SocketMessage("k", at(), True, True, ask))
    desk.writer.put(SocketMessage("k", at(), False, True, done))
    desk.writer.close({}, 10)
    assert [r.body["outcome"] for _, r in desk.records("exchange.end")] == ["complete", "capture_lost", "complete"]
    assert len(desk.records("gap")) == 1


def wait_for(true: Callable[[], object], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(true())


def test_news_of_a_busy_session_share_a_commit_and_who_waits_for_safety_waits_for_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tapes.intake.writer.GATHER_S", 3_600.0)
    desk = Desk()
    first, *rest = exchange("0", [PROMPT], DONE)
    desk.writer.put(first)
    assert wait_for(lambda: desk.records("exchange.open")), "after a quiet time news are written at once"
    for happening in [*rest, *(h for n in range(1, 9) for h in exchange(str(n), [PROMPT], DONE))]:
        desk.writer.put(happening)
    commits = desk.archive.commits
    assert desk.writer.wait_safe(10)
    assert len(desk.records("exchange.end")) == 9
    assert desk.archive.commits == commits + 1
    desk.writer.put(Egress(Moment.now(), "h", 1, "tunnel", 0, 0, 0))
    assert desk.writer.close({}, 10)
    assert desk.types()[-2:] == ["egress", "session.close"]


def test_a_queue_that_fills_up_is_not_left_to_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapes.intake.writer.GATHER_S", 3_600.0)
    desk = Desk(queue_bytes=8_000)
    desk.writer.put(Egress(Moment.now(), "h", 1, "tunnel", 0, 0, 0))
    assert wait_for(lambda: desk.records("egress"))
    for _ in range(25):
        assert desk.writer.put(Egress(Moment.now(), "h", 1, "tunnel", 0, 0, 0))
    assert wait_for(lambda: len(desk.records("egress")) > 1)
    assert desk.writer.close({}, 10)


def test_a_run_in_which_nothing_happened_is_closed_all_the_same() -> None:
    desk = Desk()
    assert desk.writer.close({"status": 7}, 10)
    assert desk.types() == ["session.open", "session.close"]


def test_output_that_does_not_fit_is_counted_at_its_commands_end_and_what_comes_later_is_kept() -> None:
    desk, key = Desk(queue_bytes=30_000), "0123456789abcdef" * 2
    stuck = True
    desk.archive.full = lambda: stuck
    desk.writer.put(CommandStarted(key, Moment.now(), "supervisor", (b"make",), b"/"))
    assert wait_for(lambda: desk.writer.failing)
    taken = [desk.writer.put(CommandOutput(key, time.monotonic_ns(), "o", b"words\n" * 500)) for _ in range(20)]
    assert taken.count(False) > 5
    assert desk.writer.put(CommandEnded(key, Moment.now(), 0, None, 5, dropped=7, open=True))
    stuck = False
    assert wait_for(lambda: desk.types().count("command.end") == 1)
    assert desk.writer.put(CommandOutput(key, time.monotonic_ns(), "o", b"late words\n"))
    desk.writer.close({}, 10)
    ((_, end),) = desk.records("command.end")
    assert end.body["dropped"] == taken.count(False) * 3000 + 7
    assert end.body["bytes"] == {"o": taken.count(True) * 3000}
    late = desk.records("command.output")[-1][1].body
    assert desk.archive.body(BodyRef.of(late["data"])) == b"late words\n"
    assert sum(record.body["items"] for _, record in desk.records("gap")) >= taken.count(False)
