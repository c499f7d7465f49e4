"""A session's steps as lines: one a step, a subagent's indented under the call that started it.

Numbers are those of the records' order, so steps of agents that work at the same time are not numbered in one run.
Everything that was captured goes through `output.harmless`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tapes.record.digest import Digest
from tapes.session.marks import SIGN
from tapes.session.threads import MAIN, Thread
from tapes.session.usage import GIVEN, Tokens
from tapes.session.view import Step, as_told
from tapes.wire.purposes import SIDE
from tapes_cli import output

if TYPE_CHECKING:
    from tapes_cli.changed import Changed

ICONS = {
    "prompt": "▶",
    "reminder": "·",
    "thinking": "…",
    "answer": "◀",
    "tool.use": "⚙",
    "tool.result": "↳",
    "command": "$",
    "media": "▣",
    "error": "✗",
    "gap": "⚠",
    "note": "✎",
    "withheld": "▒",
    "seam": "≈",
}
ACTION_ICONS = {"read": "◇", "edit": "±", "write": "+", "delete": "−", "todo": "☰", "spawn": "⑂"}
COLOURS = {"prompt": "cyan", "answer": "green", "tool.use": "yellow", "error": "red", "gap": "red", "seam": "magenta"}
WIDE = 100
"""Columns from which on a line has its record's hash, and what it took."""
FOLDED = 1000
"""Bytes of a result from which on its hash is given with its size."""
type Told = Step | tuple[Thread, list[Step]]
_TELLING = ("command", "cmd", "file_path", "filePath", "path", "pattern", "query", "url", "script", "description")


class Story:
    """Draws the lines of one session."""

    def __init__(
        self,
        threads: Mapping[str, Thread],
        cwd: str = "",
        before: int = 0,
        tokens: Mapping[str, Tokens] | None = None,
        changed: Changed | None = None,
    ) -> None:
        """`before`: columns that stand before each line. `tokens`: what each thread took."""
        self._threads = threads
        self._tokens = tokens or {}
        self._changed = changed
        self._cwd = cwd.rstrip("/") + "/" if cwd else ""
        self._wide = output.width() - before

    def lines(self, steps: Sequence[Step], *, folded: bool = True) -> Iterator[str]:
        """All steps, each thread's together. `folded`: reminders that follow one another are one line."""
        run: list[Step] = []
        deep = 0
        for item, depth in self.told(steps):
            if run and (not folded or not isinstance(item, Step) or not _folds(item) or depth != deep):
                yield self.line(folding(run), deep)
                run = []
            if not isinstance(item, Step):
                yield self.heading(item, depth)
            elif _folds(item):
                run.append(item)
                deep = depth
            else:
                yield self.line(item, depth)
                yield from self._files(item, depth)
        if run:
            yield self.line(folding(run), deep)

    def _files(self, step: Step, depth: int) -> Iterator[str]:
        if self._changed is not None:
            indent = " " * (23 if self._wide >= WIDE else 14) + "│ " * depth
            yield from self._changed.lines(step, indent, self._wide)

    def told(self, steps: Sequence[Step]) -> Iterator[tuple[Told, int]]:
        """Steps, and before those of a thread that hangs under another its heading; each with how deep it hangs."""
        by_thread: dict[str, list[Step]] = {}
        for step in as_told(steps):
            by_thread.setdefault(self.thread_of(step), []).append(step)
        below: dict[str, list[str]] = {}
        for name in by_thread:
            if name != MAIN:
                parent = self._threads[name].parent if name in self._threads else ""
                # A parent of which no step is shown is none here.
                below.setdefault(parent if parent in by_thread and parent != name else MAIN, []).append(name)
        done: set[str] = set()

        def tell(name: str, depth: int) -> Iterator[tuple[Told, int]]:
            done.add(name)
            own = by_thread.get(name, [])
            started, begun = self._hanging(own, below.get(name, []), by_thread)
            for step in own:
                while begun and by_thread[begun[0]][0].number < step.number:
                    yield from hang(begun.pop(0), depth + 1)
                yield step, depth + (step.thread in SIDE)
                for other in started.pop(step.hash, ()):
                    yield from hang(other, depth + 1)
            for other in begun:
                yield from hang(other, depth + 1)

        def hang(name: str, depth: int) -> Iterator[tuple[Told, int]]:
            if name in done:
                return
            if name in self._threads:
                yield (self._threads[name], by_thread[name]), depth
            yield from tell(name, depth)

        yield from tell(MAIN, 0)
        for name in by_thread:  # what hangs under itself, if ever
            yield from hang(name, 0)

    def _hanging(
        self, own: Sequence[Step], names: Sequence[str], by_thread: Mapping[str, Sequence[Step]]
    ) -> tuple[dict[Digest, list[str]], list[str]]:
        """Threads by the step here that has started them; and the others, which stand where they began."""
        here = {step.hash for step in own}
        started: dict[Digest, list[str]] = {}
        begun: list[str] = []
        for name in names:
            by = self._threads[name].spawned_by if name in self._threads else None
            if by is not None and by in here:
                started.setdefault(by, []).append(name)
            else:
                begun.append(name)
        return started, sorted(begun, key=lambda name: by_thread[name][0].number)

    def thread_of(self, step: Step) -> str:
        """The thread among whose steps it is told. Calls beside a conversation stand each where it was made."""
        if step.thread in SIDE and step.thread in self._threads:
            return self._threads[step.thread].parent or MAIN
        return step.thread or MAIN

    def heading(self, told: tuple[Thread, list[Step]], depth: int) -> str:
        thread, steps = told
        took = output.duration(steps[-1].wall_ns - steps[0].wall_ns)
        failed = sum(step.failed for step in steps)
        tokens = self._tokens.get(thread.id)
        text = f"┌ {label(thread)} · {len(steps)} steps · {took}" + (f" · {failed} failed" if failed else "")
        text += f" · {flow(tokens.given, tokens.output)}" if tokens else ""
        return output.styled(output.fit(" " * 16 + "│ " * (depth - 1) + output.harmless(text), self._wide), bold=True)

    def line(self, step: Step, depth: int = 0) -> str:
        icon = "✗" if step.failed else ACTION_ICONS.get(step.facts.get("action", ""), ICONS[step.type])
        if step.type != "tool.use" and not step.failed:
            icon = ICONS[step.type]
        # Not where nothing hides, lest a list of commands loses its alignment.
        mark = f" {step.hash.short(8)}" if self._wide >= WIDE else ""
        head = f"{step.number:>4} {output.wall(step.wall_ns)[11:]}{mark} {'│ ' * depth}{icon} "
        side = f"({step.thread}) " if step.thread in SIDE else ""
        room = self._wide - output.cell_width(head)
        tail = self._took(step) if self._wide >= WIDE else ""
        text = output.fit(
            output.harmless(side + starred(step) + self.brief(step)), room - (len(tail) + 2 if tail else 0)
        )
        if tail:
            text = output.pad(text, room - len(tail)) + tail
        doubt = step.facts.get("verdict", "matched") != "matched"
        return output.styled(head + text, fg="red" if step.failed or doubt else COLOURS.get(step.type))

    def brief(self, step: Step) -> str:
        facts, text = step.facts, " ".join(step.text[:2000].split())
        match step.type:
            case "tool.use":
                return f"{facts['name']}{_doubt(step, ' ({})')} {self._asked(step) or text}"
            case "command":
                return f"{'  ' * facts['within']}{ending(facts)}{_doubt(step, ', {}')}: {text}"
            case "tool.result":
                lines, size = step.text.count("\n") + 1, facts["bytes"] or 0
                mark = f", {step.hash.short(8)}" if size > FOLDED else ""
                folded = f" ({output.size(size)}, {lines} lines{mark})" if lines > 1 or mark else ""
                return f"{facts['name']}{folded}: {text}"
            case "answer" if facts.get("diff"):
                return f"{facts['path']} {_changes(facts['diff'])}: {text}"
            case "reminder" | "thinking":
                return f"{facts.get('folded', step.type)}: {text}"
            case "gap":
                return f"GAP: {text}"
            case "error" if facts.get("retries"):
                return f"{text} · tried again {facts['retries']}×: {', '.join(facts['outcomes'])}"
            case "seam":
                return f"── {text} ──"
            case "note" if facts.get("about"):
                gone = ", taken back" if facts.get("taken_back") else ""
                return f"{text} (at step {facts['about']['step'] or '-'}{gone})"
            case _:
                return text

    def _asked(self, step: Step) -> str:
        """What a call asks for, in a few words; empty where its input says it best."""
        facts = step.facts
        path = str(facts.get("path", "")).removeprefix(self._cwd)
        files = facts.get("files", ())
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        match facts.get("action"):
            case "edit" | "write" | "delete":
                return f"{path}{more} {_changes(str(facts.get('diff', '')))}".rstrip()
            case "read":
                return f"{path}{more}{_others(step, path)}"
            case "todo":
                return " · ".join(str(facts.get("said", "")).split("\n"))
        table = _table(step.text)
        if table is None:
            return ""
        if facts.get("action") == "spawn":
            prompt = next((table[k] for k in ("prompt", "message", "objective") if isinstance(table.get(k), str)), "")
            return " ".join(f"{path}: {prompt}".removeprefix(": ").split())
        telling = next((table[name] for name in _TELLING if isinstance(table.get(name), str)), "")
        return " ".join(str(telling).split())

    @staticmethod
    def _took(step: Step) -> str:
        facts, usage = step.facts, step.facts.get("usage") or {}
        given = sum(usage.get(kind, 0) for kind in GIVEN)  # with what caches held
        parts = [flow(given, usage.get("output", 0))] if usage else []
        # A command says it itself, at its beginning.
        if facts.get("duration_us") is not None and step.type != "command":
            parts.append(output.duration(facts["duration_us"] * 1000))
        return " ".join(parts)


def starred(step: Step) -> str:
    """The labels that people have put on it, to stand before its words."""
    return "".join(f"{SIGN} {label} · " for label in step.facts.get("marks", ()))


def _folds(step: Step) -> bool:
    return step.type == "reminder" and not step.facts.get("marks")


def folding(run: Sequence[Step]) -> Step:
    """Reminders as one: what an agent puts beside a question is long, and seldom what is looked for."""
    if len(run) == 1:
        return run[0]
    size = output.size(sum(len(step.text.encode("utf-8", "replace")) for step in run))
    facts = {**run[0].facts, "folded": f"{len(run)} reminders ({run[0].number}–{run[-1].number}, {size})"}
    return replace(run[0], facts=facts)


def flow(given: int, made: int) -> str:
    """Tokens that a model read and made."""
    return f"{output.count(given)}→{output.count(made)} tok"


def label(thread: Thread) -> str:
    """A thread's name for people."""
    name = thread.path or (thread.id if len(thread.id) <= 20 else f"{thread.id[:8]}…{thread.id[-6:]}")
    return name if name == thread.kind else f"{thread.kind} {name}".replace("other ", "")


def ending(facts: Mapping[str, Any]) -> str:
    """How a command ended: `exit 0, 1.5s`."""
    if facts["signal"]:
        said = f"signal {facts['signal']}"
    else:
        said = "not seen to end" if facts["exit"] is None else f"exit {facts['exit']}"
    return said if facts["duration_us"] is None else f"{said}, {output.duration(facts['duration_us'] * 1000)}"


def _doubt(step: Step, form: str) -> str:
    verdict = step.facts.get("verdict", "matched")
    return "" if verdict == "matched" else form.format(verdict.replace("-", " ").upper())


def _changes(diff: str) -> str:
    lines = diff.split("\n")
    plus, minus = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return f"+{plus} −{minus}"


def _others(step: Step, path: str) -> str:
    """What else a reading call says, such as a range of lines."""
    table = _table(step.text) or {}
    said = [f"{key} {value}" for key, value in table.items() if isinstance(value, int) and not isinstance(value, bool)]
    return f" ({', '.join(said)})" if said else ""


def _table(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
