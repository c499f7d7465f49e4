"""A long session without an agent: the bodies of N turns of one conversation that grows as real ones do.

Every request repeats the whole history, the cache mark moves along, tools and system text are ~50
KB that never change, tool results look like code. All of it is drawn from a seed, so a benchmark
measures the same bytes every time.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator

from tapes_addons.simulators.apis.anthropic import stream_events, usage
from tapes_addons.simulators.reply import Json, compact

_WORDS = """
the a of to in for with from that when each one every next last order price basket token stream
record archive session reader writer chain hash piece node commit queue window signal socket header
body event turn check test line file path index cursor limit offset total count error result value
state open close read write send keep drop match find move split join start stop before after
because so then only first second
"""
WORDS = _WORDS.split()
TOOL_NAMES = (
    "bash",
    "read_file",
    "write_file",
    "edit_file",
    "search",
    "list_files",
    "task",
    "notes",
    "fetch",
    "plan",
)
MODEL = "claude-demo-1"


def growing_session(turns: int, seed: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield (request body, response body as an event stream) per turn; a request extends the one before."""
    rng = random.Random(seed)
    fixed = _fixed(rng)
    messages: list[Json] = [{"role": "user", "content": [{"type": "text", "text": _prose(rng, 120)}]}]
    for turn in range(turns):
        asked = {**fixed, "messages": _marked(messages)}
        blocks = _answer(rng, turn)
        message = {
            "model": MODEL,
            "id": f"msg_01{_letters(rng, 22)}",
            "type": "message",
            "role": "assistant",
            "content": blocks,
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": usage(asked, blocks),
        }
        yield compact(asked), b"".join(stream_events(message, 24))
        messages.append({"role": "assistant", "content": blocks})
        calls = [block for block in blocks if block["type"] == "tool_use"]
        messages.append({"role": "user", "content": [_result(rng, call) for call in calls]})


def _fixed(rng: random.Random) -> Json:
    """What every request of the session has in common: ~35 KB of tools, ~15 KB of system text."""
    cached = {"cache_control": {"type": "ephemeral"}}
    return {
        "model": MODEL,
        "max_tokens": 32000,
        "stream": True,
        "thinking": {"type": "enabled", "budget_tokens": 16000},
        "metadata": {"user_id": f"user_{_letters(rng, 32)}_session_{_letters(rng, 26)}"},
        "system": [
            {"type": "text", "text": "You are a coding agent.", **cached},
            {"type": "text", "text": "\n\n".join(_prose(rng, 180) for _ in range(15)), **cached},
        ],
        "tools": [_declared(rng, name) for name in TOOL_NAMES],
    }


def _declared(rng: random.Random, name: str) -> Json:
    fields = {f"{rng.choice(WORDS)}_{n}": {"type": "string", "description": _prose(rng, 40)} for n in range(4)}
    schema = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return {"name": name, "description": "\n".join(_prose(rng, 80) for _ in range(5)), "input_schema": schema}


def _marked(messages: list[Json]) -> list[Json]:
    *earlier, last = messages
    *blocks, tail = last["content"]
    return [*earlier, {**last, "content": [*blocks, {**tail, "cache_control": {"type": "ephemeral"}}]}]


def _answer(rng: random.Random, turn: int) -> list[Json]:
    """Thinking with a signature, often a sentence, one to three calls."""
    signature = base64.b64encode(rng.randbytes(rng.randint(250, 900))).decode()
    blocks: list[Json] = [{"type": "thinking", "thinking": _prose(rng, rng.randint(20, 150)), "signature": signature}]
    if rng.random() < 0.6:
        blocks.append({"type": "text", "text": _prose(rng, rng.randint(8, 40))})
    for n in range(rng.choice((1, 1, 1, 2, 3))):
        call_id = f"toolu_growing_T{turn:03d}N{n}_{_letters(rng, 12)}"
        blocks.append({"type": "tool_use", "id": call_id, **_call(rng)})
    return blocks


def _call(rng: random.Random) -> Json:
    path = f"/src/{rng.choice(WORDS)}/{rng.choice(WORDS)}_{rng.randint(1, 99)}.py"
    match rng.randrange(4):
        case 0:
            return {"name": "bash", "input": {"command": f"grep -rn '{rng.choice(WORDS)}' {path} | head -40"}}
        case 1:
            lines = {"old_string": _code(rng, 200), "new_string": _code(rng, 300)}
            return {"name": "edit_file", "input": {"file_path": path, **lines}}
        case _:
            return {"name": "read_file", "input": {"file_path": path}}


def _result(rng: random.Random, call: Json) -> Json:
    text = _code(rng, rng.randint(1000, 6000))
    return {"type": "tool_result", "tool_use_id": call["id"], "content": text}


def _code(rng: random.Random, size: int) -> str:
    """Something with the look and the entropy of numbered source lines."""
    lines: list[str] = []
    length = 0
    while length < size:
        a, b, c = rng.choices(WORDS, k=3)
        indent = "    " * rng.randrange(4)
        form = rng.choice(
            (f"def {a}_{b}({c}: int) -> None:", f"{a} = {b}.{c}({rng.randint(0, 999)})", f'# "{a}" {b} {c}')
        )
        lines.append(f"{len(lines) + 1:6}\t{indent}{form}")
        length += len(lines[-1]) + 1
    return "\n".join(lines)


def _prose(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words)).capitalize() + "."


def _letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("0123456789abcdefghjkmnpqrstvwxyz", k=count))
