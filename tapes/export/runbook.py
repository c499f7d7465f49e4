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
    well: set[str] = set()
    told_of = {step.facts["id"]: step for step in steps if step.type == "tool.result"}
    if not commands:
        from tapes.session.audit import commands_in  # and the agents' ways, which others need not wait for

        commands = list(commands_in(archive, found.records, found.calls))
        well = {one.call.id for one in commands if one.call and _went_well(one.call, told_of)}
        told[1] = (
            "Nothing witnessed what ran: these are the commands that were asked for, as the model was told of them."
        )
    told.append("What was redacted when it was recorded stands as [REDACTED:rule].")
    lines = [
        Line(one, numbers[one.hash], one.call is not None and one.call.id in well, opened.get("cwd", b""))
        for one in commands
        if one.hash in numbers
    ]
    yield from script(told, lines)


def _went_well(call: Asked, told_of: Mapping[str, Step]) -> bool:
    """Was the model told so?"""
    step = told_of.get(call.id)
    if step is None or step.failed:
        return False
    told = shells.by_name(call.agent).told(call.tool, step.text, False)
    return not told.denied and told.signal is None and told.status in (None, 0)
