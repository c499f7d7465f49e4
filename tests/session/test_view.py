"""Steps and rows, read back from a memory archive that the real writer filled."""

from __future__ import annotations

import json
import time

from tapes.archive.base import Batch, Draft
from tapes.archive.memory_archive import MemoryArchive
from tapes.intake.opening import Facts, open_session
from tapes.intake.recording import Recording
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.record.digest import Digest
from tapes.session.exchanges import exchanges
from tapes.session.rows import rows
from tapes.session.usage import Tokens
from tapes.session.view import STEP_TYPES, Step, as_told, steps, view
from tapes.wire.agents import by_name
from tapes.wire.exchange import Answered, Arrived, Finished, Moment, Opened
from tapes.wire.redact import Redactor

USE = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}
FIRST = [{"role": "user", "content": [{"type": "text", "text": "<system-reminder>be brief</system-reminder>"}]}]
FIRST[0]["content"].append({"type": "text", "text": "List the files."})  # type: ignore[attr-defined]
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.py\nb.py"}
SECOND = [*FIRST, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [RESULT]}]


def message(*blocks: object) -> dict[str, object]:
    return {"type": "message", "role": "assistant", "model": "m-1", "content": list(blocks)}


class Tape:
    """A session of Claude's that calls are added to."""

    def __init__(self) -> None:
        self.archive = MemoryArchive()
        redactor = Redactor()
        self.session, summary = open_session(self.archive, Facts("claude", [b"claude"], b"/"), redactor)
        self.writer = Writer(
            self.archive, lambda who: Recording(Splitter(self.session, redactor), by_name("claude"), summary=summary)
        )
        self.writer.start()
        self._count = 0

    def call(
        self, messages: object, answer: object, status: int = 200, thread: str = "", *, hurried: bool = False
    ) -> None:
        self._count += 1
        key, at = str(self._count), Moment.now()
        headers = ((b"User-Agent", b"claude-cli/9.8.7 (external)"),)
        headers += ((b"x-claude-code-agent-id", thread.encode()),) if thread else ()
        body = json.dumps({"model": "m-1", "messages": messages}).encode()
        url = "https://api.anthropic.com/v1/messages"
        self.writer.put(Opened(key, at, "POST", url, "HTTP/1.1", headers, body, "anthropic", "model", "c", "proxy"))
        assert hurried or self.writer.wait_safe(10)  # a model takes its time to answer
        kind = ((b"content-type", b"application/json"),)
        self.writer.put(Answered(key, Moment.now(), status, "", "HTTP/1.1", kind))
        self.writer.put(Arrived(key, time.monotonic_ns(), json.dumps(answer).encode()))
        self.writer.put(Finished(key, Moment.now(), "eof"))
        assert hurried or self.writer.wait_safe(10)

    def steps(self) -> list[Step]:
        if self.writer._thread.is_alive():
            self.writer.close({"status": 0, "signal": None}, 10)
        return list(steps(self.archive, self.session))


def told() -> Tape:
    tape = Tape()
    tape.call(FIRST, message({"type": "thinking", "thinking": "Easy.", "signature": "s"}, USE))
    tape.call(SECOND, message({"type": "text", "text": "Two files."}))
    return tape


def test_calls_of_an_agent_in_a_hurry_stand_where_they_were_made() -> None:
    tape = Tape()
    tape.call(FIRST, message({"type": "thinking", "thinking": "Easy.", "signature": "s"}, USE), hurried=True)
    tape.call(SECOND, message({"type": "text", "text": "Two files."}), hurried=True)
    found, calm = as_told(tape.steps()), told().steps()
    assert [(step.type, step.text) for step in found] == [(step.type, step.text) for step in calm]


def test_a_conversation_reads_in_the_order_it_was_held() -> None:
    found = [(step.type, step.text) for step in told().steps()]
    assert found == [
        ("reminder", "<system-reminder>be brief</system-reminder>"),
        ("prompt", "List the files."),
        ("thinking", "Easy."),
        ("tool.use", '{"command":"ls"}'),
        ("tool.result", "a.py\nb.py"),
        ("answer", "Two files."),
    ]


def test_numbers_count_from_one_and_hashes_name_records() -> None:
    tape = told()
    found = tape.steps()
    assert [step.number for step in found] == list(range(1, 7))
    assert all(tape.archive.record(step.hash) for step in found)
    assert {step.type for step in found} <= set(STEP_TYPES)


def test_a_retry_does_not_repeat_its_prompt_and_the_failure_is_a_step() -> None:
    tape = Tape()
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    tape.call(FIRST, error, status=529)
    tape.call(FIRST, message({"type": "text", "text": "Here."}))
    found = tape.steps()
    assert [step.type for step in found] == ["reminder", "prompt", "error", "answer"]
    assert (found[2].text, found[2].failed) == ("http_error 529: Overloaded", True)
    first, second = exchanges(tape.archive, tape.session)
    assert second.retry_of == first.hash


def test_a_history_sent_whole_after_a_failure_is_a_retry_though_the_model_has_spoken_in_it() -> None:
    # As Codex does when its socket broke: what it sent before only went on from the last answer.
    tape = Tape()
    failed = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    tape.call(FIRST, message(USE))
    tape.call([FIRST[0], SECOND[2]], failed, status=529)
    tape.call(SECOND, message({"type": "text", "text": "Two files."}))
    errors = [step for step in tape.steps() if step.type == "error"]
    assert [step.facts.get("retries") for step in errors] == [1]


def test_what_is_asked_beside_a_conversation_nobody_has_said() -> None:
    tape = Tape()
    title = {"type": "text", "text": "Generate a short title for: List the files."}
    tape.call([{"role": "user", "content": [title]}], message({"type": "text", "text": "Files"}))
    found = tape.steps()
    assert [(step.type, step.thread) for step in found] == [("reminder", "title"), ("answer", "title")]


def test_usage_of_a_call_that_said_nothing_stands_with_its_failure() -> None:
    tape = Tape()
    cut = message() | {"usage": {"input_tokens": 7, "output_tokens": 0}}
    tape.call(FIRST, cut, status=529)
    tape.call(SECOND, message({"type": "text", "text": "a"}) | {"usage": {"input_tokens": 9, "output_tokens": 2}})
    (error,) = [step for step in tape.steps() if step.type == "error"]
    assert error.facts["usage"] == {"input": 7}
    assert view(tape.archive, tape.session).tokens() == {"main": Tokens(input=16, output=2)}


def test_when_the_first_word_came_is_told_where_it_is_asked_for() -> None:
    tape = told()
    tape.steps()
    asked, plain = (list(view(tape.archive, tape.session, first_words=on).steps) for on in (True, False))
    assert [step.facts["ttft_us"] > 0 for step in asked if "ttft_us" in step.facts] == [True, True]
    assert not any("ttft_us" in step.facts for step in plain)
    assert [(step.number, step.type) for step in asked] == [(step.number, step.type) for step in plain]


def test_a_subagents_steps_carry_its_thread() -> None:
    tape = Tape()
    tape.call(FIRST, message({"type": "text", "text": "Done."}), thread="a6ef41df")
    assert {step.thread for step in tape.steps()} == {"a6ef41df"}


def test_a_body_that_is_no_json_is_still_a_usable_timeline() -> None:
    tape = Tape()
    tape.call(FIRST, "just a string", status=200)
    assert [step.type for step in tape.steps()][:2] == ["reminder", "prompt"]


def test_a_row_tells_model_version_and_outcome() -> None:
    tape = told()
    tape.steps()
    (row,) = rows(tape.archive)
    s = row.summary
    assert (s.models, s.agent_version, s.outcome, s.tool_uses) == ({"m-1": 2}, "9.8.7", "exit 0", 1)


def test_a_row_whose_summary_is_behind_is_folded_again_with_its_models() -> None:
    tape = told()
    tape.steps()
    note = Draft("note", {"text": "by another process"}, tape.session)
    tape.archive.commit(Batch(drafts=[note]))
    (row,) = rows(tape.archive)
    assert (row.summary.exchanges, row.summary.models, row.summary.agent_version) == (2, {"m-1": 2}, "9.8.7")
    assert isinstance(row.session, Digest)
