"""What Claude Code tells the model beside the conversation, as the attachments of its transcript that make it say so.

In its requests these are messages with the role `system` (or, by an older way, `<system-reminder>` texts); its
transcript holds what they were made of, and from that it knows what it has announced already. So the announcements of
tools, agents and skills are taken apart again; any other reminder is held by the one attachment that holds plain text.
Nothing is guessed: what does not give back the very text is kept as plain text.
"""

from __future__ import annotations

import re
from typing import Any

TOOLS = (
    "The following deferred tools are now available via ToolSearch. Their schemas are NOT loaded — calling them "
    "directly will fail with InputValidationError. Use ToolSearch with query "
    '"select:<name>[,<name>...]" to load tool schemas before calling them:\n'
)
AGENTS = "Available agent types for the Agent tool:\n"
TOGETHER = (
    "When you launch multiple agents for independent work, send them in a single message with multiple tool uses so "
    "they run concurrently."
)
SKILLS = "The following skills are available for use with the Skill tool:\n\n"
TASKS = (
    "The task tools haven't been used recently. If you're working on tasks that would benefit from tracking progress, "
    "consider using TaskCreate to add new tasks and TaskUpdate to update task status (set to in_progress when "
    "starting, completed when done). Also consider cleaning up the task list if it has become stale. Only use these "
    "if relevant to the current work. This is just a gentle reminder - ignore if not applicable.\n"
)
LISTED = "\n\nHere are the existing tasks:\n\n"
CONTEXT = "<system-reminder>\nAs you answer the user's questions, you can use the following context:"
"""How the text begins that it puts in front of every request anew (the date, CLAUDE.md); no transcript holds it."""
_STARTS = re.compile("|".join(f"(?:^|(?<=\n\n)){re.escape(start)}" for start in (TOOLS, AGENTS, SKILLS, TASKS)))
_AGENT = re.compile(r"- ([^:\n]+):")
_TASK = re.compile(r"^#(.+?)\. \[(\w+)\] (.*)$", re.MULTILINE)
_SKILL = re.compile(r"^- ([^\s:]+(?::[^\s:]+)*):? ", re.MULTILINE)


def attachments(text: str) -> list[dict[str, Any]]:
    """The attachments that make one reminder."""
    cuts = sorted({0, *(found.start() for found in _STARTS.finditer(text))})
    parts = [text[a:b].removesuffix("\n\n") for a, b in zip(cuts, [*cuts[1:], len(text) + 2], strict=True)]
    made = [one for part in parts for one in _read(part)]
    return made if "\n\n".join(said(one) for one in made) == text else [_plain(text)]


def said(attachment: dict[str, Any]) -> str:
    """The text that Claude Code makes of an attachment of ours."""
    match attachment["type"]:
        case "deferred_tools_delta":
            return TOOLS + "\n".join(attachment["addedLines"])
        case "agent_listing_delta":
            together = f"\n\n{TOGETHER}" if attachment["showConcurrencyNote"] else ""
            return AGENTS + "\n".join(attachment["addedLines"]) + together
        case "skill_listing":
            return SKILLS + str(attachment["content"])
        case "task_reminder":
            tasks = "\n".join(f"#{one['id']}. [{one['status']}] {one['subject']}" for one in attachment["content"])
            return TASKS + (LISTED + tasks if tasks else "")
        case _:
            return str(attachment["content"])


def _read(text: str) -> list[dict[str, Any]]:
    if text.startswith(TOOLS):
        listed, _, rest = text.removeprefix(TOOLS).partition("\n\n")
        lines = listed.split("\n")
        names = [line.partition(" ")[0] for line in lines]
        tools = {"type": "deferred_tools_delta", "addedNames": names, "addedLines": lines, "removedNames": []}
        return [tools | {"readdedNames": []}, *_more(rest)]
    if text.startswith(AGENTS):
        listed, _, rest = text.removeprefix(AGENTS).partition("\n\n")
        together = rest.startswith(TOGETHER)
        found = [_AGENT.match(line) for line in listed.split("\n")]
        agents = {
            "type": "agent_listing_delta",
            "addedTypes": [name.group(1) for name in found if name],
            "addedLines": listed.split("\n"),
            "removedTypes": [],
            "isInitial": True,
            "showConcurrencyNote": together,
        }
        return [agents, *_more(rest.removeprefix(TOGETHER).removeprefix("\n\n") if together else rest)]
    if text.startswith(SKILLS):
        content = text.removeprefix(SKILLS)
        names = _SKILL.findall(content)
        return [
            {"type": "skill_listing", "content": content, "names": names, "skillCount": len(names), "isInitial": True}
        ]
    if text.startswith(TASKS):
        listed = text.removeprefix(TASKS).removeprefix(LISTED)
        tasks = [dict(zip(("id", "status", "subject"), found, strict=True)) for found in _TASK.findall(listed)]
        return [{"type": "task_reminder", "content": tasks, "itemCount": len(tasks)}]
    return [_plain(text)]


def _more(text: str) -> list[dict[str, Any]]:
    return [_plain(text)] if text else []


def _plain(text: str) -> dict[str, Any]:
    return {"type": "critical_system_reminder", "content": text}
