"""What `tapes run`, `serve` and `env` find out before anything starts: the archive's state, and what the user's own
variables and configuration files say of proxies and model hosts.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tapes.errors import NotFound, UsageError
from tapes.wire import agents, endpoints
from tapes.wire.agents.base import Agent, Launch, Settings
from tapes_addons.routes import bypasses, host_of, no_proxy_entries

NO_PROXY = ("NO_PROXY", "no_proxy")
CONFIG_LIMIT = 1024 * 1024
"""Of an agent's configuration file: its base URLs stand far before this."""


def working_directory() -> str:
    """Where the agent starts; empty when that has been deleted, which is the agent's business."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def check_archive(base: Path, name: str) -> None:
    """Refuse what would fail later: a foreign or unreadable archive, a name that is taken or can not be one."""
    from tapes.archive.lmdb_archive import LmdbArchive
    from tapes.archive.refs import check_name

    if name:
        check_name(name)
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with LmdbArchive.open(base / "archive", readonly=True) as archive:
            if name and archive.named(name):
                raise UsageError(
                    f"a session is named {name!r} already",
                    hint=f"choose another --name, or see it: tapes show {name}",
                )
    except NotFound:
        return


def user_model_hosts(agent: Agent, settings: Settings, launch: Launch) -> set[str]:
    """Hosts that the user's own variables and configuration files make model hosts, as host:port. A program that we
    do not know may start any agent that we do, so for one of those everybody's files count."""
    urls = set(settings.model_hosts.values())
    if agent.name == "generic":
        asked = replace(launch, route="proxy")
        urls |= {url for other in agents.AGENTS for url in other.settings(asked).model_hosts.values()}
    # What is no URL is no host of theirs either: the agent itself will say so.
    return {host for url in urls if (host := host_of(url))}


def read(path: str) -> str:
    """The beginning of a configuration file as text; empty when there is none, or none that we may read."""
    try:
        with open(path, "rb") as file:
            return file.read(CONFIG_LIMIT).decode(errors="replace")
    except (OSError, ValueError):
        # What the agent can not read either, it will report; what only we can not read does not concern its launch.
        return ""


def narrowed_no_proxy(hosts: list[str]) -> dict[str, str]:
    """The user's NO_PROXY without the entries that would keep a model host from us; the proxy honours all of it."""
    pairs = [split_port(host) for host in hosts]
    # One made-up name stands for all that a pattern covers.
    pairs += [(host.replace("*", "x"), 443) for host in endpoints.MODEL_HOSTS]
    narrowed = {}
    for variable in NO_PROXY:
        entries = no_proxy_entries(os.environ.get(variable, ""))
        kept = [e for e in entries if not any(bypasses(e, host, port) for host, port in pairs)]
        if entries:
            narrowed[variable] = ",".join(kept)
    return narrowed


def split_port(host: str) -> tuple[str, int]:
    """`name:port` or a bare name, whose port is that of https."""
    name, colon, port = host.rpartition(":")
    return (name, int(port)) if colon and port.isdigit() else (host, 443)
