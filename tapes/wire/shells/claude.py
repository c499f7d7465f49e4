"""Claude Code's shells (seen with 2.1.197).

Each command is one line: a snapshot of the user's shell is sourced, the command evaluated, the directory noted. The
shell is chosen by CLAUDE_CODE_SHELL or $SHELL; several calls of one turn start together.

A result says an exit status only where Claude takes it for a failure: 1 of `grep` and its like is none to it, a killed
command is told as status 1. So nothing said is not 0.

Joined by its own telemetry: with it on, each command has a TRACEPARENT whose span carries the call's id. Where the user
has a telemetry of their own it is left alone, and HTTP hooks tell which calls there are. Those are read from
`--settings`, of which only the last on a command line counts: one of the user's own is left alone as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from tapes.pattern import pattern
from tapes.wire.agents.base import Launch, Settings
from tapes.wire.agents.claude import settings_files
from tapes.wire.agents.jsonc import merged, table
from tapes.wire.json_value import Json
from tapes.wire.shells.base import Claim, Told, Witness
from tapes.wire.shells.denials import denials, denied_by
from tapes.wire.shells.environment import field, flag, with_shells
from tapes.wire.shells.lines import line_of, script_of, word_at
from tapes.wire.shells.marked import MARKED

JoinsBy = Literal["telemetry", "hooks", "text"]
HOOKS = ("PreToolUse", "PermissionDenied")
HOOK_SECONDS = 2
_TELEMETRY = "CLAUDE_CODE_ENABLE_TELEMETRY"
_EVAL = pattern(
    rb"((?:shopt -u extglob|setopt NO_EXTENDED_GLOB NO_BARE_GLOB_QUAL) 2>/dev/null \|\| true "
    rb"|NO_BARE_GLOB_QUAL; \} >/dev/null 2>&1 \|\| true )?&& eval "
)
"""Where the snapshot is gone, or the user's own variables are set first, only what stands before `eval` is known."""
_BEHIND = pattern(rb"(?: \\?< ?/dev/null)? && pwd -P >\|? ?\S+\s*")
_TRACE = pattern(rb"[0-9a-f]{2}-[0-9a-f]{32}-([0-9a-f]{16})-[0-9a-f]{2}")

_STATUS = pattern(r"Exit code (\d+)(?:\n|$)")
_TIMED_OUT = pattern(r"^Command timed out after [^\n]*\n?", re.MULTILINE)
_RESET = pattern(r"\n?Shell cwd was reset to [^\n]*\n?$")
_LARGE = pattern(
    r"<persisted-output>\nOutput too large.*?\n\nPreview \(first [^)]*\):\n(.*?)(?:\n\.\.\.)?\n</persisted-output>",
    re.DOTALL,
)
_CUT = pattern(r"\.\.\. \[\d+ (?:characters|lines) truncated\] \.\.\.")
_RUNNING = pattern(r"Command (?:running in background|was manually backgrounded by user) with ID: ")
_DENIALS = denials(
    {
        "person": [
            r"The user doesn't want to (?:proceed with this tool use|take this action right now)",
            r"\[Request interrupted by user",
        ],
        "mode": [
            r"Permission to use .* has been denied because Claude Code is running in don't ask mode",
            r"Permission for this action has been denied",
            r"[^\n]*\brequires approval\b",
            r"Claude requested permissions to .* but you haven't granted it yet",
        ],
        "rule": [
            r"Permission to use .* has been denied",
            r"[^\n]* was blocked\. For security, Claude Code may only ",
            r"PreToolUse:\w+ hook error",
        ],
    }
)


class ClaudeShells:
    name: str = "claude"
    marks, scope = MARKED["claude"]

    def witnessed(self, launch: Launch, witness: Witness, settings: Settings) -> Settings:
        settings = with_shells(launch, witness, settings)
        match joins_by(launch, witness, settings):
            case "telemetry":
                return replace(settings, environment={**settings.environment, **_telemetry(witness.telemetry_url)})
            case "hooks":
                return replace(settings, arguments=_with_hooks(settings.arguments, witness.hooks_url))
            case "text":
                return settings

    def claims(self, tool: str, arguments: Json) -> tuple[Claim, ...]:
        if tool != "Bash" or not isinstance(arguments, Mapping) or not isinstance(arguments.get("command"), str):
            return ()
        return (Claim(field(arguments, "command"), background=flag(arguments, "run_in_background")),)

    def unwrap(self, argv: Sequence[bytes]) -> bytes:
        script = script_of(argv)
        if script is None:
            return line_of(argv)
        known = script.startswith((b"source ", b". "))
        for found in _EVAL.finditer(script):
            word = word_at(script, found.end()) if known or found[1] else None
            if word is not None and _BEHIND.fullmatch(script, word[1]):
                return word[0]
        return script

    def told(self, tool: str, result: str, is_error: bool) -> Told:
        if is_error:
            return _failed(result)
        if _RUNNING.match(result):
            return Told(running=True)
        if result == f"({tool} completed with no output)":
            return Told(output="")
        if large := _LARGE.match(result):
            return Told(output=large[1], shortened=True)
        return Told(output=_RESET.sub("", result), shortened=bool(_CUT.search(result)))

    def join_marks(self, environ: Mapping[bytes, bytes]) -> Mapping[str, str]:
        trace = _TRACE.fullmatch(environ.get(b"TRACEPARENT", b""))
        return {"traceparent": trace[1].decode()} if trace else {}

    def is_harness(self, environ: Mapping[bytes, bytes], argv: Sequence[bytes]) -> bool:
        return environ.get(b"AI_AGENT", b"").endswith(b"_harness")


def joins_by(launch: Launch, witness: Witness, settings: Settings) -> JoinsBy:
    """How a launch's commands will be joined with their tool calls; "text" where nothing better is left alone by us."""
    if witness.join == "auto" and witness.telemetry_url and not _own_telemetry(launch):
        return "telemetry"
    taken = any(word.partition("=")[0] == "--settings" for word in launch.argv)
    return "hooks" if witness.join != "none" and witness.hooks_url and not taken else "text"


def _own_telemetry(launch: Launch) -> bool:
    """Do the environment or the settings files say anything of telemetry, be it only that it is off?"""
    names = set(launch.environ)
    for path in settings_files(launch):
        values = table(launch.read(path)).get("env")
        names |= values.keys() if isinstance(values, dict) else set()
    return any(name.startswith("OTEL_") or name == _TELEMETRY for name in names)


def _telemetry(url: str) -> dict[str, str]:
    return {
        _TELEMETRY: "1",
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
        # Where the base URL is not Anthropic's, commands get no TRACEPARENT without it.
        "CLAUDE_CODE_PROPAGATE_TRACEPARENT": "1",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_TRACES_EXPORT_INTERVAL": "1000",
        "OTEL_LOGS_EXPORT_INTERVAL": "1000",
    }


def _with_hooks(arguments: tuple[str, ...], url: str) -> tuple[str, ...]:
    """The words behind the program, with our hooks in the one `--settings` that it may have from us."""
    hook = {"matcher": "*", "hooks": [{"type": "http", "url": url, "timeout": HOOK_SECONDS}]}
    ours = {"hooks": {event: [hook] for event in HOOKS}}
    if "--settings" in arguments:
        at = arguments.index("--settings") + 1
        return (*arguments[:at], json.dumps(merged(table(arguments[at]), ours)), *arguments[at + 1 :])
    return (*arguments, "--settings", json.dumps(ours))


def _failed(result: str) -> Told:
    status = _STATUS.match(result)
    if status is None:
        return Told(denied=denied_by(_DENIALS, result))
    output = _RESET.sub("", result[status.end() :])
    timed_out = _TIMED_OUT.match(output)
    output = output[timed_out.end() :] if timed_out else output
    return Told(int(status[1]), None, output, shortened=bool(_CUT.search(output)), timed_out=timed_out is not None)
