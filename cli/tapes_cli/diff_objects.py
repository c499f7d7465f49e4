"""A comparison as objects, one a line; `part` says what each is. docs/cli.md has the fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tapes.compare.context import Context
from tapes.compare.requests import Difference
from tapes.compare.rows import Row
from tapes.compare.words import words
from tapes.session.view import Step
from tapes_cli import output
from tapes_cli.diff_all import Everything
from tapes_cli.diff_parts import took_object


def objects(found: Everything, face: str | None) -> Iterator[dict[str, Any]]:
    """Of a face its parts; of all faces who is compared, and at the end whether they are the same."""
    made = found.made
    for side, run, row, name in zip("ab", (found.a, found.b), found.summaries, found.names, strict=True):
        yield {
            "part": "run",
            "side": side,
            "ref": name,
            "session": run.session.hex(),
            "name": row.name or None,
            "agent": row.agent,
            "agent_version": row.agent_version or None,
            "models": row.models,
            "cwd": run.cwd,
            "time": output.iso(row.started_ns),
            "outcome": row.outcome,
            "thread": run.wanted.thread or None,
            "first": run.wanted.first,
            "last": run.wanted.last,
            "tried_again": len(made.tried[side == "b"]),
            **took_object(run.took),
        }
    if face in (None, "first", "stat"):
        yield _divergence(found)
    if face in (None, "first"):
        at = found.context or found.begun
        yield from _context("context", "parting" if found.context else "begin", at)
        yield from ({"part": "earlier", **_row(row, found)} for row in at.earlier)
    if face is None:
        yield from ({"part": "row", **_row(row, found)} for row in made.rows)
        for one in found.surroundings:
            yield {"part": "surrounding", "kind": one.kind, "name": one.name, "a": one.a, "b": one.b}
    if face in (None, "commands"):
        yield from _commands(found, every=face == "commands")
    if face in (None, "files"):
        yield from _files(found)
    if face == "prompts":
        for name, at in found.prompts:
            yield from _context("prompt", name, at)
    yield from ({"part": "remark", "text": text} for text in found.remarks())
    kinds = Counter(one.kind for one in made.rows)
    counts = {kind: kinds[kind] for kind in ("changed", "only_a", "only_b", "moved")}
    yield {"part": "result", "same": found.same, "alike": kinds["same"], **counts}


def _divergence(found: Everything) -> dict[str, Any]:
    first = found.made.first
    if first is None:
        return {"part": "divergence", "a": None, "b": None, "again": None, "alike": len(found.made.rows)}
    again = first.again
    row = found.made.rows[first.row]
    return {
        "part": "divergence",
        "what": row.what or row.kind,
        "thread": list(row.thread),
        "a": _step(first.a, found.names[0]),
        "b": _step(first.b, found.names[1]),
        "alike": sum(not one.differs for one in found.made.rows[: first.row]),
        "again": {"a": again.a.number if again.a else None, "b": again.b.number if again.b else None}
        if again
        else None,
    }


def _step(step: Step | None, name: str) -> dict[str, Any] | None:
    if step is None:
        return None
    found: dict[str, Any] = {
        "step": step.number,
        "ref": f"{name}:{step.number}",
        "type": step.type,
        "hash": step.hash.hex(),
        "item": step.item,
        "exchange": step.exchange.hex() if step.exchange else None,
        "failed": step.failed,
    }
    for fact in ("name", "exit", "signal", "duration_us", "ttft_us", "usage", "model"):
        if step.facts.get(fact) is not None:
            found["tool" if fact == "name" else fact] = step.facts[fact]
    return found | {"text": step.text}


def _row(row: Row, found: Everything) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "what": row.what or None,
        "masked": row.masked,
        "thread": list(row.thread),
        "a": _step(row.a, found.names[0]),
        "b": _step(row.b, found.names[1]),
        "peer": row.peer.number if row.peer else None,
    }


def _context(part: str, at: str, found: Context) -> Iterator[dict[str, Any]]:
    for one in found.differences:
        yield {
            "part": part,
            "at": at,
            "exchanges": [digest.hex() if digest else None for digest in found.exchanges],
            **difference_object(one),
        }


def difference_object(one: Difference) -> dict[str, Any]:
    pieces = [list(piece) for piece in words(one.a, one.b)] if one.a is not None and one.b is not None else None
    return {"what": one.part, "name": one.name or None, "masked": one.masked, "a": one.a, "b": one.b, "words": pieces}


def _commands(found: Everything, *, every: bool) -> Iterator[dict[str, Any]]:
    for ran in found.commands:
        if every or ran.what != "same":
            yield {
                "part": "command",
                "what": ran.what,
                "a": _step(ran.a, found.names[0]),
                "b": _step(ran.b, found.names[1]),
                "output": list(ran.output) if any(ran.output) else None,
                "variables": [list(one) for one in ran.variables],
            }


def _files(found: Everything) -> Iterator[dict[str, Any]]:
    from tapes_cli.tree_diff import diff_object

    for one in found.files.found:
        row = diff_object(one.diff, one.texts)
        yield {"part": "file", "where": one.where, "counts": one.counts, "touched": list(one.touched), **row}
