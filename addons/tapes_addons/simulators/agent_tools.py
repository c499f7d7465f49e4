"""The tools of the small agent: declared to the model, and really carried out in the agent's directory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
COMMAND_SECONDS = 120
CALL_VARIABLE = "TAPES_DEMO_CALL"
"""Names the call to its command, as Codex does."""


@dataclass(frozen=True, slots=True)
class Result:
    """What goes back to the model, and whether it is marked as an error."""

    text: str
    is_error: bool = False


def _tool(name: str, description: str, /, **fields: str) -> Json:
    properties = {field: {"type": "string", "description": text} for field, text in fields.items()}
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(fields),
        "additionalProperties": False,
    }
    return {"name": name, "description": description, "input_schema": schema}


DECLARED = (
    _tool(
        "bash",
        "Run a command with bash in the working directory. Output and errors come back together; a status "
        "other than 0 is stated at the end. Several calls in one turn run at the same time.",
        command="The command line",
    ),
    _tool(
        "read_file",
        "Read a text file; its lines come back numbered.",
        file_path="Path in the working directory",
    ),
    _tool(
        "write_file",
        "Write a text file, replacing what is there.",
        file_path="Path",
        content="The whole content",
    ),
    _tool(
        "edit_file",
        "Replace one piece of text in a file. The old text must occur exactly once.",
        file_path="Path",
        old_string="The text to replace, as it stands in the file",
        new_string="The text to put in its place",
    ),
    _tool(
        "task",
        "Hand a piece of work to another agent, which has the same tools and its own conversation.",
        description="The work in three words",
        prompt="The work in full",
    ),
)


def run_tool(name: str, given: Json, cwd: Path, task: Callable[[str], Result], call: str = "") -> Result:
    """Carry out one call; whatever goes wrong is a result that the model can read, never an exception."""
    try:
        match name:
            case "bash":
                return _bash(given["command"], cwd, call)
            case "read_file":
                lines = (cwd / given["file_path"]).read_text("utf-8").splitlines()
                return Result("\n".join(f"{number:6}\t{line}" for number, line in enumerate(lines, 1)))
            case "write_file":
                (cwd / given["file_path"]).write_text(given["content"], "utf-8")
                return Result(f"{given['file_path']} is written.")
            case "edit_file":
                return _edit(cwd / given["file_path"], given["old_string"], given["new_string"])
            case "task":
                return task(given["prompt"])
            case _:
                return Result(f"There is no tool {name!r}.", is_error=True)
    except KeyError as error:
        return Result(f"{name} needs the field {error}.", is_error=True)
    except (OSError, UnicodeError) as error:
        return Result(str(error), is_error=True)


def _bash(command: str, cwd: Path, call: str) -> Result:
    try:
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=cwd,
            env=os.environ | {CALL_VARIABLE: call},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        partial = (error.stdout or b"").decode("utf-8", "replace")
        return Result(f"{partial}\nStopped after {COMMAND_SECONDS} s", is_error=True)
    output = ended.stdout.decode("utf-8", "replace").rstrip("\n")
    if ended.returncode == 0:
        return Result(output or "(no output)")
    return Result(f"{output}\nExit code {ended.returncode}".lstrip("\n"), is_error=True)


def _edit(path: Path, old: str, new: str) -> Result:
    text = path.read_text("utf-8")
    if (found := text.count(old)) != 1:
        return Result(f"The old text occurs {found} times in {path.name}; it must occur once.", is_error=True)
    path.write_text(text.replace(old, new), "utf-8")
    return Result(f"{path.name} is edited.")
