"""The frozen record: fields every record has, a body by type, and how both are written.

Common fields are checked strictly. Of a body only the keys that readers rely on are checked, because a newer
writer may say more than we know: unknown keys of a body, and unknown fields beside it (`Record.extra`),
survive reading and writing. A record is a value; it does not know where it is stored, nor its own hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from tapes.errors import Damaged
from tapes.record import canon
from tapes.record.digest import Digest
from tapes.values import dataclass, field

FORMAT = 1

TYPES = (
    "session.open",
    "connection",
    "exchange.open",
    "exchange.part",
    "exchange.end",
    "tool.use",
    "tool.result",
    "command.start",
    "command.output",
    "command.exec",
    "command.end",
    "command.lost",
    "join",
    "terminal",
    "snapshot",
    "note",
    "gap",
    "egress",
    "redaction",
    "session.close",
)
CLASSES = ("model", "count_tokens", "models", "other")
OUTCOMES = (
    "complete",
    "partial",
    "error_event",
    "http_error",
    "no_response",
    "aborted",
    "capture_lost",
)
SCHEMES = ("plain",)
LEVELS = ("supervisor", "trap", "prompt")
STREAMS = ("o", "e", "m")
CAUSES = ("start", "command", "request", "end", "restart", "asked")
METHODS = ("env", "traceparent", "plugin", "pgid", "hook", "text")

_FIELDS = ("v", "type", "seq", "parents", "writer", "wall_ns", "mono_ns", "boot", "nonce", "body")
_CHAIN_FIELDS = ("session", "prev")


@dataclass(frozen=True, slots=True)
class BodyRef:
    """A body by name: anybody with the bytes can check `hash` without knowing our tree."""

    node: Digest
    """Root of the tree of pieces."""
    length: int
    """Bytes of the whole body."""
    hash: Digest
    """Plain BLAKE3 of the whole body."""

    def to_value(self) -> dict[str, Any]:
        return {"node": self.node, "length": self.length, "hash": self.hash}

    @classmethod
    def of(cls, value: object) -> Self:
        """The reference written by `to_value`; Damaged when it is not one."""
        found = cls.match(value)
        if found is None:
            raise Damaged("not a reference to a body")
        return found

    @classmethod
    def match(cls, value: object) -> Self | None:
        """The reference that `value` is, or None: a map of exactly these three keys is one, wherever it
        stands."""
        if not isinstance(value, Mapping) or value.keys() != {"node", "length", "hash"}:
            return None
        node, length, whole = value["node"], value["length"], value["hash"]
        if not (_is_digest(node) and _is_digest(whole) and _is_count(length)):
            return None
        return cls(Digest(node), length, Digest(whole))


@dataclass(frozen=True, slots=True)
class Record:
    """An immutable fact. `session` and `prev` are None exactly for `session.open`, whose hash *is* the
    session id."""

    v: int
    type: str
    session: Digest | None
    seq: int
    """Place in the session's chain; 0 for `session.open`."""
    prev: Digest | None
    """Hash of the session's previous record."""
    parents: tuple[Digest, ...]
    writer: bytes
    """16 random bytes drawn by the process that wrote it, when it opened the archive."""
    wall_ns: int
    """Unix time; may go back."""
    mono_ns: int
    """Monotonic time; comparable within the same `boot` only."""
    boot: str
    nonce: bytes
    """16 random bytes, so that no occurrence can be guessed from its content."""
    body: Mapping[str, Any]
    extra: Mapping[str, canon.Value] = field(default_factory=dict)
    """Fields a newer writer put beside ours; written back as they were."""


def record_bytes(record: Record) -> bytes:
    """The bytes that are hashed and stored. ValueError or TypeError when the record is not a valid one."""
    fields = {name: getattr(record, name) for name in _FIELDS}
    if record.session is not None:
        fields["session"] = record.session
    if record.prev is not None:
        fields["prev"] = record.prev
    wrong = _fault(fields)
    if wrong:
        raise ValueError(f"not a valid {record.type} record: {wrong}")
    return canon.encode({**record.extra, **fields})


def read_record(data: bytes) -> Record:
    """The record these bytes are; Damaged when they are not canonical, or a field is missing or of a wrong
    type."""
    value: Any = canon.decode(data)
    if not isinstance(value, Mapping):
        raise Damaged("not a record: not a map")
    wrong = _fault(value)
    if wrong:
        raise Damaged(f"not a record: {wrong}")
    fields: dict[str, Any] = {name: value[name] for name in _FIELDS}
    fields["parents"] = tuple(Digest(parent) for parent in fields["parents"])
    for name in _CHAIN_FIELDS:
        fields[name] = Digest(value[name]) if name in value else None
    extra = {name: value[name] for name in value if name not in _FIELDS and name not in _CHAIN_FIELDS}
    return Record(**fields, extra=extra)


def body_hashes(type_: str, body: Mapping[str, Any]) -> dict[Digest, None]:
    """Whole hashes of the bodies that a record is about, each once: those it refers to, or withholds."""
    found = dict.fromkeys(ref.hash for ref in body_refs(body))
    if type_ == "redaction":
        found |= dict.fromkeys(map(Digest, body["bodies"]))
    return found


def body_refs(body: object) -> Iterator[BodyRef]:
    """Every reference to a stored body, wherever in a record's body it stands, in a fixed order."""
    if isinstance(body, dict | Mapping):
        found = BodyRef.match(body)
        if found is not None:
            yield found
        else:
            for key in sorted(body):
                if isinstance(body[key], _HOLDERS):
                    yield from body_refs(body[key])
    elif isinstance(body, list | tuple):
        for item in body:
            if isinstance(item, _HOLDERS):
                yield from body_refs(item)


_HOLDERS = (dict, list, tuple, Mapping)


# -- checks. Each answers what is wrong, or an empty string.


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_digest(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == 32


def _is_id16(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == 16


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes)


def _is_digests(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_digest, value))


def _is_byte_strings(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_bytes, value))


def _is_headers(value: object) -> bool:
    return isinstance(value, list | tuple) and all(_is_byte_strings(row) and len(row) == 2 for row in value)


def _is_ints(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_int, value))


def _is_body(value: object) -> bool:
    return value is None or BodyRef.match(value) is not None


def _is_a_body(value: object) -> bool:
    return BodyRef.match(value) is not None


def _is_status(value: object) -> bool:
    return value is None or _is_int(value)


def _is_runs(value: object) -> bool:
    return isinstance(value, list | tuple) and all(_is_ints(run) and len(run) == 2 for run in value)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_pieces(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(row, list | tuple)
        and len(row) == 3
        and _is_count(row[0])
        and row[1] in STREAMS
        and _is_count(row[2])
        for row in value
    )


def _is_execs(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(row, list | tuple)
        and len(row) == 5
        and all(map(_is_count, row[:3]))
        and _is_byte_strings(row[3])
        and _is_bytes(row[4])
        for row in value
    )


def _is_events(value: object) -> bool:
    """Lengths of bytes shown and typed, new sizes, losses. Kinds that a newer writer adds hold no bytes of the data."""
    sizes = {"o": 3, "i": 3, "x": 3, "r": 4}
    return isinstance(value, list | tuple) and all(
        isinstance(row, list | tuple)
        and len(row) >= 2
        and _is_count(row[0])
        and _is_text(row[1])
        and len(row) == sizes.get(row[1], len(row))
        and (row[1] not in sizes or all(map(_is_count, row[2:])))
        for row in value
    )


type _Checks = Mapping[str, Callable[[Any], bool]]

_COMMON: _Checks = {
    "v": _is_count,
    "type": lambda value: value in TYPES,
    "seq": _is_count,
    "parents": _is_digests,
    "writer": _is_id16,
    "wall_ns": _is_int,
    "mono_ns": _is_int,
    "boot": _is_text,
    "nonce": _is_id16,
    "body": lambda value: isinstance(value, Mapping),
}
_REQUIRED: Mapping[str, _Checks] = {
    "session.open": {
        "agent": _is_text,
        "argv": _is_byte_strings,
        "cwd": _is_bytes,
        "scheme": lambda value: value in SCHEMES,
    },
    "exchange.open": {
        "method": _is_text,
        "url": _is_text,
        "class": lambda value: value in CLASSES,
        "request": _is_body,
        "headers": _is_headers,
    },
    "exchange.part": {
        "n": _is_count,
        "offset": _is_count,
        "length": _is_count,
        "data": _is_digest,
        "times": _is_ints,
    },
    "exchange.end": {
        "outcome": lambda value: value in OUTCOMES,
        "status": _is_status,
        "response": _is_body,
    },
    "tool.use": {"id": _is_text, "name": _is_text},
    "tool.result": {"id": _is_text},
    "command.start": {
        "id": _is_id16,
        "participant": _is_table,
        "level": lambda value: value in LEVELS,
        "argv": _is_byte_strings,
        "line": _is_bytes,
        "cwd": _is_bytes,
    },
    "command.output": {"n": _is_count, "data": _is_a_body, "pieces": _is_pieces},
    "command.exec": {"execs": _is_execs},
    "command.end": {"status": _is_status, "signal": _is_status},
    "command.lost": {"reason": _is_text},
    "join": {"tool": _is_text, "method": lambda value: value in METHODS, "exact": _is_bool},
    "terminal": {
        "n": _is_count,
        "columns": _is_count,
        "rows": _is_count,
        "data": _is_body,
        "events": _is_events,
    },
    "snapshot": {
        "n": _is_count,
        "part": _is_count,
        "root": _is_bytes,
        "cause": lambda value: value in CAUSES,
        "full": _is_bool,
        "listing": _is_a_body,
        "content": _is_body,
    },
    "gap": {"reason": _is_text},
    "redaction": {
        "who": _is_text,
        "reason": _is_text,
        "what": _is_text,
        "records": _is_runs,
        "tombs": _is_digest,
        "bodies": _is_digests,
    },
}


def _fault(fields: Mapping[str, Any]) -> str:
    for name, fits in _COMMON.items():
        if name not in fields:
            return f"field {name} is missing"
        if not fits(fields[name]):
            return f"field {name} has a wrong value"
    if fields["v"] != FORMAT:
        return f"format {fields['v']} is not {FORMAT}"
    return _chain_fault(fields) or _body_fault(fields["type"], fields["body"])


def _chain_fault(fields: Mapping[str, Any]) -> str:
    first = fields["type"] == "session.open"
    if first != (fields["seq"] == 0):
        return "seq 0 is session.open, and nothing else is"
    for name in _CHAIN_FIELDS:
        if first and name in fields:
            return f"session.open has no {name}"
        if not first and not _is_digest(fields.get(name)):
            return f"field {name} is missing or not a digest"
    return ""


def _body_fault(type_: str, body: Mapping[str, Any]) -> str:
    for name, fits in _REQUIRED.get(type_, {}).items():
        if name not in body:
            return f"{name} is missing in the body"
        if not fits(body[name]):
            return f"{name} in the body has a wrong value"
    return ""
