"""Codex's rollout: the very items of the requests, and what its screen is to show of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tapes.native.carried import Carried
from tapes.native.codex import new_id, place, transcript
from tapes.native.codex_state import noted
from tapes.wire.turns import Json

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOOLS: dict[str, Json] = {"type": "additional_tools", "role": "developer", "tools": [{"name": "collaboration"}]}
CALL: dict[str, Json] = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "exec", "input": "x"}
CLASSIC: dict[str, Json] = {"type": "function_call", "call_id": "c2", "name": "exec_command", "arguments": "{}"}
OUTPUT: dict[str, Json] = {"type": "custom_tool_call_output", "call_id": "c1", "output": "one"}


def message(role: str, words: str) -> dict[str, Json]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "id": "msg_1", "role": role, "content": [{"type": kind, "text": words}]}


HISTORY: tuple[Json, ...] = (
    TOOLS,
    message("developer", "You are Codex."),
    message("user", "<environment_context>\n  <cwd>/work</cwd>\n</environment_context>"),
    message("user", "Do it. é 漢字"),
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VhbGVk", "content": None},
    message("assistant", "One."),
    CALL,
    OUTPUT,
)


def written(
    items: Sequence[Json], open_calls: Sequence[str] = (), instructions: str = ""
) -> tuple[list[Any], tuple[str, ...]]:
    said = ("openai-responses", "m", instructions, tuple(items), tuple(open_calls))
    it = Carried("codex", "0.170.0", "/work", {"head": "abc"}, *said)
    data, notes = transcript(it, "new-id", "/work", "openai", NOW)
    return [json.loads(line) for line in data.splitlines()], notes


def items_of(lines: list[Any]) -> list[Json]:
    return [line["payload"] for line in lines if line["type"] == "response_item"]


def test_the_items_stand_there_as_they_were_sent() -> None:
    lines, _ = written(HISTORY)
    assert items_of(lines) == list(HISTORY)


def test_calls_without_an_output_are_answered_behind_all_that_was_said() -> None:
    lines, notes = written([*HISTORY[:7], CLASSIC], ["c1", "c2"])
    assert items_of(lines)[:8] == [*HISTORY[:7], CLASSIC]
    assert items_of(lines)[8:] == [
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "aborted"},
        {"type": "function_call_output", "call_id": "c2", "output": "aborted"},
    ]
    assert notes[0].startswith("2 tool calls")


def test_the_head_names_the_new_session_the_version_and_the_directory() -> None:
    head = written(HISTORY, instructions="Be good.")[0][0]
    assert head["type"] == "session_meta"
    said = head["payload"]
    assert (said["id"], said["cwd"], said["cli_version"], said["originator"]) == ("new-id", "/work", "0.170.0", "tapes")
    assert said["base_instructions"] == {"text": "Be good."}
    assert (said["multi_agent_version"], said["git"]) == ("v2", {"commit_hash": "abc"})


def test_its_screen_is_told_what_a_person_and_the_model_said_and_nothing_else() -> None:
    events = [line["payload"] for line in written(HISTORY)[0] if line["type"] == "event_msg"]
    assert [(event["type"], event["message"]) for event in events] == [
        ("user_message", "Do it. é 漢字"),
        ("agent_message", "One."),
    ]


def test_ids_are_of_version_7_and_sort_by_time() -> None:
    first, second = new_id(NOW), new_id(NOW + timedelta(seconds=1))
    assert uuid.UUID(first).version == 7
    assert first < second
    assert place(first, NOW).endswith(f"-{first}.jsonl")


def test_what_codex_noted_of_its_settings_stands_behind_the_item_it_stood_behind(tmp_path: Path) -> None:
    state, turn = ({"type": kind, "payload": {"n": n}} for n, kind in enumerate(("world_state", "turn_context")))
    packed = {"type": "compacted", "payload": {"replacement_history": [{"id": "a"}, {"id": "rs_1"}]}}
    lines = [state, {"type": "response_item", "payload": CALL}, state, turn, packed, state]
    folder = tmp_path / "sessions/2026/01/02"
    folder.mkdir(parents=True)
    path = folder / "rollout-2026-01-02T03-04-05-0a-1b.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"type": "world_st')
    found = noted(tmp_path, "0a-1b")
    assert found == {"ctc_1": [state, turn], "rs_1": [state]}
    it = Carried("codex", "0.170.0", "/work", {}, "openai-responses", "m", "", HISTORY, ())
    data, notes = transcript(it, "new-id", "/work", "openai", NOW, found)
    kinds = [json.loads(line)["type"] for line in data.splitlines()]
    assert kinds[-4:] == ["response_item", "world_state", "turn_context", "response_item"]
    assert "differs" in notes[-1]


def test_without_a_rollout_of_its_own_nothing_is_noted(tmp_path: Path) -> None:
    assert noted(tmp_path, "0a-1b") == noted(tmp_path, "") == noted(tmp_path, "../*") == {}
    assert "once more" in written(HISTORY)[1][-1]
