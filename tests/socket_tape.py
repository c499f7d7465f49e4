"""A session with one WebSocket in a memory archive, for tests: what each side says is written and committed at once."""

from __future__ import annotations

from collections.abc import Sequence

from tapes.archive.memory_archive import MemoryArchive
from tapes.intake.opening import Facts, open_session
from tapes.intake.split import Splitter
from tapes.record.kinds import BodyRef, Record
from tapes.wire.exchange import Answered, Finished, Happening, Moment, Opened, SocketClosed, SocketMessage
from tapes.wire.redact import Redactor

ASK = b'{"type":"response.create","input":[]}'
CREATED = b'{"type":"response.created","response":{"id":"r"}}'
DELTA = b'{"type":"response.output_text.delta","delta":"x"}'
DONE = b'{"type":"response.completed","response":{"id":"r"}}'
FAILED = b'{"type":"error","status":429,"error":{"message":"slow down"}}'
CANCEL = b'{"type":"response.cancel"}'


class Tape:
    """A session with one open WebSocket."""

    def __init__(self, redactor: Redactor | None = None, provider: str = "openai-responses") -> None:
        self.archive = MemoryArchive()
        redactor = redactor or Redactor()
        self.session, _ = open_session(self.archive, Facts(agent="generic", argv=[b"x"], cwd=b"/"), redactor)
        self.splitter = Splitter(self.session, redactor)
        self.at = 1_000
        url = "https://api.openai.com/v1/responses"
        headers = ((b"upgrade", b"websocket"),)
        self.play(
            Opened("k", self.now(), "GET", url, "HTTP/1.1", headers, b"", provider, "other", "c", "proxy"),
            Answered("k", self.now(), 101, "Switching Protocols", "HTTP/1.1", headers),
            Finished("k", self.now(), "eof"),
        )

    def now(self) -> Moment:
        self.at += 1_000_000
        return Moment(self.at, self.at)

    def play(self, *happenings: Happening) -> None:
        for happening in happenings:
            self.splitter.take(happening)
        batch, _ = self.splitter.take_batch()
        if batch.drafts:
            self.archive.commit(batch)

    def agent(self, *messages: bytes) -> None:
        self.play(*(SocketMessage("k", self.now(), True, True, data) for data in messages))

    def provider(self, *messages: bytes) -> None:
        self.play(*(SocketMessage("k", self.now(), False, True, data) for data in messages))

    def close(self, by_agent: bool = True, code: int = 1000) -> None:
        self.play(SocketClosed("k", self.now(), by_agent, code))

    def records(self, type_: str) -> list[Record]:
        return [record for _, record in self.archive.session_records(self.session) if record.type == type_]

    def turns(self) -> list[tuple[bytes, bytes, str]]:
        """(request, response, outcome) of each turn that has ended."""
        by_hash = dict(self.archive.session_records(self.session))
        found = []
        for end in self.records("exchange.end"):
            opened = by_hash[end.parents[0]]
            if opened.body["http"] == "websocket":
                response = end.body["response"]
                said = self.archive.body(BodyRef.of(response)) if response else b""
                request = self.archive.body(BodyRef.of(opened.body["request"]))
                found.append((request, said, end.body["outcome"]))
        return found

    def asides(self) -> list[tuple[str, bytes]]:
        found = []
        for record in self.records("connection"):
            if record.body["event"] == "messages":
                data = self.archive.body(BodyRef.of(record.body["data"]))
                found += list(zip(record.body["from"], split(data, record.body["messages"]), strict=True))
        return found


def split(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """The messages of a joined body."""
    messages, at = [], 0
    for size in sizes:
        messages.append(data[at : at + size])
        at += size + 1
    assert at == len(data) + 1
    return messages
