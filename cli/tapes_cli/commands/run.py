"""`tapes run`: decide what the run is to do, then become the launcher.

Everything that can be refused is refused here, before the agent starts: an archive of another format, a name that is
taken, a malformed map. Then this process replaces itself with the launcher, which is small and needs no library.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Unpack

import click

import tapes_addons
from tapes.errors import ArchiveError, TapesError, UsageError
from tapes.wire import agents
from tapes.wire.agents.base import Launch, Route, Trust
from tapes.wire.agents.words import program_at
from tapes_addons.harmless import harmless
from tapes_addons.plan import OWN_URL, Plan
from tapes_addons.routes import HostMap, Target, UpstreamProxy
from tapes_addons.terminal.prompt import Prompt, install
from tapes_addons.terminal.real import is_ours
from tapes_addons.trust import ensure_ca, write_bundles
from tapes_addons.warm import Warm
from tapes_addons.worktree.roots import Roots
from tapes_addons.worktree.roots import find as find_roots
from tapes_cli.config import WorktreeConfig, load_config
from tapes_cli.exit_codes import Exit
from tapes_cli.home import home
from tapes_cli.launching import check_archive, narrowed_no_proxy, read, user_model_hosts, working_directory
from tapes_cli.main import report
from tapes_cli.options import How, put_into, recording
from tapes_cli.replaying import Replay, played, replaying
from tapes_cli.witnessing import Watch, watching, witnessed


class Options(How, Watch, Replay):
    """All kinds of options."""


@click.command("run", context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.option("--name", metavar="N", default="", help="Name the session; other commands accept it for the hash.")
@click.option(
    "--route",
    type=click.Choice(["proxy", "base-url"]),
    default="proxy",
    show_default=True,
    help="How the agent is led to us. A base URL changes what some agents send; a proxy does not.",
)
@recording
@watching
@replaying
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Listen on this port; 0 takes a free one.")
@click.option("--from", "origin", metavar="REF[:STEP]", default="", help="Go on from a step of a recorded session.")
@click.option("--yes", is_flag=True, help="With --from: do not ask.")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD [ARGS]...")
@click.pass_obj
def command(
    warm: Warm | None,
    name: str,
    route: Route,
    port: int,
    origin: str,
    yes: bool,
    argv: tuple[str, ...],
    **how: Unpack[Options],
) -> int:
    """Run CMD and record every byte it exchanges with its models.

    The agent gets this terminal and its exit status is passed on. Failures of tapes itself exit with 125; a CMD that
    can not be run with 126, one that is not found with 127.

    \b
    tapes run -- claude
    tapes run --name fix-login -- claude -p "fix the login test"
    tapes run --from fix-login:12 -- claude
    """
    try:
        words, parent = list(argv), None
        if origin:
            words, name, parent = branched(origin, words, name, yes)
        mapped = HostMap.parse(how["map_host"])
        again = played(how, mapped)
        further = [*how["model_host"], *(host for host in mapped.targets if host != "*"), *again.hosts]
        plan = prepare(words, route, name, further, how)
        put_into(plan, how)
        plan.port = port
        plan.branch_of = list(parent or ())
        again.put_into(plan)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        hint = f"tapes keeps its files in {home()}; set TAPES_HOME to a directory that can be written"
        report(ArchiveError(f"cannot prepare the run: {error.strerror}{where}", hint=hint))
        return Exit.COULD_NOT_CAPTURE
    except TapesError as error:
        report(error)
        return Exit.COULD_NOT_CAPTURE
    become_launcher(plan, warm)
    raise AssertionError("unreachable: exec does not return")


def branched(origin: str, argv: list[str], name: str, yes: bool) -> tuple[list[str], str, tuple[str, str, int]]:
    """The command line, name and parent of a run that branches off; this process is where and as it is to run."""
    from tapes_cli.branching import branch  # and all that reads, which other runs need not wait for

    if name:
        check_archive(home(), name)
    it = branch(origin, argv, name, yes=yes, environ=os.environ)
    for note in it.notes:
        click.echo(harmless(f"tapes: {note}"), err=True)
    if it.cwd:
        os.chdir(it.cwd)
        os.environ["PWD"] = it.cwd
    os.environ.update(it.environment)
    return it.argv, it.name, it.parent


def prepare(argv: list[str], route: Route, name: str, further_hosts: list[str], watch: Watch) -> Plan:
    """The plan of a run, its run directory made. Raises TapesError before anything has been started.

    `further_hosts` are model hosts that options name.
    """
    started_ns, started_mono_ns = time.time_ns(), time.monotonic_ns()
    base = home()
    check_archive(base, name)
    config = load_config(base)
    UpstreamProxy.of(os.environ)  # refuses a proxy that can not be chained
    agent = agents.recognise(argv)
    ca = ensure_ca(base)
    run_dir = base / "run" / f"{os.getpid()}-{os.urandom(4).hex()}"
    run_dir.mkdir(mode=0o700, parents=True)
    sweep(run_dir.parent)
    bundle, extra, upstream = write_bundles(run_dir, ca, os.environ)
    launch = Launch(
        argv=argv,
        environ=os.environ,
        route=route,
        own_url=OWN_URL,
        trust=Trust(str(bundle), str(extra)),
        home=str(Path.home()),
        cwd=working_directory(),
        read=read,
    )
    settings = agent.settings(launch)
    nonce, recorded = "", f"model traffic of {Path(argv[0]).name}"
    told: dict[str, str | bool] = {"level": "none"}
    if watch["witness"]:
        seen = witnessed(run_dir, agent.name, launch, settings, watch)
        settings, nonce, told, recorded = seen.settings, seen.nonce, seen.witness, f"{recorded}, {seen.said}"
    if watch["screen"] and is_ours():
        recorded = f"{recorded}; the screen"
    roots = snapshot_roots(launch, watch, config.worktree)
    recorded = f"{recorded}; {roots.said}" if roots.said else recorded
    for prefix, url in settings.upstreams.items():
        Target.parse(url, f"the base URL of {prefix or agent.name}")
    hosts = sorted({*user_model_hosts(agent, settings, launch), *further_hosts, *config.model_hosts})
    environment = dict(settings.environment)
    if route == "proxy":
        environment |= narrowed_no_proxy(hosts)
    arguments, at = list(settings.arguments), program_at(argv) + 1
    prompt = shell_prompt(run_dir, argv, environment) if agent.name == "human" and is_ours() else None
    if prompt is not None:
        environment |= prompt.environment
        arguments, at = [*arguments, *prompt.arguments], prompt.at
    return Plan(
        home=str(base),
        run_dir=str(run_dir),
        argv=argv,
        cwd=launch.cwd,
        agent=agent.name,
        environment=environment,
        route=route,
        name=name,
        arguments=arguments,
        arguments_at=at,
        marks=prompt.nonce if prompt else "",
        base_urls=dict(settings.upstreams),
        model_hosts=hosts,
        rows=[asdict(row) for row in config.rows],
        ca=str(ca),
        upstream_ca=str(upstream),
        python=[sys.executable],
        commands=str(run_dir / "commands") if nonce else "",
        nonce=nonce,
        witness=told,
        person=watch["person"],
        banner=f"recording ON · {recorded} · archive {base}",
        screen=watch["screen"],
        worktree=list(roots.paths),
        file_limit=config.worktree.limit_bytes,
        started_ns=started_ns,
        started_mono_ns=started_mono_ns,
    )


def snapshot_roots(launch: Launch, watch: Watch, configured: WorktreeConfig) -> Roots:
    """Whose files are recorded. UsageError for a directory that is none."""
    if watch["no_worktree"] or not (configured.snapshots or watch["worktree"]):
        return Roots((), "")
    try:
        return find_roots(launch.cwd, launch.home, watch["worktree"])
    except OSError as error:
        where = f"--worktree {os.fsdecode(error.filename)}"
        raise UsageError(f"{where}: {error.strerror}", hint="name a directory that can be read") from error


def shell_prompt(run_dir: Path, argv: list[str], environment: dict[str, str]) -> Prompt | None:
    folder = run_dir / "prompt"
    folder.mkdir(mode=0o700)
    return install(folder, argv, program_at(argv), os.environ | environment, str(Path.home()))


def sweep(folder: Path) -> None:
    """Remove the directories of runs whose launcher is gone, except those that keep a log of trouble for a week."""
    for path in folder.iterdir():
        pid = path.name.partition("-")[0]
        gone = pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc").exists()
        if gone and time.time() - path.stat().st_mtime > 7 * 24 * 3600:
            shutil.rmtree(path, ignore_errors=True)


def become_launcher(plan: Plan, warm: Warm | None) -> None:
    """Replace this process with the launcher: an isolated Python that imports nothing but the standard library."""
    file = memory_file()
    file.write(plan.to_json())
    file.flush()
    file.seek(0)
    os.set_inheritable(file.fileno(), True)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    numbers = [file.fileno()]
    if warm is not None:
        os.set_inheritable(warm.line, True)
        numbers += [warm.line, warm.pid]
    # As a module: a script would be compiled anew each time.
    place = str(Path(tapes_addons.__path__[0]).parent)
    program = f"import sys; sys.path.insert(0, {place!r}); from tapes_addons.launch import main; sys.exit(main())"
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", program, *map(str, numbers)])


def memory_file() -> BinaryIO:
    """A file without a name: command lines may hold secrets, and those must not lie on the disk."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("tapes-plan", 0), "w+b")
    import tempfile

    return tempfile.TemporaryFile()
