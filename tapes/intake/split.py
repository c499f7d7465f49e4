"""Happenings of one session into drafts of records and the objects they name. No disk, no thread, no clock of its own.

Everything that will be stored passes here exactly once, and in this order: undo the content-encoding, redact, cut.
So each hash, length and offset in a record is that of decoded and redacted bytes. The wire's own length and hash are
noted where nothing was redacted; they would otherwise say something about the secret.

Only the writer's thread touches a `Splitter`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tapes.archive.base import Archive, Batch, Draft
from tapes.intake.answer import Answer
from tapes.intake.commands import Commands, Surroundings
from tapes.intake.connections import Connections
from tapes.intake.drafting import Drafting, Spans, header, text, wire_facts
from tapes.intake.lanes import Lanes
from tapes.intake.left import Left
from tapes.intake.terminal import Terminal
from tapes.record.digest import Digest
from tapes.values import dataclass
from tapes.wire import encoding
from tapes.wire.exchange import (
    Answered,
    Arrived,
    Egress,
    Ended,
    Finished,
    Happening,
    Moment,
    Opened,
    PassedBy,
    SocketClosed,
    SocketGap,
    SocketMessage,
)
from tapes.wire.redact import Redactor
from tapes.wire.terminal import (
    TerminalClosed,
    TerminalInput,
    TerminalMissed,
    TerminalOpened,
    TerminalOutput,
    TerminalResized,
)
from tapes.wire.worktree import SnapshotsMissed, SnapshotsWritten

NOWHERE = Surroundings()
MOST_PATHS, OTHER_PATHS = 500, "other paths"
"""Paths that are counted one by one: some hold an id each, and a standing proxy lives long."""


@dataclass(slots=True)
class Written:
    """An exchange record whose bytes are about to be safe, with what a reader needs to make tool events of it."""

    draft: Draft
    opened: Opened
    body: bytes
    """Decoded and redacted."""
    status: int | None = None
    content_type: str = ""
    is_end: bool = False


class Splitter:
    """Turns the happenings of one session into batches, which the writer takes."""

    def __init__(self, session: Digest | Draft, redactor: Redactor, surroundings: Surroundings = NOWHERE) -> None:
        self.session = session
        self.redactor = redactor
        self.passed_by: dict[str, int] = {}
        self._drafting = Drafting(session, redactor)
        self._written: list[Written] = []
        self._live: dict[str, Answer] = {}
        self._connections = Connections(self._drafting)
        self._lanes = Lanes(redactor)
        self.commands = Commands(self._drafting, surroundings)
        self._terminal = Terminal(self._drafting)

    def go_on(self, left: Left, archive: Archive) -> None:
        """Know what another capture process left open."""
        for command in left.commands(archive):
            self.commands.know(command)
        if left.terminal is not None:
            body = left.terminal.body
            self._terminal.go_on(body["n"] + 1, body["columns"], body["rows"])

    def forget(self) -> None:
        """A batch was lost: what later bodies share with it must be given to the archive again."""
        self._lanes.forget()

    @property
    def live(self) -> bool:
        """Is there something that falls due by time?"""
        return bool(self._live) or self._connections.live or self.commands.live or self._terminal.live

    @property
    def busy(self) -> bool:
        """Has an exchange begun and not ended, or a WebSocket, or a command?"""
        return bool(self._live or self._connections or self.commands)

    def take(self, happening: Happening) -> None:
        """Take one happening in. Those of an exchange MUST come in order; strangers' pieces are ignored."""
        match happening:
            case Opened():
                self._open(happening)
            case Answered():
                self._answer(happening)
            case Arrived():
                if happening.key in self._live:
                    self._live[happening.key].arrive(happening)
            case Finished():
                self._finish(happening)
            case SocketMessage() | SocketGap() | SocketClosed():
                self._socket(happening)
            case Egress():
                self._egress(happening)
            case PassedBy():
                where = f"{happening.method} {happening.host}{happening.path.split('?')[0]}"
                where = self._drafting.clean(where, "passed_by", [])
                if where not in self.passed_by and len(self.passed_by) >= MOST_PATHS:
                    where = OTHER_PATHS
                self.passed_by[where] = self.passed_by.get(where, 0) + 1
            case (
                TerminalOpened()
                | TerminalOutput()
                | TerminalInput()
                | TerminalResized()
                | TerminalMissed()
                | TerminalClosed()
            ):
                self._terminal.take(happening)
            case SnapshotsMissed():
                files = {"files": happening.files} if happening.files else {}
                self._drafting.draft("gap", happening.at, {"reason": happening.reason, **files})
            case SnapshotsWritten():
                pass  # of concern to who counts the session's records
            case _:
                self.commands.take(happening)

    def take_batch(self) -> tuple[Batch, list[Written]]:
        """What has gathered, for one commit; the splitter starts a new batch."""
        batch, written = self._drafting.batch, self._written
        self._drafting.batch, self._written = Batch(), []
        return batch, written

    def add(self, draft: Draft) -> None:
        """Put a draft made elsewhere into the batch."""
        self._drafting.batch.drafts.append(draft)

    def draft(self, type_: str, at: Moment, body: dict[str, object], parents: Sequence[Digest | Draft] = ()) -> Draft:
        """Add a record to the batch."""
        return self._drafting.draft(type_, at, body, parents)

    def write_due(self, now_ns: int) -> None:
        """Draft what has waited long enough of every response, connection and command (`now_ns`: monotonic)."""
        for answer in self._live.values():
            answer.write_due(now_ns)
        self._connections.write_due(now_ns)
        self.commands.write_due(now_ns)
        self._terminal.write_due(now_ns)

    def end_live(self, at: Moment, ended: Ended = "client_gone", why: str = "the agent exited") -> None:
        """The run is over: whatever has no end gets one, by default as if the agent had hung up."""
        if ended != "client_gone":
            for key in list(self._live):
                self._finish(Finished(key, at, ended, why))
        self.commands.end_all(at, "the run ended before it did" if ended == "client_gone" else why)
        self._terminal.end(at)
        for closed in self._connections.end_all(at, why):
            self._socket(closed)
        for key in list(self._live):
            self._finish(Finished(key, at, ended, why))

    def _open(self, opened: Opened) -> None:
        drafting, spans = self._drafting, Spans()
        coding = header(opened.headers, b"content-encoding")
        decoded = encoding.decode(coding, opened.body)
        headers = drafting.headers(opened.headers, spans)  # first: a credential in them is then known in the body
        body: dict[str, object] = {
            "method": text(opened.method),
            "url": drafting.url("url", opened.url, spans),
            "class": opened.cls,
            "provider": opened.provider,
            "http": opened.http,
            "headers": headers,
            "connection": opened.connection,
            "route": opened.route,
            "request": None,
        }
        stored = b""
        if opened.body:
            objects = drafting.batch.objects
            stored, reference, body_spans = self._lanes.store(decoded.data, objects)
            if decoded.failed and not body_spans:
                # Only the wire's bytes are the whole story; but not where what could be read held a secret.
                stored, reference, body_spans = self._lanes.store(opened.body, objects)
            body["request"] = reference.to_value()
            spans += body_spans
            body |= wire_facts(coding, opened.body, bool(body_spans), decoded.error)
        if opened.sent_to:
            body["sent_to"] = drafting.url("sent_to", opened.sent_to, spans)
        if opened.trailers:
            body["trailers"] = drafting.headers(opened.trailers, spans)
        if spans:
            body["redactions"] = spans
        draft = drafting.draft("exchange.open", opened.at, body, self._connections.handshake(opened.within))
        self._live[opened.key] = Answer(opened, draft, drafting)
        self._written.append(Written(draft, opened, stored))

    def _answer(self, head: Answered) -> None:
        answer = self._live.get(head.key)
        if answer is None:
            return
        answer.begin(head)
        if head.status == 101 and not answer.is_turn:
            self._connections.begin(answer.opened, answer.draft)

    def _finish(self, end: Finished) -> None:
        answer = self._live.pop(end.key, None)
        if answer is None:
            return
        draft, stored = answer.finish(end)
        status = answer.head.status if answer.head else None
        self._written.append(Written(draft, answer.opened, stored, status, answer.content_type, is_end=True))

    def _socket(self, happening: SocketMessage | SocketGap | SocketClosed) -> None:
        for told in self._connections.take(happening):
            self.take(told)
        if isinstance(happening, SocketClosed):
            self._connections.closed(happening)

    def _egress(self, seen: Egress) -> None:
        body: dict[str, object] = {
            "host": text(seen.host),
            "port": seen.port,
            "how": seen.how,
            "bytes_up": seen.bytes_up,
            "bytes_down": seen.bytes_down,
            "started_ns": seen.started_ns,
        }
        if seen.error:
            body["error"] = self._drafting.clean(seen.error, "error", [])
        self._drafting.draft("egress", seen.at, body)
