"""The surroundings of a run: what one wants to know of the machine and the project when something went wrong.

Collected by the capture process, beside the agent and not before it; each question has its time, and what does not
answer in it is left out.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping

from tapes_addons.terminal.context import Contexts

TIME_S = 0.2
_CHANGED_MOST = 100


def snapshot(cwd: str, environ: Mapping[bytes, bytes]) -> dict[str, object]:
    """Optional keys of `session.open` and of a note of kind "snapshot": os, kernel, machine, shell, git, context."""
    until = time.monotonic() + TIME_S
    found: dict[str, object] = {
        "os": _os(),
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "shell": os.fsdecode(environ.get(b"SHELL", b"")).encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        "context": dict(Contexts(environ)(environ, os.fsencode(cwd))),
        "git": _git(cwd, until),
    }
    return {name: value for name, value in found.items() if value}


def _os() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return platform.platform(terse=True)


def _git(cwd: str, until: float) -> dict[str, object]:
    """Head, branch, and how many files differ; of those a few by name. Reads only: no lock of git's is taken."""
    told = _ask(cwd, until, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal")
    if told is None:
        return {}
    lines = [line for line in told.split(b"\0") if line]
    heads = dict(line[2:].split(b" ", 1) for line in lines if line.startswith(b"# branch.") and line.count(b" ") > 1)
    changed = [line for line in lines if line[:2] in (b"1 ", b"2 ", b"u ", b"? ")]
    found: dict[str, object] = {"dirty": len(changed)}
    for key, name in ((b"branch.oid", "head"), (b"branch.head", "branch")):
        if key in heads:
            found[name] = heads[key].decode("utf-8", "replace")
    if changed:
        found["changed"] = [_name(line) for line in changed[:_CHANGED_MOST]]
    return found


def _name(line: bytes) -> str:
    """The path in a line of `git status --porcelain=v2`: behind 8 fields, 9 where renamed, 10 where unmerged, 1 where
    it is new."""
    fields = {b"1": 8, b"2": 9, b"u": 10, b"?": 1}[line[:1]]
    return line.split(b" ", fields)[-1].decode("utf-8", "replace")


def _ask(cwd: str, until: float, *words: str) -> bytes | None:
    left = until - time.monotonic()
    if not cwd or left <= 0:
        return None
    command = ["git", "--no-optional-locks", "-C", cwd, *words]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=left, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
