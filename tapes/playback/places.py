"""Directories of the recorded run and what stands in their place in the run that is played to.

Agents put absolute paths into their requests, and models into the input of tools: played back in another directory,
an answer that named the old one would have the agent work there. The old directories are known (`session.open`); the
new ones are known where we start the agent, and otherwise learned from the lines of the first request, which agents
lay out alike: where a line of the recording has the old directory, the same line has the new one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from tapes.values import dataclass, field

SHORTEST = 4
"""`/srv` may be a directory of one's own; `/` is everybody's."""
_ABSOLUTE = re.compile(r"/[^\s\"'`<>|:;,()\[\]{}]*")


@dataclass(slots=True)
class Places:
    """`old`: names of places (`cwd`, `home`) and the directories they were. `new`: what they are now, as far as that is
    known."""

    old: Mapping[str, str]
    new: dict[str, str] = field(default_factory=dict)
    _finder: _Finder = field(init=False)

    def __post_init__(self) -> None:
        self._finder = _Finder([*self.old.items(), *self.new.items()])

    def named(self, text: str) -> str:
        """A text of either run with words in place of directories, be they the old or the new ones: a prompt may well
        name the old one again, and Codex calls its first agent `/root`."""
        return self._finder.replace(text)

    @property
    def moved(self) -> dict[str, str]:
        """Directories that are others now, the longest first."""
        pairs = {
            self.old[name]: self.new[name] for name in self.old if self.new.get(name, self.old[name]) != self.old[name]
        }
        spelt = {
            then: now
            for old, new in pairs.items()
            for then, now in zip(spellings(old), spellings(new), strict=True)
            if then != now
        }
        return dict(sorted(spelt.items(), key=lambda pair: -len(pair[0])))

    def learn(self, recorded: Iterable[str], asked: Iterable[str]) -> bool:
        """Find new directories in the texts of two requests that are alike; whether there were any."""
        unknown = {name: path for name, path in self.old.items() if name not in self.new and len(path) >= SHORTEST}
        found: dict[str, set[str]] = {}
        if unknown:
            for name, path in self._told("\n".join(recorded), "\n".join(asked), unknown):
                found.setdefault(name, set()).add(path)
        learned = {name: paths.pop() for name, paths in found.items() if len(paths) == 1}
        self.new |= learned
        self._finder = _Finder([*self.old.items(), *self.new.items()])
        return bool(learned)

    def _told(self, then: str, now: str, unknown: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """What lines tell that differ by nothing but directories."""
        lines: dict[str, list[str]] = {}
        for line in now.split("\n"):
            lines.setdefault(_ABSOLUTE.sub("/", line), []).append(line)
        for line in then.split("\n"):
            held = [(name, path) for name, path in unknown.items() if path in line]
            alike = [_ABSOLUTE.findall(other) for other in lines.get(_ABSOLUTE.sub("/", line), [])] if held else []
            for name, path in held:
                for n, old in enumerate(_ABSOLUTE.findall(line)):
                    found = {paths[n] for paths in alike}
                    if (old == path or old.startswith(f"{path}/")) and len(found) == 1:
                        yield from self._parted(name, old[len(path) :], found.pop())

    def _parted(self, name: str, tail: str, new: str) -> Iterator[tuple[str, str]]:
        """A directory of today, where `tail` is what follows it: of as many parts, each the same but for places."""
        parts = new.split("/")
        at = len(parts) - tail.count("/")
        if at > 1 and self.named(tail) == self.named("".join(f"/{part}" for part in parts[at:])):
            yield name, "/".join(parts[:at])


def spellings(path: str) -> tuple[str, str, str]:
    """A directory, and how Claude Code and Gemini CLI name their own directories for it."""
    return path, re.sub(r"[^A-Za-z0-9]", "-", path), f"/.gemini/tmp/{path.rstrip('/').rpartition('/')[2]}"


class _Finder:
    """Finds directories, the longest first: a home directory often holds the working directory."""

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        words: dict[str, str] = {}
        for name, path in names:
            if len(path) >= SHORTEST:
                for n, spelt in enumerate(spellings(path)):
                    words.setdefault(spelt, f"<{name}{'' if n == 0 else n}>")
        self._words = words
        longest = sorted(words, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(whole, longest))) if longest else None

    def replace(self, text: str) -> str:
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._words[match[0]], text)


def whole(word: str) -> str:
    """A pattern for a path, or an id, that is not a part of a longer one. In JSON a letter may stand before it that is
    none: the one of an escaped line end."""
    escaped = r"(?<=\\[nrtbf])|(?<=\\u[0-9a-f]{4})"
    if word == "/root":  # also the name of Codex's first agent, of which `/root/task` is another's
        return r"/root(?=/\.)"
    if word.startswith("/.gemini/"):
        return re.escape(word) + r"(?![A-Za-z0-9_-])"
    if word.startswith("/"):  # and no part of a URL's path
        before = rf"(?:(?<![A-Za-z0-9_.~/-])|(?<=file://)|{escaped})"
        return before + re.escape(word) + r"(?![A-Za-z0-9_]|-[A-Za-z0-9]|\.[A-Za-z0-9])"
    return rf"(?:(?<![A-Za-z0-9])|{escaped})" + re.escape(word) + r"(?![A-Za-z0-9])"
