"""A strict reader of asciicasts, written from the published description of the format alone
(docs.asciinema.org/manual/asciicast/v3 and /v2), so that our writer is held against something else than itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

CODES = {2: "oimr", 3: "oimrx"}
HEADER: dict[int, dict[str, type | tuple[type, ...]]] = {
    2: {
        **dict.fromkeys(("version", "width", "height", "timestamp"), int),
        **dict.fromkeys(("duration", "idle_time_limit"), (int, float)),
        **dict.fromkeys(("command", "title"), str),
        **dict.fromkeys(("env", "theme"), dict),
    },
    3: {
        **dict.fromkeys(("version", "timestamp"), int),
        "idle_time_limit": (int, float),
        **dict.fromkeys(("command", "title"), str),
        **dict.fromkeys(("env", "term"), dict),
        "tags": list,
    },
}
TERM: dict[str, type] = {"cols": int, "rows": int, "type": str, "version": str, "theme": dict}


@dataclass(frozen=True)
class Cast:
    header: dict[str, Any]
    events: list[tuple[int, str, str]]
    """Microseconds since the beginning, code, data."""


def read_cast(text: str) -> Cast:
    """AssertionError for whatever the description does not allow."""
    assert text.endswith("\n") and "\r" not in text
    first, *lines = text[:-1].split("\n")
    assert not first.startswith("#"), "the first line must not be a comment"
    header = json.loads(first)
    version = header["version"]
    _check(header, HEADER[version])
    if version == 3:
        _check(header["term"], TERM)
        assert header["term"]["cols"] > 0 < header["term"]["rows"]
    else:
        assert header["width"] > 0 < header["height"]
    assert all(isinstance(value, str) for value in header.get("env", {}).values())
    events, at = [], 0
    for line in lines:
        if version == 3 and line.startswith("#"):
            continue
        time, code, data = json.loads(line, parse_float=lambda digits: round(float(digits) * 1e6))
        assert isinstance(time, int) and time >= 0
        assert code in CODES[version] and len(code) == 1
        assert isinstance(data, str)
        if code == "r":
            columns, _, rows = data.partition("x")
            assert int(columns) > 0 < int(rows)
        if code == "x":
            assert data == str(int(data))
        assert version == 3 or time >= at
        at = time if version == 2 else at + time
        events.append((at, code, data))
    return Cast(header, events)


def _check(value: dict[str, Any], allowed: dict[str, Any]) -> None:
    for name, held in value.items():
        assert name in allowed, name
        assert isinstance(held, allowed[name]) and not isinstance(held, bool), name
