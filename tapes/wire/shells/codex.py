"""Codex' shells (seen with 0.169.0).

The shell is the login shell of the passwd entry. What it is given first is a script of some 40 kB, which replays the
environment and then `exec`s the shell once more with the command; with another directory than its own it is `-lc` and
the command. CODEX_TOOL_CALL_ID stands in its environment: the wire's call id, but in code mode an id of its own.

In code mode the tool call is a JavaScript program. Command strings are read out of it where they are plain; what it
puts together itself is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tapes.pattern import pattern
from tapes.wire.agents.base import Launch, Settings
from tapes.wire.agents.codex import without_idle
from tapes.wire.json_value import Json
from tapes.wire.shells.base import Claim, Told, Witness
from tapes.wire.shells.denials import denials, denied_by
from tapes.wire.shells.environment import field, with_shells
from tapes.wire.shells.javascript import object_at, string_at
from tapes.wire.shells.lines import line_of, line_of_words, script_of, words_from
from tapes.wire.shells.marked import MARKED

CODE_MODE_ID = b"exec-"
_POLICY = "shell_environment_policy"
_REPLAYED, _EXEC = b"__CODEX_SNAPSHOT_", b"\nexec '"
_CALL = pattern(r"\btools\s*\.\s*(exec_command|shell_command|shell|local_shell)\s*\(\s*(?=\{)")
_COMMAND = {"exec_command": "cmd", "shell_command": "command"}
_LISTED = ("shell", "local_shell", "container.exec")

_HEAD = pattern(
    r"(?:Chunk ID: [^\n]*\n)?(?:Exit code: (?P<old>-?\d+)\n)?(?:Wall time: [^\n]*\n)?"
    r"(?:Process exited with code (?P<status>-?\d+)\n|Process running with session ID (?P<running>\d+)\n)?"
    r"(?:Original token count: \d+\n)?(?:Total output lines: \d+\n)?Output:\n"
)
_WARNING = pattern(r"(?:Warning: truncated output \([^)]*\)\n)?Total output lines: \d+\n\n")
_CUT = pattern(r"…\d+ (?:tokens|chars|characters|lines) truncated…|\[\.\.\. omitted \d+ of \d+ lines \.\.\.\]")
_SCRIPT = pattern(r"Script (completed|failed|running[^\n]*)\nWall time [^\n]*\nOutput:\n\n?")
_TIMED_OUT = pattern(r"command timed out after [^\n]*\n?")
_DENIALS = denials(
    {
        "person": [r".*(?:rejected by user|user rejected|aborted by user)"],
        "mode": [r"approval policy is \w+; reject command"],
        "sandbox": [r".*(?:failed in sandbox|SandboxErr\(Denied|sandbox denied)"],
        "rule": [r".*Rejected\(\\?\"`.*` rejected: "],
    }
)


class CodexShells:
    name: str = "codex"
    marks, scope = MARKED["codex"]

    def witnessed(self, launch: Launch, witness: Witness, settings: Settings) -> Settings:
        settings = with_shells(launch, witness, settings)
        # Their policy for the environment may keep ours from commands. The user's own words come behind these and win.
        given = {"BASH_ENV": witness.bash_env, "ZDOTDIR": witness.zdotdir}
        words = [word for name, path in given.items() for word in ("-c", f"{_POLICY}.set.{name}={json.dumps(path)}")]
        return replace(settings, arguments=(*without_idle(settings.arguments), *words))

    def claims(self, tool: str, arguments: Json) -> tuple[Claim, ...]:
        if tool == "exec" and isinstance(arguments, str):
            return tuple(_in_program(arguments))
        return _claims(tool, arguments)

    def unwrap(self, argv: Sequence[bytes]) -> bytes:
        script = script_of(argv)
        if script is None:
            return line_of(argv)
        at = script.find(_EXEC) if script.startswith(_REPLAYED) else -1
        while at >= 0:
            # Further words behind the command are its $0, $1 …, which Codex does not give; so it is the last one.
            words = words_from(script.rstrip(b"\n"), at + 1)
            if words is not None and len(words) > 2 and (inner := script_of(words[1:])) is not None:
                return inner
            at = script.find(_EXEC, at + 1)
        return script

    def told(self, tool: str, result: str, is_error: bool) -> Told:
        if script := _SCRIPT.match(result):
            return _script(script, result[script.end() :])
        if head := _HEAD.match(result):
            return _framed(head, result[head.end() :])
        if (said := _as_json(result)) is not None:
            return said
        return Told(denied=denied_by(_DENIALS, result))

    def join_marks(self, environ: Mapping[bytes, bytes]) -> Mapping[str, str]:
        call = environ.get(b"CODEX_TOOL_CALL_ID", b"")
        if not call or call.startswith(CODE_MODE_ID):
            return {}
        return {"env": call.decode("utf-8", "replace")}

    def is_harness(self, environ: Mapping[bytes, bytes], argv: Sequence[bytes]) -> bool:
        return not any(mark.encode() in environ for mark in self.marks)


def _claims(tool: str, arguments: Json, certain: bool = True) -> tuple[Claim, ...]:
    table = arguments if isinstance(arguments, Mapping) else {}
    cwd = field(table, "workdir", "working_directory")
    if tool in _COMMAND and isinstance(table.get(_COMMAND[tool]), str):
        return (Claim(field(table, _COMMAND[tool]), cwd, certain=certain),)
    words = table.get("command")
    if tool in _LISTED and isinstance(words, list) and words:
        return (Claim(line_of_words(words), cwd, certain=certain),)
    if tool in _LISTED and isinstance(words, str):
        return (Claim(words, cwd, certain=certain),)
    return ()


def _in_program(program: str) -> Iterator[Claim]:
    """The commands that a program of code mode names in so many words; "" for one that it puts together."""
    for call in _CALL.finditer(program):
        fields = object_at(program, call.end())
        given: dict[str, Json] = {}
        for name, at in fields.items():
            value = string_at(program, at)
            if value is not None:
                given[name] = value
        yield from _claims(call[1], given, certain=False) or (Claim("", certain=False),)


def _framed(head: re.Match[str], output: str) -> Told:
    said = head["status"] or head["old"]
    warning = _WARNING.match(output)
    output = output[warning.end() :] if warning else output
    timed_out = _TIMED_OUT.match(output)
    return Told(
        status=int(said) if said else None,
        output=output[timed_out.end() :] if timed_out else output,
        shortened=warning is not None or bool(_CUT.search(output)),
        running=head["running"] is not None,
        timed_out=timed_out is not None,
    )


def _script(head: re.Match[str], rest: str) -> Told:
    """Of a program's own words only those are a command's that hold its whole answer."""
    if head[1].startswith("running"):
        return Told(running=True)
    return _as_json(rest) or Told()


def _as_json(text: str) -> Told | None:
    """A command's answer as a JSON table: in code mode, and of tools that answer so."""
    if not text.startswith(("{", "[{")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(value, dict) or not isinstance(value.get("output"), str):
        return None
    about = value.get("metadata")
    status = value.get("exit_code", about.get("exit_code") if isinstance(about, dict) else None)
    output = value["output"]
    warning = _WARNING.match(output)
    return Told(
        status=status if isinstance(status, int) and not isinstance(status, bool) else None,
        output=output[warning.end() :] if warning else output,
        shortened=warning is not None or bool(_CUT.search(output)),
        running=value.get("session_id") is not None,
    )
