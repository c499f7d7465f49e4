"""What Claude Code tells beside the wire of its tool calls: OpenTelemetry over HTTP in JSON, and its HTTP hooks.

Formats: opentelemetry-proto's JSON mapping (ids are hex); names of spans, events and attributes as of 2.1.197. The span
that a command gets in TRACEPARENT is `claude_code.tool.execution`; it is sent once it is over, so after the command.
Nothing here is trusted to be of any shape: whoever reaches the port may have sent it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tapes.wire.command import Decided, ToolSeen
from tapes.wire.exchange import Moment

type Found = ToolSeen | Decided
TRACES, LOGS, HOOKS = "otlp/v1/traces", "otlp/v1/logs", "hooks"
_SPAN, _CALL = "claude_code.tool.execution", "tool_use_id"
_DECISION = "claude_code.tool_decision"
_DECISIONS = {"accept": "allowed", "reject": "denied"}


def found_in(path: str, body: bytes, at: Moment) -> list[Found]:
    """What a body tells that was posted to one of the paths above; nothing for any other, and for what is odd."""
    readers = {TRACES: _spans, LOGS: _decisions, HOOKS: _hook}
    reader = readers.get(path)
    if reader is None:
        return []
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return []
    return list(reader(said, at))


def _spans(said: object, at: Moment) -> Iterator[Found]:
    for span in _below(said, "resourceSpans", "scopeSpans", "spans"):
        facts, mark = _attributes(span), span.get("spanId")
        if span.get("name") == _SPAN and _CALL in facts and isinstance(mark, str) and mark:
            yield ToolSeen(at, facts[_CALL], "traceparent", mark.lower())


def _decisions(said: object, at: Moment) -> Iterator[Found]:
    for event in _below(said, "resourceLogs", "scopeLogs", "logRecords"):
        facts, name = _attributes(event), event.get("body")
        decision = _DECISIONS.get(facts.get("decision", ""))
        if isinstance(name, dict) and name.get("stringValue") == _DECISION and decision and _CALL in facts:
            by, tool = facts.get("source", ""), facts.get("tool_name", "")
            yield Decided(at, facts[_CALL], tool, "allowed" if decision == "allowed" else "denied", by)


def _hook(said: object, at: Moment) -> Iterator[Found]:
    about = said if isinstance(said, dict) else {}
    event, call, tool, mode = (_text(about, n) for n in ("hook_event_name", _CALL, "tool_name", "permission_mode"))
    if not call:
        return
    if event == "PermissionDenied":
        yield Decided(at, call, tool, "denied", _text(about, "reason") or event, mode)
    elif event == "PreToolUse":
        given = about.get("tool_input")
        yield ToolSeen(at, call, "hook", "", _text(given, "command") if isinstance(given, dict) else "")


def _below(said: object, *path: str) -> Iterator[dict[str, object]]:
    """The tables in lists in tables in lists … under a path of keys."""
    if not isinstance(said, dict):
        return
    if not path:
        yield said
        return
    inner = said.get(path[0])
    for each in inner if isinstance(inner, list) else ():
        yield from _below(each, *path[1:])


def _attributes(holder: dict[str, object]) -> dict[str, str]:
    """The attributes that are texts."""
    found: dict[str, str] = {}
    for each in _below(holder, "attributes"):
        key, value = each.get("key"), each.get("value")
        text = value.get("stringValue") if isinstance(value, dict) else None
        if isinstance(key, str) and isinstance(text, str):
            found[key] = text
    return found


def _text(holder: dict[str, object], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
