"""Files without a snapshot: every one that the agent's tools read, wrote or edited, brought up to a step by replaying
what those calls asked for, where their results do not say that they failed.

What a command did to a file is not known here. So nothing is better than `known` as of a step, and the manifest says
which; what only a part was seen of is `partial`, what was changed without its content being known is `unknown`.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from tapes.checkout.files import File, Files, Known
from tapes.session.view import Step
from tapes.values import dataclass
from tapes.wire.files import deeds
from tapes.wire.turns import Json

OUTSIDE = "outside"
"""Folder for files that are not below the session's directory."""
_PATHS = ("file_path", "filePath", "absolute_path", "path", "filename")
_CONTENT = ("content", "file_text", "text")
_OLD, _NEW = ("old_string", "oldString", "old_str"), ("new_string", "newString", "new_str")
_PARTS = ("offset", "limit", "start_line", "end_line", "view_range", "startLine", "endLine")
_NUMBERED = re.compile(r" *(\d+)(?:\t|→|: |\| ?)(.*)")
DOUBT = (
    "no snapshot of the directory: only files that the agent's own tools read, wrote or edited are here, and what "
    "commands did to them is not known"
)
_CHANGE = re.compile(r"\*\*\* (Add|Update|Delete) File: (.+)")


@dataclass(slots=True)
class State:
    """A file after a call that read, wrote or edited it. `text` None: its content is not known."""

    known: Known
    text: str | None
    why: str


def replayed(steps: Sequence[Step], cwd: str) -> Files:
    """The files known at the end of these steps."""
    last = {path: (step.number, state) for step, path, state in retold(steps, cwd)}
    ran = [step.number for step in steps if step.type == "command"]
    files = tuple(
        _file(path, state, cwd, sum(at > number for at in ran))
        for path, (number, state) in sorted(last.items())
        if state is not None
    )
    return Files("replay", cwd.encode("utf-8", "surrogateescape"), files, (DOUBT,))


def retold(steps: Sequence[Step], cwd: str) -> Iterator[tuple[Step, str, State | None]]:
    """What each call that did not fail made of which file, an absolute path, in order; None: it is gone."""
    told = {step.facts["id"]: step for step in steps if step.type == "tool.result"}
    states: dict[str, State] = {}
    for step in steps:
        result = told.get(step.facts.get("id")) if step.type == "tool.use" else None
        if result is None or result.failed:
            continue
        for path, state in _done(step, result.text, states, cwd):
            if state is None:
                states.pop(path, None)
            else:
                states[path] = state
            yield step, path, state


def _file(path: str, state: State, cwd: str, commands: int) -> File:
    why = state.why + (f"; {commands} commands ran since" if commands else "")
    text = state.text
    return File(
        below(path, cwd),
        state.known,
        read=None if text is None else text.encode("utf-8", "surrogatepass").__bytes__,
        why=why,
    )


def below(path: str, cwd: str) -> bytes:
    """Where a file stands below `files/`: those outside of the session's directory in a folder of their own."""
    home = posixpath.normpath(cwd) if cwd else "/"
    if path == home or path.startswith(home.rstrip("/") + "/"):
        inside = path[len(home.rstrip("/")) + 1 :]
    else:
        inside = f"{OUTSIDE}/{path.lstrip('/')}"
    return inside.encode("utf-8", "surrogateescape")


def whole(path: str, cwd: str) -> str:
    """An agent's path as an absolute one without `..`."""
    return "/" + posixpath.normpath(posixpath.join("/", cwd, path)).lstrip("/")


def _done(step: Step, result: str, states: Mapping[str, State], cwd: str) -> Iterator[tuple[str, State | None]]:
    """What a call did, as far as its input and its result tell: paths with their new states; None: it is gone."""
    arguments = _arguments(step.text)
    name = str(step.facts.get("name", ""))
    patch = _patch(name, arguments)
    if patch is not None:
        yield from _patched(patch, step.number, states, cwd)
        return
    for deed in deeds(name, arguments):
        if not deed.path or deed.action in ("todo", "spawn") or not isinstance(arguments, dict):
            continue
        path = whole(deed.path, cwd)
        before = states.get(path)
        match deed.action:
            case "delete":
                yield path, None
            case "write":
                content = next((v for key in _CONTENT if isinstance(v := arguments.get(key), str)), None)
                yield path, _written(content, step.number)
            case "read":
                yield path, _read(arguments, result, step.number, before)
            case _:
                yield path, _edited(arguments, step.number, before)


def _arguments(text: str) -> Json:
    try:
        found: Json = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found


def _written(content: str | None, step: int) -> State:
    if content is None:
        return State("unknown", None, f"written at step {step}, its content is not in the call")
    return State("known", content, f"as written at step {step}")


def _read(arguments: Mapping[str, Json], result: str, step: int, before: State | None) -> State:
    if before is not None and before.known == "known":
        return before  # what was written is known better than what is shown of it
    lines, first = _numbered(result)
    text = result if lines is None else "\n".join(lines)
    part = any(arguments.get(key) not in (None, 0, "") for key in _PARTS) or first != 1
    why = f"{'a part of it, ' if part else ''}as the agent was shown it at step {step}: ends of lines may differ"
    return State("partial", text, why)


def _numbered(result: str) -> tuple[list[str] | None, int]:
    """The lines of a result that numbers them, and the first number; None where it does not."""
    lines: list[str] = []
    first = last = 0
    for line in result.split("\n"):
        found = _NUMBERED.fullmatch(line)
        if found is None or (lines and int(found[1]) != last + 1):
            break
        last = int(found[1])
        first = first or last
        lines.append(found[2])
    return (lines, first) if lines else (None, 1)


def _edited(arguments: Mapping[str, Json], step: int, before: State | None) -> State:
    edits = arguments.get("edits")
    tables = [one for one in edits if isinstance(one, dict)] if isinstance(edits, list) else [dict(arguments)]
    text = before.text if before is not None else None
    for table in tables:
        old = next((v for key in _OLD if isinstance(v := table.get(key), str)), None)
        new = next((v for key in _NEW if isinstance(v := table.get(key), str)), None)
        if old == "" and new is not None and text is None:
            text, before = new, State("known", new, "")
        elif text is None or not old or new is None or old not in text:
            return State("unknown", None, f"edited at step {step}, what was in it before is not known")
        else:
            everywhere = table.get("replace_all") is True or table.get("replaceAll") is True
            text = text.replace(old, new) if everywhere else text.replace(old, new, 1)
    known: Known = before.known if before is not None else "partial"
    earlier = f"; before that {before.why}" if before is not None and before.why and known != "known" else ""
    return State(known, text, f"as edited at step {step}{earlier}")


# -- patches in Codex' form


def _patch(name: str, arguments: Json) -> str | None:
    """The text of a patch that a call applies; None for another call."""
    if isinstance(arguments, str):
        program = (
            re.search(r'tools\.apply_patch\(\s*("(?:[^"\\]|\\.)*")', arguments) if name in ("exec", "js") else None
        )
        text = _arguments(program[1]) if program else arguments if name in ("apply_patch", "patch") else None
    elif isinstance(arguments, dict) and name in ("apply_patch", "patch"):
        text = next((arguments[key] for key in ("input", "patch", "patchText", "patch_text") if key in arguments), None)
    else:
        text = None
    return text if isinstance(text, str) and "*** Begin Patch" in text else None


def _patched(patch: str, step: int, states: Mapping[str, State], cwd: str) -> Iterator[tuple[str, State | None]]:
    section: tuple[str, str] | None = None
    lines: list[str] = []
    for line in [*patch.partition("*** Begin Patch")[2].split("\n")[1:], "*** End Patch"]:
        head = _CHANGE.fullmatch(line.rstrip())
        if head is None and not line.startswith("*** End Patch"):
            lines.append(line)
            continue
        if section is not None:
            yield from _changed(*section, lines, step, states, cwd)
        section, lines = ((head[1], head[2].strip()), []) if head else (None, [])


def _changed(
    what: str, name: str, lines: Sequence[str], step: int, states: Mapping[str, State], cwd: str
) -> Iterator[tuple[str, State | None]]:
    path = whole(name, cwd)
    if what == "Delete":
        yield path, None
        return
    if what == "Add":
        yield path, _written("".join(line[1:] + "\n" for line in lines if line.startswith("+")), step)
        return
    before = states.get(path)
    moved = next(
        (whole(line.partition(": ")[2].strip(), cwd) for line in lines if line.startswith("*** Move to")), path
    )
    text = None if before is None or before.text is None else _hunks(before.text, lines)
    if moved != path:
        yield path, None
    if text is None or before is None:
        yield moved, State("unknown", None, f"patched at step {step}, what was in it before is not known")
    else:
        yield moved, State(before.known, text, f"as patched at step {step}")


def _hunks(text: str, lines: Sequence[str]) -> str | None:
    """The text with a patch's hunks applied; None where one of them does not fit."""
    hunks: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("@@"):
            hunks.append([])
        elif line[:1] in ("+", "-", " ") or not line:
            hunks[-1].append(line or " ")
    for hunk in hunks:
        old = "".join(line[1:] + "\n" for line in hunk if line[0] != "+")
        new = "".join(line[1:] + "\n" for line in hunk if line[0] != "-")
        if not hunk or old == new:
            continue
        whole_lines = text if text.endswith("\n") or not text else text + "\n"
        if old not in whole_lines:
            return None
        text = whole_lines.replace(old, new, 1)
    return text
