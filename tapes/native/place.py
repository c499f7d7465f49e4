"""Where an agent keeps its transcripts, and a new one put there: whole or not at all, and never over another.

The file is written under a passing name in the folder it belongs to, and then linked to its own: a link does not
replace what is there. So a crash leaves at most a passing name, which no agent reads.
"""

from __future__ import annotations

import os
import re
import unicodedata
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tapes.errors import ArchiveError, UsageError
from tapes.native import claude, codex
from tapes.native.carried import Carried
from tapes.native.codex_state import noted
from tapes.native.converted import converted
from tapes.values import dataclass

AGENTS = ("claude", "codex")
DIALECTS = {"claude": "anthropic", "codex": "openai-responses"}
TESTED = {"claude": claude.VERSION, "codex": codex.VERSION}
_PROVIDER = re.compile(r'^\s*model_provider\s*=\s*"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Resumable:
    """A transcript in its place."""

    agent: str
    id: str
    path: Path
    cwd: str
    words: tuple[str, ...]
    """With which the agent goes on from it, its own name first."""
    notes: tuple[str, ...]


def write(it: Carried, agent: str, cwd: str, title: str, environ: Mapping[str, str], home: str) -> Resumable:
    """Write the transcript of `it` for `agent`, to be gone on with in the directory `cwd`. UsageError where it can not
    be carried faithfully, ArchiveError where it can not be written; nothing is left behind then."""
    it = converted(it, DIALECTS[agent])
    cwd = unicodedata.normalize("NFC", os.path.realpath(cwd))
    now = datetime.now(UTC)
    try:
        if agent == "claude":
            session = str(uuid.uuid4())
            base = Path(environ.get("CLAUDE_CONFIG_DIR") or f"{home}/.claude")
            path = base / "projects" / claude.folder(cwd) / f"{session}.jsonl"
            data, notes = claude.transcript(it, session, cwd, title, now)
            words: tuple[str, ...] = ("claude", "--resume", session)
        else:
            session = codex.new_id(now)
            base = Path(environ.get("CODEX_HOME") or f"{home}/.codex")
            path = base / codex.place(session, now)
            data, notes = codex.transcript(it, session, cwd, _provider(base), now, noted(base, it.own_id))
            words = ("codex", "resume", session)
        _put(path, data)
    except OSError as error:
        raise ArchiveError(f"cannot write the transcript: {error.strerror} ({error.filename})") from error
    asked = [f"the model was {it.model}; {agent} goes on with the one that is set for it"] if it.model else []
    return Resumable(agent, session, path, cwd, words, (*it.notes, *notes, *asked))


def used_here(agent: str, environ: Mapping[str, str], home: str) -> bool:
    """Has this agent run for this user? Then its folder is there."""
    variable, name = ("CLAUDE_CONFIG_DIR", ".claude") if agent == "claude" else ("CODEX_HOME", ".codex")
    return Path(environ.get(variable) or f"{home}/{name}").is_dir()


def checked(agent: str) -> str:
    """The name of an agent whose transcripts we can write."""
    if agent not in AGENTS:
        raise UsageError(f"no transcript can be written for {agent!r}", hint=f"for {' and '.join(AGENTS)} one can")
    return agent


def _provider(base: Path) -> str:
    """Codex lists sessions by the provider they were made with: the one that is set."""
    try:
        found = _PROVIDER.search((base / "config.toml").read_text("utf-8", "replace"))
    except OSError:
        found = None
    return found.group(1) if found else "openai"


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    passing = path.with_name(f".{path.name}.tapes")
    number = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(passing, path)
    finally:
        passing.unlink(missing_ok=True)
