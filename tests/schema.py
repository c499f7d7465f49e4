"""As much of JSON Schema (draft 2020-12) as the tests' schemas use; another word in a schema is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_ABOUT = {"$schema", "$id", "$defs", "title", "description"}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None, at: str = "$") -> Iterator[str]:
    """What is wrong with a value, each with its place."""
    root = root or schema
    for word, rule in schema.items():
        match word:
            case "$ref":
                yield from faults(value, root["$defs"][rule.rpartition("/")[2]], root, at)
            case "type":
                if not any(_is(value, name) for name in ([rule] if isinstance(rule, str) else rule)):
                    yield f"{at}: {value!r:.60} is no {rule}"
            case "const" if value != rule:
                yield f"{at}: {value!r:.60} is not {rule!r}"
            case "enum" if value not in rule:
                yield f"{at}: {value!r:.60} is none of {rule}"
            case "pattern" if isinstance(value, str) and not re.search(rule, value):
                yield f"{at}: {value!r:.60} does not fit {rule}"
            case "minimum" if isinstance(value, int | float) and value < rule:
                yield f"{at}: {value} is less than {rule}"
            case "required" if isinstance(value, dict):
                yield from (f"{at}: {name} is missing" for name in rule if name not in value)
            case "properties" if isinstance(value, dict):
                for name, inner in rule.items():
                    if name in value:
                        yield from faults(value[name], inner, root, f"{at}.{name}")
            case "items" if isinstance(value, list):
                for n, item in enumerate(value):
                    yield from faults(item, rule, root, f"{at}[{n}]")
            case "additionalNames" if isinstance(value, dict):  # not JSON Schema: what HAR says of names of one's own
                yield from (f"{at}: {name} is no name" for name in value if not re.search(rule, name))
            case "oneOf":
                found = [list(faults(value, one, root, at)) for one in rule]
                if sum(not one for one in found) != 1:
                    yield f"{at}: {sum(not one for one in found)} forms fit; nearest: {min(found, key=len)}"
            case "const" | "enum" | "pattern" | "minimum" | "required" | "properties" | "items" | "additionalNames":
                pass
            case _ if word in _ABOUT:
                pass
            case _:
                raise ValueError(f"{word} is not known here")


def _is(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and not (isinstance(value, bool) and name in ("number", "integer"))
