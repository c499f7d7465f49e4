"""What people type to mean a session, a record or a step.

REF = a session's name, `@` (the latest session), `@~2` (the one two before it), or at least four hex digits
of any session's or record's hash, as in git; `REF:12` is step 12. A name wins over a hash, a record over a
stored file, whose hash (six digits and more) means the part of a snapshot that holds it. Nothing is guessed: a
prefix that fits several is refused, with the candidates.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tapes.archive.base import FIND_LIMIT, Archive
from tapes.errors import Ambiguous, Damaged, NotFound, UsageError
from tapes.pattern import pattern
from tapes.record.digest import Digest
from tapes.values import dataclass

if TYPE_CHECKING:
    from tapes.archive.stored_files import StoredFile

_NAME = pattern(r"(?![-@])[\w.-]{1,64}")
_LATEST = pattern(r"@(?:~(\d{1,9}))?", re.ASCII)
_PREFIX = pattern(r"[0-9a-fA-F]{4,64}", re.ASCII)
_STEP = pattern(r"(.*):(\d{1,9})", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Ref:
    """What a text stands for."""

    session: Digest
    record: Digest | None = None
    """Set where the text named a record that is not a session's first."""
    step: int | None = None
    file: StoredFile | None = None
    """Set where the text was the hash of a file's content; `record` is then the part of a snapshot that has it."""


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def check_name(text: str) -> str:
    """The text, if it can name a session: 1 to 64 letters (of any script), digits, `.`, `_`, `-`, and not
    first `-` or `@`. UsageError otherwise."""
    if not is_name(text):
        raise UsageError(
            f"{text!r} cannot be a name",
            hint="a name is 1 to 64 letters, digits, '.', '_' or '-', and does not begin with '-'",
        )
    return text


def name_of(archive: Archive, session: Digest) -> str:
    """The name by which a session is found; empty where it has none, or where another one has taken it."""
    try:
        name = str(archive.record(session).body.get("name", ""))
    except (Damaged, NotFound):
        return ""
    return name if name and archive.named(name) == session else ""


def resolve(archive: Archive, text: str) -> Ref:
    """What a REF means. NotFound, Ambiguous (with candidates), UsageError for what cannot be a REF."""
    step = None
    suffixed = _STEP.fullmatch(text)
    if suffixed:
        text, step = suffixed[1], int(suffixed[2])
    session, record, file = _target(archive, text)
    return Ref(session, record, step, file)


def _target(archive: Archive, text: str) -> tuple[Digest, Digest | None, StoredFile | None]:
    latest = _LATEST.fullmatch(text)
    if latest:
        return _latest(archive, int(latest[1] or 0)), None, None
    named = archive.named(text)
    if named is not None:
        return named, None, None
    if _PREFIX.fullmatch(text):
        return _by_hash(archive, text.lower())
    check_name(text)
    raise NotFound(f"no session is named {text!r}", hint="`tapes log` lists the sessions")


def _latest(archive: Archive, back: int) -> Digest:
    found = archive.latest(back)
    if found is not None:
        return found
    count = len(archive.sessions())
    if not count:
        raise NotFound("the archive has no session yet", hint="`tapes run -- COMMAND` records one")
    raise NotFound(f"@~{back}: the archive has {count} sessions", hint="`tapes log` lists them")


def _by_hash(archive: Archive, prefix: str) -> tuple[Digest, Digest | None, StoredFile | None]:
    found = archive.find(prefix)
    if not found:
        if stored := _stored_file(archive, prefix):
            return stored.session, stored.record, stored
        raise NotFound(f"no session or record begins with {prefix}", hint="`tapes log` lists the sessions")
    if len(found) > 1:
        shown = "\n".join(f"  {digest.short()}  {_kind(archive, digest)}" for digest in found)
        count = f"{FIND_LIMIT} or more" if len(found) == FIND_LIMIT else str(len(found))
        raise Ambiguous(
            f"{prefix} fits {count} records:\n{shown}",
            tuple(digest.hex() for digest in found),
            hint="give more digits",
        )
    session = archive.record(found[0]).session
    return (found[0], None, None) if session is None else (session, found[0], None)


def _stored_file(archive: Archive, prefix: str) -> StoredFile | None:
    from tapes.archive.stored_files import find_files  # which nothing else needs

    found = find_files(archive, prefix)
    if len(found) > 1:
        hashes = [(stored.entry.hash or b"").hex() for stored in found]
        shown = "\n".join(
            f"  {h[:12]}  {s.entry.path.decode('utf-8', 'backslashreplace')}"
            for h, s in zip(hashes, found, strict=True)
        )
        raise Ambiguous(f"{prefix} fits {len(found)} stored files:\n{shown}", tuple(hashes), hint="give more digits")
    return found[0] if found else None


def _kind(archive: Archive, digest: Digest) -> str:
    record = archive.record(digest)
    if record.session is None:
        return "session"
    return f"{record.type} of session {record.session.short()}"
