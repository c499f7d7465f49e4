"""Gemini: contents of parts, results as a user's; nothing says whose request it is, and calls have no ids.

As Gemini CLI does, the history leaves out thoughts and joins the pieces of a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from tapes_addons.simulators.agent_tools import DECLARED, Json, Result
from tapes_addons.simulators.clients.base import BrokenStream, Said, Setting, Use
from tapes_addons.simulators.clients.framing import array_elements, event_data


class Gemini:
    """`array`: asks for the stream as one JSON array instead of events."""

    model = "gemini-demo-1"
    variable, base_url = "GOOGLE_GEMINI_BASE_URL", "https://generativelanguage.googleapis.com"
    key_variable = "GEMINI_API_KEY"
    has_ids = False

    def __init__(self, array: bool = False) -> None:
        self._array = array

    def headers(self, key: str) -> Json:
        return {"x-goog-api-key": key}

    def path(self, setting: Setting) -> str:
        verb = "generateContent"
        if setting.stream:
            verb = "streamGenerateContent" if self._array else "streamGenerateContent?alt=sse"
        return f"/v1beta/models/{setting.model}:{verb}"

    def begin(self, setting: Setting, prompt: str) -> list[Json]:
        return [{"role": "user", "parts": [{"text": prompt}]}]

    def request(self, setting: Setting, history: list[Json]) -> Json:
        functions = [
            {
                "name": tool["name"],
                "description": tool["description"],
                "parametersJsonSchema": tool["input_schema"],
            }
            for tool in DECLARED
        ]
        return {
            "systemInstruction": {"role": "user", "parts": [{"text": setting.system + setting.place}]},
            "contents": history,
            "tools": [{"functionDeclarations": functions}],
            "generationConfig": {"temperature": 1, "thinkingConfig": {"includeThoughts": True}},
        }

    def events(self, pieces: Iterable[str]) -> Iterator[str]:
        return array_elements(pieces) if self._array else event_data(pieces)

    def reader(self) -> GeminiReader:
        return GeminiReader()

    def answer(self, whole: Json) -> list[Json]:
        parts: list[Json] = []
        for part in _parts(whole):
            if part.get("thought") or part.get("text") == "":
                continue
            if "text" in part and parts and "text" in parts[-1]:
                parts[-1] = {"text": parts[-1]["text"] + part["text"]}
            else:
                parts.append(part)
        return [{"role": "model", "parts": parts}]

    def said(self, whole: Json) -> Said:
        parts, reason = _parts(whole), whole["candidates"][0].get("finishReason", "")
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        return Said(
            "".join(part["text"] for part in parts if part.get("thought")),
            "".join(part["text"] for part in parts if "text" in part and not part.get("thought")),
            tuple(Use("", call["name"], call["args"]) for call in calls),
            "" if reason == "STOP" else reason,
        )

    def results(self, results: list[tuple[Use, Result]]) -> list[Json]:
        parts = [
            {"functionResponse": {"name": use.name, "response": {_word(result): result.text}}}
            for use, result in results
        ]
        return [{"role": "user", "parts": parts}]


def _word(result: Result) -> str:
    return "error" if result.is_error else "output"


def _parts(whole: Json) -> list[Json]:
    parts: list[Json] = whole["candidates"][0]["content"]["parts"]
    return parts


class GeminiReader:
    """Every chunk is an answer of its own; the stream's is all their parts, with the last one's reason."""

    def __init__(self) -> None:
        self._parts: list[Json] = []
        self._last: Json = {}
        self._reason = ""

    @property
    def done(self) -> bool:
        return bool(self._reason)

    @property
    def whole(self) -> Json:
        content = {"role": "model", "parts": self._parts}
        return {**self._last, "candidates": [{"content": content, "finishReason": self._reason}]}

    def feed(self, data: str) -> None:
        chunk = json.loads(data)
        if "error" in chunk:
            raise BrokenStream(f"{chunk['error']['status']}: {chunk['error']['message']}")
        self._last = chunk
        for candidate in chunk["candidates"]:
            self._parts += candidate["content"]["parts"]
            self._reason = candidate.get("finishReason", "")
