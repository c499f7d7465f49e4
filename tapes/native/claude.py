"""Claude Code's transcript: one JSON object a line, each naming the one before (found out with 2.1.197).

An answer has one line for each of its blocks, joined by the message's id; each tool result a line of its own; what
Claude Code tells the model beside the conversation is an attachment. On resuming, it puts them together to messages
again; it leaves out calls without a result, which we do ourselves, so that what we say of it holds.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tapes.native.carried import Carried
from tapes.native.claude_reminders import CONTEXT, attachments
from tapes.wire.turns import Json

VERSION = "2.1.197"
"""The version that this was found out with."""
UNANSWERED = "No response requested."
_TO_BE_MUNGED = re.compile(r"[^a-zA-Z0-9]")
_LONGEST = 200


def folder(cwd: str) -> str:
    """The name of the folder in which Claude Code keeps the transcripts of a working directory."""
    units = cwd.encode("utf-16-le", "surrogatepass")
    length = len(units) // 2
    name = _TO_BE_MUNGED.sub(lambda found: "-" * (2 if ord(found.group()) > 0xFFFF else 1), cwd)
    if length <= _LONGEST:
        return name
    digest = 0
    for at in range(0, len(units), 2):
        digest = (digest * 31 + int.from_bytes(units[at : at + 2], "little")) & 0xFFFFFFFF
    return f"{name[:_LONGEST]}-{_base36(abs(digest - (1 << 32) if digest >> 31 else digest))}"


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def transcript(
    it: Carried,
    session: str,
    cwd: str,
    title: str,
    now: datetime | None = None,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> tuple[bytes, tuple[str, ...]]:
    """The lines of a transcript, and what is to be said of it. `cwd` is the real path of the directory."""
    lines = _Lines(it, session, cwd, now or datetime.now(UTC), new_id)
    notes = list(lines.write())
    head = {"type": "ai-title", "aiTitle": title, "sessionId": session}
    last = {"type": "last-prompt", "lastPrompt": lines.prompt, "leafUuid": lines.last, "sessionId": session}
    every = [head, *lines.made, {key: value for key, value in last.items() if value}]
    return b"".join(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n" for line in every), tuple(
        notes
    )


class _Lines:
    def __init__(self, it: Carried, session: str, cwd: str, now: datetime, new_id: Callable[[], str]) -> None:
        self._it, self._now, self._new_id = it, now, new_id
        self._common = {
            "isSidechain": False,
            "userType": "external",
            "entrypoint": "cli",
            "cwd": cwd,
            "sessionId": session,
            "version": it.version if it.agent == "claude" and it.version else VERSION,
        }
        if branch := it.git.get("branch"):
            self._common["gitBranch"] = branch
        self.made: list[dict[str, Any]] = []
        self.last: str | None = None
        self.prompt = ""
        self._uses: dict[str, str] = {}
        self._shells: set[str] = set()

    def write(self) -> Iterator[str]:
        """Make the lines. Gives what is to be said of them."""
        cut = 0
        messages = [message for message in self._it.items if isinstance(message, dict)]
        for index, message in enumerate(messages):
            content = _blocks(message.get("content"))
            if index == 0 and content and str(content[0].get("text", "")).startswith(CONTEXT):
                content = content[1:]
            if message.get("role") == "assistant":
                kept = [block for block in content if block.get("id") not in self._it.open_calls]
                cut += len(content) - len(kept)
                self._assistant(kept, last=index == len(messages) - 1)
            elif message.get("role") == "system":
                for attachment in attachments("\n".join(str(block.get("text", "")) for block in content)):
                    self._add({"type": "attachment", "attachment": attachment})
            else:
                self._user(content)
        if self.made and self.made[-1]["type"] != "assistant":
            # Else Claude Code would add it, behind a "Continue from where you left off." of its own.
            self._assistant([{"type": "text", "text": UNANSWERED}], last=False, model="<synthetic>")
            yield f"the answer had not come: “{UNANSWERED}” stands there, as Claude Code itself would put it"
        if cut:
            yield f"{cut} tool calls whose results had not come are left out, as Claude Code itself does"
        yield "the date, CLAUDE.md, tools and system text are today's: Claude Code sends them anew"

    def _assistant(self, blocks: Sequence[dict[str, Json]], last: bool, model: str = "") -> None:
        id_ = (self._it.response if last else "") or f"msg_{self._new_id().replace('-', '')[:24]}"
        stop = "tool_use" if any(block.get("type") == "tool_use" for block in blocks) else "end_turn"
        for block in blocks:
            message = {
                "model": model or self._it.model,
                "id": id_,
                "type": "message",
                "role": "assistant",
                "content": [block],
                "stop_reason": stop,
                "stop_sequence": None,
                "usage": (self._it.usage if last else None) or {"input_tokens": 0, "output_tokens": 0},
            }
            made = self._add({"type": "assistant", "message": message})
            if block.get("type") == "tool_use":
                self._uses[str(block.get("id"))] = made
                self._shells |= {str(block.get("id"))} if block.get("name") == "Bash" else set()

    def _user(self, blocks: Sequence[dict[str, Json]]) -> None:
        others: list[dict[str, Json]] = []
        for block in blocks:
            if block.get("type") == "tool_result":
                self._words(others)
                others = []
                line: dict[str, Any] = {"type": "user", "message": {"role": "user", "content": [block]}}
                use = self._uses.get(str(block.get("tool_use_id")))
                shown = _shown(block) if str(block.get("tool_use_id")) in self._shells else {}
                self._add(line | shown | ({"sourceToolAssistantUUID": use} if use else {}))
            else:
                others.append(block)
        self._words(others)

    def _words(self, blocks: Sequence[dict[str, Json]]) -> None:
        # Kept together: Claude Code puts a line break between texts of different lines.
        if not blocks:
            return
        texts = [str(block["text"]) for block in blocks if block.get("type") == "text" and "text" in block]
        spoken = [text for text in texts if not text.lstrip().startswith("<system-reminder>")]
        alone = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
        line: dict[str, Any] = {
            "type": "user",
            "message": {"role": "user", "content": texts[0] if alone else list(blocks)},
        }
        if texts and not spoken:
            line["isMeta"] = True
        elif spoken:
            self.prompt = spoken[-1][:200]
        self._add(line)

    def _add(self, line: dict[str, Any]) -> str:
        made = self._new_id()
        at = self._now + timedelta(milliseconds=len(self.made))
        stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.made.append({"parentUuid": self.last, **self._common, **line, "uuid": made, "timestamp": stamp})
        self.last = made
        return made


def _shown(result: dict[str, Json]) -> dict[str, Any]:
    """What Claude Code's screen shows of a command's result; the model is told the result itself."""
    said = result.get("content")
    if not isinstance(said, str):
        return {}
    if result.get("is_error"):
        return {"toolUseResult": f"Error: {said}"}
    return {"toolUseResult": {"stdout": said, "stderr": "", "interrupted": False, "isImage": False}}


def _blocks(content: Json) -> list[dict[str, Json]]:
    """Content as blocks, without the marks of what is to be kept in the provider's cache: they move all the time."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    listed = content if isinstance(content, list) else []
    return [_unmarked(block) for block in listed if isinstance(block, dict)]


def _unmarked(block: dict[str, Json]) -> dict[str, Json]:
    kept = {key: value for key, value in block.items() if key != "cache_control"}
    inner = kept.get("content")
    if kept.get("type") == "tool_result" and isinstance(inner, list):
        kept["content"] = [_unmarked(part) if isinstance(part, dict) else part for part in inner]
    return kept
