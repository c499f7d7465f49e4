"""What a tool call means, whoever's tool it is: what is done, to what, and with which further words.

`Bash: cat a.py`, `read_file a.py` and `sed -n 1,200p a.py` all read a.py; `pytest` is not `rm`, though both are `Bash`.
Two calls are the same where tool and normalised input are; how alike two others are is told by what they do and to
what, then by the rest. Words become bits of an integer, so that likeness is a matter of two machine operations.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

from tapes.compare import shell
from tapes.compare.masks import Masks
from tapes.pattern import pattern
from tapes.values import dataclass
from tapes.wire import shells
from tapes.wire.files import Deed, deeds
from tapes.wire.turns import Json

type Family = Literal["run", "read", "edit", "list", "search", "delete", "spawn", "todo", "fetch", "tool"]

BITS = 1024
MOST = 400
"""Different words of a text that are looked at."""
_READERS = frozenset({"cat", "head", "tail", "nl", "less", "more", "bat", "sed", "awk", "view"})
_LISTERS = frozenset({"ls", "find", "tree", "fd", "dir"})
_SEARCHERS = frozenset({"grep", "rg", "egrep", "fgrep", "ag", "ack"})
_WITH_VERB = frozenset(
    {"git", "npm", "pnpm", "yarn", "cargo", "go", "docker", "kubectl", "pip", "uv", "apt", "apt-get", "brew", "make",
     "poetry", "gh", "systemctl", "conda", "dotnet", "terraform", "bundle", "mvn", "gradle"}
)  # fmt: skip
_INTERPRETERS = frozenset({"python", "node", "ruby", "perl", "php", "deno", "bun", "java", *shell.SHELLS})
_TALK = frozenset({"description", "explanation", "justification", "reason", "title", "thought", "rationale"})
"""What a model says beside what it asks for."""
_LOOKING = {
    "Grep": "search", "grep": "search", "search_file_content": "search", "grep_search": "search",
    "grep_files": "search",
    "Glob": "list", "glob": "list", "LS": "list", "list": "list", "list_directory": "list", "list_dir": "list",
    "WebFetch": "fetch", "webfetch": "fetch", "web_fetch": "fetch", "WebSearch": "fetch", "web_search": "fetch",
    "google_web_search": "fetch", "websearch": "fetch",
}  # fmt: skip
_WHERE = ("path", "dir_path", "directory", "dir", "pattern", "query", "url", "glob", "include")
_TOKEN = pattern(r"[A-Za-z_‹›][\w‹›]*|\d+|[^\w\s]{2,}")


@dataclass(frozen=True, slots=True)
class Action:
    """A call, to be compared."""

    family: Family
    same: bytes
    """Equal for calls that are the same."""
    key: int
    """What is done to what, as bits."""
    body: int
    """All else that is said, as bits."""
    label: str
    """In a line, with places and ids masked: also the order in which parallel calls are compared."""
    lines: tuple[str, ...] = ()
    """Of a call that runs commands: those, as asked."""
    paths: tuple[str, ...] = ()


class Actions:
    """Reads the calls of one side."""

    def __init__(self, masks: Masks, agent: str) -> None:
        self._masks, self._shells = masks, shells.by_name(agent)

    def of(self, tool: str, text: str, *, spawned: bool = False) -> Action:
        """`text`: the input as it was said, JSON or not."""
        try:
            return self._of(tool, _read(text), spawned=spawned)
        except RecursionError:  # JSON nested so deep that nobody means anything by it: it is its text
            return self._other(tool, text, spawned=spawned)

    def _of(self, tool: str, arguments: Json, *, spawned: bool) -> Action:
        claims = self._shells.claims(tool, arguments) or _claimed(arguments, tool)
        lines = tuple(claim if isinstance(claim, str) else claim.line for claim in claims)
        if lines and all(lines):
            whole = isinstance(arguments, dict)
            return self._run(tool, [self._masks.identity(line) for line in lines], arguments if whole else {}, lines)
        asked = deeds(tool, arguments)
        if asked:
            return self._deed(tool, asked, arguments)
        return self._other(tool, arguments, spawned=spawned)

    def line(self, text: str) -> Action:
        """Of a command that somebody typed."""
        return self._run("", [self._masks.identity(text)], {}, (text,))

    def told(self, tool: str, result: str, *, failed: bool) -> tuple[bool, str] | None:
        """Whether a command failed and what it wrote, out of what the model was told of it; None where that can not be
        told apart. So the frames that two agents put around an output are no difference."""
        said = self._shells.told(tool, result, failed)
        if said.output is None or said.denied or said.running:
            return None
        return bool(said.status or said.signal or failed), said.output

    # -- commands

    def _run(self, tool: str, masked: Sequence[str], arguments: Json, lines: tuple[str, ...]) -> Action:
        read = [shell.read(line) for line in masked]
        where = [self._masks.identity(str(v)) for k, v in _table(arguments) if k in ("workdir", "cwd", "dir_path")]
        where = [place for place in where if place not in ("", ".", "‹cwd›")]
        commands = [command for line in read for command in line.commands]
        commands = [c for n, c in enumerate(commands) if not (n == 0 and _goes_home(c) and len(commands) > 1)]
        canon = [without_home(line.canon) for line in read]
        family, about, rest = _about(commands)
        return Action(
            family,
            _hash("run", tool, canon, where),
            bits(about, 3),
            bits(rest),
            " && ".join(masked),
            lines,
            tuple(word[1] for word in about if word[0] == "path"),
        )

    # -- files, lists, agents

    def _deed(self, tool: str, asked: Sequence[Deed], arguments: Json) -> Action:
        identity = self._masks.identity
        first = asked[0]
        family: Family = "edit" if first.action == "write" else first.action
        paths = tuple(_relative(identity(deed.path)) for deed in asked if deed.path)
        said = [(k, v) for k, v in _table(arguments) if k not in _TALK]
        same = _hash("deed", tool, self._normal(dict(said) if isinstance(arguments, dict) else arguments))
        about: list[tuple[str, str]] = [(family, "")]
        if family in ("read", "edit", "delete"):
            about = [("path", path) for path in paths]
            body = [word for deed in asked for word in tokens(identity(deed.diff or " ".join(deed.new)))]
        else:
            body = list(tokens(identity(first.said)))
        label = " ".join([family, *paths]) if family != "todo" else "todo"
        if family == "spawn":
            label = f"spawn {first.path}: {identity(first.said)[:200]}"
        return Action(family, same, bits(about, 3), bits(body), label, paths=paths)

    def _other(self, tool: str, arguments: Json, *, spawned: bool) -> Action:
        table = dict(_table(arguments))
        family: Family = _LOOKING.get(tool, "spawn" if spawned else "tool")  # type: ignore[assignment]
        normal = self._normal({k: v for k, v in table.items() if k not in _TALK} if table else arguments)
        about = [("word", self._masks.identity(str(table[name]))) for name in _WHERE if table.get(name)]
        if family == "tool":
            about = [("tool", tool)]
        elif family in ("list", "search"):
            about = [("path", _relative(word)) for _, word in about] or [("path", ".")]
        text = json.dumps(normal, sort_keys=True, ensure_ascii=False) if not isinstance(normal, str) else normal
        return Action(
            family,
            _hash("tool", tool, normal),
            bits([("what", tool), *about] if family == "tool" else about or [("what", family)], 3),
            bits(tokens(text)),
            f"{tool} {text}"[:400],
        )

    def _normal(self, value: Json) -> Json:
        if isinstance(value, str):
            return self._masks.identity(value)
        if isinstance(value, list):
            return [self._normal(one) for one in value]
        if isinstance(value, dict):
            return {str(key): self._normal(one) for key, one in sorted(value.items())}
        return value


def alike(one: Action, other: Action) -> float:
    """0 to 1. Calls that do something else, or the same to something else, are hardly alike however alike they look."""
    if one.same == other.same:
        return 1.0
    if one.family != other.family:
        return 0.0
    key = shared(one.key, other.key)
    return 0.6 * key + 0.4 * shared(one.body, other.body) if key else 0.0


def shared(one: int, other: int) -> float:
    """Of all bits in either, those that are in both."""
    if one == other:
        return 1.0
    both = one | other
    return (one & other).bit_count() / both.bit_count()


def bits(words: Iterable[object], each: int = 1) -> int:
    """A set of words; `each` bits for one."""
    found = 0
    for count, word in enumerate(words):
        if count >= MOST:
            break
        found |= _bits(repr(word), each)
    return found


@lru_cache(65536)
def _bits(word: str, each: int) -> int:
    digest = blake2b(word.encode("utf-8", "replace"), digest_size=2 * each).digest()
    found = 0
    for n in range(each):
        found |= 1 << (int.from_bytes(digest[2 * n : 2 * n + 2]) % BITS)
    return found


def tokens(text: str) -> Iterator[str]:
    """The words of a text, small letters, in order."""
    return (match[0].lower() for match in _TOKEN.finditer(text[:20_000]))


# -- what a command line is about


def _about(commands: Sequence[shell.Simple]) -> tuple[Family, list[tuple[str, str]], list[str]]:
    """What the line does (by its first command that does something), to what, and all other words."""
    if not commands:
        return "run", [("program", "")], []
    words = [shell.words_of(command) for command in commands]
    rest = [word for line in words for word in line[1:]]
    rest += [word for command in commands for word in tokens(command.text)]
    first, head = commands[0], words[0]
    program, said = head[0], head[1:]
    files = [_relative(word) for word in said if not word.startswith("-")]
    into = [_relative(path) for path in first.writes]
    if program in ("apply_patch", "patch") and (patch := deeds("apply_patch", first.text or " ".join(said))):
        return "edit", [("path", _relative(deed.path)) for deed in patch], rest
    if program == "tee" or (into and program in ("cat", "echo", "printf")):
        return "edit", [("path", path) for path in into or files], rest
    if program == "sed" and any(word.startswith(("-i", "--in-place")) for word in said):
        return "edit", [("path", path) for path in files[1:] or files], rest
    if program in _READERS and not into:
        shown = files[1:] if program in ("sed", "awk") else [f for f in files if not f.isdigit()]
        if shown:
            return "read", [("path", path) for path in shown], rest
    if program in _LISTERS and not {"-exec", "-delete"} & set(said):
        return "list", [("path", path) for path in files[:1] or ["."]], rest
    if program in _SEARCHERS or head[:2] == ("git", "grep"):
        return "search", [("path", path) for path in files or ["."]], rest
    if program in ("rm", "unlink", "rmdir"):
        return "delete", [("path", path) for path in files], rest
    about = []
    for line in words[:8]:
        verb = ""
        if line[0] in _WITH_VERB or (line[0] in _INTERPRETERS and "-c" not in line and "-e" not in line):
            verb = next((word for word in line[1:] if not word.startswith("-")), "")
        about.append(("program", f"{line[0]} {verb}"))
    return "run", about, rest


def _goes_home(command: shell.Simple) -> bool:
    return command.program == "cd" and command.words[:1] in (("‹cwd›",), (".",), ())


def without_home(canon: shell.Canon) -> shell.Canon:
    """`cd ‹cwd› && x` is x."""
    home = ("command", "cd", "‹cwd›")
    if isinstance(canon, tuple) and canon[:1] == ("list",) and canon[1:2] == (home,) and canon[2:3] == ("&&",):
        rest = canon[3:]
        return rest[0] if len(rest) == 1 else ("list", *rest)
    if isinstance(canon, tuple) and canon[:1] == ("list",) and isinstance(canon[1], tuple):
        inner = without_home(canon[1])  # a list leans to the left: (cd && a) && b
        return ("list", inner, *canon[2:]) if inner is not canon[1] else canon
    return canon


def _relative(path: str) -> str:
    """A path from the working directory on."""
    return path.removeprefix("‹cwd›").lstrip("/") or "." if path.startswith("‹cwd›") else path.removeprefix("./") or "."


# -- inputs


def _claimed(arguments: Json, tool: str) -> tuple[str, ...]:
    """The line that a tool of an unknown agent runs."""
    if tool.lower() not in (
        "bash",
        "shell",
        "run_shell_command",
        "exec_command",
        "shell_command",
        "execute",
        "terminal",
    ):
        return ()
    found = next((v for k, v in _table(arguments) if k in ("command", "cmd") and isinstance(v, str)), "")
    return (found,) if found else ()


def _table(arguments: Json) -> Iterator[tuple[str, Json]]:
    return iter(arguments.items()) if isinstance(arguments, dict) else iter(())


def _read(text: str) -> Json:
    try:
        found: Json = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return text
    return found


def _hash(*parts: object) -> bytes:
    return blake2b(repr(parts).encode("utf-8", "replace"), digest_size=16).digest()
