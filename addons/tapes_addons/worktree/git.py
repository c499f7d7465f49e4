"""What git says of a repository's files, asked without a trace: no lock, no refreshed index, no hook, no daemon.

Whether a path is ignored is git's own word: at a first look by one listing, later by a `check-ignore` that stays. That
goes by patterns alone and reads no index (with one, each answer would cost a look at all of it); what it calls ignored
and git tracks all the same is asked for by name. Head and branch are read from their files. A git that is missing,
refuses or hangs costs what it would have said, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path

from tapes_addons.worktree import stat

LIST_S = 5.0
"""For a listing of the whole repository, which is asked for beside everything else."""
ANSWER_S = 2.0
_ASK_BYTES = 8192
"""Fits into any pipe: who asks never waits for room while git waits to answer."""
_FEW = 32
_FAILURES = 3
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


class Git:
    """Of one repository, seen from a directory in it."""

    def __init__(self, folder: bytes) -> None:
        self.folder = folder
        self._asking: subprocess.Popen[bytes] | None = None
        self._failures = 0
        self._dir = git_dir(folder)
        self._rules = self._rule_files()

    def close(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.kill()
            for pipe in (asking.stdin, asking.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            asking.wait()

    @property
    def usable(self) -> bool:
        return self._failures < _FAILURES

    def ignored_now(self) -> set[bytes] | None:
        """All that is ignored, a wholly ignored directory as one path. None where git does not say."""
        words = ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"]
        told = self._run(words, LIST_S)
        return None if told is None else {path.rstrip(b"/") for path in told.split(b"\0") if path}

    def tracked(self, paths: Iterable[bytes]) -> set[bytes]:
        """Those of the paths that the index has, or has something below."""
        asked = sorted(paths)
        words = asked if len(asked) <= _FEW else []  # many words cost git more than telling everything
        told = self._run(["ls-files", "-z", "--cached", "--", *words], ANSWER_S) if asked else b""
        names = sorted(name for name in (told or b"").split(b"\0") if name)
        found: set[bytes] = set()
        for path in asked:
            for wanted in (path, path + b"/"):
                at = bisect_left(names, wanted)
                if at < len(names) and (names[at] == path or names[at].startswith(path + b"/")):
                    found.add(path)
        return found

    def ignored(self, paths: Sequence[bytes]) -> set[bytes]:
        """Those of the paths that patterns say to ignore, tracked or not. Of what git does not answer, none."""
        found: set[bytes] = set()
        for some in _by_bytes(paths, _ASK_BYTES):
            if not self.usable:
                break
            try:
                found |= self._ask(some)
            except (OSError, TimeoutError):
                self._failures += 1
                self.close()
        return found

    def rules_changed(self) -> bool:
        """Have the rules outside of the repository's tree changed (info/exclude)? Those in it are files like any."""
        before, self._rules = self._rules, self._rule_files()
        return before != self._rules

    def index_state(self) -> stat.Stat | None:
        """Another one says that something else may be tracked now."""
        return stat.look(os.fsencode(self._dir / "index")) if self._dir else None

    def head(self) -> tuple[str, str]:
        """Commit and branch; "" what can not be told."""
        return head_of(self._dir) if self._dir else ("", "")

    def _rule_files(self) -> stat.Stat | None:
        return stat.look(os.fsencode(common_dir(self._dir) / "info" / "exclude")) if self._dir else None

    def _run(self, words: Sequence[str | bytes], timeout: float) -> bytes | None:
        if not self.usable:
            return None
        try:
            done = subprocess.run(
                [*_GIT, "--literal-pathspecs", *words],
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired, ValueError):
            self._failures += 1
            return None
        return done.stdout if done.returncode == 0 else None

    def _ask(self, paths: Sequence[bytes]) -> set[bytes]:
        asking = self._asking
        if asking is None:
            asking = self._asking = subprocess.Popen(
                [*_GIT, "check-ignore", "--no-index", "--stdin", "-z", "--verbose", "--non-matching"],
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        assert asking.stdin is not None and asking.stdout is not None
        # A colon in front would be read as magic, and check-ignore has no literal paths.
        asking.stdin.write(b"".join(b"./" + path + b"\0" for path in paths))
        until = time.monotonic() + ANSWER_S
        told = b""
        while told.count(b"\0") < 4 * len(paths):
            ready, _, _ = select.select([asking.stdout], [], [], max(0.0, until - time.monotonic()))
            more = os.read(asking.stdout.fileno(), 65536) if ready else b""
            if not more:
                raise TimeoutError("git does not answer")
            told += more
        fields = told.split(b"\0")
        # Source, line, pattern, path. A pattern that takes the path back is reported too.
        rows = zip(fields[2::4], fields[3::4], strict=False)
        return {path[2:] for pattern, path in rows if pattern and not pattern.startswith(b"!")}


_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=keep")


def _environment() -> dict[str, str]:
    """The user's, but for what would lead git to another repository, index or trace file."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith("GIT_CONFIG")}
    return kept | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _by_bytes(paths: Iterable[bytes], most: int) -> Iterable[list[bytes]]:
    some: list[bytes] = []
    size = 0
    for path in paths:
        if some and size + len(path) > most:
            yield some
            some, size = [], 0
        some.append(path)
        size += len(path) + 1
    if some:
        yield some


def git_dir(folder: bytes) -> Path | None:
    """The `.git` of the repository around a directory, through the file that stands for it in a linked worktree."""
    start = Path(os.fsdecode(folder))
    for place in (start, *start.parents):
        found = place / ".git"
        if found.is_dir():
            return found
        if found.is_file():
            try:
                told = found.read_bytes()[:4096].removeprefix(b"gitdir:").strip()
            except OSError:
                return None
            return place / os.fsdecode(told)
    return None


def common_dir(folder: Path) -> Path:
    """Where refs and rules are that all worktrees of a repository share."""
    try:
        return folder / os.fsdecode((folder / "commondir").read_bytes()[:4096].strip())
    except OSError:
        return folder


def head_of(folder: Path) -> tuple[str, str]:
    """Commit and branch of HEAD; "" what can not be told (a branch without a commit, refs kept in another way)."""
    try:
        told = (folder / "HEAD").read_bytes()[:4096].decode("utf-8", "replace").strip()
        if not told.startswith("ref: "):
            return (told if _COMMIT.fullmatch(told) else ""), ""
        ref = told.removeprefix("ref: ")
        branch = ref.removeprefix("refs/heads/")
        for place in (folder, common_dir(folder)):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                commit = (place / ref).read_bytes()[:100].decode("ascii", "replace").strip()
                return (commit if _COMMIT.fullmatch(commit) else ""), branch
        with contextlib.suppress(FileNotFoundError):
            for line in (common_dir(folder) / "packed-refs").read_bytes().splitlines():
                if line.endswith(b" " + os.fsencode(ref)):
                    return line.split(b" ")[0].decode("ascii", "replace"), branch
    except (OSError, ValueError):
        return "", ""
    return "", branch
