"""What whole sessions took, for their list; and what one step did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound
from tapes.session import prices
from tapes.session.facts import FactsFile
from tapes.session.rows import Row
from tapes.session.sums import Sum
from tapes.session.usage import call_of
from tapes.session.view import Step, View
from tapes_cli import output
from tapes_cli.home import cache_folder
from tapes_cli.stats_screen import cost, money


def sums_of(archive: Archive, stack: ExitStack) -> Callable[[Row], Sum | None]:
    """Of a row; None where the session can not be read. What was read is kept, as for `tapes stats`."""
    kept = stack.enter_context(FactsFile(cache_folder()))

    def found(row: Row) -> Sum | None:
        total = Sum()
        try:
            for one in kept.of(archive, row.session).calls:
                total.add_call(one)
        except (Damaged, NotFound):
            return None
        return total

    return found


def as_object(total: Sum | None) -> dict[str, Any]:
    """`cost` is text, as it is exact; null where nothing has a price."""
    return {
        "usage": asdict(total.tokens) if total else None,
        "cost": str(total.cost) if total and total.priced else None,
        "unpriced": total.unpriced if total else None,
        "untold": total.untold if total else None,
    }


def cells(total: Sum | None) -> tuple[str, str]:
    if total is None:
        return "", ""
    tokens = f"{output.count(total.tokens.given)}→{output.count(total.tokens.output)}"
    return tokens, cost(total) if prices.version() else "-"


def cost_of(archive: Archive, found: View, step: Step) -> Decimal | None:
    """Of the call that a step has the usage of, in US dollars; None where it has no price."""
    exchange = found.calls.exchanges.get(step.exchange) if step.exchange else None
    if exchange is None or not step.facts.get("usage"):
        return None
    call = call_of(archive, exchange, found.calls)
    return prices.price(call.tokens, call.model, call.url, call.wall_ns) if call.tokens else None


def priced(amount: Decimal | None) -> Iterator[str]:
    """In words; nothing where there are no price lists."""
    if prices.version():
        yield "unpriced" if amount is None else f"{money(amount)} ({amount} US dollars by the list)"
