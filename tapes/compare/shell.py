"""A command line as the commands it is made of, read by bash's grammar (tree-sitter-bash) and not split on spaces.

Two lines mean the same when they differ in blanks, quotes or line ends only: `canon` is then equal. What a line is
*about* is its simple commands: those within `bash -c '…'`, `cd DIR && …`, `sudo`, `timeout 5` count as what they run.
A line that the grammar does not take (it is then of no use to a shell either, or too long to be typed) is its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from tapes.pattern import pattern
from tapes.values import dataclass

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

LONGEST = 8192
"""Bytes of a line that is parsed, heredocs not counted: the grammar needs time with the square of nonsense."""
_HEREDOCS = 16
"""That are looked for in a long line: each that does not end is sought to the line's end."""
_DEEPEST = 60
_SIGNS = frozenset({"&&", "||", "|", "|&", "&", "!", "<", ">", ">>", ">&", "&>", "&>>", "<&", "<<<", ">|", "<<", "<<-"})
SHELLS = frozenset({"bash", "sh", "dash", "zsh", "ksh"})
_WRAPPERS = frozenset(
    {"sudo", "env", "nice", "nohup", "time", "command", "exec", "stdbuf", "timeout", "xargs", "ionice"}
)
_RUNNERS = frozenset({("uv", "run"), ("poetry", "run"), ("pipenv", "run"), ("npm", "exec"), ("pnpm", "exec")})
_HEREDOC = pattern(r"(<<-?\s*['\"]?(\w+)['\"]?[^\n]*\n)(.*?)(\n\s*\2\s*?(?:\n|\Z))", re.DOTALL)
_ESCAPED = pattern(r"\\(?:\n|(.))", re.DOTALL)
_IN_STRING = pattern(r'\\([$`"\\])|\\\n')
_VERSION = pattern(r"(python|pip|node|ruby|perl)[\d.]+\Z")

_LETTERS = bytes(byte if byte in b"\t\n" or 32 <= byte < 127 else ord("x") for byte in range(256))

type Canon = str | tuple["Canon", ...]


@dataclass(frozen=True, slots=True)
class Simple:
    """One simple command: what is run, on what."""

    program: str
    """Without its directory; empty for a mere assignment."""
    words: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    """Files that its output goes to."""
    reads: tuple[str, ...] = ()
    text: str = ""
    """Of a heredoc."""


@dataclass(frozen=True, slots=True)
class Line:
    """A command line, read."""

    commands: tuple[Simple, ...]
    canon: Canon
    sound: bool = True
    """The grammar took all of it."""


@lru_cache(4096)
def read(line: str) -> Line:
    """What a line runs. Never fails: a line that can not be read is one command of its words."""
    line = line.strip()
    if len(line) > LONGEST and line.count("<<") <= _HEREDOCS:
        line = _HEREDOC.sub(_shortened, line)
    if len(line) > LONGEST:
        return Line(_words(line[:LONGEST]), ("long", line), sound=False)
    root = _parser().parse(_plain(line)).root_node
    if root.has_error:
        return Line(_words(line), ("unread", " ".join(line.split())), sound=False)
    tree = _Tree(line)
    return Line(tuple(_unwrapped(tree.simple(root, 0))), tree.canon(root, 0))


def _shortened(heredoc: re.Match[str]) -> str:
    """A heredoc by a hash of its text, and the beginning of that."""
    text = heredoc[3]
    if len(text) < 1024:
        return heredoc[0]
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"{heredoc[1]}{text[:512]}\n{digest}{heredoc[4]}"


def words_of(command: Simple) -> tuple[str, ...]:
    """Program and words, where what only starts another program is left out: `python3 -m pytest -q` is `pytest -q`."""
    words = (command.program, *command.words)
    for _ in range(8):
        if words[0] in _WRAPPERS:
            words = _behind_options(words[1:])
        elif len(words) > 2 and (words[0], words[1]) in _RUNNERS:
            words = words[2:]
        elif words[0] in ("npx", "uvx", "bunx") and len(words) > 1:
            words = _behind_options(words[1:])
        elif words[0] == "python" and "-m" in words[1:3]:
            words = words[words.index("-m") + 1 :]
        else:
            break
        words = (_name(words[0]), *words[1:]) if words else ("",)
    return words


def _behind_options(words: Sequence[str]) -> tuple[str, ...]:
    """`-n 5 make`, `10s make`, `A=1 make`: make."""
    rest = list(words)
    while len(rest) > 1 and (rest[0].startswith("-") or "=" in rest[0] or rest[0][:1].isdigit()):
        rest.pop(0)
    return tuple(rest) or ("",)


@cache
def _parser() -> Parser:
    import tree_sitter_bash  # sessions without a command line need not wait for it
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


def _plain(line: str) -> bytes:
    """The line to be parsed, a byte for each character. The grammar's scanner asks C of every character whether it is a
    letter, which is defined for ASCII alone: others crashed the process. To a shell they are letters all the same."""
    return "".join(char if char.isascii() else "x" for char in line).encode("ascii").translate(_LETTERS)


# -- what it means, and what it runs


class _Tree:
    """Reads the nodes of one line, which is as it was: nodes say where in it they stand."""

    def __init__(self, line: str) -> None:
        self._line = line

    def text(self, node: Node) -> str:
        return self._line[node.start_byte : node.end_byte]

    def canon(self, node: Node, depth: int) -> Canon:
        """The line without what means nothing: blanks, quotes, separators."""
        if depth > _DEEPEST:
            return self.text(node)
        value = self.value(node)
        if value is not None:
            return value
        if not node.child_count:
            return self.text(node)
        if node.type in ("heredoc_body", "comment"):
            return self.text(node) if node.type == "heredoc_body" else ""
        parts: list[Canon] = []
        for child in node.children:
            if child.type == "comment":
                continue
            if child.is_named or child.type in _SIGNS:
                parts.append(self.canon(child, depth + 1))
        if node.type in ("program", "list", "command_name", "do_group") and len(parts) == 1:
            return parts[0]
        return (node.type, *parts)

    def value(self, node: Node) -> str | None:
        """A word as the program gets it, as far as that stands in the line; None for what is no word."""
        match node.type:
            case "word" | "number" | "variable_name" | "special_variable_name" | "file_descriptor" | "heredoc_start":
                return _ESCAPED.sub(lambda match: match[1] or "", self.text(node))
            case "raw_string":
                return self.text(node)[1:-1]
            case "string":
                return _IN_STRING.sub(lambda match: match[1] or "", self.text(node)[1:-1])
            case "ansi_c_string":
                return self.text(node)
            case "concatenation":
                return "".join(
                    value if (value := self.value(child)) is not None else self.text(child) for child in node.children
                )
            case "simple_expansion" | "expansion" | "command_substitution" | "arithmetic_expansion" | "regex":
                return self.text(node)
            case "command_name" if node.child_count == 1:
                return self.value(node.children[0])
            case _:
                return None

    def simple(self, node: Node, depth: int) -> Iterator[Simple]:
        """Its simple commands, in the order in which they are written."""
        if depth > _DEEPEST:
            return
        match node.type:
            case "command":
                yield self.command(node)
            case "redirected_statement":
                found = [one for child in node.children for one in self.simple(child, depth + 1)]
                writes, reads, text, more = self.redirects(node, depth)
                if found:
                    last = found[-1]
                    found[-1] = Simple(
                        last.program, last.words, last.writes + writes, last.reads + reads, text or last.text
                    )
                elif writes:
                    found = [Simple("", (), writes)]
                yield from (*found, *more)
            case "test_command":
                yield Simple("test", tuple(self.text(node).strip("[] ").split()))
            case "declaration_command" | "unset_command":
                yield Simple(*_named(self.text(node).split()))
            case "variable_assignment" | "string" | "raw_string" | "file_redirect" | "heredoc_redirect":
                return
            case "function_definition":
                yield Simple("function", (self.text(node.children[0]),))
            case _:
                for child in node.named_children:
                    yield from self.simple(child, depth + 1)

    def command(self, node: Node) -> Simple:
        program, words, reads = "", [], []
        writes: tuple[str, ...] = ()
        for child in node.named_children:
            value = self.value(child)
            if child.type == "command_name":
                program = _name(value if value is not None else self.text(child))
            elif child.type == "herestring_redirect":
                reads.append(self.text(child))
            elif child.type == "file_redirect":
                writes += self.target(child)
            elif child.type != "variable_assignment":
                words.append(value if value is not None else self.text(child))
        return Simple(program, tuple(words), writes, tuple(reads))

    def redirects(self, node: Node, depth: int) -> tuple[tuple[str, ...], tuple[str, ...], str, list[Simple]]:
        writes: tuple[str, ...] = ()
        reads: tuple[str, ...] = ()
        text, more = "", []
        for child in node.children:
            if child.type == "file_redirect":
                into = any(part.type.startswith((">", "&>")) for part in child.children)
                if into:
                    writes += self.target(child)
                else:
                    reads += self.target(child)
            elif child.type == "heredoc_redirect":
                for part in child.named_children:
                    if part.type == "heredoc_body":
                        text = self.text(part)
                    elif part.type == "file_redirect":
                        writes += self.target(part)
                    elif part.type not in ("heredoc_start", "heredoc_end"):
                        more += list(self.simple(part, depth + 1))  # `cat <<EOF | sh`
        return writes, reads, text, more

    def target(self, node: Node) -> tuple[str, ...]:
        named = node.child_by_field_name("destination")
        value = self.value(named) if named is not None else None
        return (value,) if value and not value.isdigit() and value not in ("/dev/null", "-") else ()


def _unwrapped(found: Iterator[Simple], depth: int = 0) -> Iterator[Simple]:
    """With what `bash -c` runs in its place."""
    for command in found:
        script = next((w for o, w in zip(command.words, command.words[1:], strict=False) if _is_c(o)), None)
        if command.program in SHELLS and script is not None and depth < 4:
            inner = read(script)
            yield from inner.commands if inner.commands else (command,)
        else:
            yield command


def _is_c(option: str) -> bool:
    return option[:1] == "-" and option[:2] != "--" and option.endswith("c") and len(option) < 6


def _name(word: str) -> str:
    name = word.rpartition("/")[2] or word
    return _VERSION.sub(r"\1", name)


def _words(line: str) -> tuple[Simple, ...]:
    words = line.split()
    return (Simple(*_named(words)),) if words else ()


def _named(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    return (_name(words[0]), tuple(words[1:])) if words else ("", ())
