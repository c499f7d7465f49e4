"""OpenAI Chat Completions: the whole history on every turn, a message per tool result; no ids of a session."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from tapes_addons.simulators.agent_tools import DECLARED, Json, Result
from tapes_addons.simulators.clients.base import BrokenStream, Said, Setting, Use
from tapes_addons.simulators.clients.framing import event_data


class OpenaiChat:
    model = "gpt-demo-1"
    variable, base_url = "OPENAI_BASE_URL", "https://api.openai.com/v1"
    key_variable = "OPENAI_API_KEY"
    has_ids = False

    def headers(self, key: str) -> Json:
        return bearer(key)

    def path(self, setting: Setting) -> str:
        return "/chat/completions"

    def begin(self, setting: Setting, prompt: str) -> list[Json]:
        system = {"role": "system", "content": setting.system + setting.place}
        return [system, {"role": "user", "content": prompt}]

    def request(self, setting: Setting, history: list[Json]) -> Json:
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        return {
            "model": setting.model,
            **(streamed if setting.stream else {}),
            "reasoning_effort": "medium",
            "messages": history,
            "tools": [{"type": "function", "function": function} for function in functions()],
        }

    def events(self, pieces: Iterable[str]) -> Iterator[str]:
        return event_data(pieces)

    def reader(self) -> OpenaiChatReader:
        return OpenaiChatReader()

    def answer(self, whole: Json) -> list[Json]:
        """Without the reasoning, which is not sent back."""
        message = whole["choices"][0]["message"]
        return [{key: message[key] for key in ("role", "content", "tool_calls") if key in message}]

    def said(self, whole: Json) -> Said:
        (choice,) = whole["choices"]
        message, reason = choice["message"], choice["finish_reason"]
        uses = [
            Use(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls", ())
        ]
        stop = "" if reason in ("stop", "tool_calls") else reason
        return Said(message.get("reasoning_content", ""), message["content"] or "", tuple(uses), stop)

    def results(self, results: list[tuple[Use, Result]]) -> list[Json]:
        return [{"role": "tool", "tool_call_id": use.id, "content": result.text} for use, result in results]


def bearer(key: str) -> Json:
    return {"authorization": f"Bearer {key}"} if key else {}


def functions() -> list[Json]:
    """The tools in the form that the OpenAI APIs and Ollama share."""
    return [
        {"name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"]}
        for tool in DECLARED
    ]


class OpenaiChatReader:
    def __init__(self) -> None:
        self._message: Json = {"role": "assistant", "content": ""}
        self._rest: Json = {}
        self._reason = ""
        self.done = False

    @property
    def whole(self) -> Json:
        message = {**self._message, "content": self._message["content"] or None}
        return {**self._rest, "choices": [{"index": 0, "message": message, "finish_reason": self._reason}]}

    def feed(self, data: str) -> None:
        if data == "[DONE]":
            self.done = True
            return
        event = json.loads(data)
        if "error" in event:
            raise BrokenStream(f"{event['error']['type']}: {event['error']['message']}")
        self._rest = {"id": event["id"], "model": event["model"], "usage": event.get("usage")}
        for choice in event["choices"]:
            self._grow(choice["delta"])
            self._reason = choice["finish_reason"] or self._reason

    def _grow(self, delta: Json) -> None:
        for field in ("content", "reasoning_content"):
            if delta.get(field):
                self._message[field] = self._message.get(field, "") + delta[field]
        for part in delta.get("tool_calls", ()):
            calls = self._message.setdefault("tool_calls", [])
            if part["index"] == len(calls):
                calls.append({key: part[key] for key in ("id", "type")} | {"function": dict(part["function"])})
            else:
                calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]
