"""One model call as agents make it: the bytes, the event stream, and the same bytes again when it went wrong.

httpx reads HTTPS_PROXY, HTTP_PROXY, NO_PROXY and SSL_CERT_FILE by itself, so this agent is captured in the
same way as any program built on an SDK.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import httpx

Json = dict[str, Any]
RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
TRIES = 6


class CallFailed(Exception):
    """The model could not be asked: a refusal that no retry cures, or every retry used up."""


class BrokenStream(Exception):
    """The stream ended, or reported an error, before its last event."""


class Wire:
    """A client of the Messages API. `say` is told about retries; `fast` keeps their waits short."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        say: Callable[[str], None],
        *,
        fast: bool,
        hang_up: bool,
    ) -> None:
        # A proxy that is starting or a model that thinks is slow; only a dead one stays silent for minutes.
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=httpx.Timeout(300, connect=60))
        self._say, self._fast, self._hang_up = say, fast, hang_up

    def close(self) -> None:
        self._client.close()

    def ask(self, request: Json, headers: Mapping[str, str]) -> Json:
        """Send a streaming request and return the assembled message. Raises CallFailed."""
        body = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        for attempt in range(TRIES):
            wait = 0.5 * 2**attempt
            try:
                with self._client.stream("POST", "/v1/messages", content=body, headers=headers) as response:
                    if response.status_code == 200:
                        return self._message(response)
                    response.read()
                    problem = f"{response.status_code} {_error_type(response)}"
                    if response.status_code not in RETRIED:
                        raise CallFailed(f"{problem}: {response.text[:300]}")
                    wait = float(response.headers.get("retry-after", wait))
            except (httpx.RequestError, BrokenStream) as error:
                problem = f"{type(error).__name__}: {error}"
            wait = min(wait, 0.05) if self._fast else wait
            self._say(f"↻ {problem}; again in {wait:.2g} s")
            time.sleep(wait)
        raise CallFailed(f"{problem}, after {TRIES} tries")

    def _message(self, response: httpx.Response) -> Json:
        """The stream as a message. An agent that hangs up leaves at the last event, before the body ends."""
        message: Json | None = None
        try:
            for event in events(response.iter_text()):
                message = apply(message, event)
                if event["type"] == "message_stop" and self._hang_up:
                    break
        except httpx.RequestError:
            if message is None or not message["done"]:
                raise
        if message is None or not message.pop("done"):
            raise BrokenStream("the stream ended before message_stop")
        return message


def _error_type(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["type"])
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase


def events(pieces: Iterable[str]) -> Iterator[Json]:
    """The `data` of each event of a stream cut anywhere (WHATWG event stream, as far as this API uses it).

    Lines end at LF alone: str.splitlines would also cut at U+2028, which JSON may hold.
    """
    pending = ""
    for piece in pieces:
        *whole, pending = (pending + piece).split("\n\n")
        for event in whole:
            data = [line[5:].strip() for line in event.split("\n") if line.startswith("data:")]
            if data:
                yield json.loads("\n".join(data))


def apply(message: Json | None, event: Json) -> Json | None:
    """The message so far and one more event; `done` says that the last one was seen. Raises BrokenStream."""
    if event["type"] == "error":
        raise BrokenStream(f"{event['error']['type']}: {event['error']['message']}")
    if event["type"] == "message_start":
        return {**event["message"], "content": [], "done": False}
    if message is None:
        return None
    match event["type"]:
        case "content_block_start":
            message["content"].append(dict(event["content_block"]))
        case "content_block_delta":
            _grow(message["content"][event["index"]], event["delta"])
        case "content_block_stop":
            block = message["content"][event["index"]]
            if "partial" in block:
                block["input"] = json.loads(block.pop("partial") or "{}")
        case "message_delta":
            message.update(event["delta"])
        case "message_stop":
            message["done"] = True
    return message


def _grow(block: Json, delta: Json) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] += delta["signature"]
        case "input_json_delta":
            block["partial"] = block.get("partial", "") + delta["partial_json"]
