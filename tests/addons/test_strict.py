"""`--strict`: a call that can not be recorded does not reach the provider; its agent is told so in its API's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxied import proxy
from simulation import TWO_TURNS, run_agent, script
from tapes_addons.simulators.agent import DIALECTS
from tapes_addons.simulators.provider import Provider
from tapes_addons.trust import CERTIFICATE

HOSTS = {
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "gemini-array": "https://generativelanguage.googleapis.com",
    "ollama": "http://127.0.0.1:11434",
}
OPENAI = "https://api.openai.com/v1"
REASON = "the disk is full"


def mapped(provider: str) -> list[str]:
    """Every host of the scripted agent's, sent to the provider."""
    hosts = {url.partition("://")[2].partition("/")[0] for url in (*HOSTS.values(), OPENAI)}
    return [f"{host}={provider}" for host in hosts]


async def talk(folder: Path, dialect: str, reason: str) -> tuple[int, str, int]:
    """(status, what the agent said, requests or messages that reached the provider)."""
    async with Provider(script(TWO_TURNS), truth=folder / "truth") as provider:
        async with proxy(folder, mapped(provider.url), reason=reason) as port:
            own = f"http://127.0.0.1:{port}"
            env = {"HTTPS_PROXY": own, "HTTP_PROXY": own, "SSL_CERT_FILE": str(folder / "ca" / CERTIFICATE)}
            url = HOSTS.get(dialect, OPENAI)
            status, said = await run_agent(url, folder, "--dialect", dialect, "--max-turns", "3", **env)
        reached = sum(len(seen.messages) if seen.status == 101 else 1 for seen in provider.exchanges)
    return status, said, reached


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_a_call_that_can_not_be_recorded_is_refused_in_its_own_dialect(tmp_path: Path, dialect: str) -> None:
    (tmp_path / "truth").mkdir()
    status, said, reached = await talk(tmp_path, dialect, REASON)
    assert status == 1
    assert "503" in said or REASON in said
    assert reached == 0


@pytest.mark.parametrize("dialect", ["anthropic", "openai-websocket"])
async def test_a_call_that_is_safe_goes_on(tmp_path: Path, dialect: str) -> None:
    (tmp_path / "truth").mkdir()
    status, _, reached = await talk(tmp_path, dialect, "")
    assert status == 0
    assert reached >= 2
