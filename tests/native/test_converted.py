"""A conversation in another protocol: every word, call and result is there, or it is refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from native import test_claude, test_codex
from tapes.errors import UsageError
from tapes.native.carried import Carried
from tapes.native.converted import converted
from tapes.wire.turns import Json

CALL: dict[str, Json] = {"type": "function_call", "call_id": "c1", "name": "exec_command", "arguments": '{"cmd": "ls"}'}
OUTPUT: dict[str, Json] = {"type": "function_call_output", "call_id": "c1", "output": "a.py"}
USER, MODEL = test_codex.message("user", "Look."), test_codex.message("assistant", "I look.")
PICTURE: dict[str, Json] = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}


def codex(items: Sequence[Json], open_calls: Sequence[str] = ()) -> Carried:
    return Carried("codex", "0.1", "/", {}, "openai-responses", "m", "Be good.", tuple(items), tuple(open_calls))


def messages(it: Carried) -> list[Any]:
    return list(converted(it, "anthropic").items)


def test_what_codex_and_its_model_said_and_did_is_there_for_claude() -> None:
    shown = {**OUTPUT, "output": [{"type": "input_text", "text": "a.py"}, PICTURE]}
    found = messages(codex([*test_codex.HISTORY[:3], USER, MODEL, CALL, shown, MODEL]))
    assert found == [
        {"role": "user", "content": [{"type": "text", "text": "Look."}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "c1", "name": "exec_command", "input": {"cmd": "ls"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": [{"type": "text", "text": "a.py"}, test_claude.PICTURE],
                }
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}]},
    ]


def test_freeform_calls_have_their_text_as_input() -> None:
    (_, asked, _) = messages(codex([USER, test_codex.CALL, test_codex.OUTPUT]))
    assert asked["content"] == [{"type": "tool_use", "id": "c1", "name": "exec", "input": {"input": "x"}}]


def test_what_claude_and_its_model_said_and_did_is_there_for_codex_and_comes_back() -> None:
    it = replace(test_claude.carried(test_claude.HISTORY), usage={})
    there = converted(it, "openai-responses")
    kinds = [item["type"] for item in there.items if isinstance(item, dict)]
    calls, outputs = ["function_call"] * 2, ["function_call_output"] * 2
    assert kinds == [
        *("message", "message", *calls, *outputs),
        *("message", "function_call", "function_call_output", "message", "message"),
    ]
    back = messages(there)
    words = json.dumps(back, ensure_ascii=False)
    assert [message["role"] for message in back] == ["user", "assistant"] * 3
    assert all(text in words for text in ("Do é 漢字.", "echo 2", "And?", "Done.", "AAAA"))
    assert "system-reminder" not in words and "CronCreate" not in words


def test_sealed_thoughts_are_left_out_and_counted() -> None:
    notes = converted(codex(test_codex.HISTORY), "anthropic").notes
    assert any(note.startswith("1 thoughts") for note in notes)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"type": "compaction", "encrypted_content": "x"}, "compaction"),
        ({"type": "web_search_call", "action": {}}, "web_search_call"),
        ({**USER, "content": [{"type": "input_file", "file_id": "f"}]}, "neither text nor a picture"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(entry: dict[str, Json], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        messages(codex([USER, entry]))


def test_results_that_came_too_late_for_the_other_protocol_are_refused() -> None:
    with pytest.raises(UsageError, match="came later"):
        messages(codex([USER, CALL, test_codex.CLASSIC, {**OUTPUT, "call_id": "c2"}, MODEL, OUTPUT]))
    assert messages(codex([USER, CALL], ["c1"]))  # whose result had not come is another thing


def test_a_protocol_without_a_way_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="gemini"):
        converted(replace(codex([USER]), dialect="gemini"), "anthropic")


def test_the_same_protocol_stays_as_it_is() -> None:
    it = codex([USER])
    assert converted(it, "openai-responses") is it
    assert "aider" in converted(replace(it, agent="aider"), "openai-responses").notes[0]
