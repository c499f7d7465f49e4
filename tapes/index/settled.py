"""The items of a session that is over: those of its timeline, which knows what a single record does not tell.

Which messages of a request are a repetition, whose thread a call is, what was a probe: that takes the whole session. So
while one is recorded its records are indexed as they come (`texts`), and once more when it is closed, from here. An
archive that is indexed for the first time has mostly sessions that are over, and reads each of them once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound
from tapes.index.texts import Fact, Item, Texts, model_of, paths
from tapes.index.words import plain
from tapes.record.digest import Digest
from tapes.session.commands import Command
from tapes.session.marks import marks_of
from tapes.session.view import Step, View, view
from tapes.values import dataclass

MOST_BEHIND = 16
"""Records that may stand behind a session's last one and it is over all the same: notes, redactions, late joins."""
NO_TEXT = frozenset({"withheld", "seam"})


@dataclass(frozen=True, slots=True)
class Settled:
    """A step, to be indexed."""

    record: Digest
    wall_ns: int
    items: list[Item]


def is_over(archive: Archive, session: Digest) -> bool:
    head = archive.head(session)
    if head is None:
        return False
    last = head[1]
    return any(
        archive.session_record(session, seq)[1].type == "session.close"
        for seq in range(last, max(0, last - MOST_BEHIND), -1)
    )


def settled(texts: Texts, session: Digest, hidden: frozenset[Digest]) -> Iterator[Settled]:
    """The session's steps as items, but for those of `hidden` records. Raises Damaged and NotFound where a record
    itself can not be read."""
    found = view(cast(Archive, texts.veil), session)
    reading = _Reading(texts, found)
    for step in found.steps:
        if step.hash not in hidden:
            yield Settled(step.hash, step.wall_ns, list(reading.items(step)))


class _Reading:
    def __init__(self, texts: Texts, found: View) -> None:
        self._texts = texts
        self._calls = found.calls
        self._commands = {command.ran.start: command for command in found.commands if command.ran}
        self._uses: dict[str, str] = {}
        self._marks = {mark.record for marks in marks_of(found.records).values() for mark in marks}

    def items(self, step: Step) -> Iterator[Item]:
        if step.type in NO_TEXT:
            return
        facts: tuple[Fact, ...] = (("thread", step.thread),) if step.thread else ()
        exchange = self._calls.exchanges.get(step.exchange) if step.exchange else None
        try:
            model = model_of(self._calls, exchange) if exchange else ""
        except (Damaged, NotFound):
            model = ""  # the step itself says what can not be read
        facts += (("model", model),) if model else ()
        facts += (("is", "error"),) if step.failed else ()
        facts += (("is", "mark"),) if step.hash in self._marks else ()
        text = step.text
        match step.type:
            case "tool.use":
                self._uses[str(step.facts["id"])] = str(step.facts["name"])
                facts += (("tool", str(step.facts["name"])), *(("path", path) for path in paths_of(step)))
                text = plain(text)
            case "tool.result":
                facts += (("tool", str(step.facts["name"])),) if step.facts["name"] else ()
                text = plain(text)
            case "media":
                text = text.partition(" (")[0]
            case "command":
                yield from self._command(step, self._commands[step.hash], facts)
                return
            case _:
                facts += tuple(("path", path) for path in paths_of(step))
        yield Item(step.item, step.type, text, facts, step.number)

    def _command(self, step: Step, command: Command, facts: tuple[Fact, ...]) -> Iterator[Item]:
        assert command.ran is not None
        facts += tuple(self._texts.of_command(command.ran))
        tool = self._uses.get(str(step.facts.get("tool") or ""))
        facts += (("tool", tool),) if tool else ()
        yield Item(step.item, "command", step.text, facts, step.number)
        output = self._texts.output(command.ran)
        if output:
            yield Item(step.item + 1, "output", output, facts, step.number)


def paths_of(step: Step) -> Iterator[str]:
    """Files that it names or changes."""
    if step.type == "tool.use":
        import json

        try:
            yield from paths(json.loads(step.text))
        except (ValueError, RecursionError):
            yield from paths(step.text)
    for each in (step.facts, *step.facts.get("files", ())):
        if isinstance(each.get("path"), str):
            yield each["path"]
