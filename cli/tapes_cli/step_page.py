"""One step in full: what it says, what belongs to it, and what went wrong around it.

Told as sections, which are read one by one as they are taken; `Page.lines` prints them, the deck shows them.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound, Withheld
from tapes.record.kinds import BodyRef
from tapes.session.commands import Ran, pieces
from tapes.session.exchanges import Exchange
from tapes.session.marks import SIGN, marks_of
from tapes.session.view import Step, View
from tapes.values import dataclass
from tapes.wire.turns import Json, RequestReading
from tapes_cli import output
from tapes_cli.story import Story, label

LONGEST_FACT = 200
ELSEWHERE = ("diff", "said", "usage", "why", "asked", "files", "marks", "about")
"""Facts that are shown below, not among the others."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page. It has lines, a text, an output or steps; captured text is in it as it came."""

    title: str
    lines: Sequence[str] = ()
    """A line of the page each, also where a line feed is in it."""
    text: str | None = None
    """Of as many lines as it has."""
    output: Iterable[str] | None = None
    """A text in pieces that are read as they are taken. Raises Withheld, Damaged and NotFound as the archive does."""
    size: int | None = None
    """Bytes of the output, where that is known."""
    steps: Sequence[Step] = ()
    """A line of the story each."""
    failed: bool = False
    diff: bool = False
    unread: bool = False
    """The lines say why there is nothing else."""


def title(step: Step, record: str) -> str:
    return f"step {step.number} · {step.type} · {output.wall(step.wall_ns)} · record {record}"


def about(step: Step) -> str:
    """Whose it is, and what is known of it, in a line."""
    facts = " ".join(f"{k}={v}" for k, v in step.facts.items() if v not in (None, "", []) and k not in ELSEWHERE)
    return f"thread {step.thread or '-'} {facts}".rstrip()


def head(step: Step) -> list[str]:
    """What a step is, in two lines."""
    return [output.styled(title(step, step.hash.hex()), bold=True), output.harmless(about(step))]


def text_of(step: Step) -> list[str]:
    """A step's own words."""
    return output.harmless(step.text, lines=True).split("\n")


def brief_page(step: Step) -> list[str]:
    """Its words alone, for when all steps are shown."""
    return [*head(step), "", *text_of(step)]


class Changes(Protocol):
    def section(self, step: Step) -> list[str]:
        """What a step did to files, in lines; captured text is in them as it came."""
        ...


class Page:
    """Everything about one step of a session."""

    def __init__(
        self, archive: Archive, view: View, steps: Sequence[Step], step: Step, changed: Changes | None = None
    ) -> None:
        self._changed = changed
        self._archive, self._view, self._steps, self._step = archive, view, steps, step
        self.story = Story(view.threads)
        self._exchange = view.calls.exchanges.get(step.exchange) if step.exchange else None

    def lines(self) -> Iterator[str]:
        yield from head(self._step)
        yield from map(output.harmless, self.origin())
        yield ""
        yield from text_of(self._step)
        for section in self.sections():
            yield ""
            yield output.styled(f"── {output.harmless(section.title)}", bold=True, fg="red" if section.failed else None)
            if section.steps:
                yield from map(self.story.line, section.steps)
            for line in _lines(section):
                colour = {"+": "green", "-": "red"}.get(line[:1]) if section.diff else None
                yield output.styled(output.harmless(line), fg=colour)

    def origin(self) -> Iterator[str]:
        """Which call has started the thread of the step."""
        thread = self._view.threads.get(self._step.thread)
        if thread is not None and thread.spawned_by is not None:
            by = next((s for s in self._steps if s.hash == thread.spawned_by), None)
            yield f"{label(thread)}, started by " + (f"step {by.number}" if by else "a call that is gone")

    def sections(self) -> Iterator[Section]:
        """All behind its own words."""
        step, facts = self._step, self._step.facts
        if facts.get("marks"):
            yield Section("marks", list(self._marks()))
        if facts.get("about"):
            yield Section("about", [self._about(facts["about"])])
        for name, called in (("asked", "asked for"), ("why", "why"), ("said", "list"), ("diff", "change")):
            if facts.get(name):
                yield Section(called, text=str(facts[name]), diff=name == "diff")
        yield from self._belonging()
        if self._changed is not None and (lines := self._changed.section(step)):
            yield Section("files", lines)
        if self._exchange is not None and step.type in ("prompt", "reminder", "answer", "thinking", "error", "seam"):
            yield from self._asked_of_model(self._exchange)
        if facts.get("usage"):
            yield Section("usage", [" · ".join(f"{k} {v}" for k, v in facts["usage"].items()), *self._cost()])
        yield from self._failures()
        yield from self._hashes()

    def _marks(self) -> Iterator[str]:
        for mark in marks_of(self._view.records).get((self._step.hash, self._step.item), ()):
            yield f"{SIGN} {mark.label} · {mark.who} · {output.wall(mark.wall_ns)} · record {mark.record.short(8)}"

    def _about(self, about: Mapping[str, Any]) -> str:
        step = next((s for s in self._steps if s.number == about["step"]), None)
        return (
            f"step {step.number}: {self.story.brief(step)}" if step else f"record {about['hash']}, item {about['item']}"
        )

    def _belonging(self) -> Iterator[Section]:
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
                yield Section(f"result · step {other.number}", text=other.text, failed=other.failed)
            elif step.type == "tool.use" and other.type == "command":
                yield Section(f"ran · step {other.number}", [self.story.brief(other)], failed=other.failed)
                yield from self._output(other)
            elif step.type != "tool.use" and other.type == "tool.use":
                yield Section(f"call · step {other.number}", [self.story.brief(other)])

    def _output(self, step: Step) -> Iterator[Section]:
        ran = next((c.ran for c in self._view.commands if c.ran and c.ran.start == step.hash), None)
        if ran is not None:
            size = sum(BodyRef.of(record.body["data"]).length for _, record in ran.outputs)
            yield Section("its output", output=decoded(self._written(ran)), size=size or None)

    def _written(self, ran: Ran) -> Iterator[bytes]:
        for _, data in pieces(self._archive, ran):
            yield data

    def _asked_of_model(self, exchange: Exchange) -> Iterator[Section]:
        try:
            request = self._view.calls.history(exchange).request
        except (Withheld, Damaged, NotFound) as error:
            yield Section("request", [str(error)], unread=True)
            return
        yield Section("request", [f"{name}: {value}" for name, value in parameters(request).items()])
        # Of one that was tried again, what was new stands with the first attempt.
        sources = (exchange.hash, exchange.retry_of)
        new = [s for s in self._steps if s.hash in sources]
        results = [s for s in self._steps if s.type == "tool.result" and s.exchange in sources]
        told = [s for s in [*results, *new] if s is not self._step]
        if self._step.hash != exchange.hash and told:
            yield Section("new input", steps=told)
        answer = [s for s in self._steps if s.exchange == exchange.hash and s not in new and s not in results]
        if self._step.hash == exchange.hash and answer:
            yield Section("answered with", steps=answer)

    def _cost(self) -> Iterator[str]:
        from tapes_cli.session_usage import cost_of, priced  # and the price lists

        yield from priced(cost_of(self._archive, self._view, self._step))

    def _failures(self) -> Iterator[Section]:
        failed = [s for s in self._steps if s.failed and s is not self._step]
        before = next((s for s in reversed(failed) if s.number < self._step.number), None)
        behind = next((s for s in failed if s.number > self._step.number), None)
        for called, found in (("last failure before", before), ("next failure", behind)):
            if found is not None:
                yield Section(called, steps=[found])

    def _hashes(self) -> Iterator[Section]:
        found = {"record": self._step.hash.hex()}
        exchange = self._exchange
        if exchange is not None:
            found |= {"exchange": exchange.hash.hex()}
            found |= {"end": exchange.end_hash.hex()} if exchange.end_hash else {}
            found |= {"request": exchange.request.hash.hex()} if exchange.request else {}
            found |= {"response": exchange.response.hash.hex()} if exchange.response else {}
        yield Section("hashes", [f"{name:<9} {digest}" for name, digest in found.items()])


def _lines(section: Section) -> Sequence[str]:
    if section.text is not None:
        return section.text.split("\n")
    if section.output is None:
        return section.lines
    try:
        said = "".join(section.output)
    except (Withheld, Damaged, NotFound) as error:
        said = str(error)
    return said.rstrip("\n").split("\n") if said else ["(none)"]


def decoded(chunks: Iterable[bytes], errors: str = "replace") -> Iterator[str]:
    """UTF-8 that may break within a character."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", True)


def parameters(request: RequestReading) -> Mapping[str, Any]:
    """What a request asks for, beside its messages; of one without a body nothing is known."""
    found: dict[str, Any] = {"model": request.model, "stream": request.stream} if request.model else {}
    words = sum(len(getattr(block, "text", "")) for block in request.system)
    found |= {"system": f"{words} characters"} if words else {}
    found |= (
        {"tools": f"{len(request.tools)}: " + ", ".join(tool.name for tool in request.tools)} if request.tools else {}
    )
    return found | {name: shortened(value) for name, value in request.params.items()}


def shortened(value: Json) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_FACT else f"{text[:LONGEST_FACT]}… ({len(text)} characters)"
