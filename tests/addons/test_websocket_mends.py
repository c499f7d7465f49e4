"""A WebSocket that breaks without a close frame at the provider's end breaks so at the agent's."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxied import proxy
from simulation import TWO_TURNS, run_agent, script
from tapes_addons.simulators.provider import Provider
from tapes_addons.trust import CERTIFICATE


@pytest.mark.parametrize("way", ["direct", "proxied"])
async def test_a_connection_that_breaks_off_is_no_close_in_good_order(tmp_path: Path, way: str) -> None:
    (tmp_path / "truth").mkdir()
    cut = script([{**TWO_TURNS[0], "faults": {"drop": {"after": 2, "times": 9}}}])
    async with (
        Provider(cut, truth=tmp_path / "truth") as provider,
        proxy(tmp_path, [f"api.openai.com={provider.url}"]) as port,
    ):
        own = f"http://127.0.0.1:{port}"
        env = {"HTTPS_PROXY": own, "SSL_CERT_FILE": str(tmp_path / "ca" / CERTIFICATE)} if way == "proxied" else {}
        url = "https://api.openai.com/v1" if way == "proxied" else f"{provider.url}/v1"
        status, said = await run_agent(url, tmp_path, "--dialect", "openai-websocket", "--max-turns", "2", **env)
    assert status == 1
    assert "without a close frame" in said
