"""A session that is read again as it grows says what it says when it is read for the first time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.archive_suite import withhold
from tapes.archive.base import Draft
from tapes.archive.memory_archive import MemoryArchive
from tapes.record.kinds import BodyRef
from tapes.session.view import Reading, View, view
from witnessed import Session

LONG = "and this is what stands in the file, line by line. " * 700
"""Two of it make a request that is not read whole any more."""
COMPACTED = "This session is being continued from a previous conversation that ran out of context. Summary: "
CLAUDE, OPENAI = "https://api.anthropic.com/v1/messages", "https://api.openai.com/v1/responses"
HEADERS = [[b"user-agent", b"claude-cli/9.8.7 (external)"], [b"x-claude-code-session-id", b"one"]]


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def told(found: View) -> tuple[Any, ...]:
    """All that a view says."""
    exchanges = dict(found.calls.exchanges)
    return list(found.steps), found.threads, found.places, found.commands, exchanges, found.tokens(), found.records


def fresh(session: Session, most: int | None = None) -> tuple[Any, ...]:
    return told(Reading(session.archive, session.session).read(most))


@dataclass
class Open:
    """A call that nothing has answered yet."""

    draft: Draft
    thread: int
    ask: Callable[[], Draft]
    id: str
    """That its response will have."""


@dataclass
class Story(Session):
    """A session of several conversations at the same time. Every method is something that can happen next; `n` and
    `flag` choose how."""

    histories: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    open: list[Open] = field(default_factory=list)
    asked: list[tuple[Draft, int]] = field(default_factory=list)
    running: list[Draft] = field(default_factory=list)
    ran: list[Draft] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    answers: int = 0

    def call(self, thread: int, url: str = CLAUDE, **more: Any) -> None:
        said = json.dumps({"model": "m", "system": "rules " * 200, "max_tokens": 5, **more}).encode()
        headers = [*HEADERS, [b"x-claude-code-agent-id", b"agent-%d" % thread]] if thread else HEADERS
        headers = headers if self.agent == "claude" else []  # then the histories alone tell whose call it is

        def ask() -> Draft:
            body = {"method": "POST", "url": url, "class": "model", "request": self._stored(said), "headers": headers}
            return self.add("exchange.open", body | {"provider": "anthropic" if url == CLAUDE else "openai-responses"})

        self.ids.append(f"r{len(self.ids)}")
        self.open.append(Open(ask(), thread, ask, self.ids[-1]))

    def ask_model(self, n: int, flag: bool) -> None:
        history = self.histories.setdefault(n, [])
        words = (LONG if flag else "go on, ") + str(len(history))
        history.append({"role": "user", "content": [text(words if history else f"count the lines of {n}")]})
        self.call(n, messages=history)

    def tell_model(self, n: int, flag: bool) -> None:
        if self.asked:
            use, thread = self.asked.pop(n % len(self.asked))
            said = {"type": "tool_result", "tool_use_id": use.body["id"], "content": LONG if flag else "done"}
            history = self.histories.setdefault(thread, [])
            history.append({"role": "user", "content": [said]})
            self.call(thread, messages=history)
            body = {"id": use.body["id"], "at": [len(history) - 1, 0], "length": 4, "is_error": False}
            self.add("tool.result", body, self.open[-1].draft, use)

    def answer(self, n: int, flag: bool) -> None:
        if self.open:
            one = self.open.pop(n % len(self.open))
            self.answers += 1
            given = {"prompt": f"count the lines of {n}", "command": "make"}
            call: dict[str, Any] = {"type": "tool_use", "id": f"t{self.answers}", "name": "Task" if flag else "Bash"}
            call["input"] = given
            blocks = [text(f"answer {self.answers}"), call]
            message: dict[str, Any] = {
                "role": "assistant",
                "content": blocks,
                "usage": {"input_tokens": 3, "output_tokens": 2},
            }
            said: dict[str, Any]
            if one.draft.body["url"] == OPENAI:
                said = {"object": "response", "id": one.id, "output": []}
            else:
                said = {"type": "message", "id": one.id, **message}
                self.histories.setdefault(one.thread, []).append({"role": "assistant", "content": blocks})
            end = self.end_of(one, "complete", said)
            use = {"id": call["id"], "name": call["name"], "at": [0, 1], "input": json.dumps(given).encode()}
            self.asked.append((self.add("tool.use", use, end), one.thread))

    def end_of(self, one: Open, outcome: str, said: Any) -> Draft:
        body = {"outcome": outcome, "status": 200, "headers": [[b"content-type", b"application/json"]]}
        return self.add("exchange.end", body | {"response": self._stored(json.dumps(said).encode())}, one.draft)

    def fail(self, n: int, flag: bool) -> None:
        """And try again, at once or never."""
        if self.open:
            one = self.open.pop(n % len(self.open))
            self.end_of(one, "http_error", {"type": "error", "error": {"type": "overloaded_error", "message": "no"}})
            if flag:
                self.open.append(Open(one.ask(), one.thread, one.ask, one.id))

    def compact(self, n: int, flag: bool) -> None:
        history = self.histories.setdefault(n, [])
        asked = text("Your task is to create a detailed summary of our conversation")
        self.call(n, messages=[*history, {"role": "user", "content": [asked]}])
        summary = [text(COMPACTED + LONG), *([text("go on")] if flag else [])]
        self.histories[n] = [{"role": "user", "content": summary}]

    def go_on(self, n: int, flag: bool) -> None:
        """From a response that has come, or is to come."""
        said = [{"role": "user", "content": f"and now {n}"}]
        before = {"previous_response_id": self.ids[-1 - n % len(self.ids)]} if self.ids and flag else {}
        self.call(0, OPENAI, input=said, instructions=f"rules {n}", **before)

    def run_command(self, n: int, flag: bool) -> None:
        outer = self.running[n % len(self.running)] if self.running and flag else None
        self.running.append(self.start("make", outer))

    def end_command(self, n: int, flag: bool) -> None:
        if self.running:
            start = self.running.pop(n % len(self.running))
            self.end(start, ("o", b"done"), status=n)
            self.ran.append(start)

    def join_late(self, n: int, flag: bool) -> None:
        if self.ran and self.asked:
            self.join(self.asked[n % len(self.asked)][0], self.ran.pop(), exact=flag)

    def say(self, n: int, flag: bool) -> None:
        self.add("note", {"text": f"note {n}"}) if flag else self.add("gap", {"reason": "lost", "bytes": n})


HAPPENINGS = (
    Story.ask_model,
    Story.tell_model,
    Story.answer,
    Story.answer,
    Story.fail,
    Story.compact,
    Story.go_on,
    Story.run_command,
    Story.end_command,
    Story.join_late,
    Story.say,
)
STORIES = st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 2), st.booleans()), min_size=4, max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["claude", "fake"]), STORIES, st.data())
def test_any_session_at_growing_prefixes_says_what_a_fresh_view_says(
    agent: str, told_: Any, data: st.DataObject
) -> None:
    story = Story(agent=agent)
    for happens, n, flag in told_:
        happens(story, n, flag)
    story.commit()
    count = len(list(story.archive.session_records(story.session)))
    reading = Reading(story.archive, story.session)
    for most in sorted(data.draw(st.lists(st.integers(1, count), max_size=5))):
        assert told(reading.read(most)) == fresh(story, most)
    assert told(reading.read()) == told(view(story.archive, story.session))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["claude", "fake"]), STORIES)
def test_a_session_that_is_read_while_it_is_recorded_says_what_a_fresh_view_says(agent: str, told_: Any) -> None:
    story = Story(agent=agent)
    story.commit()
    reading = Reading(story.archive, story.session)
    for count, (happens, n, flag) in enumerate(told_):
        happens(story, n, flag)
        story.commit()
        if count % 3 == 0:
            assert told(reading.read()) == fresh(story)
            assert not reading.has_grown()
    assert told(reading.read()) == fresh(story)


class Counting(MemoryArchive):
    """Counts the bodies that are read whole or in part."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def body(self, ref: BodyRef) -> bytes:
        self.read += 1
        return super().body(ref)

    def leaves(self, ref: BodyRef, known: Any = None) -> Any:
        self.read += known is not None  # without, it is `body` that asks
        return super().leaves(ref, known)


def conversation(story: Story, turns: int) -> None:
    for turn in range(turns):
        story.ask_model(0, turn % 2 == 0)
        story.answer(0, False)
        story.tell_model(0, False)
        story.answer(0, False)
    story.commit()


def test_what_was_read_is_not_read_again() -> None:
    archive = Counting()
    story = Story(archive=archive, agent="claude")
    conversation(story, 10)
    reading = Reading(archive, story.session)
    list(reading.read(30).steps)
    list(reading.read().steps)
    first, archive.read = archive.read, 0
    assert first < 45  # 20 requests, 20 answers, and a long request or two that had to be read whole
    list(reading.read().steps)
    assert archive.read == 0
    conversation(story, 1)
    assert reading.has_grown()
    list(reading.read().steps)
    assert 0 < archive.read <= 4
    assert not reading.has_grown()


def test_fewer_records_than_before_are_read_anew() -> None:
    story = Story(agent="claude")
    conversation(story, 4)
    reading = Reading(story.archive, story.session)
    for most in (20, 7, 1, None):
        assert told(reading.read(most)) == fresh(story, most)
    assert len(reading.read(0).records) == 1


@pytest.mark.parametrize("early", [True, False])
def test_a_call_that_goes_on_from_an_answer_is_placed_by_it_however_late_that_is_written(early: bool) -> None:
    story = Story()
    story.go_on(0, False)
    story.go_on(1, False)  # another conversation
    story.commit()
    reading = Reading(story.archive, story.session)
    list(reading.read().steps)

    def next_call() -> None:
        said = [{"role": "user", "content": "more"}]
        story.call(0, OPENAI, input=said, instructions="rules 1", previous_response_id="r0")
        story.commit()
        reading.read()

    if early:
        next_call()
    story.answer(0, False)
    story.commit()
    if not early:
        reading.read()
        next_call()
    found = reading.read()
    assert [place.thread for place in found.places.values()] == ["main", "thread-2", "main"]
    assert told(found) == fresh(story)


@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_withheld_between_two_reads_is_in_no_later_view(at_once: bool) -> None:
    story = Story(agent="claude")
    conversation(story, 4)
    reading = Reading(story.archive, story.session)
    before = list(reading.read().steps)
    assert any("answer 3" in step.text for step in before)
    seqs = [record.seq for _, record in story.archive.session_records(story.session) if 5 < record.seq < 20]
    withhold(story.archive, story.session, records=seqs)
    if not at_once:
        assert told(reading.read()) == fresh(story)  # the redaction has come, and nothing is gone yet
    assert isinstance(story.archive, MemoryArchive)
    story.archive.destroy()
    found = list(reading.read().steps)
    assert not any("answer 3" in step.text for step in found)
    assert [step.type for step in found].count("withheld") > 2
    conversation(story, 1)
    assert told(reading.read()) == fresh(story)


def test_an_earlier_view_stays_as_it_was_when_a_later_one_is_read() -> None:
    story = Story(agent="claude")
    conversation(story, 3)
    reading = Reading(story.archive, story.session)
    early, expected = reading.read(14), fresh(story, 14)
    list(reading.read().steps)
    assert told(early) == expected
