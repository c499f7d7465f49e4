"""What a call is for, by its shape."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tapes.wire.purposes import is_continuation, purpose_of
from tapes.wire.turns import Json, Message, RequestReading, Text, ToolDecl, Unknown

TOOL = ToolDecl("bash", {})


def request(*said: str, system: str = "", tools: bool = False, **params: Json) -> RequestReading:
    return RequestReading(
        system=(Text(system),) if system else (),
        messages=tuple(Message("user", (Text(text),)) for text in said),
        tools=(TOOL,) if tools else (),
        params=params,
    )


TITLE: Json = {"format": {"type": "json_schema", "schema": {"properties": {"title": {"type": "string"}}}}}
SCORE: Json = {"responseJsonSchema": {"properties": {"complexity_score": {"type": "integer"}}}}


@pytest.mark.parametrize(
    ("asked", "url", "purpose"),
    [
        (request("fix it", tools=True), "", "main"),
        (request("fix it"), "", "main"),
        (request("What is the title of this book?"), "", "main"),
        (request("<session>fix it</session>", output_config=TITLE), "", "title"),
        (request("fix it", system="You are a title generator. You output ONLY a thread title."), "", "title"),
        (request("fix it", generationConfig=SCORE), "", "router"),
        (request("diff", system="Generate a one-line commit message for those changes."), "", "commit"),
        (request("hello", max_tokens=1), "", "probe"),
        (request(generate=False), "", "probe"),
        (request("hello"), "https://h/v1/messages/count_tokens?beta=true", "probe"),
        (request("a", "CRITICAL: Respond with TEXT ONLY. Your task is …", tools=True), "", "compaction"),
        (
            request("a", "Your task is to create a detailed summary of the conversation so far", tools=True),
            "",
            "compaction",
        ),
        (request("a"), "https://h/v1/responses/compact", "compaction"),
        (request("a", "Why does it create a state when I commit messages?", tools=True), "", "main"),
    ],
)
def test_shapes(asked: RequestReading, url: str, purpose: str) -> None:
    assert purpose_of(asked, url) == purpose


def test_a_reminder_behind_what_asks_for_a_summary_hides_nothing() -> None:
    asked = request("a", "CRITICAL: Respond with TEXT ONLY. Your task is …", tools=True)
    reminded = replace(asked, messages=(*asked.messages, Message("system", (Text("The tasks were not used."),))))
    assert purpose_of(reminded) == "compaction"


def test_an_item_asks_for_a_compaction_and_another_stands_for_what_was_compacted() -> None:
    trigger = Message("", (Unknown({"type": "compaction_trigger"}),))
    assert purpose_of(RequestReading(messages=(Message("user", (Text("a"),)), trigger))) == "compaction"
    assert is_continuation(Message("assistant", (Unknown({"type": "compaction", "encrypted_content": "x"}),)))
    assert is_continuation(
        Message("user", (Text("This session is being continued from a previous conversation that …"),))
    )
    assert not is_continuation(Message("user", (Text("go on"),)))
