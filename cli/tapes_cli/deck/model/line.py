"""The command line that a step asks for, or is."""

from __future__ import annotations

import json
import shlex

from tapes.session.view import Step
from tapes_cli.deck.model.tape import Told


def command_line(told: Told, step: Step) -> str:
    """Of a command as it ran; of a call as it was asked for. Empty where it has none, or none that can be told from its
    other words."""
    if step.type == "command":
        return step.text
    if step.type != "tool.use":
        return ""
    for command in told.view.commands:
        if command.asked is not None and command.call is not None and command.call.use == step.hash:
            return command.asked.line
    try:
        table = json.loads(step.text)
    except (ValueError, RecursionError):
        return ""  # of a call in words, or with what is no JSON
    found = (table.get("command") or table.get("cmd")) if isinstance(table, dict) else ""
    if isinstance(found, list) and all(isinstance(word, str) for word in found):
        return shlex.join(found)
    return found if isinstance(found, str) else ""
