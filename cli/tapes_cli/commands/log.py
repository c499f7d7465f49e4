"""`tapes log`: the recorded sessions, newest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import click

from tapes.archive.base import Archive
from tapes.archive.summary import Summary
from tapes.errors import UsageError
from tapes.session.rows import Row, rows
from tapes_cli import output
from tapes_cli.home import open_archive
from tapes_cli.lineage import Lineage


@click.command("log")
@click.option("--json", "as_json", is_flag=True, help="One object a line; fields in docs/cli.md.")
@click.option("-n", "--limit", type=click.IntRange(1), help="Only the newest N sessions.")
@click.option("--usage", "with_usage", is_flag=True, help="With tokens and cost, which takes a while the first time.")
@click.option("--tree", is_flag=True, help="Each session below the one that it branches off or continues.")
def command(as_json: bool, limit: int | None, with_usage: bool, tree: bool) -> None:
    """List the recorded sessions, newest first."""
    if tree and with_usage:
        raise UsageError("--usage and --tree are two lists")
    with open_archive() as archive, ExitStack() as stack:
        if tree:
            show_tree(Lineage(list(rows(archive))), as_json, limit)
            return
        found: list[Row] = []
        told: list[tuple[str, ...]] = []
        took_by = _usage(archive, stack) if with_usage else None
        for row in rows(archive):
            usage, took = took_by(row) if took_by else ({}, ())
            if as_json:
                output.show_json(as_object(row) | usage)
            else:
                found.append(row)
                told.append((*cells(row)[:7], *took, *cells(row)[9:]) if with_usage else cells(row))
            limit = None if limit is None else limit - 1
            if limit == 0:
                break
    if not as_json:
        head = ("hash", "name", "agent", "model", "started", "length", "exchanges", "tools", "ran", "outcome")
        whole = [row.summary for row in found if not row.error]
        witnessed = sum(s.commands for s in whole)
        joined = sum(s.joined for s in whole) if all(s.joined >= 0 for s in whole) else witnessed
        unmatched = f", {witnessed - joined} joined to no call" if witnessed > joined else ""
        covered = f"{coverage(whole)} · {witnessed} commands witnessed{unmatched}"
        foot = ["", *output.wrapped(covered, output.width())] if whole else []
        head = (*head[:7], "tokens", "cost", *head[9:]) if with_usage else head
        output.page([*output.table(told, head, stretch=3), *foot])


def _usage(archive: Archive, stack: ExitStack) -> Callable[[Row], tuple[dict[str, Any], tuple[str, ...]]]:
    from tapes_cli import session_usage  # and all dialects, which the list alone need not wait for

    sums = session_usage.sums_of(archive, stack)

    def found(row: Row) -> tuple[dict[str, Any], tuple[str, ...]]:
        total = None if row.error else sums(row)
        return session_usage.as_object(total), session_usage.cells(total)

    return found


def show_tree(lineage: Lineage, as_json: bool, limit: int | None) -> None:
    """`limit` counts the sessions that none of these lead to."""
    lines = list(lineage.lines(limit))
    if as_json:
        for line in lines:
            output.show_json({**as_object(line.row), "depth": line.depth})
        return
    head = ("session", "name", "from", "agent", "started", "exchanges", "outcome")
    told = [(line, cells(line.row)) for line in lines]
    output.page(
        output.table(
            [(f"{line.drawn}{c[0]}", c[1], line.origin or "-", c[2], c[4], c[6], c[9]) for line, c in told], head, 5
        )
    )


def cells(row: Row) -> tuple[str, ...]:
    s = row.summary
    if row.error:
        return (row.session.short(), "", "", row.error, "", "", "", "", "", "DAMAGED")
    # What an unknown program calls itself is long and seldom its version.
    agent = s.agent if s.agent == "generic" else f"{s.agent} {s.agent_version}".strip()
    exchanges = f"{s.exchanges}" + (f" ({s.partial} partial)" if s.partial else "")
    return (
        row.session.short(),
        s.name or s.label or "-",
        agent,
        main_model(s) or "-",
        output.wall(s.started_ns),
        output.duration(s.ended_ns - s.started_ns),
        exchanges,
        str(s.tool_uses),
        f"{s.commands}" + (f" ({s.commands_failed} failed)" if s.commands_failed else ""),
        s.outcome + (f", {output.plural(s.gaps, 'gap')}" if s.gaps else ""),
    )


def coverage(rows: Sequence[Summary]) -> str:
    """How far what happened was captured."""
    exchanges, complete, partial = (
        sum(getattr(s, name) for s in rows) for name in ("exchanges", "complete", "partial")
    )
    gaps, redactions, egress = (sum(getattr(s, name) for s in rows) for name in ("gaps", "redactions", "egress"))
    hosts = len({host for s in rows for host in s.hosts})
    # Rows of before hosts were told apart have connections alone.
    bypassed = (
        f"{hosts} hosts bypassed ({egress} connections)" if hosts or not egress else f"{egress} connections past us"
    )
    return (
        f"{exchanges} exchanges: {complete} complete, {partial} partial, {exchanges - complete - partial} failed · "
        f"{gaps} gaps · {redactions} redactions · {bypassed}"
    )


def main_model(summary: Summary) -> str:
    """The model asked most often."""
    return max(summary.models, key=lambda model: summary.models[model], default="")


def as_object(row: Row) -> dict[str, Any]:
    s = row.summary
    return {
        "hash": row.session.hex(),
        "name": s.name or None,
        "label": s.label or None,
        "agent": s.agent,
        "agent_version": s.agent_version or None,
        "agent_session": s.agent_session or None,
        "continues": s.continues or None,
        "branch_of": {"session": s.branch_of, "record": s.branch_at} if s.branch_of else None,
        "playback": s.playback or None,
        "model": main_model(s) or None,
        "models": s.models,
        "command": s.command,
        "cwd": s.cwd,
        "started": output.iso(s.started_ns),
        "ended": output.iso(s.ended_ns) if s.closed else None,
        "seconds": round((s.ended_ns - s.started_ns) / 1e9, 6),
        "exchanges": s.exchanges,
        "calls": s.calls,
        "complete": s.complete,
        "partial": s.partial,
        "outcomes": s.outcomes,
        "tool_uses": s.tool_uses,
        "tool_results": s.tool_results,
        "commands": s.commands,
        "commands_failed": s.commands_failed,
        "commands_lost": s.commands_lost,
        "commands_joined": s.joined if s.joined >= 0 else None,
        "gaps": s.gaps,
        "redactions": s.redactions,
        "egress": s.egress,
        "hosts": s.hosts,
        "outcome": s.outcome,
        "error": row.error or None,
    }
