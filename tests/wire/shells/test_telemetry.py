"""What Claude Code tells beside the wire, in the forms that it uses."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tapes.wire.command import Decided, ToolSeen
from tapes.wire.exchange import Moment
from tapes.wire.shells.telemetry import HOOKS, LOGS, TRACES, found_in

AT = Moment(1, 2)


def attributes(**values: str) -> list[object]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()] + [
        {"key": "duration_ms", "value": {"intValue": 396}}
    ]


def traces(*spans: dict[str, object]) -> bytes:
    return json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": list(spans)}]}]}).encode()


def logs(name: str, **values: str) -> bytes:
    record = {"body": {"stringValue": name}, "attributes": attributes(**values)}
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()


def test_the_span_of_a_tools_execution_names_the_call() -> None:
    body = traces(
        {"name": "claude_code.tool", "spanId": "8e10b409cff5c65b", "attributes": attributes(tool_use_id="toolu_1")},
        {
            "name": "claude_code.tool.execution",
            "spanId": "44DCF55E42F69F76",
            "attributes": attributes(tool_use_id="toolu_1"),
        },
        {"name": "claude_code.tool.execution", "spanId": "c29bea0e57d06189", "attributes": attributes()},
    )
    assert found_in(TRACES, body, AT) == [ToolSeen(AT, "toolu_1", "traceparent", "44dcf55e42f69f76")]


def test_a_decision_says_who_made_it_in_the_agents_word() -> None:
    said = {"decision": "reject", "source": "user_reject", "tool_name": "Bash", "tool_use_id": "t"}
    assert found_in(LOGS, logs("claude_code.tool_decision", **said), AT) == [
        Decided(AT, "t", "Bash", "denied", "user_reject")
    ]
    accepted = found_in(LOGS, logs("claude_code.tool_decision", **said | {"decision": "accept"}), AT)
    assert accepted == [Decided(AT, "t", "Bash", "allowed", "user_reject")]
    assert found_in(LOGS, logs("claude_code.tool_result", **said), AT) == []


def test_a_hook_announces_a_call_and_its_command() -> None:
    said = {
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "permission_mode": "default",
        "tool_input": {"command": "ls"},
        "tool_use_id": "t",
    }
    assert found_in(HOOKS, json.dumps(said).encode(), AT) == [ToolSeen(AT, "t", "hook", "", "ls")]
    denied = said | {"hook_event_name": "PermissionDenied", "reason": "classifier"}
    assert found_in(HOOKS, json.dumps(denied).encode(), AT) == [
        Decided(AT, "t", "Bash", "denied", "classifier", "default")
    ]
    assert found_in(HOOKS, json.dumps(said | {"hook_event_name": "Stop"}).encode(), AT) == []


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceSpans", "scopeSpans", "spans", "attributes", "key", "value", "name", "tool_use_id"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from([TRACES, LOGS, HOOKS, "otlp/v1/metrics", "else"]), ODD)
def test_nothing_posted_is_too_odd(path: str, said: object) -> None:
    found_in(path, json.dumps(said).encode(), AT)


def test_what_is_no_json_tells_nothing() -> None:
    for body in (b"", b"\xff\x00", b"[" * 100_000, b'{"resourceSpans": [{"scopeSpans": 5}]}'):
        assert found_in(TRACES, body, AT) == []
