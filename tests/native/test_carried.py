"""What is carried from a point of a session: what the agent had then, or a refusal with the reason."""

from __future__ import annotations

import json

import pytest

import socket_tape as sockets
from session.test_view import FIRST, RESULT, SECOND, USE, Tape, message, told
from tapes.errors import NotFound, UsageError
from tapes.native.carried import Carried, carried
from tapes.session.transcript import moment
from tapes.session.view import view

ASKING = {"type": "text", "text": "CRITICAL: Respond with TEXT ONLY. Your task is to create a detailed summary"}
DONE = {"role": "assistant", "content": [{"type": "text", "text": "Two files."}]}


def of(tape: Tape, number: int | None, thread: str = "") -> Carried:
    tape.steps()  # ends it
    found = view(tape.archive, tape.session)
    return carried(tape.archive, found, moment(found, list(found.steps), number, thread))


def test_an_answer_is_carried_as_the_agent_gave_it_back() -> None:
    filled = USE | {"input": {"command": "ls", "timeout": 1}}
    tape = Tape()
    tape.call(FIRST, message(USE))
    tape.call([*FIRST, {"role": "assistant", "content": [filled]}, SECOND[2]], message({"type": "text", "text": "x"}))
    assert of(tape, 3).items == (*FIRST, {"role": "assistant", "content": [filled]})


def test_the_last_answer_is_carried_as_it_came() -> None:
    it = of(told(), None)
    assert it.items == (*SECOND, DONE)
    assert (it.agent, it.version, it.dialect, it.model, it.open_calls) == ("claude", "9.8.7", "anthropic", "m-1", ())


def test_calls_without_results_are_named() -> None:
    assert of(told(), 4).open_calls == ("toolu_1",)


def test_where_the_agent_asks_for_a_summary_it_goes_on_from_what_was_before() -> None:
    tape = told()
    # Claude Code leaves the last answer out of what it sums up, and asks beside the last result.
    tape.call(
        [*SECOND[:2], {"role": "user", "content": [RESULT, ASKING]}], message({"type": "text", "text": "In short."})
    )
    it = of(tape, None)
    assert it.items == (*SECOND, DONE)
    assert any("compacted" in note for note in it.notes)


def test_a_result_that_was_new_where_a_summary_was_asked_for_is_carried_too() -> None:
    tape = Tape()
    tape.call(FIRST, message(USE))
    tape.call(
        [*SECOND[:2], {"role": "user", "content": [RESULT, ASKING]}], message({"type": "text", "text": "In short."})
    )
    it = of(tape, None)
    assert (it.items, it.open_calls) == (tuple(SECOND), ())


def test_an_answer_that_was_cut_off_and_never_given_back_is_left_out() -> None:
    tape = Tape()
    tape.call(FIRST, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, status=529)
    with_error = of(tape, None)
    assert with_error.items == tuple(FIRST)


def test_redacted_places_are_counted() -> None:
    tape = Tape()
    tape.call(
        [{"role": "user", "content": "sk-ant-api03-" + "a1B2" * 23 + "AA"}], message({"type": "text", "text": "Oh."})
    )
    it = of(tape, None)
    assert "[REDACTED:" in json.dumps(it.items)
    assert any(note.startswith("1 places") for note in it.notes)


def test_a_side_call_is_no_conversation_to_go_on_with() -> None:
    tape = Tape()
    asked = "You are a title generator. Generate a brief title"
    tape.call([{"role": "user", "content": asked}], message({"type": "text", "text": "Files"}))
    with pytest.raises(UsageError, match="side call"):
        of(tape, 1)


def test_before_anything_was_said_there_is_nothing_to_carry() -> None:
    with pytest.raises(NotFound):
        of(Tape(), None)


def test_increments_over_a_socket_are_carried_whole_also_where_ids_come_twice() -> None:
    def item(role: str, text: str) -> dict[str, object]:
        kind = "output_text" if role == "assistant" else "input_text"
        return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}

    def said(text: str) -> list[bytes]:
        done = {"type": "response.output_item.done", "output_index": 0, "item": item("assistant", text)}
        return [sockets.CREATED, json.dumps(done).encode(), sockets.DONE]

    tape = sockets.Tape()
    for n, words in enumerate(("one", "two", "three")):
        more = {"previous_response_id": "r"} if n else {}
        ask = {"type": "response.create", "model": "m", "input": [item("user", words)], **more}
        tape.agent(json.dumps(ask).encode())
        tape.provider(*said(words.upper()))
    found = view(tape.archive, tape.session)
    it = carried(tape.archive, found, moment(found, list(found.steps)))
    words = [entry["content"][0]["text"] for entry in it.items if isinstance(entry, dict)]  # type: ignore[index, call-overload]
    assert words == ["one", "ONE", "two", "TWO", "three", "THREE"]
