"""How a session begins: its first record, or the adoption of one that another capture process left unfinished.

When a capture process dies, its successor adopts the session. Exchanges that it finds without an end get one, made of
the parts that were committed, with the outcome `capture_lost`; and a `gap` says from when to when nobody was looking.
So what a kill can cost is the last second of a stream and whatever passed while no capture ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tapes import __version__
from tapes.archive.base import Archive, Batch, Draft
from tapes.archive.cut import cut_once
from tapes.archive.summary import Summary
from tapes.intake.linker import Linker
from tapes.intake.surroundings import names, redacted, shown
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.values import dataclass, field
from tapes.wire.exchange import Moment
from tapes.wire.redact import Redactor


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a launch. Not yet redacted."""

    agent: str
    argv: Sequence[bytes]
    cwd: bytes
    name: str = ""
    route: str = "proxy"
    host: str = ""
    user: str = ""
    git_head: str = ""
    environ: Mapping[bytes, bytes] = field(default_factory=dict)
    label: str = ""
    """What `tapes log` shows for a session that came through a standing proxy."""
    agent_session: str = ""
    """The agent's own id, where the wire gave one."""
    proxy_user: str = ""
    surroundings: Mapping[str, object] = field(default_factory=dict)
    """What the machine and the project are like: further keys of the record, as tapes_addons.snapshot gives them."""
    continues: Digest | None = None
    """The earlier session of the same id."""
    playback: Digest | None = None
    """The session whose recording answers this one's model calls."""
    branch_of: tuple[Digest, Digest, int] | None = None
    """The session that this one branches off, and the step there: its record's hash, and which item of it."""
    started: Moment = field(default_factory=Moment.now)


def opening(facts: Facts, redactor: Redactor) -> Draft:
    """The draft of `session.open`; argv, directory and the values of variables redacted."""

    spans: list[list[object]] = []

    def clean(data: bytes, where: str) -> bytes:
        redacted = redactor.redact(data)
        spans.extend([where, span.offset, span.length, span.rule] for span in redacted.spans)
        return redacted.data

    environ = facts.environ.items()
    body: dict[str, object] = {
        "agent": facts.agent,
        "argv": [clean(word, f"argv:{n}") for n, word in enumerate(facts.argv)],
        "cwd": clean(facts.cwd, "cwd"),
        "scheme": "plain",
        "route": facts.route,
        "tapes": __version__,
        "participant": {"kind": "agent", "name": facts.agent, "user": facts.user},
        "host": facts.host,
        "environment": [
            [name, clean(value, f"environment:{name.decode('latin-1')}")] for name, value in shown(environ)
        ],
        "variables": names(environ),
    }
    for key, value in (
        ("label", facts.label),
        ("agent_session", facts.agent_session),
        ("proxy_user", facts.proxy_user),
    ):
        if value:
            body[key] = clean(value.encode("utf-8", "backslashreplace"), key).decode("utf-8", "backslashreplace")
    if facts.continues:
        body["continues"] = facts.continues
    if facts.playback:
        body["playback"] = facts.playback
    if facts.branch_of:
        session, record, item = facts.branch_of
        body["branch_of"] = {"session": session, "record": record, "item": item}
    if facts.name:
        body["name"] = facts.name
    if facts.git_head:
        body["git_head"] = facts.git_head
    for key, told in facts.surroundings.items():
        body.setdefault(key, redacted(told, key, redactor, spans))
    if spans:
        body["redactions"] = spans
    at = facts.started
    return Draft(type="session.open", body=body, session=None, wall_ns=at.wall_ns, mono_ns=at.mono_ns)


def open_session(archive: Archive, facts: Facts, redactor: Redactor) -> tuple[Digest, Summary]:
    """Commit `session.open` and claim the name. Raises UsageError when the name is taken."""
    draft = opening(facts, redactor)
    batch = Batch(drafts=[draft])
    if facts.name:
        batch.names[facts.name] = draft
    archive.commit(batch)
    assert draft.hash is not None
    summary = Summary()
    summary.fold(draft.type, draft.body, draft.wall_ns)
    return draft.hash, summary


@dataclass(slots=True)
class _Left:
    """An exchange as its records tell it so far."""

    opened: Digest
    parts: list[tuple[Digest, Record]] = field(default_factory=list)


def adopt(
    archive: Archive,
    session: Digest,
    lost_since_ns: int,
    see: Callable[[Digest, Record], None] = lambda digest, record: None,
) -> tuple[Summary, Linker]:
    """Take over a session: end its open exchanges, note the gap, and know its tool events again. `see` is shown each
    record, for what goes on."""
    summary, linker = Summary(), Linker()
    left: dict[Digest, _Left] = {}
    for digest, record in archive.session_records(session):
        summary.fold(record.type, record.body, record.wall_ns)
        see(digest, record)
        if record.type == "exchange.open":
            left[digest] = _Left(digest)
        elif record.type == "exchange.part" and record.parents[0] in left:
            left[record.parents[0]].parts.append((digest, record))
        elif record.type == "exchange.end":
            left.pop(record.parents[0], None)
        elif record.type in ("tool.use", "tool.result"):
            linker.known(record.type, record.body, digest)
    batch = Batch()
    for exchange in left.values():
        _end(archive, session, exchange, batch)
    now = Moment.now()
    gap: dict[str, object] = {
        "reason": "the capture process was lost and another took over",
        "exchanges": len(left),
        "since_ns": lost_since_ns,
    }
    kept = Summary.from_bytes(archive.summary(session))
    if kept is not None:  # what only a reading of bodies gives
        summary.models, summary.agent_version = kept.models, kept.agent_version
    batch.drafts.append(Draft(type="gap", body=gap, session=session, wall_ns=now.wall_ns, mono_ns=now.mono_ns))
    archive.commit(batch)
    for draft in batch.drafts:
        summary.fold(draft.type, draft.body, draft.wall_ns)
    return summary, linker


def _end(archive: Archive, session: Digest, left: _Left, batch: Batch) -> None:
    body: dict[str, object] = {
        "outcome": "capture_lost",
        "ended": "capture_lost",
        "status": None,
        "response": None,
    }
    data, spans = bytearray(), list[object]()
    for digest, record in left.parts:
        spans += record.body.get("redactions", ())
        if "status" in record.body:
            body |= {k: record.body[k] for k in ("status", "reason", "http", "headers") if k in record.body}
        data += archive.tail(digest) or b""
    if data:
        cut = cut_once(bytes(data))
        batch.objects.update(cut.objects)
        body["response"] = cut.ref.to_value()
    if spans:
        body["redactions"] = spans
    now = Moment.now()
    batch.drop_tails += [digest for digest, _ in left.parts]
    batch.drafts.append(
        Draft(
            type="exchange.end",
            body=body,
            session=session,
            parents=(left.opened,),
            wall_ns=now.wall_ns,
            mono_ns=now.mono_ns,
        )
    )
