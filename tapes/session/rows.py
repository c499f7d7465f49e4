"""The rows of `tapes log`: a summary per session, from the archive's table or folded again where that is behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tapes.archive.base import Archive
from tapes.archive.summary import Summary
from tapes.errors import Damaged, NotFound, Withheld
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef
from tapes.record.tomb import WITHHELD
from tapes.values import dataclass

MODELS_READ = 3
"""Requests read again for their model when a summary has to be made anew."""


@dataclass(frozen=True, slots=True)
class Row:
    """One session in the list. `error` stands in for the summary of a session that can not be read."""

    session: Digest
    summary: Summary
    error: str = ""


def rows(archive: Archive, *, newest_first: bool = True) -> Iterator[Row]:
    """Every session. A damaged one is a row with its error, so that one bad record does not hide the others."""
    sessions = archive.sessions()
    for session in reversed(sessions) if newest_first else sessions:
        try:
            yield Row(session, summary_of(archive, session))
        except (Damaged, NotFound) as error:
            yield Row(session, Summary(), str(error))


def summary_of(archive: Archive, session: Digest) -> Summary:
    """The session's summary, up to its last record. Raises Damaged where folding it again meets a bad record."""
    head = archive.head(session)
    kept = Summary.from_bytes(archive.summary(session))
    if head is not None and kept is not None and kept.upto == head[1]:
        return kept
    fresh, read = Summary(), 0
    for _, record in archive.session_records(session):
        fresh.fold(record.type, record.body, record.wall_ns)
        if record.type == "exchange.open" and record.body["class"] == "model" and read < MODELS_READ:
            read += _read_into(fresh, archive, record.body)
    return fresh


def _read_into(summary: Summary, archive: Archive, body: Mapping[str, Any]) -> bool:
    """Whether the request could be read."""
    from tapes.wire import agents, dialects  # 60 ms that a list of sessions whose summaries are there need not wait

    headers = header_map(body["headers"])
    agent = agents.by_name(summary.agent)
    if summary.agent == WITHHELD:  # with the command line; what stays may still say it
        agent = agents.speaking(headers)
        summary.agent = summary.agent if agent.name == agents.UNKNOWN else agent.name
    summary.agent_version = agent.identity(headers).version or summary.agent_version
    reference, model = BodyRef.match(body["request"]), dialects.model_in(body["url"])
    read = reference is not None
    if reference is not None:
        dialect = dialects.choose_for(body.get("provider", ""), body["method"], body["url"])
        try:
            model = dialect.read_turn(archive.body(reference)).model or model
        except Withheld:
            read = False
    if model:
        summary.models[model] = summary.models.get(model, 0) + 1
    return read


def header_map(headers: Any) -> dict[str, str]:
    """Header fields by lower-case name; of several with one name the last."""
    return {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in headers}
