"""The native supervisor `tapes-sh`: where it is, whether it runs here, and how it is built by hand.

    python -m tapes_addons.terminal.supervisor [--build]

Without it commands are witnessed by a trap in the shell itself: start and end, no output.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SOURCES = Path(__file__).parent / "native"
PROGRAM = SOURCES / "tapes-sh"
COMPILERS = ("cc", "gcc", "clang")
_SECONDS = 60.0
RUNTIMES = ("node", "MainThread", "bun", "deno", "python", "python3", "claude", "codex", "opencode", "gemini")
"""Programs that wait for the children they know of, and for no others."""


@dataclass(frozen=True, slots=True)
class Force:
    """The level of the witness that is in force."""

    level: Literal["supervisor", "trap"]
    program: str
    """Path of tapes-sh; "" without it."""
    why: str
    """Why it is not the supervisor; "" when it is."""


def force() -> Force:
    """Which level is in force on this machine, as far as can be seen without starting anything: every run asks."""
    if not PROGRAM.is_file():
        return Force("trap", "", "tapes-sh is not built: python -m tapes_addons.terminal.supervisor --build")
    if not os.access(PROGRAM, os.X_OK):
        return Force("trap", "", f"{PROGRAM} can not be executed")
    return Force("supervisor", str(PROGRAM), "")


def tried() -> Force:
    """Which level is in force, the program started once to be sure of it."""
    import subprocess  # a run does not need it

    found = force()
    if not found.program:
        return found
    try:
        done = subprocess.run([PROGRAM, "version"], capture_output=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Force("trap", "", f"{PROGRAM} does not run here: {error}")
    if done.stdout != b"tapes-sh 1\n":
        return Force("trap", "", f"{PROGRAM} is of another version: build it again")
    return found


def level() -> tuple[Literal["supervisor", "trap"], str]:
    """For `tapes doctor`: the level in force, and why it is not the better one."""
    in_force = tried()
    return in_force.level, in_force.why


def orphans_are_reaped(proc: Path = Path("/proc")) -> bool:
    """Does somebody wait for processes whose parent has gone? In a container whose process 1 is any program, nobody
    may: each command would leave a zombie there. Judged by whether process 1 minds SIGCHLD, and is no runtime that
    minds it for its own children only. True where we can not tell."""
    try:
        status = (proc / "1" / "status").read_text(errors="replace")
    except OSError:
        return True
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    try:
        minded = [int(fields[name], 16) for name in ("SigBlk", "SigIgn", "SigCgt")]
    except (KeyError, ValueError):
        return True
    return any(mask >> (signal.SIGCHLD - 1) & 1 for mask in minded) and fields["Name"].strip() not in RUNTIMES


def build(sources: Path = SOURCES, program: Path = PROGRAM) -> str:
    """Compile tapes-sh: "" when that worked, else what stood in the way. An older program is replaced whole or not."""
    import subprocess
    import tempfile

    compiler = os.environ.get("CC") or next((name for name in COMPILERS if shutil.which(name)), "")
    if not compiler:
        return "there is no C compiler here (cc, gcc or clang)"
    said = ""
    with tempfile.TemporaryDirectory(dir=program.parent) as folder:
        made = Path(folder) / program.name
        # Static starts faster and runs in a sandbox or container that has other libraries; not every system can.
        for how in (["-static", "-s"], ["-s"], []):
            words = [
                *compiler.split(),
                "-std=gnu11",
                "-O2",
                *how,
                "-o",
                str(made),
                *map(str, sorted(sources.glob("*.c"))),
            ]
            try:
                done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_SECONDS)
            except (OSError, subprocess.TimeoutExpired) as error:
                return str(error)
            if done.returncode == 0:
                made.replace(program)
                return ""
            said = done.stderr.strip() or f"{compiler} exited with {done.returncode}"
    return said


def main() -> int:
    if sys.argv[1:] not in ([], ["--build"]):
        sys.stderr.write("usage: python -m tapes_addons.terminal.supervisor [--build]\n")
        return 2
    trouble = build() if sys.argv[1:] else ""
    in_force = tried()
    sys.stdout.write(f"{in_force.level} {in_force.program}\n" if not trouble else "")
    if trouble or in_force.why:
        sys.stderr.write(f"{trouble or in_force.why}\n")
    return int(bool(trouble))


if __name__ == "__main__":
    sys.exit(main())
