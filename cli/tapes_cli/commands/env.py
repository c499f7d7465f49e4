"""`tapes env`: the settings that lead an agent to a running `tapes serve`, for a shell or a CI job to take over."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import click

from tapes.archive.refs import check_name
from tapes.errors import NotFound, TapesError, UsageError
from tapes.wire import agents, endpoints
from tapes.wire.agents.base import Agent, Launch, Route, Settings, Trust
from tapes_addons import serve_state
from tapes_addons.routes import host_of, is_loopback
from tapes_addons.serve_state import State
from tapes_cli.addresses import UPSTREAMS, address
from tapes_cli.exit_codes import Exit
from tapes_cli.home import home
from tapes_cli.launching import narrowed_no_proxy, read, split_port, working_directory
from tapes_cli.main import report
from tapes_cli.output import harmless
from tapes_cli.shells import SHELLS, Name, Shell, is_plain, is_program

HTTP_PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
POLL_S = 0.1
CONNECT_S = 2.0
EVERYWHERE = ("0.0.0.0", "::")


@click.command("env")
@click.option("--session", metavar="NAME", default="", help="Name of what has no id of its own [default: AGENT-XXXX]")
@click.option("--route", type=click.Choice(["proxy", "base-url"]), default="proxy", show_default=True)
@click.option("--shell", type=click.Choice(list(SHELLS)), default="sh", show_default=True)
@click.option("--listen", metavar="HOST:PORT", default="", help="The tapes serve that listens there.")
@click.option("--wait", metavar="SECONDS", type=click.FloatRange(0), default=0, help="For one that is just starting.")
@click.argument("agent")
def command(session: str, route: Route, shell: Name, listen: str, wait: float, agent: str) -> int:
    """Print the settings that lead AGENT to the running `tapes serve`.

    Where none is running the status is 3, and a shell that evaluates the output fails too.

    \b
    eval "$(tapes env codex)"                         # sh, bash, zsh
    tapes env codex --shell fish | source
    tapes env codex --shell github >> "$GITHUB_ENV"
    """
    try:
        if not is_program(agent):
            hint = "tapes env claude, codex, gemini, or any other program's name"
            raise UsageError(f"AGENT is a program's name, which {harmless(repr(agent))} is not", hint=hint)
        name = check_name(session) if session else f"{agent_named(agent).name}-{secrets.token_hex(2)}"
        state = find(listen, wait)
        lines = settings_lines(agent, name, route, SHELLS[shell], state)
    except TapesError as error:
        if SHELLS[shell].stop:
            click.echo(SHELLS[shell].stop)
        return report(error)
    for line in lines:
        click.echo(line)
    return Exit.OK


def agent_named(name: str) -> Agent:
    return agents.by_name(name.lower())


def find(listen: str, wait_s: float) -> State:
    """The server that is meant: the one that listens there, else the newest of this archive. Raises NotFound."""
    base = home()
    deadline = time.monotonic() + wait_s
    place = address(listen) if listen else None
    while True:
        states = serve_state.running(base)
        found = states if place is None else [s for state in states if (s := at(state, *place))]
        if found:
            return found[0]
        if place is not None and (base / "ca" / "bundle.pem").exists() and answers(*place):
            # Of another archive or in another container, perhaps: taken at the user's word.
            return State(0, place[0], place[1], dict(UPSTREAMS))
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_S)
    if place is not None:
        raise NotFound(f"no tapes serve listens on {listen}", hint=f"start one: tapes serve --listen {listen}")
    raise NotFound(f"no tapes serve is running for the archive in {base}", hint="start one: tapes serve")


def at(state: State, host: str, port: int) -> State | None:
    """The server as it is reached by this address; None when it does not listen there."""
    if state.port != port or (state.host != host and not (state.host in EVERYWHERE and is_loopback(host))):
        return None
    if ":" in host and state.host == "0.0.0.0":
        return None  # IPv4 alone
    return replace(state, host=host)


def answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=CONNECT_S).close()
    except OSError:
        return False
    return True


def settings_lines(name: str, session: str, route: Route, shell: Shell, state: State) -> list[str]:
    """What to print. Raises UsageError where the route or this server can not serve the agent."""
    agent = agent_named(name)
    base = home()
    own_url = own(state, session, route)
    environ = without_ours(os.environ, state, base)
    trust = Trust(str(base / "ca" / "bundle.pem"), str(base / "ca" / "extra.pem"))
    settings = agent.settings(
        Launch(
            argv=[name],
            environ=environ,
            route=route,
            own_url=own_url,
            trust=trust,
            home=str(Path.home()),
            cwd=working_directory(),
            read=read,
        )
    )
    environment, words = dict(settings.environment), list(settings.arguments)
    if route == "proxy":
        warn_of_hosts(settings, state)
        theirs = filter(None, map(host_of, settings.model_hosts.values()))
        environment |= narrowed_no_proxy([*state.model_hosts, *theirs])
    else:
        places = prefixes(settings, state)
        environment = {key: led(value, own_url, places) for key, value in environment.items()}
        words = [led(word, own_url, places) for word in words]
        environment |= around_proxy(environ, state)
    if agent.name == "generic" and name.lower() != "generic":
        known = ", ".join(other.name for other in agents.AGENTS if other.name not in ("demo", "human", "generic"))
        click.echo(f"tapes: {name} is not an agent we know ({known}); these settings do for most programs", err=True)
    lines = [shell.comment(f"tapes serve on {state.authority}, session {session} where {name} gives no id of its own")]
    lines += [shell.variable(key, value) for key, value in sorted(environment.items())]
    if words:
        lines.append(with_words(shell, name, words))
    return [line for line in lines if line]


def own(state: State, session: str, route: Route) -> str:
    """Our address, with the session's name in it."""
    if route == "proxy":
        return f"http://{quote(session, safe='')}:x@{state.authority}"
    return f"http://{state.authority}/~{quote(session, safe='')}"


def without_ours(environ: Mapping[str, str], state: State, base: Path) -> dict[str, str]:
    """The user's variables: a shell may have taken our settings over before."""
    ours = (f"@{state.authority}", f"//{state.authority}", f"{base / 'ca'}{os.sep}")
    return {name: value for name, value in environ.items() if not any(mark in value for mark in ours)}


def warn_of_hosts(settings: Settings, state: State) -> None:
    """Hosts of the user's own that the server, started elsewhere, does not know of."""
    for where, url in settings.model_hosts.items():
        host = host_of(url)
        if host and not endpoints.is_model_host(*split_port(host), tuple(state.model_hosts)):
            text = f"tapes: {where} names {host}, whose calls this tapes serve does not record: "
            click.echo(harmless(f"{text}start it with --model-host {host}"), err=True)


def prefixes(settings: Settings, state: State) -> dict[str, str]:
    """For each prefix that the agent's settings use, where the server has the same upstream. Raises UsageError."""
    found = {}
    for prefix, url in settings.upstreams.items():
        fitting = [p for p, base in state.upstreams.items() if f"{url.rstrip('/')}/".startswith(f"{base}/")]
        if not fitting:
            raise UsageError(
                f"this tapes serve has no prefix for {url}",
                hint=f"start it with --upstream {prefix or 'mine'}={url}, or use --route proxy",
            )
        best = max(fitting, key=lambda p: (len(state.upstreams[p]), p == prefix))
        found[prefix] = best + url.rstrip("/")[len(state.upstreams[best]) :]
    return found


def led(value: str, own_url: str, places: Mapping[str, str]) -> str:
    """`value` with the agent's prefixes of our address replaced by the server's."""

    def place(match: re.Match[str]) -> str:
        prefix = match[1] or ""
        if prefix in places:
            return f"{own_url}/{places[prefix]}"
        return f"{own_url}/{places['']}/{prefix}" if "" in places else match[0]

    return re.sub(re.escape(own_url) + r"(?:/([\w.-]+))?(?![\w.-])", place, value)


def around_proxy(environ: Mapping[str, str], state: State) -> dict[str, str]:
    """NO_PROXY with our address in it, where a proxy of the user's would be asked for it."""
    if not any(environ.get(name) for name in HTTP_PROXIES):
        return {}
    host = state.authority.rpartition(":")[0].strip("[]")
    old = {name: environ.get(name, "") for name in ("NO_PROXY", "no_proxy")}
    kept = old["no_proxy"] or old["NO_PROXY"]
    return dict.fromkeys(old, f"{kept},{host}" if kept else host)


def with_words(shell: Shell, program: str, words: list[str]) -> str:
    """Words that the agent needs on its command line: a function in its name, or else a note."""
    function = shell.function(program, words) if is_plain(program) else ""
    if not function:
        click.echo(harmless(f"tapes: start it as: {program} {shlex.join(words)} …"), err=True)
    return function
