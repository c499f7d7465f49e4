"""Times as people type them: a date, a time of today, so long ago."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, time, timedelta

from tapes.errors import UsageError
from tapes.pattern import pattern

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = pattern(r"(\d{1,9}) ?([smhdw])", re.ASCII)
FORMS = "2026-11-21, 2026-11-21T14:30, 14:30 (today), or 30m, 2h, 3d (so long ago)"


def span(text: str) -> timedelta:
    """`30m`, `1h30m`, `2d`. UsageError for anything else."""
    parts = _SPAN.findall(text.strip().lower())
    if not parts or _SPAN.sub("", text.strip().lower()).strip():
        raise UsageError(f"{text!r} is no length of time", hint="30s, 30m, 2h, 1h30m, 3d, 1w")
    return timedelta(seconds=sum(int(count) * _UNITS[unit] for count, unit in parts))


def moment(text: str, now: datetime) -> datetime:
    """A moment, of this machine's zone where it names none. `now` has a time zone. UsageError for anything else."""
    text = text.strip()
    with suppress(UsageError):  # then it is one of the other forms
        return now - span(text)
    try:
        of_today = ":" in text[:3]
        found = datetime.combine(now.date(), time.fromisoformat(text)) if of_today else datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time", hint=FORMS) from None
    return found if found.tzinfo else found.astimezone()


def nanoseconds(at: datetime) -> int:
    """Unix time; exact to the microsecond."""
    return round(at.timestamp() * 1e6) * 1000
