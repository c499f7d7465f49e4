"""The launcher: holds the listening socket, the agent and its terminal, and keeps a capture process alive beside them.

It stays small and imports the standard library only: it starts before anything else and lives as long as the agent.
The socket is listening before the agent starts, so connections made while the capture process is still importing its
libraries wait in the backlog. When a capture process dies, another one takes the same socket and adopts the session:
the run goes on, with a gap. When none can be kept alive, a plain tunnel takes the socket, so that the agent works on,
unrecorded; that is said loudly (`--strict` ends up with refused calls instead).

The agent gets the caller's terminal, process group, signals and environment, and its exit status is ours. Where its
screen is recorded it gets a terminal of its own instead, and a relay stands between the two (terminal/relay.py).
Failures of our own exit with 125, a command that can not be run with 126, one that is not there with 127, as env(1)
does.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tapes_addons.no_call import explain
from tapes_addons.plan import OWN_URL, PARENT, Plan
from tapes_addons.terminal import real
from tapes_addons.terminal.pipe import make_pipe
from tapes_addons.warm import RECORDER, Child, Warm

if TYPE_CHECKING:
    from tapes_addons.terminal.relay import Relay

BACKLOG = 1024
FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
KEYBOARD = (signal.SIGINT, signal.SIGQUIT)
"""The terminal sends these to the whole foreground group: the agent has them already, the launcher stays."""
MAX_FAILED_STARTS = 5
"""Capture processes in a row that died before they were ready: more than this is not bad luck."""
MAX_RESTARTS, RESTARTS_WITHIN_S = 60, 60.0
FINISH_S = 20.0
OVERDUE = (subprocess.TimeoutExpired, TimeoutError)
COULD_NOT_CAPTURE, COULD_NOT_RUN, NOT_FOUND = 125, 126, 127


def say(text: str) -> None:
    """A line of ours on stderr. A closed stderr must not end the run."""
    if sys.stderr is None:
        return
    # Names of programs and paths come from anywhere: they must not drive the terminal.
    shown = "".join(char if char.isprintable() else "\ufffd" for char in text)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"tapes: {shown}\n")
        sys.stderr.flush()


class Capture:
    """The capture process and our line to it."""

    def __init__(self, plan: Plan, listener: socket.socket, warm: Warm | None, relay: Relay | None) -> None:
        self.ready = False
        self.pending = b""
        self.process: Child | subprocess.Popen[bytes]
        if warm is not None:
            os.set_inheritable(warm.line, False)
            self.line, self.process = socket.socket(fileno=warm.line), Child(warm.pid)
        else:
            self.line, self.process = self._start(plan)
        tape = socket.socketpair() if relay else ()
        # A dead capture process is noticed by its closed line, where it is also answered for.
        with contextlib.suppress(OSError):
            socket.send_fds(self.line, [b"F"], [listener.fileno(), *(end.fileno() for end in tape[1:])])
        self.send_line(plan.to_json())
        if relay and tape:
            tape[1].close()
            relay.recording.attach(tape[0])

    @staticmethod
    def _start(plan: Plan) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair()
        try:
            log = os.open(Path(plan.run_dir) / "capture.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            log = os.open(os.devnull, os.O_WRONLY)  # somebody tidied the run's directory: recording goes on
        try:
            process = subprocess.Popen(
                [*plan.python, *RECORDER, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        finally:
            os.close(log)
            theirs.close()
        return ours, process

    def send(self, **message: object) -> None:
        self.send_line(json.dumps(message).encode() + b"\n")

    def send_line(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            self.line.sendall(line)

    def read(self) -> list[dict[str, Any]] | None:
        """Messages that have come; None when the line is closed."""
        try:
            data = self.line.recv(65536)
        except OSError:
            data = b""
        if not data:
            return None
        *lines, self.pending = (self.pending + data).split(b"\n")
        return [json.loads(line) for line in lines]


class Launcher:
    """One run, from binding the socket to the summary."""

    def __init__(self, plan: Plan, warm: Warm | None = None) -> None:
        self.plan = plan
        self.warm = warm
        self.selector = selectors.DefaultSelector()
        self.listener = self._bind()
        self._make_pipe()
        self.capture: Capture | None = None
        self.tunnel: subprocess.Popen[bytes] | None = None
        self.relay: Relay | None = None
        self.agent: subprocess.Popen[bytes] | Relay | None = None
        self.notices: list[str] = []
        self.failed_starts = 0
        self.restarts: list[float] = []
        self.done: dict[str, Any] | None = None
        self.fatal = ""
        self.ending = False
        self.finish_by = 0.0
        self.early_signals: list[int] = []
        if plan.player:
            os.set_inheritable(plan.player[0], False)

    def _bind(self) -> socket.socket:
        # The protocol is named because asyncio sets TCP_NODELAY only on sockets that say TCP: without it Nagle's
        # algorithm and delayed acknowledgements held every streamed answer up for 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # After a crash the port of the last run may still have closing connections on it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.plan.port))
        listener.listen(BACKLOG)
        return listener

    def _make_pipe(self) -> None:
        """The pipe of the commands' reports, held until the end. Without it the supervisors find nobody, and only run
        their shells."""
        if not self.plan.commands:
            return
        try:
            make_pipe(self.plan.commands)
        except OSError as error:
            self.notices.append(f"commands are NOT witnessed: {self.plan.commands}: {error.strerror}")
            self.plan.commands = ""

    def run(self) -> int:
        self._catch_signals()
        if self.plan.screen and real.is_ours():
            from tapes_addons.terminal.relay import Relay  # who has no terminal need not wait for it

            self.relay = Relay(os.environ.get("TERM", ""))
        self._start_capture()
        if self.plan.banner:
            say(self.plan.banner)
        try:
            self.agent = self._start_agent()
        except OSError as error:
            status = NOT_FOUND if isinstance(error, FileNotFoundError) else COULD_NOT_RUN
            say(f"cannot run {self.plan.argv[0]}: {error.strerror}")
            self._finish({"status": status, "how": "the agent could not be started"})
            return self._summary(status)
        for number in self.early_signals:
            self.agent.send_signal(number)
        if self.capture is not None:
            self.capture.send(agent=self.agent.pid)
        while (code := self.agent.poll()) is None:
            self._wait(None)
        ended = {"signal": -code, "status": None} if code < 0 else {"status": code, "signal": None}
        self._finish({**ended, "how": "the agent exited"})
        return self._summary(128 - code if code < 0 else code)

    # -- the agent

    def _start_agent(self) -> subprocess.Popen[bytes] | Relay:
        if self.relay is None:
            return subprocess.Popen(self._words(), env=self._environment())
        self.relay.start(self._words(), self._environment(), (*FORWARDED, *KEYBOARD))
        self.selector.register(self.relay.line, selectors.EVENT_READ, "terminal")
        return self.relay

    def _own(self, text: str) -> str:
        return text.replace(OWN_URL, OWN_URL.format(port=self.listener.getsockname()[1]))

    def _environment(self) -> dict[str, str]:
        own = {name: self._own(value) for name, value in self.plan.environment.items()}
        # By this a shell that sources our BASH_ENV knows whether it is the agent itself.
        return os.environ | own | {PARENT: str(os.getpid())}

    def _words(self) -> list[str]:
        at = self.plan.arguments_at
        return [*self.plan.argv[:at], *map(self._own, self.plan.arguments), *self.plan.argv[at:]]

    def _catch_signals(self) -> None:
        """Python-level handlers, not SIG_IGN: what we catch is reset for the agent by exec, what we ignore is not."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self.selector.register(reader, selectors.EVENT_READ, "signal")
        self._signal_sockets = (reader, writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (*FORWARDED, *KEYBOARD):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._forward if number in FORWARDED else self._keyboard)

    def _keyboard(self, number: int, frame: object) -> None:
        if self.relay is not None and self.relay.pid:
            self.relay.signal_group(number)  # its keyboard is not ours: somebody has sent this to our group

    def _forward(self, number: int, frame: object) -> None:
        if self.agent is None:
            # The agent may be running already, and we not know it yet: Popen has not returned.
            self.early_signals.append(number)
        elif self.agent.poll() is None:
            self.agent.send_signal(number)

    # -- the capture process

    def _start_capture(self) -> None:
        try:
            warm, self.warm = self.warm, None
            self.capture = Capture(self.plan, self.listener, warm, self.relay)
        except OSError as error:
            self.notices.append(f"could not start the capture process: {error}")
            self._fall_back()
            return
        self.selector.register(self.capture.line, selectors.EVENT_READ, "capture")
        if self.agent is not None:
            self.capture.send(agent=self.agent.pid)

    def _wait(self, timeout: float | None) -> None:
        for key, _ in self.selector.select(timeout):
            if key.data == "signal":
                with contextlib.suppress(BlockingIOError):
                    self._signal_sockets[0].recv(4096)
            elif key.data == "terminal":
                self._heard_of_terminal()
            elif self.capture is not None:
                messages = self.capture.read()
                if messages is None:
                    self._capture_lost()
                else:
                    for message in messages:
                        self._heard(message)

    def _heard_of_terminal(self) -> None:
        assert self.relay is not None
        self.relay.heard()
        if self.relay.poll() is not None:
            self.selector.unregister(self.relay.line)

    def _heard(self, message: dict[str, Any]) -> None:
        if "ready" in message and self.capture is not None:
            self.capture.ready = True
        if "session" in message:
            self.plan.session = message["session"]
        if "trouble" in message:
            self.notices.append(message["trouble"])
        if "fatal" in message:
            self.fatal = message["fatal"] + (f" ({message['hint']})" if message.get("hint") else "")
        if "progress" in message:
            self.finish_by = time.monotonic() + FINISH_S
            if self.ending or self.relay is None:  # else the screen is the agent's
                say(message["progress"])
        if "done" in message:
            self.done = message["done"]

    def _capture_lost(self) -> None:
        capture, self.capture = self.capture, None
        assert capture is not None
        self.selector.unregister(capture.line)
        capture.line.close()
        if self.relay is not None:
            self.relay.recording.detach()
        with contextlib.suppress(*OVERDUE):
            capture.process.wait(5)
        if self.done is not None:
            return
        self.plan.lost_since_ns = time.time_ns()
        now = time.monotonic()
        self.restarts.append(now)
        self.failed_starts = 0 if capture.ready else self.failed_starts + 1
        lately = sum(now - then < RESTARTS_WITHIN_S for then in self.restarts)
        if self.fatal or self.failed_starts >= MAX_FAILED_STARTS or lately > MAX_RESTARTS:
            self._fall_back()
        else:
            self._start_capture()

    def _fall_back(self) -> None:
        """Nothing can be recorded any more. The agent comes first: let its traffic through, unless told otherwise."""
        if self.ending:
            return
        self.notices.append(f"NOT RECORDING: {self.fatal or 'the capture process keeps dying'}")
        fd = self.listener.fileno()
        settings = {
            "base_urls": self.plan.base_urls,
            "mapped": self.plan.map_host,
            "strict": self.plan.strict or self.plan.offline,
            "agent": self.agent.pid if self.agent else 0,
        }
        self.tunnel = subprocess.Popen(
            [*self.plan.python, "-m", "tapes_addons.tunnel", str(fd)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(fd,),
            start_new_session=True,
        )
        assert self.tunnel.stdin is not None
        # Left open: by its closing the tunnel knows that we are gone.
        with contextlib.suppress(OSError):
            self.tunnel.stdin.write(json.dumps(settings).encode() + b"\n")
            self.tunnel.stdin.flush()

    # -- the end

    def _finish(self, ended: dict[str, object]) -> None:
        """Have the capture process write everything and close the session; a successor may have to."""
        self.ending = True
        self.finish_by = time.monotonic() + FINISH_S
        told: Capture | None = None
        if self.tunnel is not None:
            self.tunnel.terminate()
            if self.plan.session and not self.fatal:
                # Nothing more to record, but the session can still be closed in order.
                self._start_capture()
        while self.done is None and self.capture is not None and time.monotonic() < self.finish_by:
            if self.capture is not told:
                told = self.capture
                told.send(finish=ended)
            self._wait(0.2)
        if self.capture is not None:
            with contextlib.suppress(*OVERDUE):
                self.capture.process.wait(2)
            if self.capture.process.poll() is None:
                self.capture.process.kill()

    def _summary(self, status: int) -> int:
        done = self.done
        for notice in self.notices:
            say(notice)
        if self.plan.player:
            status = self._played(status)
        if done is None:
            say(f"nothing more is known of this run; the capture's log is {self.plan.run_dir}/capture.log")
            return status
        if self.restarts:
            say(f"the capture process was restarted {len(self.restarts)} time(s); the session has a gap record")
        short = self.plan.session[:12]
        if not done["calls"] and self.agent is not None and self.plan.agent != "human":
            say(explain(done, short, self.plan.route))
        gaps = f", {done['gaps']} gaps" if done["gaps"] else ", no gaps" if done["all_written"] else ""
        partial = f", {done['partial']} partial" if done["partial"] else ""
        failed = sum(done["outcomes"].get(k, 0) for k in ("http_error", "error_event", "no_response"))
        failures = f", {failed} failed" if failed else ""
        witnessed = done.get("commands", 0)
        commands = f", {witnessed} commands witnessed" if self.plan.commands else ""
        alone = witnessed - done.get("joined", witnessed)
        if commands and alone > 0 and self.plan.agent != "human":
            commands += f" ({alone} joined to no call)"
        taken = done.get("snapshots", {})
        only = f", {taken['listed']} only listed" if taken.get("listed") else ""
        snapshots = f", {taken['snapshots']} snapshots ({taken['files']} files{only})" if taken.get("snapshots") else ""
        passed = "refused" if self.plan.offline else "bypassed"
        beside = "".join(
            f", {done[key]} {words}"
            for key, words in (("redactions", "redactions"), ("bypassed", f"hosts {passed}"))
            if done.get(key)
        )
        say(
            f"session {short}: {done['exchanges']} exchanges captured ({done['complete']} complete{partial}"
            f"{failures}){gaps}, {done['tool_uses']} tool calls{commands}{snapshots}{beside}. Next: tapes show {short}"
        )
        if not done["all_written"]:
            end = "" if done["end_written"] else " and the end of the session"
            say(f"{done['lost']} exchanges{end} could NOT be written; the log is {self.plan.run_dir}/capture.log")
        elif not self.notices and not self.restarts:
            shutil.rmtree(self.plan.run_dir, ignore_errors=True)
        return status

    def _played(self, status: int) -> int:
        """Hear what the process that played a recording has to say. An agent that ended well although a call of its
        had no recorded answer has not repeated its run: that is a failure."""
        number, pid = self.plan.player
        told: dict[str, Any] = {}
        with socket.socket(fileno=number) as line, contextlib.suppress(OSError, ValueError):
            line.shutdown(socket.SHUT_WR)
            line.settimeout(FINISH_S)
            with line.makefile("rb") as lines:
                told = json.loads(lines.readline())
        with contextlib.suppress(*OVERDUE):
            Child(pid).wait(2)
        if not told:
            say("the process that played the recording was lost; what it could not answer is not known")
            return status or 1
        for text in told["said"]:
            say(text)
        return status or (1 if told["refused"] else 0)


def main() -> int:
    """Run the plan that stands on the file descriptor given as first argument. Two more arguments are descriptor and
    process id of a capture process that waits for it already (warm.py)."""
    with os.fdopen(int(sys.argv[1]), "rb") as file:
        plan = Plan.from_json(file.read())
    try:
        launcher = Launcher(plan, Warm(line=int(sys.argv[2]), pid=int(sys.argv[3])) if len(sys.argv) > 2 else None)
    except OSError as error:
        say(f"cannot listen on 127.0.0.1:{plan.port}: {error.strerror}; choose another --port, or leave it out")
        return COULD_NOT_CAPTURE
    return launcher.run()


if __name__ == "__main__":
    sys.exit(main())
