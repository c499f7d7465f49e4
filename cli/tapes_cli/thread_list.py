"""`tapes show --threads`: a session's conversations, each under the one that started it, with what they took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.session import prices
from tapes.session.sums import Sum
from tapes.session.threads import MAIN, Thread
from tapes.session.view import Step, view
from tapes_cli import output
from tapes_cli.exchange_list import model_calls
from tapes_cli.stats_screen import cost
from tapes_cli.story import label

type Sums = Mapping[str, Sum]


def show_threads(archive: Archive, session: Digest, as_json: bool) -> None:
    found = view(archive, session)
    steps = list(found.steps)
    sums = {name: Sum() for name in found.threads}
    for digest, one in model_calls(archive, found).items():
        if digest in found.places:
            sums[found.places[digest].thread].add_call(one)
    if as_json:
        for thread in found.threads.values():
            output.show_json(as_object(thread, sums[thread.id], steps))
        return
    head = ("thread", "id", "steps", "calls", "failed", "input", "output", "cost")
    output.page(output.table(rows(found.threads, sums, steps), head, stretch=1 if output.width() >= 100 else 0))


def of_thread(thread: Thread, steps: list[Step]) -> list[Step]:
    return [step for step in steps if (step.thread or MAIN) == thread.id]


def rows(threads: Mapping[str, Thread], sums: Sums, steps: list[Step]) -> Iterator[tuple[str, ...]]:
    told: set[str] = set()

    def below(parent: str, depth: int) -> Iterator[tuple[str, ...]]:
        for thread in threads.values():
            # What hangs under itself, or under what is not there, is told at the end.
            if thread.parent == parent and thread.id not in told:
                told.add(thread.id)
                yield cells(thread, sums[thread.id], steps, depth)
                yield from below(thread.id, depth + 1)

    yield from below("", 0)
    for thread in threads.values():
        yield from below(thread.parent, 0)


def cells(thread: Thread, total: Sum, steps: list[Step], depth: int) -> tuple[str, ...]:
    return (
        "  " * depth + label(thread),
        thread.id if output.width() >= 100 else thread.id[:8],
        str(len(of_thread(thread, steps))),
        str(total.calls + total.warm_ups),
        str(total.failed or "-"),
        output.count(total.tokens.given),
        output.count(total.tokens.output),
        cost(total) if prices.version() else "-",
    )


def as_object(thread: Thread, total: Sum, steps: list[Step]) -> dict[str, Any]:
    """`cost` is text, as it is exact; null where nothing in it has a price."""
    own = of_thread(thread, steps)
    by = next((step.number for step in steps if step.hash == thread.spawned_by), None)
    return {
        "thread": thread.id,
        "kind": thread.kind,
        "path": thread.path or None,
        "parent": thread.parent or None,
        "spawned_by": thread.spawned_by.hex() if thread.spawned_by else None,
        "spawned_by_step": by,
        "steps": len(own),
        "failed_steps": sum(step.failed for step in own),
        "first_step": own[0].number if own else None,
        "last_step": own[-1].number if own else None,
        "calls": total.calls,
        "warm_ups": total.warm_ups,
        "failed": total.failed,
        "retried": total.retried,
        "untold": total.untold,
        "usage": asdict(total.tokens),
        "usage_failed": asdict(total.lost),
        "usage_warm_ups": asdict(total.warm),
        "cost": str(total.cost) if total.priced else None,
        "unpriced": total.unpriced,
        "ttft_p50_us": total.ttft.at(0.5),
        "ttft_p95_us": total.ttft.at(0.95),
    }
