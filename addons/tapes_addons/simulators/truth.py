"""What really went over the wire at the provider's end: the yardstick that a capture is measured against.

Bytes are noted just before they are handed to the socket, so where a client hangs up the truth may hold a
last piece that nobody received; in every other case it is what was received.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
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
class Message:
    """One WebSocket message. What the script made of it is told with the client's that asked for a turn."""

    sender: str
    """client or server"""
    after_ns: int
    text: str
    script: str = ""
    turn: int | None = None
    fault: str = ""


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
    messages: list[Message] = field(default_factory=list)
    """Both directions of a WebSocket in order; the client's are noted as they arrive."""
    pongs: int = 0
    """Answers to our pings."""
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

    def message(self, sender: str, text: str) -> Message:
        """Note a message that has arrived, or is about to leave."""
        self.messages.append(Message(sender, time.monotonic_ns() - self.mono_ns, text))
        return self.messages[-1]

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
            "messages": len(self.messages),
            "pongs": self.pongs,
            "length": {name: len(data) for name, data in bodies.items()},
            "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in bodies.items()},
        }


def write_exchange(folder: Path, exchange: Exchange) -> None:
    """NNNN.req (as sent), .resp (decoded), .wire (coded), and .json last: who sees it sees all of them.

    Of a WebSocket also NNNN.messages, one JSON line per message (the fields of Message, read_messages reads
    them); its .req, .resp and .wire are empty.
    """
    stem = f"{exchange.number:04d}"
    (folder / f"{stem}.req").write_bytes(exchange.request.body)
    (folder / f"{stem}.resp").write_bytes(exchange.response)
    (folder / f"{stem}.wire").write_bytes(exchange.wire)
    if exchange.messages:
        lines = (json.dumps(asdict(message)) + "\n" for message in exchange.messages)
        (folder / f"{stem}.messages").write_text("".join(lines))
    unfinished = folder / f"{stem}.json.part"
    unfinished.write_text(json.dumps(exchange.describe(), indent=1))
    unfinished.replace(folder / f"{stem}.json")


def read_messages(file: Path) -> list[Message]:
    """What write_exchange wrote into a .messages file."""
    return [Message(**json.loads(line)) for line in file.read_text().splitlines()]


def turns(messages: Iterable[Message]) -> list[tuple[bytes, bytes]]:
    """(the client's message, the server's up to the client's next one, joined by LF) per message of a client."""
    found: list[tuple[str, list[str]]] = []
    for message in messages:
        if message.sender == "client":
            found.append((message.text, []))
        elif found:
            found[-1][1].append(message.text)
    return [(asked.encode(), "\n".join(said).encode()) for asked, said in found]
