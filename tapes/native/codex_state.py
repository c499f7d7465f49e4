"""What Codex noted of its settings beside a conversation, out of its own rollout where that is still there.

Codex compares today's settings with these notes (`world_state`, `turn_context`) and tells the model what differs. They
hold hashes that can not be made from what was sent, so they are taken over, each behind the item that it stood behind;
without them Codex says everything once more. The rollout is only read; what is odd in it counts as not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NOTES = ("world_state", "turn_context")
MOST_BYTES = 512 * 1024 * 1024


def noted(home: Path, thread: str) -> dict[str, list[dict[str, Any]]]:
    """By the id of an item: the lines that stand behind it. Empty where the thread's rollout is not there."""
    found: dict[str, list[dict[str, Any]]] = {}
    if not thread or not thread.replace("-", "").isalnum():
        return found
    for path in sorted((home / "sessions").glob(f"*/*/*/rollout-*-{thread}.jsonl"))[:1]:
        behind = ""
        for line in _lines(path):
            payload = line.get("payload")
            if not isinstance(payload, Mapping):
                continue
            if line.get("type") == "response_item":
                behind = str(payload.get("id") or behind)
            elif line.get("type") == "compacted":
                behind = _last_id(payload.get("replacement_history")) or behind
            elif line.get("type") in NOTES and behind:
                found.setdefault(behind, []).append({"type": line["type"], "payload": payload})
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if path.stat().st_size > MOST_BYTES:
            return
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                line = json.loads(text)
                if isinstance(line, dict):
                    yield line
    except (OSError, ValueError):
        return  # a line that is half written is the last


def _last_id(history: Any) -> str:
    listed = history if isinstance(history, list) else []
    return next((str(item["id"]) for item in reversed(listed) if isinstance(item, dict) and item.get("id")), "")
