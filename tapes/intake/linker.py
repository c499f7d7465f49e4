"""Which result answers which call: each use and each result of a session is written once.

By the wire's ids where it has them. Where it has none (Gemini, Ollama), a call is named when it is seen being made, and
found again in the history of a later request by what it says: its signature, or its name and input. Some servers count
their ids from 0 with every answer: an id that comes again with another call is another call.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from tapes.archive.base import Draft
from tapes.record.digest import Digest
from tapes.values import dataclass, field
from tapes.wire.turns import ToolCall

MOST_WAITING = 8
"""How many of the newest unanswered calls are sought further back in a history."""
MOST_NAMELESS = 1_000

SIGNATURES = ("thoughtSignature", "thought_signature")


@dataclass(frozen=True, slots=True)
class Event:
    """A tool event to be written."""

    type: str
    body: dict[str, object]
    call: ToolCall | None = None
    """What a `tool.use` was read from."""
    said: bytes = b""
    """The whole input or result, redacted."""


@dataclass(frozen=True, slots=True)
class _Use:
    record: Digest | Draft
    what: tuple[object, object]
    """Name and hash of the input."""


@dataclass(frozen=True, slots=True)
class _Nameless:
    use: str
    call: ToolCall


@dataclass(slots=True)
class Linker:
    """The tool events of one session so far. Only the writer's thread touches it."""

    uses: dict[str, _Use] = field(default_factory=dict)
    _fresh: list[str] = field(default_factory=list)
    """Uses whose record was a draft when last looked at: a draft holds on to its body and to all its parents."""
    _answered: set[str] = field(default_factory=set)
    _waiting: dict[str, None] = field(default_factory=dict)
    _nameless: dict[str, _Nameless] = field(default_factory=dict)
    _aliases: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Calls of a history that were found to be a nameless one: retries carry them again."""

    def known(self, type_: str, body: Mapping[str, Any], digest: Digest) -> None:
        """An event that the archive has already (adopting a session)."""
        if type_ == "tool.use":
            self._made(str(body["id"]), _Use(digest, (body.get("name"), body.get("input_hash"))))
        else:
            self._given(str(body["id"]))

    def waiting(self) -> list[str]:
        """The newest calls that have no result yet."""
        return list(self._waiting)[-MOST_WAITING:]

    def resolve(self, call: ToolCall) -> str | None:
        """The id under which a call that stands in a history was written; None when it was not."""
        if call.id in self.uses:
            return call.id
        key = (call.id, call.name, _said(call))
        if key not in self._aliases:
            found = self._find(call)
            if found is None:
                return None
            del self._nameless[found.use]
            self._aliases[key] = found.use
        return self._aliases[key]

    def link(
        self,
        event: Event,
        exchange: Draft,
        write: Callable[[str, dict[str, object], list[Digest | Draft]], Draft],
    ) -> Draft | None:
        """Write `event` unless this session has it already (every retry carries it again)."""
        self._let_go()
        identifier = str(event.body["id"])
        if event.type == "tool.result":
            if identifier not in self._answered:
                use = self.uses.get(identifier)
                draft = write(event.type, event.body, [exchange, use.record] if use else [exchange])
                self._given(identifier)
                return draft
            return None
        what = (event.body["name"], event.body["input_hash"])
        before = self.uses.get(identifier)
        if before is None or before.what != what or identifier in self._answered:
            draft = write(event.type, event.body, [exchange])
            self._made(identifier, _Use(draft, what))
            if event.call is not None and not event.call.id:
                self._nameless[identifier] = _Nameless(identifier, event.call)
                while len(self._nameless) > MOST_NAMELESS:
                    del self._nameless[next(iter(self._nameless))]
            return draft
        return None

    def _made(self, identifier: str, use: _Use) -> None:
        self.uses[identifier] = use
        self._answered.discard(identifier)
        self._waiting[identifier] = None
        self._fresh.append(identifier)

    def _let_go(self) -> None:
        """Keep the hashes of what has been committed, not the drafts."""
        for identifier in self._fresh:
            use = self.uses[identifier]
            if isinstance(use.record, Draft) and use.record.hash is not None:
                self.uses[identifier] = _Use(use.record.hash, use.what)
        self._fresh = [id_ for id_ in self._fresh if isinstance(self.uses[id_].record, Draft)]

    def _given(self, identifier: str) -> None:
        self._answered.add(identifier)
        self._waiting.pop(identifier, None)

    def _find(self, call: ToolCall) -> _Nameless | None:
        """The nameless call that this one is: by signature, by what it says, or as the only one of its name."""
        candidates = [nameless for nameless in self._nameless.values() if nameless.call.name == call.name]
        signature = _signature(call)
        for nameless in candidates:
            if signature and signature == _signature(nameless.call):
                return nameless
        said = _said(call)
        for nameless in candidates:
            if said == _said(nameless.call):
                return nameless
        return candidates[0] if len(candidates) == 1 else None


def _signature(call: ToolCall) -> str:
    return next((str(call.extra[name]) for name in SIGNATURES if name in call.extra), "")


def _said(call: ToolCall) -> str:
    said = json.dumps(call.input, sort_keys=True, default=str)
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
