"""Codex's rollout: a head, then the very items of its requests, one a line (found out with 0.169.0).

Codex sends the items again as they stand, ids included, and answers calls without a result with `aborted`, which we do
ourselves, so that what we say of it holds. What it noted of its settings is taken from its own rollout, where that is
still there (codex_state.py); else it says its tools and instructions once more behind the history. The events between
the items are what its screen shows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from tapes.native.carried import Carried
from tapes.wire.turns import Json

VERSION = "0.169.0"
"""The version that this was found out with."""
_OUTPUTS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "local_shell_call": "function_call_output",
}
_NOT_SAID = ("<environment_context>", "<user_instructions>", "# AGENTS.md", "<INSTRUCTIONS>", "<turn_aborted>")


def new_id(now: datetime) -> str:
    """A UUID of version 7: Codex sorts its sessions by it."""
    stamp = int(now.timestamp() * 1000)
    number = (
        stamp << 80 | 7 << 76 | int.from_bytes(os.urandom(2)) >> 4 << 64 | 2 << 62 | int.from_bytes(os.urandom(8)) >> 2
    )
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def place(session: str, now: datetime) -> str:
    """Where in its home a rollout stands; times in names are local ones."""
    local = now.astimezone()
    return f"sessions/{local:%Y/%m/%d}/rollout-{local:%Y-%m-%dT%H-%M-%S}-{session}.jsonl"


def transcript(
    it: Carried,
    session: str,
    cwd: str,
    provider: str = "openai",
    now: datetime | None = None,
    states: Mapping[str, Sequence[Mapping[str, Any]]] = MappingProxyType({}),
) -> tuple[bytes, tuple[str, ...]]:
    """The lines of a rollout, and what is to be said of it. `states`: lines that belong behind items, by their ids."""
    now = now or datetime.now(UTC)
    items, aborted = _completed([item for item in it.items if isinstance(item, dict)], it.open_calls)
    lines: list[dict[str, Any]] = [{"type": "session_meta", "payload": _head(it, session, cwd, provider, items, now)}]
    for item in items:
        lines.append({"type": "response_item", "payload": item})
        lines += [{"type": "event_msg", "payload": event} for event in _shown(item)]
        lines += [dict(line) for line in states.get(str(item.get("id")), ())]
    stamps = (_stamp(now + timedelta(milliseconds=at)) for at in range(len(lines)))
    texts = (json.dumps({"timestamp": at, **line}, ensure_ascii=False) for at, line in zip(stamps, lines, strict=False))
    compared = any(line["type"] == "world_state" for line in lines)
    told = "what differs today of its tools and instructions" if compared else "its tools and instructions once more"
    notes = [f"Codex says {told} behind the history"]
    if aborted:
        notes.insert(0, f"{aborted} tool calls whose results had not come are answered `aborted`, as Codex itself does")
    return "".join(f"{text}\n" for text in texts).encode("utf-8", "replace"), tuple(notes)


def _head(
    it: Carried, session: str, cwd: str, provider: str, items: Sequence[dict[str, Json]], now: datetime
) -> dict[str, Any]:
    head: dict[str, Any] = {
        "session_id": session,
        "id": session,
        "timestamp": _stamp(now),
        "cwd": cwd,
        "originator": "tapes",
        "cli_version": it.version if it.agent == "codex" and it.version else VERSION,
        "source": "cli",
        "model_provider": provider,
    }
    if it.instructions:
        head["base_instructions"] = {"text": it.instructions}
    offered = [tool for item in items if item.get("type") == "additional_tools" for tool in _list(item.get("tools"))]
    if any(isinstance(tool, dict) and tool.get("name") == "collaboration" for tool in offered):
        head["multi_agent_version"] = "v2"
    if it.git:
        head["git"] = {
            name: it.git[key] for key, name in (("head", "commit_hash"), ("branch", "branch")) if key in it.git
        }
    return head


def _completed(items: Sequence[dict[str, Json]], open_calls: Sequence[str]) -> tuple[list[dict[str, Json]], int]:
    """The outputs that are missing, behind all that was said: so the history stays a beginning of what will be sent."""
    missing: list[dict[str, Json]] = []
    for item in items:
        kind, call = item.get("type"), item.get("call_id")
        if kind == "tool_search_call" and call in open_calls:
            answer: dict[str, Json] = {"status": "completed", "execution": "client", "tools": []}
            missing.append({"type": "tool_search_output", "call_id": call, **answer})
        elif isinstance(kind, str) and kind in _OUTPUTS and call in open_calls:
            missing.append({"type": _OUTPUTS[kind], "call_id": call, "output": "aborted"})
    return [*items, *missing], len(missing)


def _shown(item: dict[str, Json]) -> Iterator[dict[str, Any]]:
    """What its screen shows of an item: what the person said, and what the model."""
    if item.get("type", "message") != "message" or item.get("role") not in ("user", "assistant"):
        return
    parts = _list(item.get("content"))
    text = "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)
    if item["role"] == "assistant":
        yield {"type": "agent_message", "message": text}
    elif not text.lstrip().startswith(_NOT_SAID):
        yield {"type": "user_message", "message": text, "images": [], "local_images": [], "text_elements": []}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
