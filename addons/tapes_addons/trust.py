"""Certificates: our own CA, and the bundles that a launched agent and our upstream side trust.

The CA lives in the archive's home and is trusted only through the launched agent's environment; it is never installed
anywhere. Whoever reads its key can impersonate any host *to agents launched by us*, so the key file is 0600 in a 0700
directory. It is made once, before any agent starts, by a process of its own (`ca.py`), as `cryptography` is slow to
import. That process also looks whether a CA is whole, and leaves a stamp of the files that it has looked at: a start
compares the stamp, and need not look again until a file changes or the CA runs out.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tapes.errors import ArchiveError
from tapes.wire.agents.base import BUNDLE_VARIABLES, EXTRA_CA_VARIABLES

CA_NAME = "mitmproxy"
CERTIFICATE = f"{CA_NAME}-ca-cert.pem"
CA_KEY = f"{CA_NAME}-ca.pem"
"""Key and certificate; the one in CERTIFICATE must be the same."""
STAMP = "looked-at.json"
BUNDLES = ("bundle.pem", "extra.pem", "upstream.pem")

_BLOCK = re.compile(rb"-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----.+?-----END \1-----", re.DOTALL)

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/opt/homebrew/etc/ca-certificates/cert.pem",
)


def ensure_ca(home: Path) -> Path:
    """The folder of our CA under `home`, whole: made now if need be, and anew when it is broken or has run out, which
    is said on standard error. Safe when several runs start at once. Raises ArchiveError.
    """
    folder = home / "ca"
    if not is_known_whole(folder):
        import subprocess

        command = [sys.executable, "-m", "tapes_addons.ca", str(home)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise ArchiveError(
                f"could not make a CA in {folder}: {last[0]}", hint=f"can you write to {home}? tapes doctor says more"
            )
        sys.stderr.write(done.stdout)
    return folder


def is_known_whole(folder: Path) -> bool:
    """Has `ca.py` looked at these very files, and has the CA not run out since?"""
    try:
        stamp = json.loads((folder / STAMP).read_bytes())
        return bool(stamp["files"] == identity_of(folder) and time.time() < stamp["until"])
    except (OSError, ValueError, KeyError, TypeError):
        return False  # no stamp, or none of ours: then somebody looks


def identity_of(folder: Path) -> dict[str, list[int]]:
    """What changes when somebody writes to the CA's files: [mtime in ns, size in bytes] of each. Raises OSError."""
    found = {name: (folder / name).stat() for name in (CA_KEY, CERTIFICATE)}
    return {name: [stat.st_mtime_ns, stat.st_size] for name, stat in found.items()}


def make_ca(home: Path, aside: Path | None = None) -> None:
    """Make the CA beside its place and move it there whole; who comes second finds it made. What is in its place goes
    to `aside` first."""
    from mitmproxy import certs

    folder = home / "ca"
    draft = Path(tempfile.mkdtemp(prefix=".ca-", dir=home))
    try:
        certs.CertStore.create_store(draft, CA_NAME, 2048, organization="tapes", cn="tapes recorder CA")
        if aside is not None:
            # Agents of a running `tapes serve` read these by name, and it has the CA that they were made for in memory.
            for path in (folder / name for name in BUNDLES if (folder / name).is_file()):
                shutil.copyfile(path, draft / path.name)
        for path in draft.iterdir():
            path.chmod(0o600)
        if aside is not None:
            folder.rename(aside)
        # Loses against another run's rename (the target is then a folder with files): theirs serves as well.
        with contextlib.suppress(OSError):
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def system_bundle() -> Path:
    """The machine's own roots, else those of certifi."""
    for name in SYSTEM_BUNDLES:
        if Path(name).is_file():
            return Path(name)
    import certifi

    return Path(certifi.where())


def user_bundles(environ: Mapping[str, str]) -> tuple[list[Path], list[Path]]:
    """CA files the user has set: those that replace a program's roots, and those that add to them."""

    def files(names: Iterable[str]) -> list[Path]:
        paths = [Path(environ[name]) for name in names if environ.get(name)]
        return list(dict.fromkeys(path for path in paths if path.is_file()))

    return files(BUNDLE_VARIABLES), files(EXTRA_CA_VARIABLES)


def each_once(*bundles: bytes) -> bytes:
    """The certificates of several PEM files, each once: a user's bundle mostly holds the machine's roots too, and some
    agents read all of it for each of several connections before they say their first word."""
    blocks = dict.fromkeys(found[0] for bundle in bundles for found in _BLOCK.finditer(bundle))
    return b"".join(block + b"\n" for block in blocks)


def write_bundles(folder: Path, ca: Path, environ: Mapping[str, str]) -> tuple[Path, Path, Path]:
    """Write bundle (system + user + ours), extra (user's additions + ours) and upstream (system + user)."""
    replacing, adding = user_bundles(environ)
    ours = (ca / CERTIFICATE).read_bytes()
    theirs = [path.read_bytes() for path in dict.fromkeys([*replacing, *adding])]
    trusted = each_once(system_bundle().read_bytes(), *theirs)
    contents = {
        "bundle.pem": trusted + each_once(ours),
        "extra.pem": each_once(*theirs, ours),
        "upstream.pem": trusted,
    }
    for name, data in contents.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    return folder / "bundle.pem", folder / "extra.pem", folder / "upstream.pem"
