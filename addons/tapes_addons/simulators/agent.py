"""A coding agent in miniature: honest enough to be recorded, small enough to be read.

    python -m tapes_addons.simulators.agent "check.py fails. Find out why and fix it."

It sends its whole history on every turn with a cache mark that moves along, runs commands for real (those
of one turn at the same time), retries with the same bytes, and gives a task to a nested conversation. Exit
status: 0 when the model said it was done, 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tapes_addons.simulators.agent_tools import DECLARED, Json, Result, run_tool
from tapes_addons.simulators.agent_wire import CallFailed, Wire
from tapes_addons.simulators.script import SCRIPT_HEADER

USER_AGENT = "tapes-demo-agent/1.0"
SESSION_HEADER = "x-tapes-demo-session"
AGENT_HEADER = "x-tapes-demo-agent-id"
SHOWN_LINES = 6
SYSTEM = """You are the demo agent of tapes, at work in a terminal.
Look before you change anything, change as little as will do, and run the project's checks after a change.
Calls that do not depend on each other belong in one turn. When you are done, say in short what you did.
"""

# Parallel tools and subagents share one terminal: a block of lines stays together.
_printing = threading.Lock()


def say(text: str, indent: str = "") -> None:
    with _printing:
        sys.stdout.write("".join(f"{indent}{line}\n" for line in text.splitlines()))
        sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Agent:
    """What every conversation of a launch shares."""

    wire: Wire
    cwd: Path
    model: str
    session: str
    max_turns: int

    def talk(self, prompt: str, agent_id: str = "") -> Result:
        """One conversation from a prompt to the model's last word; an error when it did not end by itself."""
        indent = "  │ " if agent_id else ""
        headers = {AGENT_HEADER: agent_id} if agent_id else {}
        messages: list[Json] = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
        for _ in range(self.max_turns):
            try:
                message = self.wire.ask(self._request(messages), headers)
            except CallFailed as error:
                return Result(str(error), is_error=True)
            show(message, indent)
            messages.append({"role": "assistant", "content": message["content"]})
            if message["stop_reason"] != "tool_use":
                said = [block["text"] for block in message["content"] if block["type"] == "text"]
                return Result("\n".join(said), is_error=message["stop_reason"] != "end_turn")
            messages.append({"role": "user", "content": self._run(message["content"], indent)})
        return Result(f"not done after {self.max_turns} turns", is_error=True)

    def _request(self, messages: list[Json]) -> Json:
        """The whole conversation; the cache mark goes on a copy, so that it moves on instead of piling up."""
        *earlier, last = messages
        *blocks, tail = last["content"]
        marked = {**last, "content": [*blocks, {**tail, "cache_control": {"type": "ephemeral"}}]}
        place = {
            "type": "text",
            "text": f"Working directory: {self.cwd}",
            "cache_control": {"type": "ephemeral"},
        }
        return {
            "model": self.model,
            "max_tokens": 8192,
            "stream": True,
            "thinking": {"type": "enabled", "budget_tokens": 4096},
            "metadata": {"user_id": self.session},
            "system": [{"type": "text", "text": SYSTEM}, place],
            "tools": DECLARED,
            "messages": [*earlier, marked],
        }

    def _run(self, content: list[Json], indent: str) -> list[Json]:
        calls = [block for block in content if block["type"] == "tool_use"]
        with ThreadPoolExecutor(len(calls)) as pool:
            results = list(pool.map(lambda call: self._call(call, indent), calls))
        return [_result_block(call, result) for call, result in zip(calls, results, strict=True)]

    def _call(self, call: Json, indent: str) -> Result:
        result = run_tool(call["name"], call["input"], self.cwd, self._task)
        lines = result.text.splitlines()
        shown = [f"  {line}" for line in lines[:SHOWN_LINES]]
        if len(lines) > SHOWN_LINES:
            shown.append(f"  … {len(lines) - SHOWN_LINES} more lines")
        say("\n".join([title(call), *shown]), indent)
        return result

    def _task(self, prompt: str) -> Result:
        agent_id = uuid.uuid4().hex[:16]
        result = self.talk(prompt, agent_id)
        return Result(f"{result.text}\nagentId: {agent_id}", result.is_error)


def _result_block(call: Json, result: Result) -> Json:
    block = {"type": "tool_result", "tool_use_id": call["id"], "content": result.text}
    return {**block, "is_error": True} if result.is_error else block


def title(call: Json) -> str:
    given = call["input"]
    return (
        f"$ {given.get('command')}" if call["name"] == "bash" else f"● {call['name']} {next(iter(given.values()), '')}"
    )


def show(message: Json, indent: str) -> None:
    for block in message["content"]:
        if block["type"] == "thinking":
            say(f"✻ {block['thinking']}", indent)
        elif block["type"] == "text":
            say(block["text"], indent)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="tapes_addons.simulators.agent", description="A small scripted coding agent.")
    made.add_argument("prompt")
    made.add_argument("--cwd", type=Path, default=Path(), help="where it works")
    made.add_argument("--model", default="claude-demo-1")
    made.add_argument("--max-turns", type=int, default=200)
    made.add_argument("--fast", action="store_true", help="hardly wait before a retry")
    made.add_argument("--hang-up", action="store_true", help="close the connection at a stream's last event")
    made.add_argument("--session", default="", help="the session id it sends; a new one when left out")
    made.add_argument("--script", default="", help=f"which script a scripted provider shall follow ({SCRIPT_HEADER})")
    return made


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    session = options.session or str(uuid.uuid4())
    headers = {
        "user-agent": USER_AGENT,
        "x-api-key": os.environ.get("ANTHROPIC_API_KEY", ""),
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
        SESSION_HEADER: session,
        **({SCRIPT_HEADER: options.script} if options.script else {}),
    }
    base_url = os.environ.get("ANTHROPIC_BASE_URL", "https://api.anthropic.com")
    wire = Wire(base_url, headers, say, fast=options.fast, hang_up=options.hang_up)
    agent = Agent(wire, options.cwd.resolve(), options.model, session, options.max_turns)
    say(f"> {options.prompt}")
    try:
        result = agent.talk(options.prompt)
    finally:
        wire.close()
    if result.is_error:
        say(f"✗ {result.text}")
    return 1 if result.is_error else 0


if __name__ == "__main__":
    sys.exit(main())
