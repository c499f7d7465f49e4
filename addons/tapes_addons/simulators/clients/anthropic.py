"""Anthropic Messages: the whole history on every turn, with a cache mark that moves along."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from tapes_addons.simulators.agent_tools import DECLARED, Json, Result
from tapes_addons.simulators.clients.base import BrokenStream, Said, Setting, Use
from tapes_addons.simulators.clients.framing import event_data

CACHED = {"cache_control": {"type": "ephemeral"}}


class Anthropic:
    model = "claude-demo-1"
    variable, base_url = "ANTHROPIC_BASE_URL", "https://api.anthropic.com"
    key_variable = "ANTHROPIC_API_KEY"
    has_ids = True

    def headers(self, key: str) -> Json:
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}

    def path(self, setting: Setting) -> str:
        return "/v1/messages"

    def begin(self, setting: Setting, prompt: str) -> list[Json]:
        return [{"role": "user", "content": [{"type": "text", "text": prompt}]}]

    def request(self, setting: Setting, history: list[Json]) -> Json:
        """The cache mark goes on a copy, so that it moves on instead of piling up."""
        *earlier, last = history
        *blocks, tail = last["content"]
        marked = {**last, "content": [*blocks, {**tail, **CACHED}]}
        return {
            "model": setting.model,
            "max_tokens": 8192,
            **({"stream": True} if setting.stream else {}),
            "thinking": {"type": "enabled", "budget_tokens": 4096},
            "metadata": {"user_id": setting.session},
            "system": [{"type": "text", "text": setting.system}, {"type": "text", "text": setting.place, **CACHED}],
            "tools": DECLARED,
            "messages": [*earlier, marked],
        }

    def events(self, pieces: Iterable[str]) -> Iterator[str]:
        return event_data(pieces)

    def reader(self) -> AnthropicReader:
        return AnthropicReader()

    def answer(self, whole: Json) -> list[Json]:
        return [{"role": "assistant", "content": whole["content"]}]

    def said(self, whole: Json) -> Said:
        blocks, reason = whole["content"], whole["stop_reason"]
        return Said(
            "\n".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
            "\n".join(block["text"] for block in blocks if block["type"] == "text"),
            tuple(Use(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"),
            "" if reason in ("tool_use", "end_turn") else reason,
        )

    def results(self, results: list[tuple[Use, Result]]) -> list[Json]:
        return [{"role": "user", "content": [_block(use, result) for use, result in results]}]


def _block(use: Use, result: Result) -> Json:
    block = {"type": "tool_result", "tool_use_id": use.id, "content": result.text}
    return {**block, "is_error": True} if result.is_error else block


class AnthropicReader:
    def __init__(self) -> None:
        self.whole: Json = {"content": []}
        self.done = False

    def feed(self, data: str) -> None:
        event = json.loads(data)
        match event["type"]:
            case "error":
                raise BrokenStream(f"{event['error']['type']}: {event['error']['message']}")
            case "message_start":
                self.whole = {**event["message"], "content": []}
            case "content_block_start":
                self.whole["content"].append(dict(event["content_block"]))
            case "content_block_delta":
                _grow(self.whole["content"][event["index"]], event["delta"])
            case "content_block_stop":
                block = self.whole["content"][event["index"]]
                if "partial" in block:
                    block["input"] = json.loads(block.pop("partial") or "{}")
            case "message_delta":
                self.whole.update(event["delta"])
            case "message_stop":
                self.done = True


def _grow(block: Json, delta: Json) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] += delta["signature"]
        case "input_json_delta":
            block["partial"] = block.get("partial", "") + delta["partial_json"]
