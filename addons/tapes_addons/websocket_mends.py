"""Where mitmproxy 12.2 would tell an agent something else of a WebSocket than its provider did, mended in our process.

A connection that breaks without a close frame has the code 1006, which no frame may carry (RFC 6455 §7.4.1). mitmproxy
passes it on as a close frame all the same, and wsproto writes 1000 in it, "normal": a crash of the provider would look
like an end in good order. Here no frame is sent, the connection alone is closed, and the agent finds out by itself.
"""

from __future__ import annotations

from mitmproxy.proxy import commands
from mitmproxy.proxy.layers import websocket
from wsproto.events import CloseConnection, Event
from wsproto.frame_protocol import CloseReason

_send2 = websocket.WebsocketConnection.send2


def send2(self: websocket.WebsocketConnection, event: Event) -> commands.Command:
    """`WebsocketConnection.send2`, but for the close that was none."""
    if isinstance(event, CloseConnection) and event.code == CloseReason.ABNORMAL_CLOSURE:
        return commands.Log("WebSocket connection broke without a close frame")
    return _send2(self, event)


def apply() -> None:
    """Mend this process's mitmproxy. Applying it again changes nothing."""
    websocket.WebsocketConnection.send2 = send2  # type: ignore[assignment,method-assign]
