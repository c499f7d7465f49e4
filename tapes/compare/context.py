"""What the context held different just before two runs parted, and two turns held against each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tapes.compare.masks import Masks
from tapes.compare.requests import Difference, Parting, Segment, differences, part, segments
from tapes.compare.rows import Row
from tapes.compare.run import Run
from tapes.compare.runs import Comparison
from tapes.errors import Damaged, NotFound
from tapes.record.digest import Digest
from tapes.session.exchanges import Exchange
from tapes.session.transcript import Conversation, Moment, history
from tapes.session.usage import Tokens, counts
from tapes.session.view import Step
from tapes.values import dataclass


@dataclass(frozen=True, slots=True)
class Context:
    """Two requests, beside their messages."""

    exchanges: tuple[Digest | None, Digest | None]
    differences: tuple[Difference, ...]
    earlier: tuple[Row, ...] = ()
    """What was said before: what an agent added on one side only or in other words; what differs in nothing but what is
    masked."""
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turns:
    """Two model calls."""

    context: Context
    parting: Parting | None
    """As a prompt cache sees it; None where a request can not be read."""
    masked: Parting | None
    """The same as if directories, dates and ids were equal."""
    tokens: tuple[Tokens | None, Tokens | None]
    apart_ns: int
    """From the one to the other."""
    models: tuple[str, str]


def context(made: Comparison, a: Run, b: Run) -> Context | None:
    """At the requests with which the two runs parted; None where they did not."""
    first = made.first
    if first is None:
        return None
    thread = made.rows[first.row].thread
    before = first.before
    sides = (
        _carrying(a, first.a or (before.a if before else None), thread[0]),
        _carrying(b, first.b or (before.b if before else None), thread[1]),
    )
    found = _context(sides, (a, b), made.masks)
    before_it = [row for row in made.rows[: first.row] if row.thread == thread]
    earlier = [row for row in before_it if row.differs] + [row for row in before_it if row.masked and not row.differs]
    return replace(found, earlier=tuple(earlier))


def begun(made: Comparison, a: Run, b: Run) -> Context:
    """At the first model calls of the main threads: what the two agents were given to begin with."""
    sides = tuple(
        next(
            (
                run.found.calls.exchanges[digest]
                for digest in (run.found.threads[run.root].exchanges if run.root in run.found.threads else ())
                if run.found.places[digest].purpose == "main" and any(step.exchange == digest for step in run.steps)
            ),
            None,
        )
        for run in (a, b)
    )
    return _context((sides[0], sides[1]), (a, b), made.masks)


def turns(one: Digest, other: Digest, a: Run, b: Run, masks: Masks) -> Turns:
    """Two exchanges, each by its `exchange.open`."""
    sides = a.found.calls.exchanges[one], b.found.calls.exchanges[other]
    seen = []
    for exchange, run in zip(sides, (a, b), strict=True):
        seen.append(_segments(exchange, run))
    answers = [run.found.calls.answer(exchange) for exchange, run in zip(sides, (a, b), strict=True)]
    tokens = [
        counts(answer.usage, exchange.dialect.name) if answer.usage else None
        for answer, exchange in zip(answers, sides, strict=True)
    ]
    return Turns(
        _context(sides, (a, b), masks),
        part(seen[0], seen[1]) if seen[0] is not None and seen[1] is not None else None,
        part(*([replace(s, text=masks.output(s.text)) for s in side or ()] for side in seen)) if all(seen) else None,
        (tokens[0], tokens[1]),
        sides[1].opened.wall_ns - sides[0].opened.wall_ns,
        (answers[0].model, answers[1].model),
    )


def _segments(exchange: Exchange, run: Run) -> list[Segment] | None:
    try:
        return segments(run.archive.body(exchange.request)) if exchange.request else []
    except (Damaged, NotFound):
        return None


def _context(sides: tuple[Exchange | None, Exchange | None], runs: tuple[Run, Run], masks: Masks) -> Context:
    found: list[Conversation | None] = []
    unread: list[str] = []
    for name, exchange, run in zip("AB", sides, runs, strict=True):
        try:
            found.append(_asked(run, exchange))
        except (Damaged, NotFound) as error:
            found.append(None)
            unread.append(f"the request of {name} can not be read: {error}")
    hashes = (sides[0].hash if sides[0] else None, sides[1].hash if sides[1] else None)
    if found[0] is None or found[1] is None or None in sides:
        return Context(hashes, (), unread=tuple(unread))
    return Context(hashes, tuple(differences(found[0], found[1], masks)), unread=tuple(unread))


def _asked(run: Run, exchange: Exchange | None) -> Conversation:
    if exchange is None:
        return Conversation()
    at = Moment(exchange.thread, 0, (), (), exchange, answered=False)
    return history(run.archive, run.found, at)


def _carrying(run: Run, step: Step | None, thread: str) -> Exchange | None:
    """The model call that a step is of; without a step the last one of the thread."""
    exchanges = run.found.calls.exchanges
    if step is not None and step.exchange is not None and step.exchange in exchanges:
        return exchanges[step.exchange]
    order = run.found.threads[thread].exchanges if thread in run.found.threads else []
    number = step.number if step else 1 << 60
    before = [exchanges[s.exchange] for s in run.steps if s.exchange and s.exchange in order and s.number <= number]
    return before[-1] if before else None


def prompts(a: Run, b: Run, masks: Masks) -> Iterator[tuple[str, Context]]:
    """System text, tools and parameters at the first call of each thread that both have, by thread or purpose."""
    ours, theirs = _firsts(a), _firsts(b)
    for name in dict.fromkeys([*ours, *theirs]):
        if name in ours and name in theirs:
            yield name, _context((ours[name], theirs[name]), (a, b), masks)


def _firsts(run: Run) -> dict[str, Exchange]:
    """By purpose beside the conversations; of conversations the main one, and the first of each kind."""
    found: dict[str, Exchange] = {}
    for thread in run.found.threads.values():
        first = next(
            (run.found.calls.exchanges[d] for d in thread.exchanges if run.found.places[d].purpose != "probe"), None
        )
        if first is not None:
            found.setdefault("main" if thread.id == run.root else thread.kind, first)
    return found
