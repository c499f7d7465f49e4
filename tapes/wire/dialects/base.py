"""What a dialect does: one provider's requests and responses into neutral values, and nothing else.

Pure: bytes in, values out. A dialect MUST NOT raise on any bytes: a body it can not read becomes one
`Unknown` block with the body's text, and an error value beside it. Whatever it does not know MUST survive in
`extra`, in `params` or as `Unknown`. Its `version` MUST rise with every change of what it makes of the same
bytes: tool events name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tapes.wire.dialects.json_body import Loaded, mend
from tapes.wire.turns import Message, ProviderError, RequestReading, ResponseReading, TurnReading, Unknown

Headers = Sequence[tuple[bytes, bytes]]


class ResponseReader(Protocol):
    """Reads one response body. Any slicing of the bytes MUST give the same reading."""

    def feed(self, data: bytes) -> None:
        """The next decoded bytes of the body."""
        ...

    def finish(self) -> ResponseReading:
        """The body has ended, or been cut. Call once."""
        ...


class Dialect(Protocol):
    """One provider's format."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    def priority(self, host: str, path: str, content_type: str) -> int:
        """How sure this dialect is that such a request is its own: 0 for no, 100 for certain."""
        ...

    def read_request(self, body: bytes, headers: Headers = ()) -> RequestReading:
        """The whole request."""
        ...

    def read_turn(self, body: bytes) -> TurnReading:
        """What is new in the request: turns.new_tail(read_request(body)), at less cost where that can be.

        `error` speaks of the new part alone, so that something odd in a history is not told again with every turn.
        """
        ...

    def response_reader(self, status: int, content_type: str) -> ResponseReader:
        """A fresh reader for the response to such a request."""
        ...


def raw_message(body: bytes) -> Message:
    """A body that can not be read, as its text."""
    return Message("", (Unknown(mend(body.decode("utf-8", "surrogateescape"))),))


def unread_request(body: bytes, loaded: Loaded) -> RequestReading:
    """The reading of a request that is no JSON object."""
    turn = unread_turn(body, loaded)
    return RequestReading(messages=tuple(message for _, message in turn.messages), errors=(turn.error,))


def unread_turn(body: bytes, loaded: Loaded) -> TurnReading:
    """What is new in a request that is no JSON object: all of it."""
    error = loaded.error or "the body is no JSON object"
    return TurnReading(messages=((0, raw_message(body)),) if body else (), error=error)


def strange_answer(body: bytes, status: int, loaded: Loaded, wanted: str) -> ResponseReading:
    """An answer that is none of the protocol's: as it is, and where the status says so an error (a gateway's page)."""
    message = raw_message(body) if loaded.error is not None else Message("", (Unknown(loaded.value),))
    error = None
    if status >= 400:
        error = ProviderError(f"http {status}", body[:500].decode("utf-8", "replace").strip())
    problems = (*loaded.problems, loaded.error or f"not {wanted}")
    return ResponseReading(message=message, error=error, complete=loaded.error is None, problems=problems)
