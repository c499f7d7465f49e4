"""A session's exchanges as an HTTP Archive (HAR 1.2, w3c.github.io/web-performance/specs/HAR): for browsers' tools and
mitmproxy.

Bodies are as they are stored: decoded and redacted. One that is text goes as text where whoever reads the file can not
mistake its encoding, else as base64. Messages of a WebSocket stand with its handshake as `_webSocketMessages`, the form
of Chrome's. What HAR has no field for is in `_tapes`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tapes import __version__
from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound
from tapes.record.kinds import BodyRef
from tapes.session.exchanges import Exchange
from tapes.session.moments import iso
from tapes.session.rows import header_map
from tapes.session.sockets import is_turn, messages
from tapes.session.view import View


def har(archive: Archive, found: View, trouble: list[str]) -> Iterator[str]:
    """Pieces of the file. What can not be read is left out, with a comment there and a line in `trouble`."""
    creator = json.dumps({"name": "tapes", "version": __version__})
    comment = json.dumps(f"session {found.records[0][0].hex()}")
    yield f'{{"log": {{"version": "1.2", "creator": {creator}, "comment": {comment}, "pages": [], "entries": [\n'
    first = True
    for exchange in found.calls.exchanges.values():
        if is_turn(exchange.opened):
            continue  # its messages stand with the handshake
        yield ("" if first else ",\n") + json.dumps(_Entry(archive, found, exchange, trouble).whole())
        first = False
    yield "\n]}}\n"


class _Entry:
    def __init__(self, archive: Archive, found: View, exchange: Exchange, trouble: list[str]) -> None:
        self._archive, self._found, self._exchange, self._trouble = archive, found, exchange, trouble

    def whole(self) -> dict[str, Any]:
        exchange = self._exchange
        body, end = exchange.body, exchange.end.body if exchange.end else {}
        took, wait = (exchange.duration_us or 0) / 1000, self._wait() / 1000
        about = {
            "exchange": exchange.hash.hex(),
            "end": exchange.end_hash.hex() if exchange.end_hash else None,
            "outcome": exchange.outcome,
            "class": body["class"],
            "thread": exchange.thread,
            "sent_to": body.get("sent_to"),
            "error": end.get("error"),
        }
        made: dict[str, Any] = {
            "startedDateTime": iso(exchange.opened.wall_ns),
            "time": took,
            "request": self._request(),
            "response": self._response(),
            "cache": {},
            "timings": {"send": 0, "wait": min(wait, took), "receive": max(0.0, round(took - wait, 3))},
            "_tapes": {name: value for name, value in about.items() if value is not None},
        }
        if body.get("connection"):
            made["connection"] = str(body["connection"])
        if exchange.status == 101:
            made |= {"_resourceType": "websocket", "_webSocketMessages": list(self._messages())}
        return made

    def _wait(self) -> int:
        end = self._exchange.end
        headers = end.body.get("headers_us") if end else None
        return headers if isinstance(headers, int) else self._exchange.first_byte_us or 0

    def _request(self) -> dict[str, Any]:
        body = self._exchange.body
        data, comment = self._body(self._exchange.request)
        made = {
            "method": body["method"],
            "url": body["url"],
            "httpVersion": _version(body.get("http")),
            "cookies": [],
            "headers": list(_headers(body["headers"])),
            "queryString": list(_query(body["url"])),
            "headersSize": -1,
            "bodySize": len(data) if data is not None else -1,
        }
        if data or comment:
            kind = header_map(body["headers"]).get("content-type", "")
            text, encoding = _text(data or b"", "utf-8")
            post: dict[str, Any] = {"mimeType": kind, "params": [], "text": text}
            # HAR has no field that says so of a request.
            post |= {"_encoding": encoding, "comment": encoding} if encoding else {}
            made["postData"] = post | ({"comment": comment} if comment else {})
        return made

    def _response(self) -> dict[str, Any]:
        exchange = self._exchange
        said: Mapping[str, Any] = exchange.end.body if exchange.end else {}
        if not said and exchange.parts:
            said = exchange.parts[0][1].body
        data, comment = self._body(exchange.response)
        headers = header_map(said.get("headers", ()))
        kind = headers.get("content-type", "")
        content: dict[str, Any] = {"size": len(data) if data is not None else 0, "mimeType": kind}
        if data:
            text, encoding = _text(data, kind)
            content |= {"text": text} | ({"encoding": encoding} if encoding else {})
        if comment:
            content["comment"] = comment
        return {
            "status": exchange.status or 0,
            "statusText": str(said.get("reason", "")),
            "httpVersion": _version(said.get("http")),
            "cookies": [],
            "headers": list(_headers(said.get("headers", ()))),
            "content": content,
            "redirectURL": headers.get("location", ""),
            "headersSize": -1,
            "bodySize": int(said.get("wire_length", len(data) if data is not None else -1)),
        }

    def _body(self, ref: BodyRef | None) -> tuple[bytes | None, str]:
        """The bytes, or None and why not."""
        if ref is None:
            return b"", ""
        try:
            return self._archive.body(ref), ""
        except (Damaged, NotFound) as error:
            self._trouble.append(f"exchange {self._exchange.hash.short()}: {error}")
            return None, str(error)

    def _messages(self) -> Iterator[dict[str, Any]]:
        times = {digest: record.wall_ns for digest, record in self._found.records}
        try:
            for said in messages(self._archive, self._found.records[0][0], self._exchange.hash):
                text = said.kind == "text"
                data = said.data.decode("utf-8", "replace") if text else base64.b64encode(said.data).decode()
                yield {
                    "type": "send" if said.from_agent else "receive",
                    "time": times[said.record] / 1e9,
                    "opcode": 1 if text else 2,
                    "data": data,
                }
        except (Damaged, NotFound) as error:
            self._trouble.append(f"messages of {self._exchange.hash.short()}: {error}")


def _text(data: bytes, kind: str) -> tuple[str, str]:
    """The body as HAR has it, and `base64` where it is that. Without a charset readers guess: what is not ASCII is then
    only text where nobody can guess wrong."""
    sure = "utf-8" in kind.lower() or "json" in kind.lower()
    try:
        if data.isascii() or sure:
            return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        pass  # it is bytes, whatever it says
    return base64.b64encode(data).decode("ascii"), "base64"


def _version(http: object) -> str:
    return {"HTTP/2.0": "http/2.0", "HTTP/2": "http/2.0", None: ""}.get(http, str(http))  # type: ignore[call-overload, no-any-return]


def _headers(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[dict[str, str]]:
    for name, value in headers:
        yield {"name": name.decode("latin-1"), "value": value.decode("latin-1")}


def _query(url: str) -> Iterator[dict[str, str]]:
    try:
        query = urlsplit(url).query
    except ValueError:
        return
    for name, value in parse_qsl(query, keep_blank_values=True):
        yield {"name": name, "value": value}
