"""By which variables each agent's commands are known: a table of all, as every run's trampolines ask for each of them,
and what else is known of an agent's shells is slow to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Marked(NamedTuple):
    """See `Shells` for what they mean."""

    marks: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()


PLUGIN_CALL = "TAPES_CALL"
"""Set by our own opencode plugin."""

MARKED: Mapping[str, Marked] = {
    "claude": Marked(("CLAUDECODE",), ("CLAUDE_CODE_SESSION_ID",)),
    "codex": Marked(("CODEX_TOOL_CALL_ID", "CODEX_THREAD_ID"), ("CODEX_THREAD_ID", "CODEX_TOOL_CALL_ID")),
    "gemini": Marked(("GEMINI_CLI",), ("GEMINI_CLI",)),
    "opencode": Marked(("OPENCODE",), ("OPENCODE_PID", PLUGIN_CALL)),
    "aider": Marked(),
    "mini": Marked(),
    "demo": Marked(("TAPES_DEMO_CALL",), ("TAPES_DEMO_CALL",)),
    "generic": Marked(),
}
