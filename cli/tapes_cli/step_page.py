"""One step in full: what it says, what belongs to it, and what went wrong around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound, Withheld
from tapes.session.commands import pieces
from tapes.session.exchanges import Exchange
from tapes.session.marks import SIGN, marks_of
from tapes.session.view import Step, View
from tapes.wire.turns import Json, RequestReading
from tapes_cli import output
from tapes_cli.story import Story, label

if TYPE_CHECKING:
    from tapes_cli.changed import Changed

LONGEST_FACT = 200
ELSEWHERE = ("diff", "said", "usage", "why", "asked", "files", "marks", "about")
"""Facts that are shown below, not among the others."""


def head(step: Step) -> list[str]:
    """What a step is, in two lines."""
    facts = " ".join(f"{k}={v}" for k, v in step.facts.items() if v not in (None, "", []) and k not in ELSEWHERE)
    title = f"step {step.number} · {step.type} · {output.wall(step.wall_ns)} · record {step.hash.hex()}"
    return [
        output.styled(title, bold=True),
        f"thread {output.harmless(step.thread or '-')} {output.harmless(facts)}".rstrip(),
    ]


def text_of(step: Step) -> list[str]:
    """A step's own words."""
    return output.harmless(step.text, lines=True).split("\n")


def brief_page(step: Step) -> list[str]:
    """Its words alone, for when all steps are shown."""
    return [*head(step), "", *text_of(step)]


class Page:
    """Everything about one step of a session."""

    def __init__(
        self, archive: Archive, view: View, steps: Sequence[Step], step: Step, changed: Changed | None = None
    ) -> None:
        self._changed = changed
        self._archive, self._view, self._steps, self._step = archive, view, steps, step
        self._story = Story(view.threads)
        self._exchange = view.calls.exchanges.get(step.exchange) if step.exchange else None

    def lines(self) -> Iterator[str]:
        step, facts = self._step, self._step.facts
        yield from head(step)
        thread = self._view.threads.get(step.thread)
        if thread is not None and thread.spawned_by is not None:
            by = next((s for s in self._steps if s.hash == thread.spawned_by), None)
            yield output.harmless(
                f"{label(thread)}, started by " + (f"step {by.number}" if by else "a call that is gone")
            )
        yield ""
        yield from text_of(step)
        if facts.get("marks"):
            yield from section("marks", list(self._marks()))
        if facts.get("about"):
            yield from section("about", [self._about(facts["about"])])
        for name, title in (("asked", "asked for"), ("why", "why"), ("said", "list"), ("diff", "change")):
            if facts.get(name):
                yield from section(title, str(facts[name]).split("\n"), diff=name == "diff")
        yield from self._belonging()
        if self._changed is not None and (lines := self._changed.section(step)):
            yield from section("files", lines)
        if self._exchange is not None and step.type in ("prompt", "reminder", "answer", "thinking", "error", "seam"):
            yield from self._asked_of_model(self._exchange)
        if facts.get("usage"):
            yield from section("usage", [" · ".join(f"{k} {v}" for k, v in facts["usage"].items()), *self._cost()])
        yield from self._failures()
        yield from self._hashes()

    def _marks(self) -> Iterator[str]:
        for mark in marks_of(self._view.records).get((self._step.hash, self._step.item), ()):
            yield f"{SIGN} {mark.label} · {mark.who} · {output.wall(mark.wall_ns)} · record {mark.record.short(8)}"

    def _about(self, about: Mapping[str, Any]) -> str:
        step = next((s for s in self._steps if s.number == about["step"]), None)
        return (
            f"step {step.number}: {self._story.brief(step)}"
            if step
            else f"record {about['hash']}, item {about['item']}"
        )

    def _belonging(self) -> Iterator[str]:
        """Of a tool's call: its command and its result; of these: the call."""
        step = self._step
        identifier = step.facts.get("id") or step.facts.get("tool")
        if step.type == "command":
            yield from self._output(step)
        if not identifier or step.type not in ("tool.use", "tool.result", "command"):
            return
        for other in self._steps:
            if other is step or identifier not in (other.facts.get("id"), other.facts.get("tool")):
                continue
            if step.type == "tool.use" and other.type == "tool.result":
                yield from section(f"result · step {other.number}", other.text.split("\n"), failed=other.failed)
            elif step.type == "tool.use" and other.type == "command":
                yield from section(f"ran · step {other.number}", [self._story.brief(other)], failed=other.failed)
                yield from self._output(other)
            elif step.type != "tool.use" and other.type == "tool.use":
                yield from section(f"call · step {other.number}", [self._story.brief(other)])

    def _output(self, step: Step) -> Iterator[str]:
        ran = next((c.ran for c in self._view.commands if c.ran and c.ran.start == step.hash), None)
        if ran is None:
            return
        try:
            said = b"".join(data for _, data in pieces(self._archive, ran)).decode("utf-8", "replace")
        except (Withheld, Damaged, NotFound) as error:
            said = str(error)
        yield from section("its output", said.rstrip("\n").split("\n") if said else ["(none)"])

    def _asked_of_model(self, exchange: Exchange) -> Iterator[str]:
        try:
            request = self._view.calls.history(exchange).request
        except (Withheld, Damaged, NotFound) as error:
            yield from section("request", [str(error)])
            return
        yield from section("request", [f"{name}: {value}" for name, value in parameters(request).items()])
        # Of one that was tried again, what was new stands with the first attempt.
        sources = (exchange.hash, exchange.retry_of)
        new = [s for s in self._steps if s.hash in sources]
        results = [s for s in self._steps if s.type == "tool.result" and s.exchange in sources]
        told = [self._story.line(s) for s in [*results, *new] if s is not self._step]
        if self._step.hash != exchange.hash and told:
            yield from section("new input", told, drawn=True)
        answer = [s for s in self._steps if s.exchange == exchange.hash and s not in new and s not in results]
        if self._step.hash == exchange.hash and answer:
            yield from section("answered with", [self._story.line(s) for s in answer], drawn=True)

    def _cost(self) -> Iterator[str]:
        from tapes_cli.session_usage import cost_of, priced  # and the price lists

        yield from priced(cost_of(self._archive, self._view, self._step))

    def _failures(self) -> Iterator[str]:
        failed = [s for s in self._steps if s.failed and s is not self._step]
        before = next((s for s in reversed(failed) if s.number < self._step.number), None)
        behind = next((s for s in failed if s.number > self._step.number), None)
        for title, found in (("last failure before", before), ("next failure", behind)):
            if found is not None:
                yield from section(title, [self._story.line(found)], drawn=True)

    def _hashes(self) -> Iterator[str]:
        found = {"record": self._step.hash.hex()}
        exchange = self._exchange
        if exchange is not None:
            found |= {"exchange": exchange.hash.hex()}
            found |= {"end": exchange.end_hash.hex()} if exchange.end_hash else {}
            found |= {"request": exchange.request.hash.hex()} if exchange.request else {}
            found |= {"response": exchange.response.hash.hex()} if exchange.response else {}
        yield from section("hashes", [f"{name:<9} {digest}" for name, digest in found.items()])


def section(
    title: str, lines: Sequence[str], *, failed: bool = False, diff: bool = False, drawn: bool = False
) -> Iterator[str]:
    """A part of a page. `drawn`: the lines are a story's, harmless and coloured already."""
    yield ""
    yield output.styled(f"── {output.harmless(title)}", bold=True, fg="red" if failed else None)
    for line in lines:
        colour = {"+": "green", "-": "red"}.get(line[:1]) if diff else None
        yield line if drawn else output.styled(output.harmless(line), fg=colour)


def parameters(request: RequestReading) -> Mapping[str, Any]:
    """What a request asks for, beside its messages."""
    found: dict[str, Any] = {"model": request.model, "stream": request.stream}
    words = sum(len(getattr(block, "text", "")) for block in request.system)
    found |= {"system": f"{words} characters"} if words else {}
    found |= (
        {"tools": f"{len(request.tools)}: " + ", ".join(tool.name for tool in request.tools)} if request.tools else {}
    )
    return found | {name: shortened(value) for name, value in request.params.items()}


def shortened(value: Json) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_FACT else f"{text[:LONGEST_FACT]}… ({len(text)} characters)"
