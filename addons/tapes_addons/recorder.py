"""The capture process of one run: mitmproxy on the launcher's socket, and the writer behind it.

Started with a control socket, by the launcher or before it (warm.py). Over that come, with one byte, the listening
socket and, where the agent has a terminal of ours, the line of its recording; then the `Plan` in the first line. It
survives the agent's terminal signals (own session) and outlives nobody: when the launcher is gone it records on until
the agent is gone too, then closes the session.

Control lines are JSON objects. From here: {"session": hex}, {"ready": true}, {"trouble": text}, {"fatal": text,
"hint": text}, {"done": {...}}. To here: the plan, {"agent": pid}, {"finish": {"status": n, "signal": n}}.
"""

from __future__ import annotations

import asyncio
import gc
import getpass
import importlib
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from tapes.archive.lmdb_archive import LmdbArchive
from tapes.errors import TapesError
from tapes.intake.commands import Surroundings
from tapes.intake.joins import Joiner
from tapes.intake.left import Left
from tapes.intake.linker import Linker
from tapes.intake.opening import Facts, adopt, open_session
from tapes.intake.recording import LAUNCH, Recording
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.values import dataclass
from tapes.wire import shells
from tapes.wire.agents import by_name
from tapes.wire.agents.words import program
from tapes.wire.exchange import Moment
from tapes.wire.redact import Redactor, secret_variables
from tapes_addons.plan import Plan
from tapes_addons.routes import UpstreamProxy
from tapes_addons.seen import Seen
from tapes_addons.snapshot import snapshot
from tapes_addons.terminal.context import Contexts
from tapes_addons.terminal.listener import Listener, last_seen
from tapes_addons.terminal.marks import Marks
from tapes_addons.terminal.reports import Reports
from tapes_addons.worktree.beside import Beside
from tapes_addons.worktree.task import Task

CLOSE_S = 10.0
FAILING_CLOSE_S = 2.0
"""How long the end may wait for the archive; less when it takes no records anyway, for the agent's user waits too."""
TERMINAL_S = 3.0
"""How long what is left of the screen may take to be read: all of it has been sent by then."""
REPORTS_S = 5.0
"""How long the last reports of commands may take to be read, as long as more of them come."""
SNAPSHOT_S = 30.0
"""How long the end may wait for the last snapshot of the files: of many, the first may still be under way."""
SETTLE_S = 0.3
"""How long the last calls may take to end after the agent has exited."""

logger = logging.getLogger("tapes")


@dataclass(slots=True)
class Control:
    """The launcher's end of our line; a lost launcher is noticed by the reader, not here."""

    sock: socket.socket

    def send(self, **message: object) -> None:
        try:
            self.sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            logger.warning("the launcher is gone: %s", error)


def main(argv: list[str]) -> int:
    gc.disable()  # until everything is loaded that will stay
    control_socket = socket.socket(fileno=int(argv[0]))
    beside = Beside()  # it loads what it needs beside us, when nobody else wants the time
    # Both need the proxy, and are loaded while the plan is still being made.
    importlib.import_module("tapes_addons.capture")
    importlib.import_module("tapes_addons.proxy")
    _, listeners, _, _ = socket.recv_fds(control_socket, 1, 2)
    if not listeners:
        beside.call_off()
        return 0  # the run was called off
    lines = control_socket.makefile("rb")
    plan = Plan.from_json(lines.readline())
    os.chdir("/")
    write_log(plan)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    control = Control(control_socket)
    try:
        run = Run(plan, control, beside)
    except TapesError as error:
        control.send(fatal=str(error), hint=error.hint)
        return 1
    listener = socket.socket(fileno=listeners[0])
    if len(listeners) > 1:
        run.listen_to_terminal(socket.socket(fileno=listeners[1]))
    return asyncio.run(run.proxy(listener, lines))


def write_log(plan: Plan) -> None:
    """Have what this process says on its standard streams in the run's log: started early, it had no place for it."""
    try:
        log = os.open(Path(plan.run_dir) / "capture.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        return  # somebody tidied the run's directory: recording goes on
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def _branch(plan: Plan) -> tuple[Digest, Digest, int] | None:
    if not plan.branch_of:
        return None
    session, record, item = plan.branch_of
    return Digest.parse(str(session)), Digest.parse(str(record)), int(item)


class Run:
    """One recorded run: archive, session, writer."""

    def __init__(self, plan: Plan, control: Control, beside: Beside) -> None:
        self.plan = plan
        self.control = control
        self.beside = beside
        environ = dict(os.environb)
        self.redactor = redactor = Redactor(secret_variables(environ), strict=plan.redact == "strict")
        self.archive = LmdbArchive.open(Path(plan.home) / "archive", create=True)
        joiner, left = Joiner(), Left()

        def see(digest: Digest, record: Record) -> None:
            joiner.known(digest, record)
            left.see(digest, record)

        if plan.session:
            self.session = Digest.parse(plan.session)
            summary, linker = adopt(self.archive, self.session, plan.lost_since_ns, see)
        else:
            place = snapshot(plan.cwd, environ)
            facts = Facts(
                agent=plan.agent,
                argv=[os.fsencode(word) for word in plan.argv],
                cwd=os.fsencode(plan.cwd),
                name=plan.name,
                branch_of=_branch(plan),
                route=plan.route,
                host=socket.gethostname(),
                user=getpass.getuser(),
                git_head=git_head(plan.cwd, place),
                environ=environ,
                surroundings={**place, "witness": dict(plan.witness)},
                playback=Digest.parse(plan.playback) if plan.playback else None,
                started=Moment(plan.started_ns, plan.started_mono_ns),
            )
            self.session, summary = open_session(self.archive, facts, redactor)
            linker = Linker()
        control.send(session=self.session.hex())
        around = Surroundings(plan.agent, getpass.getuser(), plan.person, tuple(shells.ALL), Contexts(environ))
        splitter = Splitter(self.session, redactor, around)
        splitter.go_on(left, self.archive)
        self.recording = Recording(splitter, by_name(plan.agent), linker, summary, joiner=joiner)
        self.writer = Writer(
            self.archive,
            lambda who: self.recording,
            on_trouble=lambda text: control.send(trouble=text),
        )
        self.writer.expect(LAUNCH)
        self.writer.start()
        self.reports = self._listen_to_commands()
        self._agent_pid = 0
        self._terminal: Listener | None = None

    def listen_to_terminal(self, line: socket.socket) -> None:
        plan, put = self.plan, cast("Callable[[object], object]", self.beside.tap(self.writer.put))
        marks = Marks(plan.marks, os.fsencode(program(plan.argv))) if plan.marks else None
        self._terminal = Listener(line, put, marks, last_seen(self.archive, self.session) if plan.session else 0)

    def _listen_to_commands(self) -> Reports | None:
        if not self.plan.commands:
            return None
        try:
            return Reports(self.plan.commands, bytes.fromhex(self.plan.nonce), self.beside.tap(self.writer.put))
        except OSError as error:
            self.control.send(trouble=f"commands are NOT witnessed: {error}")
            return None

    async def proxy(self, listener: socket.socket, lines: Any) -> int:
        """Serve until the launcher says that the agent has finished."""
        from tapes_addons.capture import Capture
        from tapes_addons.proxy import build, configure

        plan = self.plan
        config = configure(plan, listener.getsockname()[1], self.writer, UpstreamProxy.of(os.environ))
        self.seen = Seen(config.own_port)
        capture = Capture(self.beside.tap(self.seen.tap(self.writer.put)), config)
        master = build(capture, config, listener, plan.ca, plan.upstream_ca, plan.insecure_upstream)
        master.addons.add(self.seen)
        # What has been loaded is left alone from here on: looking through it for garbage stops the loop for 20 ms.
        gc.freeze()
        gc.enable()
        finish: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._listen_to_launcher(lines, finish)
        serving = asyncio.ensure_future(master.run())
        self.control.send(ready=True)
        self._take_snapshots()
        waiting: list[asyncio.Future[Any]] = [serving, finish]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not finish.done():
            serving.result()
            return 1
        settled = time.monotonic() + SETTLE_S
        while capture.live and time.monotonic() < settled:
            await asyncio.sleep(0.01)
        capture.finish_all()
        if self.reports is not None:
            await asyncio.to_thread(self.reports.finish, REPORTS_S)
        if self._terminal is not None:
            await asyncio.to_thread(self._terminal.join, TERMINAL_S)
        snapshots = await asyncio.to_thread(self.beside.finish, SNAPSHOT_S)
        timeout = FAILING_CLOSE_S if self.writer.failing else CLOSE_S
        last = finish.result() | {"coverage": self.seen.report()}
        if snapshots:
            last["worktree"] = snapshots
        closed = await asyncio.to_thread(self.writer.close, last, timeout)
        self.archive.close()
        self._report(closed, snapshots)
        # Everything is written and said. Taking mitmproxy down in order would only keep the agent's user waiting.
        os._exit(0)

    def _listen_to_launcher(self, lines: Any, finish: asyncio.Future[dict[str, Any]]) -> None:
        """Read control lines in a thread of their own; a closed line means that the launcher died."""
        loop = asyncio.get_running_loop()

        def done(result: dict[str, Any]) -> None:
            if not finish.done():
                finish.set_result(result)

        def read() -> None:
            for line in lines:
                message = json.loads(line)
                if "agent" in message:
                    self._agent_pid = int(message["agent"])
                    self.seen.past.start(self._agent_pid)
                if "finish" in message:
                    loop.call_soon_threadsafe(done, message["finish"])
                    return
            while self._agent_pid and alive(self._agent_pid):
                time.sleep(0.2)
            loop.call_soon_threadsafe(done, {"how": "the launcher was lost"})

        threading.Thread(target=read, name="tapes-control", daemon=True).start()

    def _take_snapshots(self) -> None:
        plan = self.plan
        if not plan.worktree:
            self.beside.call_off()
            return
        task = Task(
            plan.home,
            plan.run_dir,
            self.session.hex(),
            plan.worktree,
            strict=plan.redact == "strict",
            restart=bool(plan.session),
            file_limit=plan.file_limit,
        )
        control = self.control
        self.beside.begin(
            task,
            self.redactor,
            self.writer.put,
            say=lambda text: control.send(trouble=text),
            progress=lambda text: control.send(progress=text),
        )

    def _report(self, closed: bool, snapshots: Mapping[str, int]) -> None:
        row = self.recording.summary
        self.control.send(
            done={
                "exchanges": row.exchanges,
                "calls": row.calls,
                "complete": row.complete,
                "partial": row.partial,
                "outcomes": row.outcomes,
                "gaps": row.gaps,
                "tool_uses": row.tool_uses,
                "commands": row.commands,
                "commands_failed": row.commands_failed,
                "commands_lost": row.commands_lost,
                "redactions": row.redactions,
                "egress": row.egress,
                "bypassed": len(row.hosts),
                "joined": row.joined,
                "snapshots": snapshots,
                "lost": self.writer.lost_exchanges,
                "all_written": closed,
                "end_written": row.closed,
                **self.seen.report(),
            }
        )


def git_head(cwd: str, place: Mapping[str, object]) -> str:
    """The commit checked out in `cwd`; empty outside a repository or without git. Asked for by itself only where the
    snapshot of the place does not say: looking for changes may have taken too long."""
    known = place.get("git")
    if isinstance(known, Mapping) and re.fullmatch("[0-9a-f]{40,}", str(known.get("head"))):
        return str(known["head"])
    if not cwd:
        return ""
    command = ["git", "-C", cwd, "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
