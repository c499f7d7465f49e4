"""What one run's shells read: the trampolines, with all that they need to know written into them.

Only BASH_ENV, ZDOTDIR and PYTHONPATH lead an agent's shells here. An agent that cleans its commands' environment, or a
sandbox that shows them other directories, then loses the whole witness or nothing of it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tapes_addons.terminal.supervisor import Force, force, orphans_are_reaped

SHIMS = Path(__file__).parent / "shim"
JOINING = ("TRACEPARENT", "TAPES_CALL", "AI_AGENT")
"""Besides marks and scopes, what tells a shell that has no supervisor from another: environments are not reported."""
ZSH_FILES = (".zshenv", ".zprofile", ".zshrc", ".zlogin", ".zlogout")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_FIRST_LEVEL = """\
if [[ ${SHLVL-} == 2 ]]; then
    # Launched without SHLVL, which wire/shells sets: bash takes a first shell on a socket for rshd's, which reads
    # ~/.bashrc and no BASH_ENV. Here it does what it would have done.
    SHLVL=1
    if [[ -S /dev/stdin && -n ${BASH_EXECUTION_STRING+x} ]] && ! shopt -q login_shell; then
        [[ ! -f /etc/bash.bashrc ]] || . /etc/bash.bashrc
        [[ ! -f ~/.bashrc ]] || . ~/.bashrc
    else
        @CHAIN@
    fi
else
    @CHAIN@
fi"""


@dataclass(frozen=True, slots=True)
class Marked:
    """How commands of one kind of agent are known by their environment: `marks` and `scope` of wire/shells."""

    name: str
    marks: tuple[str, ...]
    scope: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Own:
    """The user's own start-up files, which come after ours; "" where there is none."""

    bash_env: str = ""
    zdotdir: str = ""
    """"" is the home directory, as for zsh."""
    python_path: str = ""

    @staticmethod
    def of(environ: Mapping[str, str]) -> Own:
        return Own(environ.get("BASH_ENV", ""), environ.get("ZDOTDIR", ""), environ.get("PYTHONPATH", ""))


@dataclass(frozen=True, slots=True)
class Installed:
    """Absolute paths; those of wire/shells' Witness."""

    bash_env: str
    zdotdir: str
    python_path: str
    """A directory for PYTHONPATH, before what stands there already."""
    fifo: str
    force: Force
    """Who witnesses, and why not the better one."""


def install(
    run_dir: Path,
    *,
    agents: Sequence[Marked],
    launched: str,
    launcher_pid: int,
    nonce: bytes,
    environ: Mapping[str, str],
    own: Own,
    deep: bool = False,
) -> Installed:
    """Write a run's files. `environ` is what the agent is launched in: marks that stand there already are none.

    The FIFO `run_dir/commands` is the launcher's to make. Raises OSError, and ValueError for a nonce of another size
    than 8 bytes.
    """
    if len(nonce) != 8:
        raise ValueError("a run's nonce has 8 bytes")
    names = _names(agents)
    in_force = force()
    supervisor = in_force.program if in_force.level == "supervisor" else ""
    fifo = str(run_dir / "commands")
    unmarked = not any(agent.marks for agent in agents if agent.name == launched)
    no_level = not environ.get("SHLVL", "").strip().isdigit() or int(environ["SHLVL"]) < 1
    here = {
        "CURRENT": _scope_now(names),
        "NEW_SCOPE": _new_scope(agents, names, environ, launcher_pid if unmarked else 0),
        "NAMES": " ".join(dict.fromkeys((*names, *JOINING))),
        "SUPERVISOR": shlex.quote(supervisor or "/nonexistent"),
        "FIFO": shlex.quote(fifo),
        "NONCE": nonce.hex(),
        "NONCE_ESCAPED": "".join(f"\\x{byte:02x}" for byte in nonce),
        "HOW": shlex.quote(("d" if deep else "") + ("" if orphans_are_reaped() else "c")),
        "KEEP": shlex.quote(str(run_dir / "bash_keep")),
        "TRAP": shlex.quote(str(run_dir / "bash_trap")),
        "CHAIN": (_FIRST_LEVEL if no_level else "@CHAIN@").replace("@CHAIN@", _chain_bash(own.bash_env)),
    }
    for name in ("bash_env", "bash_keep", "bash_trap"):
        _write(run_dir / name, _fill((SHIMS / name).read_text(), here))
    _install_zsh(run_dir / "zsh", here, own.zdotdir)
    python = {
        "supervisor": supervisor,
        "fifo": fifo,
        "nonce": nonce.hex(),
        "names": names,
        "marks": [mark for agent in agents for mark in agent.marks],
        "base": ":".join(environ.get(name, "") for name in names),
        "unmarked": unmarked,
        "how": here["HOW"].strip("'"),
    }
    text = (SHIMS / "sitecustomize.py").read_text().replace('"@SETTINGS@"', repr(json.dumps(python)))
    _write(run_dir / "python" / "sitecustomize.py", text)
    return Installed(str(run_dir / "bash_env"), str(run_dir / "zsh"), str(run_dir / "python"), fifo, in_force)


def _names(agents: Sequence[Marked]) -> list[str]:
    """Variables whose values together tell one command from another."""
    names = list(dict.fromkeys(name for agent in agents for name in (*agent.marks, *agent.scope)))
    for name in names:
        if not _NAME.match(name):
            raise ValueError(f"no name of a variable: {name!r}")
    return names


def _scope_now(names: Sequence[str]) -> str:
    """As a word of a shell: bash and zsh understand it."""
    return '"' + ":".join(f"${{{name}-}}" for name in names) + '"'


def _new_scope(agents: Sequence[Marked], names: Sequence[str], environ: Mapping[str, str], launcher_pid: int) -> str:
    """Condition: this shell is the first of its command. With `launcher_pid`, the launched agent has no marks."""
    now = _scope_now(names)
    base = shlex.quote(":".join(environ.get(name, "") for name in names))
    marks = '"' + "".join(f"${{{mark}-}}" for agent in agents for mark in agent.marks) + '"'
    known = f'{{ [[ -n ${{TAPES_SCOPE+x}} && {now} != "${{TAPES_SCOPE-}}" && -n {marks} ]]'
    fresh = f"[[ -z ${{TAPES_SCOPE+x}} && {now} != {base} && -n {marks} ]]"
    bare = f" || [[ -z ${{TAPES_SCOPE+x}} && $PPID != ${{TAPES_PARENT:-{launcher_pid}}} ]]" if launcher_pid else ""
    return f"{known} || {fresh}{bare}; }}"


def _chain_bash(path: str) -> str:
    """bash expands BASH_ENV as if it stood in double quotes, and minds no missing file."""
    if not path:
        return "[[ 1 ]]"  # nothing, which leaves $_ alone
    word = '"' + path.replace('"', '\\"') + '"'
    # Without a slash `.` would search PATH, which BASH_ENV does not.
    word = word if "/" in path else '"./' + word[1:]
    return f"[[ ! -f {word} ]] || . {word}"


def _install_zsh(folder: Path, here: Mapping[str, str], zdotdir: str) -> None:
    ours, user = shlex.quote(str(folder)), shlex.quote(zdotdir) if zdotdir else '"$HOME"'
    for name in ZSH_FILES:
        # A user's file may move ZDOTDIR, as some do in ~/.zshenv: then the rest of zsh's files is theirs alone.
        chain = f"if [[ -f {user}/{name} ]]; then ZDOTDIR={user}; . {user}/{name}; fi\n"
        chain += f"[[ $ZDOTDIR != {user} ]] || ZDOTDIR={ours}"
        text = _fill((SHIMS / "zshenv").read_text(), {**here, "CHAIN": chain}) if name == ".zshenv" else chain + "\n"
        _write(folder / name, text)


def _fill(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"@([A-Z_]+)@", lambda found: values.get(found[1], found[0]), text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    # A user's path may be no UTF-8.
    path.write_bytes(text.encode(errors="surrogateescape"))
