"""What is left of a request when all is taken away that differs between two runs of the same agent.

A value like the body's JSON: without cache marks, client metadata and nulls; a plain content is the list of one text
that agents make of it when they mark it; JSON inside of strings is read; results of parallel calls are in the order of
their ids; texts are masked (`masks`), directories have names (`places`). What is left is compared whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from tapes.playback.masks import Found, masked
from tapes.values import dataclass
from tapes.wire.dialects.json_body import load
from tapes.wire.json_value import Json

HISTORY = ("messages", "input", "contents")
"""Where the protocols have the conversation."""
_OF_THE_CLIENT = frozenset({"metadata", "client_metadata", "prompt_cache_key", "safety_identifier", "user"})
"""Fields of a request that say who asks, and where the provider may cache."""
_FLEETING = frozenset(
    {
        "cache_control",
        "internal_chat_message_metadata_passthrough",
        "create_time",
        "chunk_id",
        "original_token_count",
        "wall_time_seconds",
        "duration_ms",
        "duration_seconds",
        "nickname",
        "agent_nickname",
    }
)
"""Fields that are left out wherever they stand."""
_BILLING = "x-anthropic-billing-header:"
"""How the block of Claude Code's system text begins that has a checksum of the request in it."""
_NOTICE = "<subagent_notification>"
"""How a message begins by which Codex tells one agent of another."""
_MODELS = re.compile(
    r"^ *(?:Available model overrides \([^\n]*(?:\n- `[^\n]*)*"
    r"|No picker-visible model overrides are currently loaded\.)$",
    re.M,
)
"""The models that Codex names in a tool's description: those of the list it fetches as it starts, or none where its
first request is sooner than the list."""
_RESULTS = {
    "tool_result": "tool_use_id",
    "function_call_output": "call_id",
    "custom_tool_call_output": "call_id",
}
_NUMBER = re.compile(r"(?<![Cc]ode )(?<![Cc]ode: )(?<!returncode>)(?<!status )\d+(?:\.\d+)?")
_ENDS = frozenset({"exit_code", "exitCode", "returncode", "status", "code", "signal"})
"""But for how a command ended, which agents say so."""
_MARKER = re.compile(r"(?:\[REDACTED:[A-Za-z0-9:_.-]{1,80}\])+")
_NESTED = 1024 * 1024
_REMEMBERED = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Form:
    """A request's normal form, and what it left out of its texts, in the order of the form."""

    tree: Json
    found: tuple[Found, ...]
    client: Json = None
    """What was left out of who asks, masked. Codex names its agents there: by that two first requests that are the same
    are told apart."""


@dataclass(frozen=True, slots=True)
class Marks:
    """A form in short: equal where the forms are. Good in this process only (Python's hashes, 64 bits)."""

    whole: int
    items: tuple[int, ...]
    """Of each entry of the conversation."""
    counted: int
    """Of the form without the numbers in what tools answered (sizes, times, addresses) and the order of its lines."""
    calls: int
    """Of the form without what tools answered."""
    client: int


class Reader:
    """Reads requests, the recording's and today's. `place` gives directories their names. What a text came
    to is remembered: requests repeat nearly all of what they say."""

    def __init__(self, place: Callable[[str], str]) -> None:
        self._place = place
        self._known: dict[str, tuple[str, tuple[Found, ...]]] = {}
        self._size = 0

    def form(self, body: bytes) -> Form:
        loaded = load(body) if body else None
        found: list[Found] = []
        if loaded is None:
            return Form(None, ())
        if loaded.error is not None:
            return Form(self._text(body.decode("utf-8", "replace"), found), tuple(found))
        value, client = loaded.value, None
        if isinstance(value, dict):
            client = self._value({key: value[key] for key in value if key in _OF_THE_CLIENT}, "", [])
            value = {key: inner for key, inner in value.items() if key not in _OF_THE_CLIENT}
        return Form(self._value(value, "", found), tuple(found), client)

    def _value(self, value: Json, key: str, found: list[Found]) -> Json:
        if isinstance(value, dict):
            kept = ((name, value[name]) for name in sorted(value) if name not in _FLEETING and value[name] is not None)
            return {name: self._value(inner, name, found) for name, inner in kept}
        if isinstance(value, list):
            return [self._value(inner, "", found) for inner in _ordered(value) if not _is_passing(inner)]
        if not isinstance(value, str):
            return value
        if key == "content":
            return [{"text": self._text(value, found), "type": "text"}]
        if 1 < len(value) <= _NESTED and value[0] + value[-1] in ("{}", "[]"):
            inner = load(value)
            if inner.error is None and isinstance(inner.value, dict | list):
                return {"json": self._value(inner.value, "", found)}
        return self._text(value, found)

    def _text(self, text: str, found: list[Found]) -> str:
        known = self._known.get(text)
        if known is None:
            known = masked(self._place(_MODELS.sub("", text) if "model overrides" in text else text))
            if self._size > _REMEMBERED:
                self._known.clear()
                self._size = 0
            self._known[text] = known
            self._size += len(text)
        found += known[1]
        return known[0]


def marks(form: Form) -> Marks:
    """A form in short."""
    tree = form.tree
    whole, counted, calls = _mark(tree)
    items: tuple[int, ...] = ()
    if isinstance(tree, dict):
        history = next((tree[key] for key in HISTORY if isinstance(tree.get(key), list)), [])
        items = tuple(_mark(item)[0] for item in history) if isinstance(history, list) else ()
    return Marks(whole, items, counted, calls, _mark(form.client)[0])


def _mark(value: Json) -> tuple[int, int, int]:
    """Of a value as it is, without the numbers of results, and without results."""
    if isinstance(value, str):
        own = hash(value)
        return own, own, own
    if isinstance(value, list):
        inner = [_mark(one) for one in value]
        return _joined("list", inner)
    if not isinstance(value, dict):
        own = hash((type(value), value))
        return own, own, own
    results = _results(value)
    parts: list[tuple[int, int, int]] = []
    for key, one in value.items():
        if key in results:
            parts.append((_mark(one)[0], _mark(_uncounted(one))[0], 0))
        elif results and key == "is_error":
            own = _mark(one)[0]
            parts.append((own, own, 0))
        else:
            parts.append(_mark(one))
    return _joined(tuple(value), parts)


def _joined(kind: object, parts: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    whole, counted, calls = (hash((kind, *(part[n] for part in parts))) for n in range(3))
    return whole, counted, calls


def _results(value: dict[str, Json]) -> tuple[str, ...]:
    """The keys at which stands what a tool answered."""
    kind = value.get("type")  # of a tool's schema it may be anything
    if (isinstance(kind, str) and kind in _RESULTS) or value.get("role") == "tool":
        return "content", "output"
    return ("functionResponse",) if "functionResponse" in value else ()


def fits(recorded: Json, asked: Json) -> bool:
    """Are two forms the same, if a marker of the recording stands for anything? What was a secret then need not be
    known as one today."""
    if isinstance(recorded, dict) and isinstance(asked, dict):
        return recorded.keys() == asked.keys() and all(fits(inner, asked[key]) for key, inner in recorded.items())
    if isinstance(recorded, list) and isinstance(asked, list):
        return len(recorded) == len(asked) and all(map(fits, recorded, asked))
    if isinstance(recorded, str) and isinstance(asked, str) and recorded != asked:
        parts = _MARKER.split(recorded)
        return len(parts) > 1 and bool(re.fullmatch("(?s:.{1,4096}?)".join(map(re.escape, parts)), asked))
    return recorded == asked and type(recorded) is type(asked)


def _uncounted(value: Json) -> Json:
    if isinstance(value, str):
        return _without_numbers(value)
    if isinstance(value, list):
        return [_uncounted(inner) for inner in value]
    if isinstance(value, dict):
        return {key: inner if key in _ENDS else _uncounted(inner) for key, inner in value.items()}
    return "<number>" if isinstance(value, int | float) and not isinstance(value, bool) else value


@lru_cache(4096)  # the same results stand in every later request
def _without_numbers(text: str) -> str:
    """And with its lines in some order: which of two streams comes first, or which file of a directory, is chance."""
    return "\n".join(sorted(_NUMBER.sub("<number>", text).split("\n")))


def _is_passing(value: Json) -> bool:
    """A block or message that does not count: Claude's checksum; that a subagent has ended, which an agent may hear of
    sooner or later."""
    if not isinstance(value, dict):
        return False
    text, content = value.get("text"), value.get("content")
    if isinstance(text, str) and text.startswith(_BILLING):
        return True
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        content = content[0].get("text")
    return isinstance(content, str) and content.lstrip().startswith(_NOTICE)


def _ordered(values: list[Json]) -> list[Json]:
    """With results that stand side by side in the order of their ids: they come in that of their ends."""
    ordered: list[Json] = []
    run: list[tuple[str, Json]] = []
    for value in [*values, None]:
        kind = value.get("type") if isinstance(value, dict) else None
        name = _RESULTS.get(kind) if isinstance(kind, str) else None
        if name is not None and isinstance(value, dict):
            run.append((str(value.get(name)), value))
            continue
        ordered += [one for _, one in sorted(run, key=lambda pair: pair[0])]
        run.clear()
        ordered.append(value)
    return ordered[:-1]
