"""What a model call is for, told by its shape: agents make calls of their own beside the conversation.

Titles, routers, probes, compactions and commit messages are told by what they ask for, never by the model they ask:
agents use small models for some of them on one day and the main model on another. Shapes seen with Claude Code 2.1.197,
Codex 0.169.0, Gemini CLI 0.61.0, OpenCode 1.18.33, aider 0.86.2. What fits none is `main`: a part of a conversation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal

from tapes.pattern import pattern
from tapes.wire.turns import Json, Message, RequestReading, Text, Unknown

type Purpose = Literal["main", "title", "compaction", "router", "probe", "commit"]

SIDE: frozenset[str] = frozenset({"title", "router", "commit"})
"""Those that are no part of the conversation they stand beside; a compaction is asked for within it."""

_TITLE = pattern(r"title generator|^Generate a (?:concise|short|brief)?[^\n]{0,40}\btitle\b|Write the title in", re.M)
_COMPACT = pattern(
    r"create a detailed summary of (?:the|our) conversation|CONTEXT CHECKPOINT COMPACTION|<state_snapshot>"
    r"|CRITICAL: Respond with TEXT|summarizing conversations|anchored summar",
    re.IGNORECASE,
)
_COMMIT = pattern(r"commit messages?\b", re.IGNORECASE)
_CONTINUED = pattern(r"This session is being continued from a previous conversation|<state_snapshot>")
_ROUTER = ("complexity_score", "model_choice")


def purpose_of(request: RequestReading, url: str = "") -> Purpose:
    """What a request is for. `url` is where it went: some endpoints serve one purpose only."""
    path = url.partition("?")[0]
    if path.endswith("/responses/compact") or _asks_to_compact(request):
        return "compaction"
    if request.params.get("generate") is False or re.search(r"/count_tokens$|:countTokens$|/input_tokens$", path):
        return "probe"
    if _most(request) == 1:
        return "probe"
    if request.tools:
        return "main"
    asked = _schema(request)
    if any(word in asked for word in _ROUTER):
        return "router"
    said = "\n".join(_words(request))
    if (asked and '"title"' in asked) or _TITLE.search(said[:4000]):
        return "title"
    if len(request.messages) <= 2 and _COMMIT.search(said[:1500]):
        return "commit"
    return "main"


def is_continuation(message: Message) -> bool:
    """Does this message stand for a conversation that was compacted?"""
    for block in message.blocks:
        if isinstance(block, Text) and _CONTINUED.search(block.text[:2000]):
            return True
        if isinstance(block, Unknown) and isinstance(block.raw, dict) and is_compacted(block.raw):
            return True
    return False


def is_compacted(item: dict[str, Json]) -> bool:
    """Is it the Responses API's item for what was compacted?"""
    return item.get("type") in ("compaction", "compaction_summary", "context_compaction")


def _asks_to_compact(request: RequestReading) -> bool:
    # Claude Code puts reminders of the system's behind what it asks for.
    last = next((m for m in reversed(request.messages) if m.role != "system"), None)
    if last is None:
        return False
    for block in last.blocks:
        if isinstance(block, Unknown) and isinstance(block.raw, dict) and block.raw.get("type") == "compaction_trigger":
            return True
    # The last words alone: an agent's long system text speaks of summaries, too.
    said = [block.text for block in last.blocks if isinstance(block, Text)]
    if said and last.role == "user" and _COMPACT.search(said[-1][:4000]) and not _CONTINUED.match(said[-1]):
        return True
    return not request.tools and any(_COMPACT.search(b.text[:1000]) for b in request.system if isinstance(b, Text))


def _words(request: RequestReading) -> Iterator[str]:
    for block in request.system[-1:]:
        if isinstance(block, Text):
            yield block.text
    for message in request.messages[:2]:
        yield from (block.text for block in message.blocks if isinstance(block, Text))


def _schema(request: RequestReading) -> str:
    """The answer's form, where the request asks for one; as text."""
    params = request.params
    output, text, gemini = params.get("output_config"), params.get("text"), params.get("generationConfig")
    found: list[Json] = [params.get("response_format")]
    found += [output.get("format")] if isinstance(output, dict) else []
    found += [text.get("format")] if isinstance(text, dict) else []
    if isinstance(gemini, dict):
        found += [gemini.get(name) for name in ("responseJsonSchema", "responseSchema")]
    return " ".join(json.dumps(form) for form in found if form)


def _most(request: RequestReading) -> int | None:
    """The most tokens it wants to be answered."""
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    return next((value for name in names if isinstance(value := request.params.get(name), int)), None)
