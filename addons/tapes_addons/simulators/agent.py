"""A coding agent in miniature: honest enough to be recorded, small enough to be read.

    python -m tapes_addons.simulators.agent "check.py fails. Find out why and fix it."

It speaks any of the APIs (--dialect), keeps the history as that API's agents do, runs commands for real
(those of one turn at the same time), retries with the same bytes, and gives a task to a nested conversation.
Exit status: 0 when the model said it was done, 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tapes_addons.simulators.agent_tools import Result, run_tool
from tapes_addons.simulators.agent_wire import CallFailed, Channel, HttpWire, Manner, Wire
from tapes_addons.simulators.clients.anthropic import Anthropic
from tapes_addons.simulators.clients.base import Dialect, Said, Setting, Use
from tapes_addons.simulators.clients.gemini import Gemini
from tapes_addons.simulators.clients.ollama import Ollama
from tapes_addons.simulators.clients.openai_chat import OpenaiChat
from tapes_addons.simulators.clients.openai_responses import OpenaiResponses
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
    dialect: Dialect
    setting: Setting
    cwd: Path
    max_turns: int
    ids: bool = True

    def talk(self, prompt: str, agent_id: str = "") -> Result:
        """One conversation from a prompt to the model's last word; an error when it did not end by itself."""
        channel = self.wire.channel({AGENT_HEADER: agent_id} if agent_id and self.ids else {})
        try:
            return self._talk(channel, prompt, "  │ " if agent_id else "")
        except CallFailed as error:
            return Result(str(error), is_error=True)
        finally:
            channel.close()

    def _talk(self, channel: Channel, prompt: str, indent: str) -> Result:
        """Raises CallFailed."""
        history = self.dialect.begin(self.setting, prompt)
        for _ in range(self.max_turns):
            whole = channel.ask(history)
            said = self.dialect.said(whole)
            show(said, indent)
            if not said.uses:
                return Result(said.stop or said.text, is_error=bool(said.stop))
            history += self.dialect.answer(whole)
            history += self.dialect.results(self._run(said.uses, indent))
        return Result(f"not done after {self.max_turns} turns", is_error=True)

    def _run(self, uses: tuple[Use, ...], indent: str) -> list[tuple[Use, Result]]:
        with ThreadPoolExecutor(len(uses)) as pool:
            results = list(pool.map(lambda use: self._call(use, indent), uses))
        return list(zip(uses, results, strict=True))

    def _call(self, use: Use, indent: str) -> Result:
        result = run_tool(use.name, use.input, self.cwd, self._task, use.id)
        lines = result.text.splitlines()
        shown = [f"  {line}" for line in lines[:SHOWN_LINES]]
        if len(lines) > SHOWN_LINES:
            shown.append(f"  … {len(lines) - SHOWN_LINES} more lines")
        say("\n".join([title(use), *shown]), indent)
        return result

    def _task(self, prompt: str) -> Result:
        agent_id = uuid.uuid4().hex[:16]
        result = self.talk(prompt, agent_id)
        return Result(f"{result.text}\nagentId: {agent_id}", result.is_error)


def title(use: Use) -> str:
    if use.name == "bash":
        return f"$ {use.input.get('command')}"
    return f"● {use.name} {next(iter(use.input.values()), '')}"


def show(said: Said, indent: str) -> None:
    if said.thinking:
        say(f"✻ {said.thinking}", indent)
    say(said.text, indent)


SOCKET = "openai-websocket"
DIALECTS: dict[str, Callable[[], Dialect]] = {
    "anthropic": Anthropic,
    "openai-chat": OpenaiChat,
    "openai-responses": OpenaiResponses,
    SOCKET: OpenaiResponses,
    "gemini": Gemini,
    "gemini-array": lambda: Gemini(array=True),
    "ollama": Ollama,
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="tapes_addons.simulators.agent", description="A small scripted coding agent.")
    made.add_argument("prompt")
    made.add_argument("--dialect", choices=DIALECTS, default="anthropic", help="the API it speaks")
    made.add_argument("--base-url", default="", help="where the API is; else its SDKs' variable, else the real host")
    made.add_argument("--no-stream", action="store_true", help="ask for whole answers")
    made.add_argument("--code-mode", action="store_true", help="Responses: one freeform tool, as Codex has it")
    made.add_argument("--cwd", type=Path, default=Path(), help="where it works")
    made.add_argument("--model", default="")
    made.add_argument("--max-turns", type=int, default=200)
    made.add_argument("--fast", action="store_true", help="hardly wait before a retry")
    made.add_argument("--hang-up", action="store_true", help="close the connection at a stream's last event")
    made.add_argument("--session", default="", help="the session id it sends; a new one when left out")
    ids = "say in headers whose requests they are; the default is what real agents of the API do"
    made.add_argument("--ids", action=argparse.BooleanOptionalAction, help=ids)
    made.add_argument("--script", default="", help=f"which script a scripted provider shall follow ({SCRIPT_HEADER})")
    return made


def make(options: argparse.Namespace, environ: Mapping[str, str]) -> Agent:
    """The agent that the command line describes."""
    dialect = DIALECTS[options.dialect]()
    ids = dialect.has_ids if options.ids is None else options.ids
    session = options.session or str(uuid.uuid4())
    cwd = options.cwd.resolve()
    setting = Setting(
        options.model or dialect.model,
        SYSTEM,
        f"Working directory: {cwd}",
        session,
        stream=not options.no_stream,
        code_mode=options.code_mode,
    )
    headers = {
        "user-agent": USER_AGENT,
        **dialect.headers(environ.get(dialect.key_variable, "")),
        **({SESSION_HEADER: session} if ids else {}),
        **({SCRIPT_HEADER: options.script} if options.script else {}),
    }
    base_url = options.base_url or environ.get(dialect.variable) or dialect.base_url
    base_url = base_url if "://" in base_url else f"http://{base_url}"  # OLLAMA_HOST is often a bare host:port
    manner = Manner(say, options.fast, options.hang_up)
    return Agent(
        _wire(options.dialect, dialect, setting, base_url, headers, manner),
        dialect,
        setting,
        cwd,
        options.max_turns,
        ids,
    )


def _wire(
    name: str, dialect: Dialect, setting: Setting, base_url: str, headers: dict[str, str], manner: Manner
) -> Wire:
    if name == SOCKET and isinstance(dialect, OpenaiResponses):
        from tapes_addons.simulators.agent_websocket import SocketWire  # only here is wsproto worth its loading

        return SocketWire(dialect, setting, base_url, headers, manner)
    return HttpWire(dialect, setting, base_url, headers, manner)


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    agent = make(options, os.environ)
    say(f"> {options.prompt}")
    try:
        result = agent.talk(options.prompt)
    finally:
        agent.wire.close()
    if result.is_error:
        say(f"✗ {result.text}")
    return 1 if result.is_error else 0


if __name__ == "__main__":
    sys.exit(main())
