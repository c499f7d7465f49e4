"""What a tool call does to files, to a list of things to do, or to other agents: each agent's tools in one table.

Read out of the call's input alone, so it is what was asked for; whether it was done, its result says. A diff is made of
the input as well: what stands around the change in the file is not known. Names and inputs as seen with Claude Code
2.1.197, Codex 0.169.0, Gemini CLI 0.61.0, OpenCode 1.18.33; mini has a shell only, aider writes edits into its answers
(`blocks`). Tools of others are known by the same names where they have the same inputs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Literal

from tapes.pattern import pattern
from tapes.values import dataclass
from tapes.wire.turns import Json

type Action = Literal["read", "edit", "write", "delete", "todo", "spawn"]

ACTIONS: tuple[Action, ...] = ("read", "edit", "write", "delete", "todo", "spawn")

_PATHS = ("file_path", "filePath", "absolute_path", "notebook_path", "path", "filename")
_TOOLS: Mapping[str, Action] = {
    "Read": "read", "NotebookRead": "read", "read": "read", "read_file": "read", "view_image": "read", "cat": "read",
    "Edit": "edit", "MultiEdit": "edit", "NotebookEdit": "edit", "edit": "edit", "multiedit": "edit", "replace": "edit",
    "edit_file": "edit", "apply_patch": "edit", "patch": "edit", "str_replace_based_edit_tool": "edit",
    "Write": "write", "write": "write", "write_file": "write", "create_file": "write",
    "TodoWrite": "todo", "TaskCreate": "todo", "TaskUpdate": "todo", "todowrite": "todo", "update_plan": "todo",
    "write_todos": "todo",
    "Task": "spawn", "Agent": "spawn", "task": "spawn", "spawn_agent": "spawn", "invoke_agent": "spawn",
    "codebase_investigator": "spawn",
}  # fmt: skip
_LOOKS = frozenset((
    "Grep", "Glob", "LS", "WebFetch", "WebSearch", "BashOutput", "TaskOutput", "TaskList", "TaskGet", "ToolSearch",
    "AskUserQuestion", "ExitPlanMode", "EnterPlanMode", "Skill", "grep", "glob", "list", "webfetch", "websearch",
    "skill", "search_file_content", "grep_search", "list_directory", "read_many_files", "google_web_search",
    "web_fetch", "wait", "web_search", "list_dir", "grep_files", "ask_user", "wait_agent",
))  # fmt: skip
_PROMPTS = ("prompt", "message", "objective", "task")
_OLD, _NEW = ("old_string", "oldString", "old_str"), ("new_string", "newString", "new_str", "new_source")
_TODOS = ("todos", "plan", "items")
_SAYS = ("content", "step", "subject", "description", "text", "title")
_PATCH = pattern(r"\*\*\* Begin Patch\n.*?(?:\*\*\* End Patch|\Z)", re.DOTALL)
_FILE = pattern(r"\*\*\* (Add|Update|Delete) File: (.+)")
_MOVE = pattern(r"\*\*\* Move to: (.+)")
_PATCHING: Mapping[str, Action] = {"Add": "write", "Update": "edit", "Delete": "delete"}
_IN_PROGRAM = pattern(r'tools\.apply_patch\(\s*("(?:[^"\\]|\\.)*")')
_FAILED = pattern(
    r"\s*(?:<tool_use_error>|Error\b|error:|\{\"error\"|apply_patch verification failed|Script failed\b|Failed to \w+"
    r"|Exit code: [1-9]|\{.{0,2000}\"exit_code\":\s*[1-9])",
    re.DOTALL,
)
_BLOCK = pattern(
    r"^(?P<path>[^\s`<>][^\n`]*)\n```[^\n]*\n<{5,9} SEARCH\n(?P<old>.*?)^={5,9}\n(?P<new>.*?)^>{5,9} REPLACE",
    re.M | re.S,
)


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that a call asks for."""

    action: Action
    path: str = ""
    """Of the file, as the agent gives it; of an agent that is started, its kind where one is named."""
    diff: str = ""
    """Of an edit: the lines that go and come, as in a unified diff without line numbers. Of a write: all of it."""
    said: str = ""
    """Of a `todo`: the list, one a line. Of a `spawn`: the prompt."""
    new: tuple[str, ...] = ()
    """Of a write: the whole text. Of an edit: each stretch of text that it puts in."""
    to: str = ""
    """Of an edit that moves its file: where to."""


def deeds(tool: str, arguments: Json) -> tuple[Deed, ...]:
    """What a call asks for; () for any other tool. `arguments` as read: a table, or the text of a freeform input."""
    if isinstance(arguments, str):
        program = _IN_PROGRAM.search(arguments) if tool in ("exec", "js") else None
        text = json.loads(program[1], strict=False) if program and _is_json(program[1]) else arguments
        return tuple(_patched(text)) if program or tool in ("apply_patch", "patch") else ()
    if not isinstance(arguments, dict):
        return ()
    patch = _first(arguments, ("input", "patch", "patchText", "patch_text"))
    if tool in ("apply_patch", "patch") and patch:
        return tuple(_patched(patch))
    action = _TOOLS.get(tool)
    if tool == "str_replace_based_edit_tool":
        action = {"view": "read", "create": "write"}.get(str(arguments.get("command")), "edit")  # type: ignore[assignment]
    path = _first(arguments, _PATHS)
    match action:
        case "todo":
            return (Deed("todo", said=_todos(arguments)),)
        case "spawn":
            kind = _first(arguments, ("subagent_type", "agent_name", "agent_type", "task_name"))
            return (Deed("spawn", kind, said=_first(arguments, _PROMPTS)),) if _first(arguments, _PROMPTS) else ()
        case "read" if path:
            return (Deed("read", path),)
        case "write" if path:
            text = _first(arguments, ("content", "file_text", "text"))
            return (Deed("write", path, diff_of("", text), new=(text,)),)
        case "edit" if path:
            return (Deed("edit", path, _edited(arguments), new=tuple(_put_in(arguments))),)
        case _:
            return ()


def starts_agents(tool: str) -> bool:
    """May a tool of this name start an agent?"""
    return _TOOLS.get(tool) == "spawn"


def blocks(answer: str) -> tuple[Deed, ...]:
    """aider's SEARCH/REPLACE blocks in an answer: a path, and behind it a fenced block."""
    if "SEARCH\n" not in answer:
        return ()
    found = _BLOCK.finditer(answer)
    return tuple(
        Deed("edit", match["path"].strip(), diff_of(match["old"], match["new"]), new=_texts(match["new"]))
        for match in found
    )


def looks_only(tool: str) -> bool:
    """Is this a tool that is known to change no file?"""
    return _TOOLS.get(tool) in ("read", "todo", "spawn") or tool in _LOOKS


def told_to_fail(result: str) -> bool:
    """Does what the model is told of an edit say that it did not work? Agents on APIs without a mark for it say so in
    words only."""
    return _FAILED.match(result) is not None


def diff_of(old: str, new: str) -> str:
    """The lines that go and come."""
    if not old:
        return "\n".join(f"+{line}" for line in new.splitlines())
    import difflib  # where nothing is edited it is not waited for

    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3))
    return "\n".join(line for line in lines[2:] if not line.startswith("@@"))


def _edited(arguments: Mapping[str, Json]) -> str:
    edits = arguments.get("edits")
    tables = [one for one in edits if isinstance(one, dict)] if isinstance(edits, list) else [arguments]
    return "\n".join(diff_of(_first(one, _OLD), _first(one, _NEW)) for one in tables)


def _put_in(arguments: Mapping[str, Json]) -> Iterator[str]:
    edits = arguments.get("edits")
    tables = [one for one in edits if isinstance(one, dict)] if isinstance(edits, list) else [arguments]
    for one in tables:
        yield from _texts(_first(one, _NEW))


def _texts(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _patched(patch: str) -> Iterator[Deed]:
    """The files of a patch in Codex' form."""
    found = _PATCH.search(patch)
    if found is None:
        return
    deed: tuple[Action, str] | None = None
    lines: list[str] = []
    to = ""
    for line in found[0].split("\n")[1:]:
        head = _FILE.fullmatch(line.rstrip())
        if head or line.startswith("*** End Patch"):
            if deed:
                yield _of_patch(*deed, lines, to)
            deed, lines, to = ((_PATCHING[head[1]], head[2].strip()), [], "") if head else (None, [], "")
        elif move := _MOVE.fullmatch(line.rstrip()):
            to = move[1].strip()
        elif line.startswith("@@"):
            lines.append("@@")  # it parts stretches; nothing else begins so
        elif not line.startswith("***"):
            lines.append(line)
    if deed:
        yield _of_patch(*deed, lines, to)


def _of_patch(action: Action, path: str, lines: list[str], to: str) -> Deed:
    diff = "\n".join(line for line in lines if line != "@@").rstrip("\n")
    if action == "write":
        return Deed(action, path, diff, new=("".join(f"{line[1:]}\n" for line in lines if line[:1] == "+"),))
    runs = (list(run) for added, run in groupby(lines, key=lambda line: line[:1] == "+") if added)
    return Deed(action, path, diff, new=tuple("\n".join(line[1:] for line in run) for run in runs), to=to)


def _todos(arguments: Mapping[str, Json]) -> str:
    for name in _TODOS:
        items = arguments.get(name)
        if isinstance(items, str) and _is_json(items):
            items = json.loads(items)
        if isinstance(items, list):
            return "\n".join(_todo(item) for item in items)
    return _todo(dict(arguments))


def _todo(item: Json) -> str:
    if not isinstance(item, dict):
        return f"[ ] {item}"
    state = str(item.get("status", ""))
    sign = "x" if state in ("completed", "done") else "~" if state in ("in_progress", "active") else " "
    return f"[{sign}] {_first(item, _SAYS) or json.dumps(item, ensure_ascii=False)}"


def _first(table: Mapping[str, Json], names: tuple[str, ...]) -> str:
    return next((value for name in names if isinstance(value := table.get(name), str) and value), "")


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True
