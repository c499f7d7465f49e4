"""Claude Code's transcript: what it reads out of ours is what the model saw. The reader here does what the real one was
seen to do (2.1.197): it follows the links from the last line back, joins lines of one answer and neighbouring ones of a
person, and tells the model what attachments make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.native.carried import Carried
from tapes.native.claude import UNANSWERED, folder, transcript
from tapes.native.claude_reminders import AGENTS, CONTEXT, SKILLS, TASKS, TOGETHER, TOOLS, attachments, said
from tapes.wire.turns import Json

THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "c2VhbGVk"}
CONTEXT_BLOCK = {"type": "text", "text": f"{CONTEXT}\n# currentDate\nToday.\n</system-reminder>\n\n"}
LISTS = (
    f"{TOOLS}CronCreate\nWebFetch\n\n{AGENTS}- claude: Catch-all. (Tools: *)\n- Explore: Search.\n\n{TOGETHER}\n\n"
    f"{SKILLS}- verify: Check it.\n  more of it\n- loop: Again."
)


def use(n: int) -> dict[str, Json]:
    return {"type": "tool_use", "id": f"toolu_{n}", "name": "Bash", "input": {"command": f"echo {n}"}}


def result(n: int) -> dict[str, Json]:
    return {"type": "tool_result", "tool_use_id": f"toolu_{n}", "content": f"{n}\n"}


def text(words: str) -> dict[str, Json]:
    return {"type": "text", "text": words}


PICTURE: dict[str, Json] = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
HISTORY: tuple[Json, ...] = (
    {"role": "user", "content": [CONTEXT_BLOCK, text("Do é 漢字.")]},
    {"role": "system", "content": LISTS},
    {"role": "assistant", "content": [THINKING, text("Two."), use(1), use(2)]},
    {"role": "user", "content": [result(2), result(1) | {"is_error": True, "cache_control": {"type": "ephemeral"}}]},
    {"role": "system", "content": TASKS},
    {"role": "assistant", "content": [text("Look."), use(3)]},
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "toolu_3", "content": [PICTURE]}, text("And?")],
    },
    {"role": "assistant", "content": [text("Done.")]},
)


def carried(items: Sequence[Json], open_calls: Sequence[str] = ()) -> Carried:
    return Carried(
        agent="claude",
        version="2.1.100",
        cwd="/work",
        git={"branch": "main"},
        dialect="anthropic",
        model="claude-x",
        instructions="",
        items=tuple(items),
        open_calls=tuple(open_calls),
        usage={"input_tokens": 7, "output_tokens": 2},
        response="msg_last",
    )


def written(items: Sequence[Json], open_calls: Sequence[str] = ()) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    data, notes = transcript(carried(items, open_calls), "new-id", "/work", "t", datetime(2026, 1, 2, tzinfo=UTC))
    return [json.loads(line) for line in data.splitlines()], notes


def read(lines: list[dict[str, Any]]) -> list[tuple[str, list[Any]]]:
    """The messages that the lines make: role and blocks."""
    by_id = {line["uuid"]: line for line in lines if "uuid" in line}
    at, chain = next(line["leafUuid"] for line in lines if line["type"] == "last-prompt"), []
    while at:
        chain.append(by_id[at])
        at = chain[-1]["parentUuid"]
    made: list[tuple[str, str, list[Any]]] = []
    for line in reversed(chain):
        if line["type"] == "attachment":
            role, key, content = "system", "", said(line["attachment"])
            if made and made[-1][0] == "system":
                made[-1][2][0]["text"] += f"\n\n{content}"
                continue
        else:
            role, key, content = line["message"]["role"], line["message"].get("id", ""), line["message"]["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if made and made[-1][:2] == (role, key):
            made[-1][2].extend(blocks)
        else:
            made.append((role, key, list(blocks)))
    return [(role, blocks) for role, _, blocks in made]


def plain(items: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """A history as the model saw it: without cache marks, and what is put in front of each request anew."""
    made = []
    for message in items:
        content = message["content"]
        blocks = [text(content)] if isinstance(content, str) else content
        kept = [{key: value for key, value in block.items() if key != "cache_control"} for block in blocks]
        made.append((message["role"], [block for block in kept if block != CONTEXT_BLOCK]))
    return made


@pytest.mark.parametrize("length", [3, 8])
def test_what_is_read_back_is_what_the_model_saw(length: int) -> None:
    lines, _ = written(HISTORY[:length])
    assert read(lines) == plain(HISTORY[:length])


def test_calls_without_a_result_are_left_out_and_counted() -> None:
    lines, notes = written(HISTORY[:3], ["toolu_1", "toolu_2"])
    assert read(lines)[-1] == ("assistant", [THINKING, text("Two.")])
    assert notes[0].startswith("2 tool calls")


@pytest.mark.parametrize("length", [2, 4, 5, 7])
def test_behind_what_was_not_answered_stands_the_words_that_claude_code_puts_there(length: int) -> None:
    lines, notes = written(HISTORY[:length])
    assert read(lines) == [*plain(HISTORY[:length]), ("assistant", [text(UNANSWERED)])]
    assert UNANSWERED in notes[0]


def test_every_line_names_the_new_session_the_version_and_the_directory() -> None:
    lines, _ = written(HISTORY)
    linked = [line for line in lines if "uuid" in line]
    assert {line["sessionId"] for line in lines} == {"new-id"}
    assert {(line["version"], line["cwd"], line["gitBranch"]) for line in linked} == {("2.1.100", "/work", "main")}
    assert len({line["uuid"] for line in linked}) == len(linked)


def test_one_line_for_each_block_of_an_answer_and_for_each_result() -> None:
    lines, _ = written(HISTORY)
    assert all(len(line["message"]["content"]) == 1 for line in lines if line["type"] == "assistant")
    results = [line for line in lines if "sourceToolAssistantUUID" in line]
    answers = {line["uuid"]: line["message"]["content"][0] for line in lines if line["type"] == "assistant"}
    asked = {uuid: block.get("id") for uuid, block in answers.items()}
    assert [asked[line["sourceToolAssistantUUID"]] for line in results] == ["toolu_2", "toolu_1", "toolu_3"]


def test_the_lists_are_told_as_known_so_that_they_are_not_told_again() -> None:
    kinds = {one["type"]: one for one in attachments(LISTS)}
    assert kinds["deferred_tools_delta"]["addedNames"] == ["CronCreate", "WebFetch"]
    assert kinds["agent_listing_delta"]["addedTypes"] == ["claude", "Explore"]
    assert kinds["skill_listing"]["names"] == ["verify", "loop"]
    assert attachments(TASKS)[0]["type"] == "task_reminder"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([TOOLS, AGENTS, TOGETHER, SKILLS, TASKS, "\n", "\n\n", "- a: b", "x", " ", "é\n\n\n"])))
def test_a_reminder_comes_back_to_the_letter(parts: list[str]) -> None:
    words = "".join(parts)
    assert "\n\n".join(said(one) for one in attachments(words)) == words


@pytest.mark.parametrize(
    ("cwd", "name"),
    [
        ("/home/a_b/c.d é", "-home-a-b-c-d--"),
        ("/p/🙂x", "-p---x"),
        ("/" + "long/" * 50, "-" + ("long-" * 50)[:199] + "-dlg7rj"),
        ("/é🙂" + "y" * 210, "----" + "y" * 196 + "-b8zz1b"),
    ],
)
def test_folders_are_called_as_claude_code_calls_them(cwd: str, name: str) -> None:
    assert folder(cwd) == name
