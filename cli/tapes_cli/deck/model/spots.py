"""What a person means by a number, a time, the beginning of a hash or a REF: the steps that it may be.

A number is a step's where there is such a step, and only then the beginning of a hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tapes.archive.base import Archive
from tapes.archive.refs import resolve
from tapes.errors import Damaged, NotFound
from tapes.pattern import pattern
from tapes.record.digest import Digest
from tapes.session.view import Step, View, view
from tapes.values import dataclass
from tapes_cli import output
from tapes_cli.deck.model.outline import icon_of
from tapes_cli.deck.model.styled import Line, joined, styled
from tapes_cli.deck.model.tape import Told

_NUMBER = pattern(r"[0-9]{1,9}")
_CLOCK = pattern(r"([01]?[0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])")
_SINCE = pattern(r"([0-9]{1,5}):([0-5][0-9](?:\.[0-9]{1,3})?)")
_SPAN = pattern(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,7}(?:\.[0-9]{1,3})?)s)?")
_PREFIX = pattern(r"[0-9a-fA-F]{4,64}")
FORMS = "a step's number · 1:30 or 12.5s since the start · 14:03:22 · four digits of a hash · REF:12"


@dataclass(frozen=True, slots=True)
class Spot:
    """A step, or a session."""

    session: Digest
    number: int | None
    record: Digest | None
    """Of a session that is not open: its step is found when it is opened."""
    line: Line
    """What it is."""
    since_ns: int | None = None
    """The time since the session's start that was asked for; the step is the last one by then."""


def step_line(told: Told, step: Step) -> Line:
    """A step in a line, where it stands alone."""
    time = output.wall(step.wall_ns)[11:]
    style = "error" if step.failed else ""
    return joined(
        styled(f"{step.number:>4} ", "bold"),
        styled(f"{time}  ", "dim"),
        styled(f"{icon_of(step)} {told.story.brief(step)}".strip(), style),
    )


def spots(archive: Archive, session: Digest, told: Told, text: str) -> list[Spot]:
    """What `text` may mean, those of this session first; no other is read. UsageError, NotFound for what means nothing;
    the errors of reading."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        step = told.step(int(text))
        if step is not None:
            return [_here(session, told, step)]
        if len(text) < 4:
            raise NotFound(f"there is no step {int(text)}: 1 to {len(told.steps)}")
    at = _moment(told, text)
    if at is not None:
        step = told.step(told.at_time(at))
        if step is None:
            raise NotFound("there is no step yet")
        return [replace(_here(session, told, step), since_ns=at - told.summary.started_ns)]
    found = archive.find(text.lower()) if _PREFIX.fullmatch(text) and archive.named(text) is None else ()
    if len(found) > 1:
        return sorted(
            (_of_record(archive, session, told, one) for one in found), key=lambda spot: spot.session != session
        )
    ref = resolve(archive, text)  # also names of sessions, `@`, and the hash of a stored file
    if ref.session != session:
        which = f" step {ref.step}" if ref.step is not None else ""
        return [Spot(ref.session, ref.step, ref.record, _elsewhere(archive, ref.session, which))]
    number = ref.step if ref.step is not None else number_of(told.view, told.steps, ref.record or session)
    step = told.step(number)
    if step is None:
        raise NotFound(f"there is no step {number}: 1 to {len(told.steps)}")
    return [_here(session, told, step)]


def opened(archive: Archive, spot: Spot) -> Spot:
    """With the number of its step, where it is a record of another session: reads that session."""
    if spot.number is not None or spot.record is None:
        return spot
    found = view(archive, spot.session)
    return replace(spot, number=number_of(found, list(found.steps), spot.record))


def number_of(found: View, steps: Sequence[Step], record: Digest) -> int:
    """The first step that is read from a record; of one that none is read from the last before it, or 1."""
    order = {digest: n for n, (digest, _) in enumerate(found.records)}
    place = order[record]
    own = next((step.number for step in steps if step.hash == record), None)
    return own or max((step.number for step in steps if order[step.hash] <= place), default=1)


def _here(session: Digest, told: Told, step: Step) -> Spot:
    return Spot(session, step.number, None, step_line(told, step))


def _of_record(archive: Archive, session: Digest, told: Told, digest: Digest) -> Spot:
    record = archive.record(digest)
    before = styled(f"{digest.short()}  {record.type}  ", "accent")
    owner = record.session or digest
    step = told.step(number_of(told.view, told.steps, digest)) if owner == session else None
    if step is not None:
        return Spot(session, step.number, None, joined(before, step_line(told, step)))
    return Spot(owner, None, digest, joined(before, _elsewhere(archive, owner)))


def _elsewhere(archive: Archive, session: Digest, at: str = "") -> Line:
    from tapes.session.rows import summary_of

    try:
        summary = summary_of(archive, session)
        name = summary.name or summary.label
    except Damaged as error:
        name = f"damaged: {error}"
    return joined(styled(f"session {session.short()}{at}"), styled(f"  {name}".rstrip(), "bold"))


def _moment(told: Told, text: str) -> int | None:
    """Wall nanoseconds of a time as it is typed; None where it is none."""
    started = told.summary.started_ns
    if clock := _CLOCK.fullmatch(text):
        hour, minute, second = map(int, clock.groups())
        return _of_clock(started, told.steps[-1].wall_ns if told.steps else started, (hour, minute, second))
    if since := _SINCE.fullmatch(text):
        return started + int(int(since[1]) * 60e9 + float(since[2]) * 1e9) + _GRAIN
    if (span := _SPAN.fullmatch(text)) and text:
        hours, minutes, seconds = (float(part or 0) for part in span.groups())
        return started + int((hours * 3600 + minutes * 60 + seconds) * 1e9) + _GRAIN
    return None


_GRAIN = 10**6 - 1
"""What the time that was typed leaves open: a step that began at 12.500 4 s is at 12.5 s."""


def _of_clock(started: int, ended: int, clock: tuple[int, int, int]) -> int:
    """Its time on the first of the session's days that has it; in the zone of who looks, to the second's end."""
    first = datetime.fromtimestamp(started / 1e9).astimezone()
    hour, minute, second = clock
    at = first.replace(hour=hour, minute=minute, second=second, microsecond=999_999)
    if at < first and (at + timedelta(days=1)).timestamp() * 1e9 <= ended:
        at += timedelta(days=1)
    return int(at.timestamp() * 1e9)
