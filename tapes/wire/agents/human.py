"""A person: an interactive shell, in which agents may be started in their turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tapes.wire.agents.base import Identity, Launch, Settings
from tapes.wire.agents.generic import Generic
from tapes.wire.agents.words import program_at

SHELLS = frozenset({"bash", "zsh", "fish", "sh", "dash", "ksh"})
_VALUED = frozenset({"--rcfile", "--init-file", "-O", "+O", "-o", "+o", "-C", "--init-command", "-d", "--debug"})
_NO_SHELL = frozenset({"--version", "--help", "--command", "--dump-strings", "--dump-po-strings", "-n", "--no-execute"})


class Human:
    name: str = "human"
    version_words: tuple[str, ...] = ("--version",)

    def recognises(self, argv: Sequence[str]) -> bool:
        return is_interactive_shell(argv)

    def speaks(self, headers: Mapping[str, str]) -> bool:
        return False

    def settings(self, launch: Launch) -> Settings:
        return Generic().settings(launch)

    def identity(self, headers: Mapping[str, str]) -> Identity:
        return Identity()


def is_interactive_shell(argv: Sequence[str]) -> bool:
    """Does this line start a shell at a terminal: no script, and no command by -c?"""
    if not argv:
        return False
    at = program_at(argv)
    if argv[at].rpartition("/")[2] not in SHELLS:
        return False
    words = iter(argv[at + 1 :])
    for word in words:
        if word in _VALUED:
            next(words, None)
        elif word in _NO_SHELL or not word.startswith(("-", "+")) or _has_command(word):
            return False
    return True


def _has_command(word: str) -> bool:
    return not word.startswith("--") and "c" in word[1:]
