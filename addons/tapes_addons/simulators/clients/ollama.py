"""Ollama's own API: JSON lines, calls without ids, results that name the tool; nothing says whose request it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from tapes_addons.simulators.agent_tools import Json, Result
from tapes_addons.simulators.clients.base import BrokenStream, Said, Setting, Use
from tapes_addons.simulators.clients.framing import lines
from tapes_addons.simulators.clients.openai_chat import bearer, functions


class Ollama:
    model = "demo:1b"
    variable, base_url = "OLLAMA_HOST", "http://127.0.0.1:11434"
    key_variable = "OLLAMA_API_KEY"
    has_ids = False

    def headers(self, key: str) -> Json:
        return bearer(key)

    def path(self, setting: Setting) -> str:
        return "/api/chat"

    def begin(self, setting: Setting, prompt: str) -> list[Json]:
        system = {"role": "system", "content": setting.system + setting.place}
        return [system, {"role": "user", "content": prompt}]

    def request(self, setting: Setting, history: list[Json]) -> Json:
        return {
            "model": setting.model,
            "messages": history,
            "tools": [{"type": "function", "function": function} for function in functions()],
            "think": True,
            **({} if setting.stream else {"stream": False}),
        }

    def events(self, pieces: Iterable[str]) -> Iterator[str]:
        return lines(pieces)

    def reader(self) -> OllamaReader:
        return OllamaReader()

    def answer(self, whole: Json) -> list[Json]:
        return [whole["message"]]

    def said(self, whole: Json) -> Said:
        message, reason = whole["message"], whole["done_reason"]
        calls = [call["function"] for call in message.get("tool_calls", ())]
        uses = tuple(Use("", call["name"], call["arguments"]) for call in calls)
        return Said(message.get("thinking", ""), message["content"], uses, "" if reason == "stop" else reason)

    def results(self, results: list[tuple[Use, Result]]) -> list[Json]:
        return [{"role": "tool", "tool_name": use.name, "content": result.text} for use, result in results]


class OllamaReader:
    def __init__(self) -> None:
        self._message: Json = {"role": "assistant", "content": ""}
        self._last: Json = {}
        self.done = False

    @property
    def whole(self) -> Json:
        return {**self._last, "message": self._message}

    def feed(self, data: str) -> None:
        line = json.loads(data)
        if "error" in line:
            raise BrokenStream(line["error"])
        self._last, self.done = line, line["done"]
        for field in ("content", "thinking"):
            if line["message"].get(field):
                self._message[field] = self._message.get(field, "") + line["message"][field]
        if calls := line["message"].get("tool_calls"):
            self._message.setdefault("tool_calls", []).extend(calls)
