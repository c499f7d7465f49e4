"""The agent on a WebSocket, as Codex is: a warm-up, then increments; after a break everything once more.

Each conversation has a connection of its own. A response can be gone on from only on the connection that
made it, so a new one begins with the whole history. A server that refuses WebSockets (426) is spoken to over
HTTP for the rest of the launch.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping

from wsproto.utilities import ProtocolError

from tapes_addons.simulators.agent_tools import Json
from tapes_addons.simulators.agent_wire import (
    CONNECT_SECONDS,
    RETRIED,
    SILENCE_SECONDS,
    TRIES,
    CallFailed,
    HttpWire,
    Manner,
)
from tapes_addons.simulators.clients.base import BrokenStream, Setting
from tapes_addons.simulators.clients.openai_responses import OpenaiResponses
from tapes_addons.simulators.clients.socket import Socket, UpgradeRefused

UPGRADE_REQUIRED = 426


class SocketWire:
    def __init__(
        self, dialect: OpenaiResponses, setting: Setting, base_url: str, headers: Mapping[str, str], manner: Manner
    ) -> None:
        self.dialect, self.setting, self.manner = dialect, setting, manner
        self.url, self.headers = base_url.rstrip("/") + dialect.path(setting), headers
        self.http = HttpWire(dialect, setting, base_url, headers, manner)
        self.refused = False

    def channel(self, headers: Mapping[str, str]) -> SocketChannel:
        return SocketChannel(self, headers)

    def close(self) -> None:
        self.http.close()


class SocketChannel:
    """One conversation. What the server knows of it is lost with the connection."""

    def __init__(self, wire: SocketWire, headers: Mapping[str, str]) -> None:
        self._wire, self._headers = wire, headers
        self._socket: Socket | None = None
        self._previous = ""
        self._sent = 0
        self._warm = False

    def ask(self, history: list[Json]) -> Json:
        for attempt in range(TRIES):
            if self._wire.refused:
                return self._wire.http.post(history, self._headers)
            try:
                return self._turn(history)
            except UpgradeRefused as refused:
                problem = str(refused)
                if refused.status == UPGRADE_REQUIRED:
                    self._wire.refused = True
                    self._wire.manner.say(f"↻ {problem}; over HTTP from here on")
                    continue
                if refused.status not in RETRIED:
                    raise CallFailed(problem) from refused
            except (OSError, http.client.HTTPException, ProtocolError, BrokenStream) as error:
                problem = f"{type(error).__name__}: {error}"
            self._forget()
            self._wire.manner.wait(problem, attempt)
        raise CallFailed(f"{problem}, after {TRIES} tries")

    def close(self) -> None:
        if self._socket:
            try:
                self._socket.close(politely=not self._wire.manner.hang_up)
            except (OSError, ProtocolError) as problem:  # everything was said; only the good-bye is missing
                self._wire.manner.say(f"  (the WebSocket's end: {problem})")
        self._socket = None

    def _turn(self, history: list[Json]) -> Json:
        if not self._socket:
            wire = self._wire
            self._socket = Socket(wire.url, {**wire.headers, **self._headers}, CONNECT_SECONDS, SILENCE_SECONDS)
            if not self._warm:
                self._previous = self._exchange(self._socket, [], generate=False)["id"]
                self._warm = True
        whole = self._exchange(self._socket, history[self._sent :])
        self._previous = whole["id"]
        self._sent = len(history) + len(self._wire.dialect.answer(whole))
        return whole

    def _exchange(self, socket: Socket, items: list[Json], **others: Json | bool) -> Json:
        request = self._wire.dialect.request(self._wire.setting, items)
        message = {"type": "response.create", **request, **others}
        if self._previous:
            message["previous_response_id"] = self._previous
        socket.send(json.dumps(message, ensure_ascii=False, separators=(",", ":")))
        reader = self._wire.dialect.reader()
        while not reader.done:
            reader.feed(socket.receive())
        return reader.whole

    def _forget(self) -> None:
        self._previous, self._sent = "", 0
        if self._socket:
            self._socket.close(politely=False)
        self._socket = None
