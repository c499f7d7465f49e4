"""How sums look: a table that gives up its least columns where there is no room, bars, and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from tapes.record.digest import Digest
from tapes.session import prices
from tapes.session.sums import Best, Spread, Stats, Sum
from tapes.values import dataclass
from tapes_cli import output

EIGHTHS = " ▏▎▍▌▋▊▉"
_KEY_LEAST = 24
_BAR_LEAST, _BAR_MOST = 8, 60


@dataclass(frozen=True, slots=True)
class Column:
    """`keep`: the higher, the longer it stays where there is little room."""

    head: str
    cell: Callable[[Sum], str]
    keep: int


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else "-"


def _count(number: int) -> str:
    return output.count(number) if number else "-"


def _failures(failed: int, all_: int) -> str:
    return f"{all_}" + (f" ({failed} ✗)" if failed else "") if all_ else "-"


def _seconds(us: int | None) -> str:
    if us is None:
        return "-"
    return f"{us / 1e6:.2f}s" if us < 10_000_000 else output.duration(us * 1000)


def _percentiles(times: Spread) -> str:
    middle, high = times.at(0.5), times.at(0.95)
    return "-" if middle is None else f"{_seconds(middle).rstrip('s')} / {_seconds(high)}"


def money(amount: Decimal) -> str:
    """US dollars for people: cents, and of less than a dollar so much that it says something."""
    if amount >= 1 or not amount:
        return f"${amount:,.2f}"
    return f"${amount:.4f}" if amount >= Decimal("0.0001") else "<$0.0001"


def cost(total: Sum) -> str:
    if not total.priced:
        return "unpriced" if total.unpriced else "-"
    return money(total.cost) + ("+" if total.unpriced else "")


def lost(total: Sum) -> str:
    """What failed calls took: dollars where they have a price, else tokens."""
    return money(total.lost_cost) if total.lost_cost else _count(total.lost.total)


COLUMNS = (
    Column("sessions", lambda s: str(s.sessions), 6),
    Column("calls", lambda s: str(s.calls), 10),
    Column("input", lambda s: _count(s.tokens.input), 11),
    Column("cache read", lambda s: _count(s.tokens.cache_read), 8),
    Column("write 5m", lambda s: _count(s.tokens.cache_write_5m), 5),
    Column("write 1h", lambda s: _count(s.tokens.cache_write_1h), 5),
    Column("output", lambda s: _count(s.tokens.output), 11),
    Column("reasoning", lambda s: _count(s.tokens.reasoning), 3),
    Column("cost", cost, 12),
    Column("errors", lambda s: _share(s.failed, s.ended), 9),
    Column("retried", lambda s: str(s.retried or "-"), 1),
    Column("lost", lost, 4),
    Column("tools", lambda s: _failures(s.tool_failures, s.tool_uses), 3),
    Column("commands", lambda s: _failures(s.commands_failed, s.commands), 2),
    Column("TTFT p50/p95", lambda s: _percentiles(s.ttft), 7),
)
OF_TOOLS = (
    Column("sessions", lambda s: str(s.sessions), 2),
    Column("calls", lambda s: str(s.tool_uses), 9),
    Column("failed", lambda s: str(s.tool_failures or "-"), 8),
    Column("rate", lambda s: _share(s.tool_failures, s.tool_uses), 7),
    Column("told", lambda s: output.size(s.told), 5),
    Column("took p50/p95", lambda s: _percentiles(s.took), 6),
)


def weight(total: Sum, by: str) -> Decimal:
    """What a bar is as long as: how often a tool was used, else tokens."""
    return Decimal(total.tool_uses if by == "tool" else total.tokens.total)


def ordered(stats: Stats, by: str) -> list[tuple[str, Sum]]:
    """Days as they came, all others the largest first."""
    found = sorted(stats.groups.items())
    return found if by == "day" else sorted(found, key=lambda item: weight(item[1], by), reverse=True)


def name(key: str, by: str) -> str:
    if by == "session":
        return Digest(bytes.fromhex(key)).short()
    return key or "-"


def table(stats: Stats, by: str) -> Iterator[str]:
    rows = [(name(key, by), total) for key, total in ordered(stats, by)]
    if len(rows) != 1:
        rows.append(("all", stats.total))
    wide = output.width()
    columns = [c for c in (OF_TOOLS if by == "tool" else COLUMNS) if c.head != "cost" or prices.version()]
    cells = {c.head: [c.cell(total) for _, total in rows] for c in columns}
    columns = [c for c in columns if any(cell != "-" for cell in cells[c.head])] or columns[:1]
    widths = {c.head: max(map(output.cell_width, [c.head, *cells[c.head]])) for c in columns}
    least = min(_KEY_LEAST, max(8, len(by), *(output.cell_width(key) for key, _ in rows)))
    room = wide - least
    for column in sorted(columns, key=lambda c: c.keep, reverse=True):
        if widths[column.head] + 2 <= room:
            room -= widths[column.head] + 2
        else:
            columns.remove(column)
    shown = [[key, *(cells[c.head][n].rjust(widths[c.head]) for c in columns)] for n, (key, _) in enumerate(rows)]
    head = [by, *(c.head.rjust(widths[c.head]) for c in columns)]
    yield from output.table(shown, head, stretch=0)


def chart(stats: Stats, by: str) -> Iterator[str]:
    """A bar for each group: its tokens, or a tool's calls."""
    rows = [(name(key, by), total) for key, total in ordered(stats, by)]
    most = max((weight(total, by) for _, total in rows), default=Decimal(0))
    labels = [output.harmless(key) for key, _ in rows]
    said = [
        f"{total.tool_uses}"
        if by == "tool"
        else f"{output.count(total.tokens.total)} {cost(total).strip('-')}".rstrip()
        for _, total in rows
    ]
    beside = max(map(output.cell_width, said), default=0) + 2
    of_keys = min(max(map(output.cell_width, labels), default=0), max(8, output.width() - beside - 2 - _BAR_LEAST))
    room = max(_BAR_LEAST, min(_BAR_MOST, output.width() - of_keys - beside - 2))
    yield f"{'calls' if by == 'tool' else 'tokens'} by {by}"
    for label, (_, total), text in zip(labels, rows, said, strict=True):
        drawn = bar(weight(total, by), most, room)
        yield f"{output.pad(output.fit(label, of_keys), of_keys)}  {output.pad(drawn, room)}  {text}".rstrip()


def bar(value: Decimal, most: Decimal, room: int) -> str:
    """Filled in eighths of a column; what is not nought has at least one."""
    eighths = round(value / most * room * 8) if most else 0
    eighths = max(eighths, 1) if value else 0
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def top(stats: Stats) -> Iterator[str]:
    """The slowest and the costliest calls; their hashes are those of the answers' steps."""
    for title, found in (("slowest", stats.slowest), ("costliest", stats.costliest)):
        if not found:
            continue
        head = ("hash", "session", "started", "took", "TTFT", "tok/s", "tokens", "cost", "model")
        rows = [_best(one) for one in found]
        keep = list(range(len(head)))
        for drop in (5, 1, 4, 2, 6):  # the least of them first, until the rest has room
            if sum(2 + max(output.cell_width(row[i]) for row in [head, *rows]) for i in keep) - 2 <= output.width():
                break
            keep.remove(drop)
        yield ""
        yield f"{title} calls"
        shown = [[row[i] for i in keep] for row in rows]
        yield from output.table(shown, [head[i] for i in keep], stretch=len(keep) - 1)


def _best(best: Best) -> tuple[str, ...]:
    call, amount = best.one.call, best.one.cost
    return (
        (call.end or call.hash).short(8),
        best.session.short(8),
        output.wall(call.wall_ns),
        _seconds(call.duration_us),
        _seconds(call.first_content_us),
        f"{call.rate:.0f}" if call.rate else "-",
        _count(call.tokens.total) if call.tokens else "-",
        "unpriced" if amount is None and call.tokens else "-" if amount is None else money(amount),
        call.model or "unknown",
    )


# -- JSON


def as_objects(stats: Stats, by: str) -> Iterator[dict[str, Any]]:
    for key, total in ordered(stats, by):
        yield {"by": by, "key": key, **_numbers(total)}
    yield {"by": "all", "key": None, **_numbers(stats.total)}
    for title, found in (("slowest", stats.slowest), ("costliest", stats.costliest)):
        for best in found:
            yield {"by": title, "key": (best.one.call.end or best.one.call.hash).hex(), **call_object(best)}


def call_object(best: Best) -> dict[str, Any]:
    call = best.one.call
    return {
        "session": best.session.hex(),
        "exchange": call.hash.hex(),
        "model": call.model or None,
        "time": output.iso(call.wall_ns),
        "outcome": call.outcome,
        "tokens": asdict(call.tokens) if call.tokens else None,
        "cost": None if best.one.cost is None else str(best.one.cost),
        "duration_us": call.duration_us,
        "ttft_us": call.first_content_us,
        "tokens_per_second": None if call.rate is None else round(call.rate, 1),
    }


def _numbers(total: Sum) -> dict[str, Any]:
    return {
        "sessions": total.sessions,
        "calls": total.calls,
        "failed": total.failed,
        "error_rate": None if total.error_rate is None else round(total.error_rate, 4),
        "retried": total.retried,
        "warm_ups": total.warm_ups,
        "warm": asdict(total.warm),
        "untold": total.untold,
        "tokens": asdict(total.tokens),
        "lost": asdict(total.lost),
        # Amounts are text: a number in JSON is a binary fraction to most who read it.
        "cost": str(total.cost) if total.priced else None,
        "lost_cost": str(total.lost_cost) if total.priced else None,
        "priced": total.priced,
        "unpriced": total.unpriced,
        "unpriced_tokens": total.unpriced_tokens,
        "tool_uses": total.tool_uses,
        "tool_failures": total.tool_failures,
        "tool_bytes": total.told,
        "tool_p50_us": total.took.at(0.5),
        "tool_p95_us": total.took.at(0.95),
        "commands": total.commands,
        "commands_failed": total.commands_failed,
        "ttft_p50_us": total.ttft.at(0.5),
        "ttft_p95_us": total.ttft.at(0.95),
    }
