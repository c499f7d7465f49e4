"""The tool calls of a session that ask for commands, what the model was told of each, and who decided on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache

from tapes.errors import Damaged, NotFound, Withheld
from tapes.pattern import pattern
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.session.calls import Calls
from tapes.session.rows import header_map
from tapes.values import dataclass
from tapes.wire import agents
from tapes.wire.shells.base import Claim, Shells, Told

_REMINDERS = pattern(r"(?:\s*<system-reminder>(?:(?!<system-reminder>).)*</system-reminder>)+\s*\Z", re.DOTALL)
"""What an agent adds to a result in its own name, of whatever kind the result is."""
UNREADABLE = (Withheld, Damaged, NotFound)


@dataclass(frozen=True, slots=True)
class Asked:
    """One tool call."""

    use: Digest
    record: Record
    agent: str
    """Whose call it is: a nested agent's is not the session's."""
    thread: str
    claims: tuple[Claim, ...]
    result: Record | None = None
    result_hash: Digest | None = None

    @property
    def id(self) -> str:
        return str(self.record.body["id"])

    @property
    def tool(self) -> str:
        return str(self.record.body["name"])


@dataclass(frozen=True, slots=True)
class Decision:
    """Who allowed or denied a call, as the agent told it beside the wire."""

    allowed: bool
    by: str
    """In the agent's own word; empty where it gave none."""
    mode: str = ""
    """Its permission mode."""


class Asking:
    """All of a session's. `calls` are by the hash of their `tool.use`, those that ask for no command among them: a
    command may be joined to any."""

    def __init__(self, records: Sequence[tuple[Digest, Record]], calls: Calls, shells: Callable[[str], Shells]) -> None:
        self._calls = calls
        self._shells = cache(shells)
        self._session_agent = str(records[0][1].body.get("agent", ""))
        self.decisions: dict[str, Decision] = {}
        """By the call's id on the wire; the last counts."""
        self.calls: dict[Digest, Asked] = {}
        self.unread = 0
        """Calls of which nobody can say what they asked for: their words are withheld or damaged."""
        results = _results(records)
        for digest, record in records:
            if record.type == "tool.use":
                self.calls[digest] = self._asked(digest, record, results.get(digest))
            elif record.type == "note" and record.body.get("kind") == "decision":
                body = record.body
                by, mode = str(body.get("by", "")), str(body.get("mode", ""))
                self.decisions[str(body["id"])] = Decision(body["decision"] == "allowed", by, mode)

    def _asked(self, digest: Digest, record: Record, result: tuple[Digest, Record] | None) -> Asked:
        exchange = self._calls.exchange_of(digest, record)
        agent = self._session_agent
        if exchange is not None:
            spoken = agents.speaking(header_map(exchange.body["headers"])).name
            agent = agent if spoken == agents.UNKNOWN else spoken
        claims: tuple[Claim, ...] = ()
        try:
            if "error" not in record.body:  # a call that came in part runs nothing
                claims = self._calls.once(("claims", digest, agent), lambda: self._claims(record, agent))
        except UNREADABLE:
            self.unread += 1
        thread = exchange.thread if exchange else ""
        found, told = result or (None, None)
        return Asked(digest, record, agent, thread, claims, told, found)

    def _claims(self, record: Record, agent: str) -> tuple[Claim, ...]:
        return tuple(self._shells(agent).claims(record.body["name"], self._calls.arguments(record)))

    def told(self, call: Asked, *, whole: bool = False) -> Told | None:
        """What the model was told of it; None where it was told nothing (yet), or that can not be read. `whole`: with
        what looks like a remark of the agent's, which a program may have written as well."""
        result = call.result
        if result is None:
            return None
        key = "told", call.use, call.result_hash, call.agent, whole
        with suppress(*UNREADABLE):  # then nothing can be said of it, and nothing is
            return self._calls.once(key, lambda: self._told(call, result, whole))
        return None

    def _told(self, call: Asked, result: Record, whole: bool) -> Told:
        said = self._calls.result(result)
        text = said if whole else _REMINDERS.sub("", said)
        told = self._shells(call.agent).told(call.tool, text, bool(result.body.get("is_error")))
        return told if self._calls.all_words(result) else replace(told, output=None)

    def marked(self, agent: str) -> bool:
        """Does this agent mark its commands as its own?"""
        return bool(self._shells(agent).marks)


def _results(records: Sequence[tuple[Digest, Record]]) -> dict[Digest, tuple[Digest, Record]]:
    """Results by the hash of their use: by parent, or by id where the use's record was lost when it was written."""
    uses = {digest: str(record.body["id"]) for digest, record in records if record.type == "tool.use"}
    by_id = {identifier: digest for digest, identifier in uses.items()}
    found: dict[Digest, tuple[Digest, Record]] = {}
    for digest, record in records:
        if record.type == "tool.result":
            named = next((parent for parent in record.parents if parent in uses), by_id.get(str(record.body["id"])))
            if named is not None:
                found.setdefault(named, (digest, record))
    return found
