"""What really went over the wire at the provider's end: the yardstick that a capture is measured against.

Bytes are noted just before they are handed to the socket, so where a client hangs up the truth may hold a
last piece that nobody received; in every other case it is what was received.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tapes_addons.simulators.http1 import Headers, Request


@dataclass(frozen=True, slots=True)
class Chunk:
    """One write to the socket: nanoseconds since the request was read, bytes as sent, bytes before coding."""

    after_ns: int
    wire: bytes
    plain: bytes


@dataclass(slots=True)
class Exchange:
    """One request and its answer. `end`: complete · dropped · client went away · provider stopped."""

    number: int
    request: Request
    wall_ns: int = field(default_factory=time.time_ns)
    mono_ns: int = field(default_factory=time.monotonic_ns)
    status: int = 0
    """0 until a head is sent, and for ever where the connection was cut before one."""
    headers: Headers = ()
    chunks: list[Chunk] = field(default_factory=list)
    script: str = ""
    turn: int | None = None
    fault: str = ""
    end: str = ""

    @property
    def wire(self) -> bytes:
        """The response body in its content coding, without the chunk framing."""
        return b"".join(chunk.wire for chunk in self.chunks)

    @property
    def response(self) -> bytes:
        """The response body as the model said it."""
        return b"".join(chunk.plain for chunk in self.chunks)

    def note(self, wire: bytes, plain: bytes) -> None:
        self.chunks.append(Chunk(time.monotonic_ns() - self.mono_ns, wire, plain))

    def describe(self) -> dict[str, Any]:
        """Everything but the bodies, for NNNN.json; lengths and SHA-256 stand for them."""
        bodies = {"request": self.request.body, "response": self.response, "wire": self.wire}
        return {
            "number": self.number,
            "wall_ns": self.wall_ns,
            "method": self.request.method,
            "target": self.request.target,
            "request_headers": self.request.headers,
            "status": self.status,
            "response_headers": self.headers,
            "chunks": [[chunk.after_ns, len(chunk.wire), len(chunk.plain)] for chunk in self.chunks],
            "script": self.script,
            "turn": self.turn,
            "fault": self.fault,
            "end": self.end,
            "length": {name: len(data) for name, data in bodies.items()},
            "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in bodies.items()},
        }


def write_exchange(folder: Path, exchange: Exchange) -> None:
    """NNNN.req (as sent), .resp (decoded), .wire (coded), and .json last: who sees it sees all four."""
    stem = f"{exchange.number:04d}"
    (folder / f"{stem}.req").write_bytes(exchange.request.body)
    (folder / f"{stem}.resp").write_bytes(exchange.response)
    (folder / f"{stem}.wire").write_bytes(exchange.wire)
    unfinished = folder / f"{stem}.json.part"
    unfinished.write_text(json.dumps(exchange.describe(), indent=1))
    unfinished.replace(folder / f"{stem}.json")
