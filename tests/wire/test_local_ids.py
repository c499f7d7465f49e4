"""Ids for calls and results whose protocol has none."""

from __future__ import annotations

from tapes.wire.dialects.local_ids import give_local_ids
from tapes.wire.turns import Message, Text, ToolCall, ToolResult


def call(name: str, id_: str = "") -> ToolCall:
    return ToolCall(id_, name, {}, "{}")


def result(name: str = "", id_: str = "") -> ToolResult:
    return ToolResult(id_, (), extra={"name": name} if name else {})


def ids(*messages: Message, first: int = 0) -> list[list[str]]:
    given = give_local_ids(messages, first)
    return [[b.id for b in message.blocks if isinstance(b, ToolCall | ToolResult)] for message in given]


def model(*blocks: ToolCall) -> Message:
    return Message("assistant", (Text("x"), *blocks))


def tool(*blocks: ToolResult) -> Message:
    return Message("tool", blocks)


def test_results_find_their_calls_by_name_and_in_order() -> None:
    asked = model(call("a"), call("b"), call("a"))
    assert ids(asked, tool(result("b")), tool(result("a"), result("a"))) == [
        ["#0.0", "#0.1", "#0.2"], ["#0.1"], ["#0.0", "#0.2"],
    ]  # fmt: skip


def test_a_result_without_a_name_answers_the_first_call_that_waits() -> None:
    assert ids(model(call("a"), call("b")), tool(result("a"), result(), result())) == [
        ["#0.0", "#0.1"], ["#0.0", "#0.1", ""],
    ]  # fmt: skip


def test_ids_of_the_wire_stay_and_count() -> None:
    assert ids(model(call("a", "call_1"), call("a")), tool(result("a", "call_1"), result("a"))) == [
        ["call_1", "#0.1"], ["call_1", "#0.1"],
    ]  # fmt: skip


def test_a_call_of_an_earlier_turn_waits_no_longer() -> None:
    assert ids(model(call("a")), Message("user", ()), model(call("b")), tool(result("a"))) == [
        ["#0.0"], [], ["#2.0"], [""],
    ]  # fmt: skip


def test_several_messages_of_the_model_in_a_row_are_one_turn() -> None:
    assert ids(model(call("a")), model(call("a")), tool(result("a"), result("a")), first=5) == [
        ["#5.0"], ["#6.0"], ["#5.0", "#6.0"],
    ]  # fmt: skip


def test_a_message_that_needs_no_id_is_the_same_object() -> None:
    messages = [model(call("a", "1")), tool(result("a", "1"))]
    assert all(new is old for new, old in zip(give_local_ids(messages), messages, strict=True))
