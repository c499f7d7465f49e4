"""How things stood at a step: where the agent worked, its list of things to do, what had failed and would fail, what it
had used."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tapes.record.kinds import Record
from tapes.session.moments import iso
from tapes.session.threads import MAIN
from tapes.session.transcript import Conversation, Moment
from tapes.session.view import Step, View

LISTS = frozenset({"TodoWrite", "todowrite", "update_plan", "write_todos"})
"""Tools that give the whole list each time."""
_TODOS = ("todos", "plan", "items")
_SAYS = ("content", "step", "subject", "description", "text", "title")


def state(found: View, at: Moment, said: Conversation | None) -> dict[str, Any]:
    """JSON values; what is not known is null. `said`: None where it can not be read."""
    opened = found.records[0][1]
    body = opened.body if opened.type == "session.open" else {}
    thread = [step for step in at.steps if (step.thread or MAIN) == at.thread]
    return {
        "session": found.records[0][0].hex(),
        "agent": body.get("agent"),
        "step": at.number,
        "thread": at.thread,
        "time": iso(at.steps[-1].wall_ns) if at.steps else None,
        "model": said.model if said else None,
        "cwd": _cwd(thread, body),
        "session_cwd": _text(body.get("cwd")),
        "git": _git(found, at, body),
        "environment": _environment(found, at, body),
        "todo": todo(thread),
        "open_calls": list(said.open_calls) if said else None,
        "failures_before": [_failure(step) for step in at.steps if step.failed],
        "failures_after": [_failure(step) for step in at.later if step.failed],
        "steps_after": len(at.later),
        "usage": usage(at.steps),
        "usage_of_thread": usage(thread),
    }


def usage(steps: Sequence[Step]) -> dict[str, int]:
    """Tokens by kind, and the model calls that were answered in these steps."""
    total: Counter[str] = Counter()
    for step in steps:
        told = step.facts.get("usage")
        if isinstance(told, dict):
            total["calls"] += 1
            total.update(told)
    return dict(sorted(total.items()))


def _failure(step: Step) -> dict[str, Any]:
    text = " ".join(step.text.split())
    return {
        "step": step.number,
        "type": step.type,
        "hash": step.hash.hex(),
        "thread": step.thread,
        "text": text if len(text) <= 300 else text[:300] + "…",
    }


def _cwd(steps: Sequence[Step], body: Mapping[str, Any]) -> str | None:
    """Of the thread's last command; else of the session."""
    ran = next((s.facts["cwd"] for s in reversed(steps) if s.type == "command" and s.facts.get("cwd")), None)
    return ran or _text(body.get("cwd"))


def _git(found: View, at: Moment, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The newest that was noted by then; `as_of` says when."""
    told = body.get("git")
    git = dict(told) if isinstance(told, dict) else {}
    if not git and body.get("git_head"):
        git = {"head": body["git_head"]}
    as_of = "the session's start"
    for record in _over(found, at):
        noted = record.body.get("snapshot") if record.type == "note" else None
        if isinstance(noted, dict) and isinstance(noted.get("git"), dict):
            git, as_of = dict(noted["git"]), iso(record.wall_ns)
        if record.type == "snapshot" and record.body.get("head"):
            git = {name: record.body[name] for name in ("head", "branch") if record.body.get(name)}
            as_of = iso(record.wall_ns)
    return {**git, "as_of": as_of} if git else None


def _environment(found: View, at: Moment, body: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: body[name] for name in ("os", "kernel", "machine", "shell", "context") if body.get(name)}
    environment, variables = body.get("environment", ()), body.get("variables", ())
    as_of = "the session's start"
    for record in _over(found, at):
        if record.type == "note" and record.body.get("kind") == "snapshot":
            environment = record.body.get("environment", environment)
            variables = record.body.get("variables", variables)
            as_of = iso(record.wall_ns)
    return {
        **told,
        "variables": {_text(name): _text(value) for name, value in environment},
        "names_of_others": [_text(name) for name in variables],
        "as_of": as_of,
    }


def _over(found: View, at: Moment) -> list[Record]:
    """The records up to the one that the last step was read from; all, where no step is left."""
    last = at.steps[-1].hash if at.steps else None
    place = next((n for n, (digest, _) in enumerate(found.records) if digest == last), -1)
    if not at.later:
        place = len(found.records) - 1
    return [record for _, record in found.records[: place + 1]]


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) else None


# -- what is to be done


def todo(steps: Sequence[Step]) -> list[dict[str, str]]:
    """The list as it stood: given whole by some agents' tools, item by item by Claude Code's."""
    items: dict[str, dict[str, str]] = {}
    failed = {step.facts.get("id") for step in steps if step.type == "tool.result" and step.failed}
    for step in steps:
        if step.type != "tool.use" or step.facts.get("action") != "todo" or step.facts.get("id") in failed:
            continue
        told = _table(step.text)
        name = step.facts.get("name")
        if name in LISTS:
            items = {str(n): item for n, item in enumerate(_listed(told), 1)}
        elif name == "TaskCreate":
            items[_number(step, steps) or str(len(items) + 1)] = _item(told)
        elif name == "TaskUpdate" and (known := items.get(str(told.get("taskId")))) is not None:
            known |= {key: value for key, value in _item(told).items() if value}
    return [item for item in items.values() if item.get("status") != "deleted"]


def _listed(told: Mapping[str, Any]) -> list[dict[str, str]]:
    for name in _TODOS:
        listed = told.get(name)
        if isinstance(listed, str):
            listed = _parsed(listed)
        if isinstance(listed, list):
            return [_item(one) if isinstance(one, dict) else {"text": str(one), "status": ""} for one in listed]
    return []


def _item(told: Mapping[str, Any]) -> dict[str, str]:
    text = next((told[key] for key in _SAYS if isinstance(told.get(key), str)), "")
    return {"text": text, "status": str(told.get("status", "") or ("" if "taskId" in told else "pending"))}


def _number(use: Step, steps: Sequence[Step]) -> str:
    """The number that a task was given, as the result of the call that made it says."""
    for step in steps:
        if step.type == "tool.result" and step.facts.get("id") == use.facts.get("id"):
            found = re.search(r"#(\d+)", step.text)
            return found[1] if found else ""
    return ""


def _table(text: str) -> Mapping[str, Any]:
    value = _parsed(text)
    return value if isinstance(value, dict) else {}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
