"""Our proxy in this process, for tests of what it does to traffic: no archive behind it, no launch before it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from tapes.intake.recording import Who
from tapes.wire.exchange import Happening
from tapes_addons.capture import Capture, Config
from tapes_addons.proxy import build
from tapes_addons.routes import HostMap
from tapes_addons.trust import make_ca, write_bundles


@contextlib.asynccontextmanager
async def proxy(
    folder: Path,
    mapped: Iterable[str],
    *,
    reason: str | None = None,
    seen: Callable[[Happening], object] = lambda happening: None,
) -> AsyncIterator[int]:
    """Its port. `mapped`: HOST=URL; `reason`: why the archive does not take a request, as --strict asks (None: nobody
    asks); `seen` gets what would go to the writer.
    """
    make_ca(folder)
    _, _, roots = write_bundles(folder, folder / "ca", {})
    listener = socket.create_server(("127.0.0.1", 0))
    own = listener.getsockname()[1]

    async def confirm() -> str:
        await asyncio.sleep(0)
        return reason or ""

    def sink(happening: Happening, who: Who) -> bool:
        seen(happening)
        return True

    config = Config(own_port=own, host_map=HostMap.parse(mapped), confirm=confirm if reason is not None else None)
    master = build(Capture(sink, config), config, listener, str(folder / "ca"), str(roots), False)
    serving = asyncio.ensure_future(master.run())
    try:
        yield own
    finally:
        master.shutdown()
        await serving
