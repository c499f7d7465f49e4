"""The seam between the server and the APIs it serves: a request goes in, a Reply or None comes out.

An API is one file with a function `answer(request, stage)`: pure but for the attempts the stage counts. It
knows how its provider writes; the server knows sockets, pacing, codings and cut connections.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tapes_addons.simulators.http1 import Headers, Request
from tapes_addons.simulators.script import NO_FAULTS, Faults, Stage


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is paced, coded and framed. A stream is its events; any other body is one event."""

    events: tuple[bytes, ...]
    status: int = 200
    headers: Headers = (("content-type", "application/json"),)
    stream: bool = False
    script: str = ""
    turn: int | None = None
    faults: Faults = NO_FAULTS


Api = Callable[[Request, Stage], Reply | None]
Json = dict[str, Any]


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def salt(request: Request) -> str:
    """26 letters that differ between requests and between agents, yet are the same for the same request.

    Ids made of it are unique like a provider's own (two subagents on one script share none), and a test that
    fixes what the agent sends gets the same bytes every time.
    """
    digest = hashlib.sha256(request.body)
    for name, value in request.headers:
        if "session" in name.lower() or "agent-id" in name.lower():
            digest.update(value.encode("latin-1"))
    return "".join("0123456789abcdefghjkmnpqrstvwxyz"[byte & 31] for byte in digest.digest()[:26])
