"""A conversation of one protocol in the form of another, where nothing that was said is lost by it.

What a provider has sealed for itself is the limit. Thoughts are sealed, and a model goes on without those of another:
they are left out, and counted. A compacted history is sealed, too, and is the conversation itself: that is refused, as
is any entry that has no counterpart. Each agent's own words (system text, reminders) stay behind: the other one has its
own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tapes.errors import UsageError
from tapes.native.carried import Carried
from tapes.wire.turns import Json

type Item = dict[str, Json]

OWN_WORDS = ("<environment_context>", "<user_instructions>", "<INSTRUCTIONS>", "# AGENTS.md", "<system-reminder>")
"""How texts begin that an agent says in a person's name."""
_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_DATA = re.compile(r"data:([\w/+.-]+);base64,(.*)", re.DOTALL)


def converted(it: Carried, dialect: str) -> Carried:
    """The same conversation in another protocol. UsageError where that can not be done faithfully."""
    if it.dialect == dialect:
        if it.agent in ("claude", "codex"):
            return it
        return replace(it, notes=(*it.notes, f"the session is {it.agent}'s: its system text stays behind"))
    convert = _CONVERSIONS.get((it.dialect, dialect))
    if convert is None:
        raise _refusal(it, f"there is no way from {it.dialect} to {dialect}")
    items, sealed = convert(it)
    notes = [*it.notes, f"converted from {it.dialect} to {dialect}: system text, tools and reminders stay behind"]
    if sealed:
        notes.append(f"{sealed} thoughts are left out: they are sealed for another provider")
    return replace(it, dialect=dialect, items=tuple(items), instructions="", usage={}, response="", notes=tuple(notes))


def _refusal(it: Carried, why: str) -> UsageError:
    hint = "it can be read: tapes show, tapes checkout"
    return UsageError(f"this conversation ({it.dialect}) can not be taken over faithfully: {why}", hint=hint)


# -- OpenAI Responses → Anthropic Messages


def _to_messages(it: Carried) -> tuple[list[Json], int]:
    messages: list[tuple[str, list[Json]]] = []
    sealed = 0
    for item in it.items:
        assert isinstance(item, dict)
        if item.get("type") == "reasoning":
            sealed += 1
            continue
        for role, block in _blocks(it, item):
            if not messages or messages[-1][0] != role:
                messages.append((role, []))
            messages[-1][1].append(block)
    for n, (role, blocks) in enumerate(messages):
        behind = messages[n + 1][1] if n + 1 < len(messages) else []
        asked = _ids(blocks, "tool_use", "id") - set(it.open_calls)
        if role == "assistant" and asked - _ids(behind, "tool_result", "tool_use_id"):
            raise _refusal(it, "results of calls came later than the model's next words")
    return [{"role": role, "content": _results_first(blocks)} for role, blocks in messages], sealed


def _blocks(it: Carried, item: Item) -> Iterator[tuple[str, Json]]:
    """What an item is in the other form: the side it is said by, and a block."""
    kind = item.get("type", "message")
    call = str(item.get("call_id"))
    if kind == "message" and item.get("role") in ("user", "assistant"):
        for block in _parts(it, item.get("content")):
            if item["role"] == "assistant" or not _own(block):
                yield str(item["role"]), block
    elif kind in ("function_call", "custom_tool_call"):
        given: Json = {"input": item.get("input")} if kind == "custom_tool_call" else _loaded(item.get("arguments"))
        name = _NAME.sub("_", str(item.get("name")))
        yield "assistant", {"type": "tool_use", "id": call, "name": name, "input": given}
    elif kind in ("function_call_output", "custom_tool_call_output"):
        yield "user", {"type": "tool_result", "tool_use_id": call, "content": list(_parts(it, item.get("output")))}
    elif kind == "agent_message":
        yield from (("user", block) for block in _parts(it, item.get("content")))
    elif kind != "additional_tools" and not (kind == "message" and item.get("role") in ("developer", "system")):
        raise _refusal(it, f"it holds an entry of the kind {kind}, which has no counterpart")


def _parts(it: Carried, content: Json) -> Iterator[Item]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
        return
    for part in content if isinstance(content, list) else []:
        picture = _DATA.fullmatch(str(part.get("image_url"))) if isinstance(part, dict) else None
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield {"type": "text", "text": part["text"]}
        elif picture:
            source: Item = {"type": "base64", "media_type": picture[1], "data": picture[2]}
            yield {"type": "image", "source": source}
        else:
            raise _refusal(it, "it holds a part that is neither text nor a picture with its bytes")


def _loaded(arguments: Json) -> Json:
    try:
        found: Json = json.loads(str(arguments or "{}"))
    except ValueError:
        return {"input": arguments}
    return found if isinstance(found, dict) else {"input": found}


def _ids(blocks: Sequence[Json], kind: str, key: str) -> set[str]:
    return {str(block.get(key)) for block in blocks if isinstance(block, dict) and block.get("type") == kind}


def _results_first(blocks: Sequence[Json]) -> list[Json]:
    """Results must stand in front of what else is said with them."""
    return sorted(blocks, key=lambda block: isinstance(block, dict) and block.get("type") != "tool_result")


# -- Anthropic Messages → OpenAI Responses


def _to_items(it: Carried) -> tuple[list[Json], int]:
    items: list[Json] = []
    sealed = 0
    for message in it.items:
        assert isinstance(message, dict)
        role, content = message.get("role"), message.get("content")
        listed: Json = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in listed if isinstance(listed, list) and role in ("user", "assistant") else []:
            assert isinstance(block, dict)
            if block.get("type") in ("thinking", "redacted_thinking"):
                sealed += 1
            elif role == "assistant" or not _own(block):
                items.append(_item(it, str(role), block))
    return items, sealed


def _item(it: Carried, role: str, block: Item) -> Json:
    match block.get("type"):
        case "text" if role == "assistant":
            part: Item = {"type": "output_text", "text": block.get("text"), "annotations": []}
            return {"type": "message", "role": role, "content": [part]}
        case "text" | "image":
            return {"type": "message", "role": role, "content": [_part(it, block)]}
        case "tool_use":
            given = json.dumps(block.get("input"), ensure_ascii=False)
            return {"type": "function_call", "name": block.get("name"), "arguments": given, "call_id": block.get("id")}
        case "tool_result":
            told = block.get("content")
            parts = [_part(it, part) for part in told if isinstance(part, dict)] if isinstance(told, list) else []
            output: Json = told if isinstance(told, str) else parts
            return {"type": "function_call_output", "call_id": block.get("tool_use_id"), "output": output}
    raise _refusal(it, f"it holds an entry of the kind {block.get('type')}, which has no counterpart")


def _part(it: Carried, block: Item) -> Json:
    source = block.get("source")
    if block.get("type") == "text":
        return {"type": "input_text", "text": block.get("text")}
    if block.get("type") == "image" and isinstance(source, dict) and source.get("type") == "base64":
        return {"type": "input_image", "image_url": f"data:{source.get('media_type')};base64,{source.get('data')}"}
    raise _refusal(it, f"it holds a part of the kind {block.get('type')}, which has no counterpart")


def _own(block: Item) -> bool:
    return block.get("type") == "text" and str(block.get("text")).lstrip().startswith(OWN_WORDS)


_CONVERSIONS: dict[tuple[str, str], Callable[[Carried], tuple[list[Json], int]]] = {
    ("openai-responses", "anthropic"): _to_messages,
    ("anthropic", "openai-responses"): _to_items,
}
