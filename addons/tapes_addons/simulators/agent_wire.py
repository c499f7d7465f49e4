"""One model call as agents make it: the bytes, the stream, and the same bytes again when it went wrong.

httpx reads HTTPS_PROXY, HTTP_PROXY, NO_PROXY and SSL_CERT_FILE by itself, so this agent is captured in the
same way as any program built on an SDK.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx

from tapes_addons.simulators.agent_tools import Json
from tapes_addons.simulators.clients.base import BrokenStream, Dialect, Setting

RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
TRIES = 6
SILENCE_SECONDS = 300.0
CONNECT_SECONDS = 60.0
"""A proxy that is starting or a model that thinks is slow; only a dead one stays silent for minutes."""


class CallFailed(Exception):
    """The model could not be asked: a refusal that no retry cures, or every retry used up."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the agent behaves on the wire. `fast` keeps waits short; with `hang_up` it leaves at the last event."""

    say: Callable[[str], None]
    fast: bool = False
    hang_up: bool = False

    def wait(self, problem: str, attempt: int, told: str | None = None) -> None:
        """Before the next try. `told`: a Retry-After in seconds."""
        seconds = float(told) if told else 0.5 * 2**attempt
        seconds = min(seconds, 0.05) if self.fast else seconds
        self.say(f"↻ {problem}; again in {seconds:.2g} s")
        time.sleep(seconds)


class Channel(Protocol):
    """What one conversation asks its questions through."""

    def ask(self, history: list[Json]) -> Json:
        """The model's answer to the history, whole. Raises CallFailed."""

    def close(self) -> None: ...


class Wire(Protocol):
    """What all conversations of a launch share."""

    def channel(self, headers: Mapping[str, str]) -> Channel: ...

    def close(self) -> None: ...


class HttpWire:
    """A client of one API. `headers`: those of every request."""

    def __init__(
        self, dialect: Dialect, setting: Setting, base_url: str, headers: Mapping[str, str], manner: Manner
    ) -> None:
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        headers = {**headers, "content-type": "application/json"}
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=timeout)
        self._dialect, self._setting, self._manner = dialect, setting, manner

    def channel(self, headers: Mapping[str, str]) -> HttpChannel:
        return HttpChannel(self, headers)

    def close(self) -> None:
        self._client.close()

    def post(self, history: list[Json], headers: Mapping[str, str]) -> Json:
        """Raises CallFailed."""
        request = self._dialect.request(self._setting, history)
        body = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        path = self._dialect.path(self._setting)
        for attempt in range(TRIES):
            told = None
            try:
                with self._client.stream("POST", path, content=body, headers=headers) as response:
                    if response.status_code == 200:
                        return self._answer(response)
                    response.read()
                    problem = f"{response.status_code} {_error_type(response)}"
                    if response.status_code not in RETRIED:
                        raise CallFailed(f"{problem}: {response.text[:300]}")
                    told = response.headers.get("retry-after")
            except (httpx.RequestError, BrokenStream) as error:
                problem = f"{type(error).__name__}: {error}"
            self._manner.wait(problem, attempt, told)
        raise CallFailed(f"{problem}, after {TRIES} tries")

    def _answer(self, response: httpx.Response) -> Json:
        if not self._setting.stream:
            whole: Json = json.loads(response.read())
            return whole
        reader = self._dialect.reader()
        try:
            for data in self._dialect.events(response.iter_text()):
                reader.feed(data)
                if reader.done and self._manner.hang_up:
                    break
        except httpx.RequestError:
            if not reader.done:
                raise
        if not reader.done:
            raise BrokenStream("the stream ended before its last event")
        return reader.whole


class HttpChannel:
    def __init__(self, wire: HttpWire, headers: Mapping[str, str]) -> None:
        self._wire, self._headers = wire, headers

    def ask(self, history: list[Json]) -> Json:
        return self._wire.post(history, self._headers)

    def close(self) -> None:
        """Nothing: connections belong to the wire."""


def _error_type(response: httpx.Response) -> str:
    """The provider's word for an error, whichever of the APIs it is."""
    try:
        found = response.json()
        error = (found[0] if isinstance(found, list) else found)["error"]
        return error if isinstance(error, str) else str(error.get("type") or error["status"])
    except (ValueError, KeyError, TypeError, IndexError):
        return response.reason_phrase
