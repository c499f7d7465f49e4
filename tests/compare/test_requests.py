"""What two requests say beside the conversation, and where a cache parts them."""

from __future__ import annotations

import json
from typing import Any

from tapes.compare.masks import Place, masks_of
from tapes.compare.requests import common, differences, part, segments
from tapes.session.transcript import Conversation
from tapes.wire.turns import Json, Text, ToolDecl

MASKS = masks_of([Place("/w/one/repo"), Place("/w/two/repo")])


def given(**what: Any) -> Conversation:
    return Conversation(**{"model": "m-1", "params": {"max_tokens": 9}} | what)


def told(a: Conversation, b: Conversation) -> list[tuple[str, str, bool]]:
    return [(one.part, one.name, one.masked) for one in differences(a, b, MASKS)]


def tool(name: str, text: str, **more: Json) -> ToolDecl:
    return ToolDecl(name, {"name": name, "description": text, **more})


def test_each_thing_that_differs_is_named() -> None:
    a = given(system=(Text("Be brief."), Text("In /w/one/repo.")), tools=(tool("Bash", "Runs."), tool("Old", "x")))
    b = given(
        model="m-2",
        system=(Text("Be long."), Text("In /w/two/repo.")),
        tools=(tool("Bash", "Runs it."), tool("New", "x")),
        params={"max_tokens": 10, "metadata": {"user_id": "other"}},
    )
    assert told(a, b) == [
        ("model", "", False),
        ("system", "block 0", False),
        ("system", "block 1", True),
        ("tools", "Bash", False),
        ("tools", "Old", False),
        ("tools", "New", False),
        ("parameters", "max_tokens", False),
    ]


def test_marks_for_a_cache_and_names_of_sessions_are_no_difference() -> None:
    a = given(tools=(tool("Bash", "Runs.", cache_control={"type": "ephemeral"}),), params={"prompt_cache_key": "x"})
    b = given(tools=(tool("Bash", "Runs."),), params={"prompt_cache_key": "y"})
    assert told(a, b) == []


def body(**what: Any) -> bytes:
    return json.dumps({"model": "m", "tools": [{"name": "Bash"}], "system": "Be brief.", **what}).encode()


def said(*texts: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text} for text in texts]


def test_the_first_segment_that_differs_is_where_a_cache_ends() -> None:
    found = part(segments(body(messages=said("one", "two"))), segments(body(messages=said("one", "2"))))
    assert found.segment == "messages[1] user"
    assert "two" in found.a
    assert not found.whole
    early = part(segments(body(messages=said("one"))), segments(body(messages=said("one"), tools=[{"name": "Read"}])))
    assert early.segment == "tools[0] Bash / tools[0] Read"
    assert early.same < found.same


def test_a_request_that_goes_on_from_another_keeps_all_of_it() -> None:
    marked = [dict(said("one")[0], cache_control={"type": "ephemeral"})]
    found = part(segments(body(messages=marked)), segments(body(messages=said("one", "two"))))
    assert found.whole
    assert found.same == found.of[0]


def test_what_is_no_request_is_one_segment() -> None:
    assert [one.name for one in segments(b"\xff not json")] == ["body"]
    assert part(segments(b"a"), segments(b"b")).segment == "body"


def test_how_far_two_texts_are_alike() -> None:
    assert common("abcd", "abxd") == 2
    assert common("", "x") == 0
    assert common("same", "same") == 4
