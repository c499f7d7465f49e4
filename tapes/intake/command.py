"""One command, from its start to its end: what its records say.

The start is written a moment after it was seen, because some agents' shells go on to another command line at once, and
the last one counts. Output is gathered into records of at most 256 KiB or a second; the end has the beginning and the
last of it once more, so that most questions need no body.
"""

from __future__ import annotations

from collections.abc import Callable

from tapes.archive.base import Draft
from tapes.intake.drafting import Drafting, Spans
from tapes.intake.pieces import Piece, Pieces
from tapes.record.digest import Digest
from tapes.values import dataclass, field
from tapes.wire.command import CommandEnded, CommandExec, CommandOutput
from tapes.wire.exchange import Moment

OUTPUT_BYTES = 256 * 1024
OUTPUT_AGE_NS = 1_000_000_000
START_AGE_NS = 50_000_000
"""So long a start waits for another command line."""
REPLAY_BYTES = 4096
EXECS = 256
ENDS_BYTES = 16 * 1024
"""Of the output's beginning, and of its last, kept in the end's record."""
MOST_STORED = 256 * 1024 * 1024
"""Of one command's output; beyond that it is counted."""


@dataclass(slots=True)
class Excerpt:
    """The beginning of a stream, and the last of what is not in it."""

    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)

    def add(self, data: bytes | bytearray) -> None:
        room = ENDS_BYTES - len(self.head)
        self.head += data[:room]
        self.tail += data[room:] if room else data
        del self.tail[: max(0, len(self.tail) - ENDS_BYTES)]


class Command:
    """Only the writer's thread touches it."""

    def __init__(
        self,
        drafting: Drafting,
        at: Moment,
        start: Draft | Digest,
        name: str,
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        self.at = at
        self.start = start
        self.name = name
        """Of whoever runs it."""
        self._line_bytes = len(start.body["line"]) if isinstance(start, Draft) else 0
        self.written = not isinstance(start, Draft)
        """Is the start in a batch?"""
        self._begun = begun
        self.ended = False
        self.excerpt = Excerpt()
        self.bytes = {"o": 0, "e": 0, "m": 0}
        self.outputs = 0
        self._drafting = drafting
        self._pieces = Pieces(drafting.redactor)
        self._oldest_ns = 0
        self._dropped = 0
        self._told_dropped = 0
        self._execs: list[CommandExec] = []
        self._refined: dict[str, object] = {}

    @property
    def waiting(self) -> bool:
        """Is there something that no record has yet?"""
        return bool(not self.written or self._pieces or self._execs)

    def begin(self) -> None:
        """Put the start into the batch, if it is in none."""
        if not self.written and isinstance(self.start, Draft):
            self._drafting.batch.drafts.append(self.start)
            self.written = True
            self._begun()

    def refine(self, argv: list[bytes], line: bytes, spans: Spans) -> None:
        """Another command line; of a start that has been written the end tells it.

        Only that of a shell which was given a long script first counts: that is an agent's, to replay an environment,
        where it was not known how to read it. A short one that goes on as another shell is what was asked for.
        """
        if self._line_bytes < REPLAY_BYTES:
            return
        told: dict[str, object] = {"argv": argv, "line": line}
        if self.written or not isinstance(self.start, Draft):
            self._refined = told | ({"redactions": spans} if spans else {})
            return
        before = self.start.body.get("redactions", ())
        kept = [span for span in before if not str(span[0]).startswith(("argv:", "line"))]
        body = {name: value for name, value in self.start.body.items() if name != "redactions"} | told
        self.start.body = body | ({"redactions": kept + spans} if kept + spans else {})

    def output(self, piece: CommandOutput) -> None:
        self.begin()
        if sum(self.bytes.values()) + len(piece.data) > MOST_STORED:
            self._dropped += len(piece.data)
            return
        if not self._pieces:
            self._oldest_ns = piece.mono_ns
        self.bytes[piece.stream] += len(piece.data)
        self._pieces.feed(piece.mono_ns, piece.stream, piece.data)
        if self._pieces.raw >= OUTPUT_BYTES:
            self._write(last=False)

    def exec(self, seen: CommandExec) -> None:
        self.begin()
        self._execs.append(seen)
        if len(self._execs) >= EXECS:
            self._write_execs()

    def write_due(self, now_ns: int) -> None:
        """Draft what has waited long enough (`now_ns`: monotonic)."""
        if now_ns - self.at.mono_ns >= START_AGE_NS:
            self.begin()
        if self._pieces and now_ns - self._oldest_ns >= OUTPUT_AGE_NS:
            self._write(last=False)
            self._oldest_ns = now_ns
        if self._execs and now_ns - self._execs[0].mono_ns >= OUTPUT_AGE_NS:
            self._write_execs()

    def flush(self) -> None:
        """Draft all that has come in."""
        self.begin()
        self._write_execs()
        self._write(last=True)

    def end(self, end: CommandEnded) -> None:
        self.flush()
        body: dict[str, object] = {
            "status": end.status,
            "signal": end.signal,
            "duration_ns": end.duration_ns,
            "utime_us": end.utime_us,
            "stime_us": end.stime_us,
            "maxrss_kib": end.maxrss_kib,
            "bytes": {stream: count for stream, count in self.bytes.items() if count},
            "head": bytes(self.excerpt.head),
            "tail": bytes(self.excerpt.tail),
            **self._refined,
        }
        dropped = end.dropped + self._dropped
        if dropped:
            body["dropped"] = dropped
        if end.open:
            body["open"] = True
        self._drafting.draft("command.end", end.at, body, [self.start])
        self._dropped, self._told_dropped = 0, end.dropped
        self.ended = True
        self.excerpt = Excerpt()

    def close(self, dropped: int) -> int:
        """Nobody holds its output any more. How many bytes of it no record counts yet."""
        self.flush()
        return max(0, dropped - self._told_dropped) + self._dropped

    def lose(self, at: Moment, reason: str) -> None:
        """How it ended was not seen."""
        self.flush()
        spans = Spans()
        body: dict[str, object] = {"reason": self._drafting.clean(reason, "reason", spans)}
        if self._dropped:
            body["dropped"] = self._dropped
        self._drafting.draft("command.lost", at, body | ({"redactions": spans} if spans else {}), [self.start])
        self.ended = True

    def _write(self, *, last: bool) -> None:
        ready: list[Piece] = []
        size = 0
        for piece in self._pieces.finish() if last else self._pieces.take():
            if size + len(piece.data) > OUTPUT_BYTES:
                self._write_pieces(ready)
                ready, size = [], 0
            ready.append(piece)
            size += len(piece.data)
        self._write_pieces(ready)

    def _write_pieces(self, pieces: list[Piece]) -> None:
        if not pieces:
            return
        data, shape, spans = bytearray(), list[list[object]](), Spans()
        before = first = pieces[0].mono_ns
        for piece in pieces:
            spans += [["data", len(data) + offset, size, rule] for offset, size, rule in piece.marks]
            data += piece.data
            shape.append([max(0, (piece.mono_ns - before) // 1000), piece.stream, len(piece.data)])
            before = max(before, piece.mono_ns)
        body: dict[str, object] = {"n": self.outputs, "data": self._drafting.stored(bytes(data)), "pieces": shape}
        if self.ended:
            body["after"] = True
        else:
            self.excerpt.add(data)
        if spans:
            body["redactions"] = spans
        self.outputs += 1
        self._drafting.draft("command.output", self._moment(first), body, [self.start])

    def _write_execs(self) -> None:
        seen, self._execs = self._execs, []
        if not seen:
            return
        spans, rows = Spans(), list[list[object]]()
        before = seen[0].mono_ns
        for row, each in enumerate(seen):
            argv = [self._drafting.clean_bytes(word, f"argv:{row}.{n}", spans) for n, word in enumerate(each.argv)]
            delta = max(0, (each.mono_ns - before) // 1000)
            rows.append([delta, each.pid, each.ppid, argv, self._drafting.clean_bytes(each.cwd, f"cwd:{row}", spans)])
            before = max(before, each.mono_ns)
        body: dict[str, object] = {"execs": rows}
        if spans:
            body["redactions"] = spans
        self._drafting.draft("command.exec", self._moment(seen[0].mono_ns), body, [self.start])

    def _moment(self, mono_ns: int) -> Moment:
        return Moment(self.at.wall_ns + mono_ns - self.at.mono_ns, mono_ns)
