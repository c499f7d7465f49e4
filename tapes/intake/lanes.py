"""Lanes: which earlier request body a new one most likely extends.

Agents send the whole history again with every call, and several threads (subagents, side calls) take turns on one
connection. Redacting and cutting a body are cheap when the body before it *in the same thread* is at hand. A lane
keeps that one body; the lane for a new body is the one with the longest common beginning. A wrong guess costs time
and never changes a result, so threads need not be known here.
"""

from __future__ import annotations

from tapes.archive.base import Object
from tapes.archive.cut import Cutter
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef
from tapes.values import dataclass, field
from tapes.wire.redact import BodyHint, Redactor
from tapes.wire.redact.common import common_ends

LANES = 4
"""Bodies kept: the main thread and a few subagents. Memory is about three times their bodies."""
PROBE = 64 * 1024
SMALL = 4096
"""Bodies under this are cut without a hint and never take a lane from a conversation."""


@dataclass(slots=True)
class _Lane:
    start: bytes = b""
    hint: BodyHint | None = None
    cutter: Cutter = field(default_factory=Cutter)


class Lanes:
    """Redacts and cuts request bodies. Only the writer's thread touches it."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._lanes: list[_Lane] = []

    def store(self, raw: bytes, objects: dict[Digest, Object]) -> tuple[bytes, BodyRef, list[list[object]]]:
        """Redact and cut `raw`; put new objects into `objects`; the stored bytes, their reference, the spans."""
        lane = self._choose(raw)
        redacted, lane.hint = self._redactor.body(raw, lane.hint)
        lane.start = raw[:PROBE]
        cut = lane.cutter.cut(redacted.data)
        objects.update(cut.objects)
        spans: list[list[object]] = [["body", s.offset, s.length, s.rule] for s in redacted.spans]
        return redacted.data, cut.ref, spans

    def forget(self) -> None:
        """Drop every lane: the next bodies give all their objects again."""
        self._lanes.clear()

    def _choose(self, raw: bytes) -> _Lane:
        if len(raw) < SMALL:
            return _Lane()
        start = raw[:PROBE]
        best, shared = None, 0
        for lane in self._lanes:
            common, _ = common_ends(lane.start, start)
            # Two threads of one agent share their first reminders: under half in common is another thread.
            if common > shared and common * 2 >= min(len(start), len(lane.start)):
                best, shared = lane, common
        if best is None:
            best = _Lane()
            if len(self._lanes) >= LANES:
                self._lanes.pop(0)
        else:
            self._lanes.remove(best)
        self._lanes.append(best)  # most recently used last
        return best
