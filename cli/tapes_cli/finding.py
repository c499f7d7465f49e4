"""What `tapes search` and the deck share: a query as it was typed, what the sessions of hits are called, and how a
snippet is cut to the room that there is for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from tapes.archive.base import Archive
from tapes.archive.summary import Summary
from tapes.errors import Damaged, NotFound, UsageError
from tapes.record.digest import Digest
from tapes.search.find import Search
from tapes.search.hits import Hit
from tapes.search.query import FIELDS, All, parse
from tapes.search.snippet import Snippet
from tapes_cli import output
from tapes_cli.moments import moment, nanoseconds


def asked_for(
    query: str,
    regex: tuple[str, ...] = (),
    substring: tuple[str, ...] = (),
    *,
    rank: bool = False,
    by_session: bool = False,
    limit: int | None = None,
) -> Search:
    """What was typed, as a search. UsageError, with what may be typed, for what can not be used."""
    node = parse(query)
    if node == All(()) and not regex and not substring:
        raise UsageError("search for what?", hint=f'words, "a phrase", or a field: {", ".join(FIELDS)}')
    if "" in regex or "" in substring:
        raise UsageError("--regex and --substring need a text")
    now = datetime.now(UTC).astimezone()
    return Search(
        node,
        substring,
        tuple(_compiled(each) for each in regex),
        lambda text: nanoseconds(moment(text, now)),
        rank,
        by_session,
        limit or None,
    )


def _compiled(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(
            f"--regex {text!r} is no regular expression: {error}", hint="--substring seeks plain text"
        ) from error


def names_of(archive: Archive, sessions: Iterable[Digest]) -> dict[Digest, str]:
    """The names of those that have one."""
    told: dict[Digest, str] = {}
    for session in sessions:
        row = Summary.from_bytes(archive.summary(session))
        with suppress(Damaged, NotFound):  # then it is called by its hash
            told[session] = row.name if row else str(archive.record(session).body.get("name", ""))
    return {session: name for session, name in told.items() if archive.named(name) == session}


def ref(hit: Hit, names: dict[Any, str], longest: int = 64) -> str:
    """What `tapes show` takes for the step; the session by its name, where that is not longer than so many columns."""
    session = names.get(hit.session, "")
    session = session if 0 < output.cell_width(session) <= longest else hit.session.short()
    return session if hit.step is None else f"{session}:{hit.step}"


def cut(snippet: Snippet, columns: int) -> Iterator[tuple[str, bool]]:
    """A snippet in so many columns: harmless pieces, each with whether it is what fits the query."""
    text, spans = snippet.text, snippet.spans
    first = spans[0][0] if spans else 0
    skip = max(0, first - columns // 3) if len(text) > columns else 0
    parts: list[tuple[str, bool]] = [("…", False)] if skip else []
    at = skip
    for start, end in spans:
        if start >= at:
            parts += [(text[at:start], False), (text[start:end], True)]
            at = end
    parts.append((text[at:], False))
    left = columns
    for part, fits in parts:
        safe = output.harmless(part)
        shown = output.fit(safe, left) if left > 0 else ""
        yield shown, fits
        left -= output.cell_width(shown)
        if shown != safe:
            break
