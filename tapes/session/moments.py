"""Times for documents: the same wherever and whenever they are written."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(ns: int) -> str:
    """UTC in ISO 8601 with microseconds; empty for 0, which is an unknown time."""
    if not ns:
        return ""
    # In whole microseconds: a float of today's nanoseconds is a few hundred of them off.
    at = datetime.fromtimestamp(ns // 10**9, UTC).replace(microsecond=ns % 10**9 // 1000)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
