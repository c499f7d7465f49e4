"""The shells of any program; an agent's own file says what is otherwise with it.

Tools that run commands are known by the names that many programs give them, and such a result is read only where it is
a JSON table that names its status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tapes.wire.agents.base import Launch, Settings
from tapes.wire.json_value import Json
from tapes.wire.shells.base import Claim, Told, Witness
from tapes.wire.shells.environment import field, with_shells
from tapes.wire.shells.lines import line_of, line_of_words
from tapes.wire.shells.marked import MARKED

TOOLS = frozenset(
    ["bash", "shell", "local_shell", "terminal", "run_shell_command", "exec_command", "execute_command", "run_command"]
)
_LINES = ("command", "cmd", "script")
_FOLDERS = ("cwd", "workdir", "working_directory", "directory")
_STATUSES = ("exit_code", "exitCode", "returncode", "return_code")
_OUTPUTS = ("output", "stdout")


class GenericShells:
    name: str = "generic"
    marks, scope = MARKED["generic"]

    def witnessed(self, launch: Launch, witness: Witness, settings: Settings) -> Settings:
        return with_shells(launch, witness, settings, python=True)

    def claims(self, tool: str, arguments: Json) -> tuple[Claim, ...]:
        if tool.lower() not in TOOLS or not isinstance(arguments, Mapping):
            return ()
        words = arguments.get("command")
        line = line_of_words(words) if isinstance(words, list) else field(arguments, *_LINES)
        return (Claim(line, field(arguments, *_FOLDERS)),) if line else ()

    def unwrap(self, argv: Sequence[bytes]) -> bytes:
        return line_of(argv)

    def told(self, tool: str, result: str, is_error: bool) -> Told:
        said = table_of(result)
        statuses = (said.get(name) for name in _STATUSES)
        status = next((value for value in statuses if isinstance(value, int) and not isinstance(value, bool)), None)
        outputs = (said.get(name) for name in _OUTPUTS)
        output = next((value for value in outputs if isinstance(value, str)), None)
        return Told() if status is None else Told(status=status, output=output)

    def join_marks(self, environ: Mapping[bytes, bytes]) -> Mapping[str, str]:
        return {}

    def is_harness(self, environ: Mapping[bytes, bytes], argv: Sequence[bytes]) -> bool:
        return False


def table_of(text: str) -> dict[str, Json]:
    """The JSON table that a result is; empty for any other text."""
    if not text.lstrip().startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
