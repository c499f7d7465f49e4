"""What a lost capture process left of commands and of the terminal: they go on, so its successor has to know them.

Witnesses report through a pipe that outlives the capture process. Those commands of which nothing comes back are lost
at the end of the run, like any other.
"""

from __future__ import annotations

from collections.abc import Iterator

from tapes.archive.base import Archive
from tapes.errors import Damaged, Withheld
from tapes.intake.command import ENDS_BYTES, Excerpt
from tapes.intake.commands import Unfinished
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.values import dataclass, field
from tapes.wire.exchange import Moment


@dataclass(slots=True)
class _Open:
    start: Digest
    record: Record
    outputs: list[Record] = field(default_factory=list)


class Left:
    """Is shown the records of a session, in order."""

    def __init__(self) -> None:
        self._open: dict[Digest, _Open] = {}
        self.terminal: Record | None = None
        """The last record of a terminal that was not closed."""

    def see(self, digest: Digest, record: Record) -> None:
        match record.type:
            case "command.start":
                self._open[digest] = _Open(digest, record)
            case "command.output" if record.parents[0] in self._open:
                self._open[record.parents[0]].outputs.append(record)
            case "command.end" | "command.lost" if record.parents:
                self._open.pop(record.parents[0], None)
            case "terminal":
                self.terminal = None if record.body.get("last") else record
            case _:
                pass

    def commands(self, archive: Archive) -> Iterator[Unfinished]:
        for left in self._open.values():
            body, record = left.record.body, left.record
            counts = {"o": 0, "e": 0, "m": 0}
            for output in left.outputs:
                for _, stream, length in output.body["pieces"]:
                    counts[stream] += length  # as redacted: how many there were nobody knows any more
            yield Unfinished(
                left.start,
                body["id"].hex(),
                Moment(record.wall_ns, record.mono_ns),
                str(body["participant"].get("name", "")),
                len(left.outputs),
                counts,
                _excerpt(archive, left.outputs),
            )


def _excerpt(archive: Archive, outputs: list[Record]) -> Excerpt:
    """The first bytes and the last: of all between only the lengths are needed."""
    excerpt = Excerpt()
    left = sum(BodyRef.of(output.body["data"]).length for output in outputs)
    for output in outputs:
        ref = BodyRef.of(output.body["data"])
        left -= ref.length
        if len(excerpt.head) < ENDS_BYTES or left < ENDS_BYTES:
            try:
                excerpt.add(archive.body(ref))
            except (Damaged, Withheld):
                continue  # an excerpt with a hole is better than a command without an end
    return excerpt
