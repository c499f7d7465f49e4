"""JSON as configuration files have it: with comments and commas too many."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tapes.pattern import pattern

_STRING = r'("(?:\\.|[^"\\])*")'
_COMMENT = pattern(_STRING + r"|//[^\n]*|/\*.*?\*/", re.DOTALL)
_COMMA = pattern(_STRING + r"|,(?=\s*[}\]])")


def table(text: str) -> dict[str, Any]:
    """The object that `text` holds; empty for anything else: its owner's program will say what is wrong with a file."""
    plain = _COMMA.sub(lambda m: m[1] or "", _COMMENT.sub(lambda m: m[1] or " ", text))
    try:
        value = json.loads(plain)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two layers of configuration: tables merge, everything else of `above` replaces."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def found_at(value: object, *path: str) -> object:
    """What stands at a path of keys; None when a table or a key is missing on the way."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
