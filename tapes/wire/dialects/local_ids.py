"""Ids for calls and results whose protocol has none, so that a result finds its call within one history.

A call without an id gets `#<message index>.<n-th call of that message>`, counted from 0, and its result the same:
results go to the calls of the model's last run of messages, by name and in order. Gemini CLI's subagents number their
results and leave the calls as they came: there the call gets the id of its result. Such ids hold within one request.
All that decides them is in the new part of a history (turns.tail_start), so that read_turn can do with that.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from tapes.values import dataclass, field
from tapes.wire.turns import MODEL_ROLES, Block, Message, ToolCall, ToolResult

NAMES = ("name", "tool_name")
"""In a result's `extra`: whose result it is."""


def give_local_ids(messages: Sequence[Message], first: int = 0) -> list[Message]:
    """The messages with ids where there were none. `first` is the index of the first of them in its history."""
    given: list[Message] = []
    late: dict[str, str] = {}
    run, before = _Run(late), ""
    for index, message in enumerate(messages, first):
        if message.role in MODEL_ROLES and before not in MODEL_ROLES:
            run = _Run(late)
        before = message.role
        given.append(_changed(message, run.reader(index)))
    if not late:
        return given
    return [_changed(m, lambda b: replace(b, id=late.get(b.id, b.id)) if isinstance(b, ToolCall) else b) for m in given]


@dataclass(slots=True)
class _Run:
    """The model's messages in a row, and what came after them."""

    late: dict[str, str]
    """Ids that a call's result brought, by the call's local id."""
    own: set[str] = field(default_factory=set)
    waiting: deque[str] = field(default_factory=deque)
    """Local ids of calls, in order; some may have been given to a result by its name."""
    named: defaultdict[str, deque[str]] = field(default_factory=lambda: defaultdict(deque))
    """The same by the call's name."""
    taken: set[str] = field(default_factory=set)

    def reader(self, index: int) -> Callable[[Block], Block]:
        """Gives ids to the blocks of message `index`, one after another."""
        count = 0

        def read(block: Block) -> Block:
            nonlocal count
            if isinstance(block, ToolCall):
                if block.id:
                    self.own.add(block.id)
                else:
                    block = replace(block, id=f"#{index}.{count}")
                    self.waiting.append(block.id)
                    self.named[block.name].append(block.id)
                count += 1
            elif isinstance(block, ToolResult) and block.id not in self.own:
                call = self._take(block)
                if not block.id:
                    block = replace(block, id=call)
                elif call:
                    self.late[call] = block.id
            return block

        return read

    def _take(self, result: ToolResult) -> str:
        name = next((result.extra[key] for key in NAMES if key in result.extra), None)
        queue: deque[str] = deque()
        if isinstance(name, str) and name:
            queue = self.named.get(name, queue)
        elif name in (None, "") and not result.id:
            queue = self.waiting
        while queue:
            if (id_ := queue.popleft()) not in self.taken:
                self.taken.add(id_)
                return id_
        return ""


def _changed(message: Message, change: Callable[[Block], Block]) -> Message:
    blocks = tuple(map(change, message.blocks))
    same = all(new is old for new, old in zip(blocks, message.blocks, strict=True))
    return message if same else replace(message, blocks=blocks)
