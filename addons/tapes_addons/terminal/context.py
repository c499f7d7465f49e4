"""What a command's environment points to and does not say: the context in force in a kubeconfig, the container.

Asked for each command, so it is read again only when a file has changed. Nothing here may fail or take long: files are
read to a limit, and the one line of a kubeconfig that counts is found without a YAML parser.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

_MOST = 1024 * 1024
_FILES = 8
"""Of a KUBECONFIG with many paths, so many are looked at."""
_CURRENT = re.compile(
    rb"^[\"']?current-context[\"']?[ \t]*:[ \t]*[\"']?([^\"'#\r\n]*?)[\"']?[ \t]*(?:,|#.*)?\r?$", re.MULTILINE
)
_JSON = re.compile(rb"\"current-context\"\s*:\s*\"([^\"\r\n]*)\"")
_CONTAINER_ID = re.compile(rb"(?:docker|containers|libpod)[-/](?:overlay-containers/)?([0-9a-f]{64})")


class Contexts:
    """Remembers what was read. Used by one thread."""

    def __init__(self, environ: Mapping[bytes, bytes]) -> None:
        self._home = environ.get(b"HOME", b"")
        self._container = container(environ)

    def __call__(self, environ: Mapping[bytes, bytes], cwd: bytes) -> Mapping[str, str]:
        """What is in force for a command with this environment in this directory."""
        found = dict(self._container)
        kube = self.kube(environ, cwd)
        if kube:
            found["kube"] = kube
        return found

    def kube(self, environ: Mapping[bytes, bytes], cwd: bytes) -> str:
        """The current context of kubectl: of several files the first that names one counts, as kubectl merges them."""
        home = environ.get(b"HOME", self._home)
        paths = [path for path in environ.get(b"KUBECONFIG", b"").split(b":") if path]
        if not paths and home:
            paths = [home + b"/.kube/config"]
        for path in paths[:_FILES]:
            name = _current_context(Path(os.fsdecode(cwd or b"/")) / os.fsdecode(path))
            if name:
                return name
        return ""


def container(environ: Mapping[bytes, bytes]) -> dict[str, str]:
    """The container that this process is in, as far as it can be known from within."""
    engine = environ.get(b"container", b"").decode("utf-8", "backslashreplace")
    if not engine and Path("/.dockerenv").exists():
        engine = "docker"
    found = {"container": engine} if engine else {}
    told = _CONTAINER_ID.search(_beginning(Path("/proc/self/mountinfo"))) if engine else None
    if told:
        found["container_id"] = told[1].decode()[:12]
    env = _beginning(Path("/run/.containerenv"))  # podman says its name and image there
    for key in ("name", "image"):
        said = re.search(rb'^%s="([^"\n]*)"' % key.encode(), env, re.MULTILINE)
        if said:
            found[f"container_{key}"] = said[1].decode("utf-8", "backslashreplace")
    return found


def _current_context(path: Path) -> str:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return ""
    return _read(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=64)
def _read(path: Path, mtime_ns: int, size: int, inode: int) -> str:
    data = _beginning(path) if size <= _MOST else b""
    found = _CURRENT.search(data) or _JSON.search(data)
    return found[1].decode("utf-8", "backslashreplace") if found else ""


def _beginning(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would have us wait for ever
            return b""
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError:
        return b""
