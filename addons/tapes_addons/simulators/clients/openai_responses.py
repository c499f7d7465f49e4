"""OpenAI Responses: history as items, as Codex sends it; over HTTP all of it, over WebSocket what is new.

In code mode the only tool is a freeform one, `exec`, which comes in an item of the history instead of the
request's tools; its input is a line of JavaScript, of which this agent understands the one call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from tapes_addons.simulators.agent_tools import Json, Result
from tapes_addons.simulators.clients.base import BrokenStream, Said, Setting, Use
from tapes_addons.simulators.clients.framing import event_data
from tapes_addons.simulators.clients.openai_chat import bearer, functions

CODE = re.compile(r"tools\.(\w+)\((\{.*\})\)", re.DOTALL)
_TOOL = {
    "type": "custom",
    "name": "exec",
    "description": "Run JavaScript. `tools` has exec_command({cmd}), read_file, write_file, edit_file and task.",
    "format": {"type": "text"},
}
EXEC = {
    "type": "additional_tools",
    "role": "developer",
    "tools": [{"type": "namespace", "name": "functions", "description": "", "tools": [_TOOL]}],
}


class OpenaiResponses:
    model = "gpt-demo-1"
    variable, base_url = "OPENAI_BASE_URL", "https://api.openai.com/v1"
    key_variable = "OPENAI_API_KEY"
    has_ids = True

    def headers(self, key: str) -> Json:
        return bearer(key)

    def path(self, setting: Setting) -> str:
        return "/responses"

    def begin(self, setting: Setting, prompt: str) -> list[Json]:
        place = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": setting.place}]}
        user = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]}
        return [EXEC, place, user] if setting.code_mode else [place, user]

    def request(self, setting: Setting, history: list[Json]) -> Json:
        tools = [{"type": "function", **function, "strict": False} for function in functions()]
        return {
            "model": setting.model,
            "instructions": setting.system,
            "input": history,
            **({} if setting.code_mode else {"tools": tools}),
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"effort": "medium", "summary": "auto"},
            "store": False,
            **({"stream": True} if setting.stream else {}),
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": setting.session,
        }

    def events(self, pieces: Iterable[str]) -> Iterator[str]:
        return event_data(pieces)

    def reader(self) -> OpenaiResponsesReader:
        return OpenaiResponsesReader()

    def answer(self, whole: Json) -> list[Json]:
        output: list[Json] = whole["output"]
        return output

    def said(self, whole: Json) -> Said:
        thinking, text = list[str](), list[str]()
        uses: list[Use] = []
        for item in whole["output"]:
            match item["type"]:
                case "reasoning":
                    thinking += [part["text"] for part in item["summary"]]
                case "message":
                    text += [part["text"] for part in item["content"]]
                case "function_call":
                    uses.append(Use(item["call_id"], item["name"], json.loads(item["arguments"]), item["type"]))
                case "custom_tool_call":
                    uses.append(Use(item["call_id"], *_called(item["input"]), item["type"]))
        stop = "" if whole["status"] == "completed" else str(whole["incomplete_details"])
        return Said("\n".join(thinking), "\n".join(text), tuple(uses), stop)

    def results(self, results: list[tuple[Use, Result]]) -> list[Json]:
        return [{"type": f"{use.kind}_output", "call_id": use.id, "output": result.text} for use, result in results]


def _called(code: str) -> tuple[str, Json]:
    """The call in a piece of code, as the tools of this agent; code that has none is a tool nobody knows."""
    if not (found := CODE.search(code)):
        return code, {}
    name, given = found[1], json.loads(found[2])
    return ("bash", {"command": given["cmd"]}) if name == "exec_command" else (name, given)


class OpenaiResponsesReader:
    """Reads the items as they are done, and needs `response.completed` only for the rest."""

    def __init__(self) -> None:
        self._items: list[Json] = []
        self._response: Json = {}
        self.done = False

    @property
    def whole(self) -> Json:
        return {**self._response, "output": self._items}

    def feed(self, data: str) -> None:
        event = json.loads(data)
        match event["type"]:
            case "response.output_item.done":
                self._items.append(event["item"])
            case "response.completed" | "response.incomplete":
                self._response, self.done = event["response"], True
            case "response.failed":
                raise BrokenStream(f"{event['response']['error']['code']}: {event['response']['error']['message']}")
            case "error":
                raise BrokenStream(f"{event['error']['code'] or event['error']['type']}: {event['error']['message']}")
