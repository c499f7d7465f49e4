"""What of a record can be found: items, with what is known of each, in the order of the steps that are read from it.

An item goes by its record and its number there, as a step of `tapes.session.view` does, and is of the same type; what a
command wrote is an item `output` behind it. A request repeats the history, so only what is new in it is read. Records
are read one by one as they come in the log, each with the few before it that it refers to, so that a long session is
read once, and its new part alone later.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

from tapes.archive.base import Archive, Link, Subtrees
from tapes.errors import Withheld
from tapes.index.words import plain, said
from tapes.pattern import pattern
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.session.calls import Calls
from tapes.session.commands import Ran, outputs, signal_name
from tapes.session.exchanges import FAILED, Exchange, gather
from tapes.session.items import failure, said_in
from tapes.values import dataclass
from tapes.wire import dialects
from tapes.wire.purposes import purpose_of
from tapes.wire.turns import MODEL_ROLES, Json, Text, Thinking

REMEMBERED = 32
"""Exchanges, and sessions, whose readings are kept at hand: tool events come soon behind their exchange."""
OUTPUT = 1024 * 1024
"""Bytes of one command's output that are read: of more, its beginning and its end."""
_PATH_KEYS = pattern(r"(?:.*_)?(?:path|file|filename|filepath|dir|directory|paths|files)|.*(?:Path|File|Dir)")
_PATCHED = pattern(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$|^\*\*\* Move to: (.+)$", re.MULTILINE)
LONGEST_PATH = 1024

type Fact = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Item:
    """Something that can be found."""

    number: int
    type: str
    text: str
    facts: tuple[Fact, ...] = ()
    step: int | None = None
    """Its number in the timeline, where that has been read."""


class Veil:
    """The archive, but for bodies that are to be withheld and may still be there."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.hidden: Mapping[Digest, Digest] = {}
        """By body, the record that withholds it."""
        self.read: dict[Digest, list[tuple[Digest, Record]]] = {}
        """Records of a session that have just been read, and need not be checked again."""

    def session_records(self, session: Digest, first: int = 0) -> Iterator[tuple[Digest, Record]]:
        if session in self.read:
            return iter(self.read[session][first:])
        return self._archive.session_records(session, first)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    def body(self, ref: BodyRef) -> bytes:
        self._check(ref)
        return self._archive.body(ref)

    def body_chunks(self, ref: BodyRef) -> Iterator[bytes]:
        self._check(ref)
        return self._archive.body_chunks(ref)

    def leaves(self, ref: BodyRef, known: Subtrees | None = None) -> Iterator[Link]:
        self._check(ref)
        return self._archive.leaves(ref, known)

    def _check(self, ref: BodyRef) -> None:
        if ref.hash in self.hidden:
            raise Withheld(f"body {ref.hash.short()}", self.hidden[ref.hash].hex())


class Texts:
    """Reads items. Remembers a bounded number of readings. Its methods raise Withheld, Damaged and NotFound as the
    archive does where a body can not be read."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.veil = Veil(archive)
        self._calls: OrderedDict[Digest, Calls] = OrderedDict()
        self._opened: OrderedDict[Digest, Record] = OrderedDict()

    def forget(self) -> None:
        self._calls.clear()

    # -- what is known of a session, and of an exchange

    def of_session(self, session: Digest) -> tuple[Fact, ...]:
        """Facts of all its items."""
        body = self._session(session).body
        who = body.get("participant") or {}
        facts = [("session", session.hex()), ("agent", str(body.get("agent", "")))]
        facts += [("participant", str(who.get(key) or "")) for key in ("name", "user")]
        return tuple((kind, value) for kind, value in facts if value)

    def cwd(self, session: Digest) -> str:
        return str(self._session(session).body.get("cwd", b"") and _text(self._session(session).body["cwd"]))

    def _session(self, session: Digest) -> Record:
        return _remembered(self._opened, session, lambda: self._archive.record(session))

    def calls(self, opened: Digest, end: tuple[Digest, Record] | None = None) -> Calls:
        """Readings of one exchange."""
        known = self._calls.get(opened)
        if known is None or (end is not None and known.exchanges[opened].end is None):
            known = Calls(cast(Archive, self.veil), gather(iter(self._records(opened, end))))
            self._calls[opened] = known
        self._calls.move_to_end(opened)
        while len(self._calls) > REMEMBERED:
            self._calls.popitem(last=False)
        return known

    def _records(self, opened: Digest, end: tuple[Digest, Record] | None) -> Iterator[tuple[Digest, Record]]:
        record = self._archive.record(opened)
        if record.session is not None:
            yield record.session, self._session(record.session)
        for parent in record.parents:
            handshake = self._archive.record(parent)
            if handshake.type == "exchange.open":
                yield parent, handshake
        yield opened, record
        if end is not None:
            yield end

    def _of_event(self, record: Record) -> tuple[Calls, Exchange] | None:
        """The readings that a tool event names."""
        for parent in record.parents:
            known = next((c for c in reversed(self._calls.values()) if parent in c.by_record), None)
            if known is None:
                named = self._archive.record(parent)
                if named.type == "exchange.open":
                    known = self.calls(parent)
                elif named.type == "exchange.end":
                    known = self.calls(named.parents[0], (parent, named))
            if known is not None:
                return known, known.by_record[parent]
        return None

    # -- items

    def opened(self, digest: Digest) -> Iterator[Item]:
        """Of an `exchange.open`: what is new in its request."""
        calls = self.calls(digest)
        exchange = calls.exchanges[digest]
        history = calls.history(exchange)
        by_agent = purpose_of(history.request, str(exchange.body["url"])) != "main"
        facts = _of_exchange(calls, exchange)
        number = 0
        for _, message in history.turn.messages:
            if message.role in MODEL_ROLES:
                continue
            for type_, text in said_in(message, by_agent=by_agent):
                # Of media the kind is found, and never a byte.
                yield Item(number, type_, text.partition(" (")[0] if type_ == "media" else text, facts)
                number += 1

    def ended(self, digest: Digest, record: Record, *, again: bool) -> Iterator[Item]:
        """Of an `exchange.end`: the answer, and what went wrong, but not `again` of a retry."""
        calls = self.calls(record.parents[0], (digest, record))
        exchange = calls.exchanges[record.parents[0]]
        reading = calls.answer(exchange)
        facts = _of_exchange(calls, exchange)
        number = 0
        for block in reading.message.blocks if reading.message else ():
            if isinstance(block, Thinking) or (isinstance(block, Text) and block.text):
                yield Item(number, "thinking" if isinstance(block, Thinking) else "answer", block.text, facts)
                number += 1
        if exchange.outcome in FAILED and not again:
            text = failure(exchange, reading)
            yield Item(number, "error", text, (*facts, ("is", "error")))

    def used(self, record: Record) -> Item:
        """Of a `tool.use`: its input."""
        found = self._of_event(record)
        value: Json = None
        facts: tuple[Fact, ...] = (("tool", str(record.body["name"])),)
        if found is not None:
            calls, exchange = found
            value = calls.arguments(record)
            facts += _of_exchange(calls, exchange)
        facts += tuple(("path", path) for path in paths(value))
        return Item(0, "tool.use", said(value), facts + ((("is", "error"),) if "error" in record.body else ()))

    def resulted(self, record: Record, tool: str) -> Item:
        """Of a `tool.result`: what the model was told."""
        found = self._of_event(record)
        facts: tuple[Fact, ...] = (("tool", tool),) if tool else ()
        text = ""
        if found is not None:
            calls, exchange = found
            text = plain(calls.result(record))
            facts += _of_exchange(calls, exchange)
        return Item(0, "tool.result", text, facts + ((("is", "error"),) if record.body.get("is_error") else ()))

    def command(self, ran: Ran, use: Record | None) -> list[Item]:
        """A command and its output, as far as they are known now. `use`: the call it is joined to."""
        facts = tuple(self.of_command(ran))
        if use is not None:
            facts += (("tool", str(use.body["name"])),)
            found = self._of_event(use)
            facts += _of_exchange(*found) if found is not None else ()
        line = ran.line or b" ".join(ran.said("argv", ())).decode("utf-8", "replace")
        output = self.output(ran)
        return [Item(0, "command", line, facts), *([Item(1, "output", output, facts)] if output else [])]

    def of_command(self, ran: Ran) -> Iterator[Fact]:
        who = ran.said("participant", {})
        for name in (*(who.get(key) for key in ("kind", "name", "user")), (who.get("parent") or {}).get("name")):
            if name:
                yield "participant", str(name)
        if ran.said("cwd"):
            yield "cwd", _text(ran.said("cwd"))
        if ran.end is not None:
            status, number = ran.end.body["status"], ran.end.body["signal"]
            if status is not None:
                yield "exit", str(status)
            elif number:
                yield "exit", signal_name(number)
            if status or number:
                yield "is", "error"

    def output(self, ran: Ran) -> str:
        """What a command wrote; of more than OUTPUT bytes the beginning and the end."""
        data = b""
        for record in outputs(ran, OUTPUT):
            with suppress(Withheld):  # of what is left the rest can be found
                data += self.veil.body(BodyRef.of(record.body["data"]))
        if not ran.outputs and ran.end is not None:
            data = b"".join(ran.end.body.get(key, b"") for key in ("head", "tail"))
        return data.decode("utf-8", "replace")


def _of_exchange(calls: Calls, exchange: Exchange) -> tuple[Fact, ...]:
    model = model_of(calls, exchange)
    return (("thread", exchange.thread), *((("model", model),) if model else ()))


def model_of(calls: Calls, exchange: Exchange) -> str:
    """The one that answered, else the one asked: by the request, or by its path."""
    model = calls.answer(exchange).model if exchange.end is not None else ""
    return model or calls.turn(exchange).model or dialects.model_in(str(exchange.body["url"]))


def paths(value: Json) -> Iterator[str]:
    """Files and directories that a tool's input names: by its keys, or in a patch."""
    seen: dict[str, None] = {}
    for path in _paths(value, ""):
        if path.strip() and len(path) <= LONGEST_PATH and "\n" not in path:
            seen[path.strip()] = None
    yield from seen


def _paths(value: Json, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, key)
    elif isinstance(value, str):
        if _PATH_KEYS.fullmatch(key):
            yield value
        elif "*** " in value:
            yield from (found[1] or found[2] for found in _PATCHED.finditer(value))


def _text(data: Any) -> str:
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)


def _remembered[K, V](known: OrderedDict[K, V], key: K, read: Any) -> V:
    if key not in known:
        known[key] = read()
        while len(known) > REMEMBERED:
            known.popitem(last=False)
    known.move_to_end(key)
    return known[key]


def unique(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    return tuple(dict.fromkeys(facts))
