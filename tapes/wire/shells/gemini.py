"""Gemini CLI's shells (seen with 0.61.0).

bash is the first on the PATH. A command stands between lines that note its background jobs; a leading `bash -c` is
taken off it, quotes included or not, so what runs may differ from what was asked. The result names the process group,
whose number is that of the process we see: a shell starts with no mark of its own call.

Of an exit status 0 nothing is said: the tool's description tells the model that it stands only where it is not 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tapes.pattern import pattern
from tapes.wire.agents.base import Launch, Settings
from tapes.wire.json_value import Json
from tapes.wire.shells.base import Claim, Told, Witness
from tapes.wire.shells.denials import denials, denied_by
from tapes.wire.shells.environment import field, flag, with_shells
from tapes.wire.shells.generic import GenericShells
from tapes.wire.shells.lines import line_of, script_of
from tapes.wire.shells.marked import MARKED

_WRAPPED = pattern(
    rb"(?:shopt -u [a-z ]+; ?)?_bgpids_file=[^\n]*\n\(\n  trap 'jobs -p > \"\$_bgpids_file\"' EXIT\n"
    rb"(.*)\n\)\n__code=\$\?\nexit \$__code\n?",
    re.DOTALL,
)
_CONTEXT = pattern(r"<untrusted_context>\n(.*)\n</untrusted_context>", re.DOTALL)
_LARGE = pattern(r"Output too large\. Showing first [^\n]*\n")
_CUT = pattern(r"\n\.\.\. \[[\d,]+ characters omitted\] \.\.\.\n")
_FACT = pattern(r"\n(Exit Code|Signal|Background PIDs|Process Group PGID): ([^\n]*)$")
_RUNNING = pattern(r"Command moved to background \(PID: (\d+)\)")
_CANCELLED = pattern(
    r"Command was (?:automatically cancelled because it exceeded the timeout|cancelled by user before)"
)
_BELOW = "Below is the output before it was cancelled:\n"
_NOTHING = "(empty)"
_DENIALS = denials(
    {
        "rule": [
            r"Tool execution (?:for [^\n]* )?denied by policy",
            r"Command injection detected: ",
            r"Path not in workspace: ",
        ],
        "mode": [
            r"Tool execution for [^\n]* requires user confirmation, which is not supported in non-interactive mode"
        ],
        "person": [
            r"[^\n]*(?:User denied execution|did not allow tool call|cancelled by user before it could start)",
            r"\[Operation Cancelled\]|Operation cancelled by user",
        ],
    }
)


class GeminiShells(GenericShells):
    name: str = "gemini"
    marks, scope = MARKED["gemini"]

    def witnessed(self, launch: Launch, witness: Witness, settings: Settings) -> Settings:
        return with_shells(launch, witness, settings)

    def claims(self, tool: str, arguments: Json) -> tuple[Claim, ...]:
        if tool != "run_shell_command" or not (line := field(arguments, "command")):
            return ()
        return (Claim(line, field(arguments, "dir_path", "directory"), flag(arguments, "is_background")),)

    def unwrap(self, argv: Sequence[bytes]) -> bytes:
        script = script_of(argv)
        if script is None:
            return line_of(argv)
        wrapped = _WRAPPED.fullmatch(script)
        return wrapped[1] if wrapped else script

    def told(self, tool: str, result: str, is_error: bool) -> Told:
        if denied := denied_by(_DENIALS, result):
            return Told(denied=denied)
        large = _LARGE.match(result)
        result = result[large.end() :] if large else result
        context = _CONTEXT.fullmatch(result)
        text = context[1] if context else result
        if running := _RUNNING.match(text):
            return Told(running=True, pgid=int(running[1]))
        if _CANCELLED.match(text):
            _, below, output = text.partition(_BELOW)
            return Told(output=output if below else "", timed_out="exceeded the timeout" in text.partition(".")[0])
        if not text.startswith("Output: "):
            return Told()
        return _finished(text.removeprefix("Output: "), large is not None)


def _finished(text: str, shortened: bool) -> Told:
    facts: dict[str, str] = {}
    # From the end, each once: output that looks like such a line stands before them.
    while (fact := _FACT.search(text)) and fact[1] not in facts:
        facts[fact[1]] = fact[2]
        text = text[: fact.start()]
    status, signal, pgid = (_number(facts.get(key, "")) for key in ("Exit Code", "Signal", "Process Group PGID"))
    output = text
    if pgid is None:  # it was never started; output of a program may well have such a line
        at = text.rfind("\nError: ")
        output = text[:at] if at >= 0 else text
    elif status is None and signal is None:
        status = 0
    return Told(
        status=status,
        signal=signal,
        output="" if output == _NOTHING else output,
        shortened=shortened or bool(_CUT.search(output)),
        pgid=pgid,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
