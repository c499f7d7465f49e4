"""A session's commands as a script, with the numbers of their steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tapes.archive.base import Archive
from tapes.export.shell import Line, script
from tapes.session.asking import Asked
from tapes.session.view import Step, View
from tapes.wire import shells


def runbook(archive: Archive, heading: str, found: View, steps: Sequence[Step]) -> Iterator[str]:
    """The commands among these steps; where nothing was witnessed, those that were asked for."""
    numbers = {step.hash: step.number for step in reversed(steps)}
    opened = found.records[0][1].body
    told = [heading, "In the order in which they began, as they were witnessed."]
    commands = found.commands
    results: dict[str, Step] | None = None
    if not commands:
        from tapes.session.audit import commands_in  # and the agents' ways, which others need not wait for

        commands = list(commands_in(archive, found.records, found.calls))
        results = {step.facts["id"]: step for step in steps if step.type == "tool.result"}
        told[1] = "Nothing witnessed what ran: these are the commands that were asked for."
    told.append("What was redacted when it was recorded stands as [REDACTED:rule].")
    lines = [
        Line(one, numbers[one.hash], *_told(one.call, results), opened.get("cwd", b""))
        for one in commands
        if one.hash in numbers
    ]
    yield from script(told, lines)


def _told(call: Asked | None, results: Mapping[str, Step] | None) -> tuple[str, bool]:
    """What the model was told of a command, and whether that is that it went well; "" where somebody saw it."""
    if results is None or call is None:
        return "", False
    step = results.get(call.id)
    if step is None:
        return "the model was told nothing of it", False
    told = shells.by_name(call.agent).told(call.tool, step.text, step.failed)
    if told.denied:
        return f"told as denied by {told.denied}", False
    if told.status is not None or told.signal is not None:
        ended = f"exit {told.status}" if told.signal is None else f"signal {told.signal}"
        return f"told as {ended}", told.status == 0
    return ("told as failed", False) if step.failed else ("told as done", True)
