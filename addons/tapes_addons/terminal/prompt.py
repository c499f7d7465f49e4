"""A prompt of ours for a person's shell: what to start it with, so that it tells of its commands (marks.py).

The person's own startup files are read as they would be, and ours after them:

- bash by `--rcfile`, behind what was said there; a shell that reads no such file (login, --norc, sh) by PROMPT_COMMAND,
  which is lost where a profile sets that anew: the shell then runs as ever, and tells nothing.
- zsh by a folder of startup files for ZDOTDIR, each of which reads the person's own.
- fish by `--init-command`.

dash, and bash before 4.4 (that of macOS), have nothing to hook into: of them there is the screen alone. A shell that is
replaced (`exec bash`) or started in the shell by hand tells nothing of itself: it is one command.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

SHIM = Path(__file__).parent / "shim"
ZSH_FILES = (".zshenv", ".zprofile", ".zshrc", ".zlogin")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the shell is to be given besides what the person said."""

    nonce: str
    """For Plan.marks."""
    arguments: tuple[str, ...] = ()
    at: int = 1
    """Where in argv the arguments stand."""
    environment: Mapping[str, str] = field(default_factory=dict)


def install(folder: Path, argv: Sequence[str], at: int, environ: Mapping[str, str], home: str) -> Prompt | None:
    """Make the files of a prompt in `folder` (which is there) for the shell that stands at `argv[at]`.

    `environ` is what the shell will have without us. None for a shell that can not tell.
    """
    nonce, stem = os.urandom(16).hex(), os.urandom(12).hex()
    ids = {"__tapes_nonce": nonce, "__tapes_stem": stem}
    name = PurePath(argv[at]).name
    if name == "zsh":
        own = {"__tapes_zdotdir": environ["ZDOTDIR"]} if "ZDOTDIR" in environ else {}
        for startup in ZSH_FILES:
            _write(folder / startup, "zsh_file", {"__tapes_file": startup, "__tapes_ours": str(folder), **own})
        _write(folder / "hooks.zsh", "hooks.zsh", ids)
        return Prompt(nonce, environment={"ZDOTDIR": str(folder)})
    if name == "fish":
        head = "".join(f"set -g {key} {value}\n" for key, value in ids.items())
        (folder / "config.fish").write_text(head + (SHIM / "config.fish").read_text())
        return Prompt(nonce, ("--init-command", f"source {shlex.quote(str(folder / 'config.fish'))}"), at + 1)
    file = folder / "bashrc"
    rc, behind = _rcfile(argv, at)
    if name == "bash" and rc is not None:
        _write(file, "bashrc", {**ids, "__tapes_rc": rc or f"{home}/.bashrc"})
        return Prompt(nonce, ("--rcfile", str(file)), behind)
    if name in ("bash", "sh"):
        boot = f". {shlex.quote(str(file))}"
        given = environ.get("PROMPT_COMMAND", "")
        _write(file, "bashrc", {**ids, "__tapes_boot": boot, "__tapes_given": given})
        return Prompt(nonce, environment={"PROMPT_COMMAND": boot})
    return None


def _rcfile(argv: Sequence[str], at: int) -> tuple[str | None, int]:
    """The file that bash is told to read instead of ~/.bashrc ("" for that one, None where it reads none), and behind
    which word another may be named: long options stand before all others."""
    found, behind = "", at + 1
    for number, word in enumerate(argv[at + 1 :], at + 1):
        if word in ("--norc", "--login", "--posix") or (not word.startswith("--") and "l" in word[1:]):
            return None, at + 1
        if word in ("--rcfile", "--init-file") and number + 1 < len(argv):
            found, behind = argv[number + 1], number + 2
    return found, behind


def _write(path: Path, template: str, head: Mapping[str, str]) -> None:
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in head.items()]
    # A person's path may be no UTF-8.
    path.write_bytes(("".join(lines) + (SHIM / template).read_text()).encode(errors="surrogateescape"))
