"""`tapes show REF`: the timeline of a session, its exchanges, or the other hosts it spoke to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from tapes.archive.base import Archive
from tapes.archive.refs import Ref, resolve
from tapes.errors import NotFound, UsageError
from tapes.record.digest import Digest
from tapes.session.audit import coverage as coverage_of
from tapes.session.commands import Command
from tapes.session.exchanges import Exchange, exchanges
from tapes.session.rows import summary_of
from tapes.session.view import Step, timeline
from tapes_cli import output
from tapes_cli.commands.log import main_model
from tapes_cli.home import open_archive

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
}
COLOURS = {"prompt": "cyan", "answer": "green", "tool.use": "yellow", "error": "red", "gap": "red"}


@click.command("show")
@click.argument("ref", default="@")
@click.option(
    "--exchanges",
    "view",
    flag_value="exchanges",
    help="Each model call: URL, status, outcome, sizes, hashes.",
)
@click.option(
    "--egress",
    "view",
    flag_value="egress",
    help="Other hosts the agent spoke to: bytes and times, no content.",
)
@click.option("--full", is_flag=True, help="Print each step in full instead of one line.")
@click.option("--json", "as_json", is_flag=True, help="One object a line; fields in docs/cli.md.")
def command(ref: str, view: str | None, full: bool, as_json: bool) -> None:
    """Show a session: REF is a name, a hash, @ (the latest) or @~2; REF:12 is its step 12 in full."""
    with open_archive() as archive:
        found = resolve(archive, ref)
        if found.step is not None and view:
            raise UsageError(f"--{view} is about a whole session", hint=f"tapes show {ref.partition(':')[0]} --{view}")
        if view == "exchanges":
            show_exchanges(archive, found.session, as_json)
        elif view == "egress":
            show_egress(archive, found.session, as_json)
        else:
            show_steps(archive, found, full, as_json)


# -- the timeline


def show_steps(archive: Archive, ref: Ref, full: bool, as_json: bool) -> None:
    commands, chosen = timeline(archive, ref.session)
    if ref.step is not None:
        chosen = (step for step in chosen if step.number == ref.step)
    if as_json:
        _print_json_steps(chosen, ref)
        return
    if ref.step is not None:
        output.page(whole_step(one(chosen, ref)))
        return
    output.page([*headline(archive, ref.session, commands), *lines_of(chosen, full)])


def _print_json_steps(chosen: Iterator[Step], ref: Ref) -> None:
    count = 0
    for step in chosen:
        output.show_json(step_object(step))
        count += 1
    if ref.step is not None and not count:
        raise no_such_step(ref)


def one(chosen: Iterator[Step], ref: Ref) -> Step:
    step = next(chosen, None)
    if step is None:
        raise no_such_step(ref)
    return step


def no_such_step(ref: Ref) -> NotFound:
    short = ref.session.short()
    return NotFound(f"session {short} has no step {ref.step}", hint=f"its steps: tapes show {short}")


def headline(archive: Archive, session: Digest, commands: list[Command]) -> list[str]:
    row = summary_of(archive, session)
    name = f" {row.name}" if row.name else ""
    agent = f"{row.agent} {row.agent_version}".strip()
    first = f"session {session.short()}{name} · {agent} · {main_model(row) or 'no model'} · {row.outcome}"
    second = (
        f"{output.wall(row.started_ns)} · {output.duration(row.ended_ns - row.started_ns)} · {row.command} in {row.cwd}"
    )
    third = coverage(row.exchanges, row.complete, row.partial, row.gaps, row.redactions, row.egress)
    fourth = [str(coverage_of(commands))] if commands else []
    wide = output.width()
    return [*(output.fit(output.harmless(line), wide) for line in (first, second, third, *fourth)), ""]


def coverage(exchanges: int, complete: int, partial: int, gaps: int, redactions: int, egress: int) -> str:
    return (
        f"{exchanges} exchanges: {complete} complete, {partial} partial, {exchanges - complete - partial} failed · "
        f"{gaps} gaps · {redactions} redactions · {egress} other connections"
    )


def lines_of(chosen: Iterator[Step], full: bool) -> Iterator[str]:
    for step in chosen:
        if full:
            yield from whole_step(step)
            yield ""
        else:
            yield line_of(step)


def line_of(step: Step) -> str:
    icon = "✗" if step.failed else ICONS[step.type]
    thread = "" if step.thread in ("", "main") else f"[{step.thread[:8]}] "
    head = f"{step.number:>4} {output.wall(step.wall_ns)[11:]} {step.hash.short(8)} {icon} "
    text = output.fit(output.harmless(thread + brief(step)), output.width() - output.cell_width(head))
    doubt = step.facts.get("verdict", "matched") != "matched"
    return output.styled(head + text, fg="red" if step.failed or doubt else COLOURS.get(step.type))


def brief(step: Step) -> str:
    text = " ".join(step.text[:2000].split())
    match step.type:
        case "tool.use":
            return f"{step.facts['name']}{_doubt(step, ' ({})')} {text}"
        case "command":
            return f"{'  ' * step.facts['within']}{ending(step.facts)}{_doubt(step, ', {}')}: {text}"
        case "tool.result":
            lines = step.text.count("\n") + 1
            folded = f" ({output.size(step.facts['bytes'] or 0)}, {lines} lines)" if lines > 1 else ""
            return f"{step.facts['name']}{folded}: {text}"
        case "reminder" | "thinking":
            return f"{step.type}: {text}"
        case "gap":
            return f"GAP: {text}"
        case _:
            return text


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


def whole_step(step: Step) -> list[str]:
    facts = " ".join(f"{k}={v}" for k, v in step.facts.items() if v not in (None, ""))
    head = f"step {step.number} · {step.type} · {output.wall(step.wall_ns)} · record {step.hash.hex()}"
    lines = [
        output.styled(head, bold=True),
        f"thread {step.thread or '-'} {output.harmless(facts)}".rstrip(),
        "",
    ]
    return lines + output.harmless(step.text, lines=True).split("\n")


def step_object(step: Step) -> dict[str, Any]:
    return {
        "step": step.number,
        "type": step.type,
        "hash": step.hash.hex(),
        "item": step.item,
        "exchange": step.exchange.hex() if step.exchange else None,
        "thread": step.thread,
        "time": output.iso(step.wall_ns),
        "failed": step.failed,
        **step.facts,
        "text": step.text,
    }


# -- exchanges


def show_exchanges(archive: Archive, session: Digest, as_json: bool) -> None:
    found = exchanges(archive, session)
    if as_json:
        for exchange in found:
            output.show_json(exchange_object(exchange))
        return
    head = ("hash", "method", "url", "class", "status", "outcome", "request", "response", "took", "thread")
    output.page(output.table([exchange_cells(e) for e in found], head, stretch=2))


def exchange_cells(e: Exchange) -> tuple[str, ...]:
    retry = " (retry)" if e.retry_of else ""
    return (
        e.hash.short(8),
        str(e.body["method"]),
        str(e.body["url"]),
        str(e.body["class"]),
        str(e.status or "-"),
        e.outcome + retry,
        output.size(e.request.length if e.request else 0),
        output.size(e.response.length if e.response else 0),
        output.duration((e.duration_us or 0) * 1000),
        e.thread[:8],
    )


def exchange_object(e: Exchange) -> dict[str, Any]:
    return {
        "hash": e.hash.hex(),
        "end_hash": e.end_hash.hex() if e.end_hash else None,
        "time": output.iso(e.opened.wall_ns),
        "method": e.body["method"],
        "url": e.body["url"],
        "sent_to": e.body.get("sent_to"),
        "route": e.body.get("route"),
        "provider": e.body.get("provider"),
        "status": e.status,
        "class": e.body["class"],
        "outcome": e.outcome,
        "error": e.end.body.get("error") if e.end else None,
        "request_bytes": e.request.length if e.request else 0,
        "response_bytes": e.response.length if e.response else 0,
        "request_hash": e.request.hash.hex() if e.request else None,
        "response_hash": e.response.hash.hex() if e.response else None,
        "request_encoding": e.body.get("encoding"),
        "response_encoding": e.end.body.get("encoding") if e.end else None,
        "first_byte_us": e.first_byte_us,
        "duration_us": e.duration_us,
        "redactions": len(e.body.get("redactions", ())) + (len(e.end.body.get("redactions", ())) if e.end else 0),
        "retry_of": e.retry_of.hex() if e.retry_of else None,
        "agent_session": e.agent_session or None,
        "thread": e.thread,
    }


# -- egress


def show_egress(archive: Archive, session: Digest, as_json: bool) -> None:
    found = [(d, r) for d, r in archive.session_records(session) if r.type == "egress"]
    if as_json:
        for digest, record in found:
            b = record.body
            output.show_json(
                {
                    "hash": digest.hex(),
                    "host": b["host"],
                    "port": b["port"],
                    "how": b["how"],
                    "bytes_up": b["bytes_up"],
                    "bytes_down": b["bytes_down"],
                    "started": output.iso(b["started_ns"]),
                    "ended": output.iso(record.wall_ns),
                    "error": b.get("error"),
                }
            )
        return
    cells = [
        (
            digest.short(8),
            f"{r.body['host']}:{r.body['port']}",
            str(r.body["how"]),
            output.size(r.body["bytes_up"]),
            output.size(r.body["bytes_down"]),
            output.wall(r.body["started_ns"]),
            output.duration(r.wall_ns - r.body["started_ns"]),
            str(r.body.get("error", "")),
        )
        for digest, r in found
    ]
    output.page(output.table(cells, ("hash", "host", "how", "up", "down", "started", "length", "error"), stretch=1))
