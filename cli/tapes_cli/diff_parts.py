"""Parts of a comparison that are lists: commands, files, what stood around, and what the runs took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from tapes.compare.around import File
from tapes.compare.ran import Ran
from tapes.compare.run import Took
from tapes.compare.words import shortened, words
from tapes.session.view import Step
from tapes_cli import output
from tapes_cli.diff_all import Everything
from tapes_cli.story import ending

_RED, _GREEN, _YELLOW = "red", "green", "yellow"
_MOST = 40
"""Lines of a file's diff where it is not asked for."""


def command_lines(found: Everything) -> Iterator[str]:
    """Commands that only one run ran, or that ended or wrote otherwise."""
    seen = [bool(run.found.commands) for run in (found.a, found.b)]
    told = [ran for ran in found.commands if ran.what != "same"]
    if not any(seen):
        yield "commands: neither run has a witness of what ran"
        return
    same = len(found.commands) - len(told)
    yield output.styled(f"commands: {same} the same, {len(told)} not", bold=bool(told))
    for ran in told:
        yield from _command(ran)


def _command(ran: Ran) -> Iterator[str]:
    if ran.a is None or ran.b is None or ran.what in ("only_a", "only_b", "moved"):
        step = ran.a or ran.b
        assert step is not None
        side = "A" if ran.a else "B"
        text = f"{side} {_numbered(step)} {ending(step.facts)}: {step.text}"
        sign, colour = ("<", _RED) if ran.a else (">", _GREEN)
        yield _line(f"{'~' if ran.what == 'moved' else sign} {text}", colour)
        return
    if ran.what == "line":
        yield _line(f"< A {_numbered(ran.a)} {ending(ran.a.facts)}: {ran.a.text}", _RED)
        yield _line(f"> B {_numbered(ran.b)} {ending(ran.b.facts)}: {ran.b.text}", _GREEN)
    else:
        one, other = ending(ran.a.facts), ending(ran.b.facts)
        said = f"{one} / {other}" if ran.what == "exit" else "another output"
        yield _line(f"| A {_numbered(ran.a)}, B {_numbered(ran.b)} {said}: {ran.a.text}", _YELLOW)
    if any(ran.output):
        yield from changed_words(*ran.output, most=4)
    for name, a, b in ran.variables:
        yield _line(f"      {name}: {a if a is not None else '(unset)'} / {b if b is not None else '(unset)'}", _YELLOW)


def _numbered(step: Step) -> str:
    return f"{step.number} {step.hash.short(8)}"


def changed_words(old: str, new: str, most: int) -> Iterator[str]:
    text = ""
    for piece in shortened(words(old[:100_000], new[:100_000]), 40):
        mark = {" ": "{}", "-": "[-{}-]", "+": "{{+{}+}}"}[piece.sign]
        text += mark.format(output.harmless(piece.text[:400], lines=True))
    told = [line for line in text.split("\n") if "[-" in line or "{+" in line]
    for line in told[:most]:
        yield output.fit("      " + line, output.width())
    if len(told) > most:
        yield output.styled(f"      … {output.plural(len(told) - most, 'more line')}", dim=True)


def file_lines(found: Everything, *, diffs: bool) -> Iterator[str]:
    """Files that are not the same at the end; those that were not at the start."""
    files = found.files
    if not files.known:
        yield "files: not both runs have snapshots of their working directory"
        return
    end = [one for one in files.found if one.where == "end"]
    start = [one for one in files.found if one.where == "start"]
    said = f"files: A changed {files.touched[0]}, B {files.touched[1]}, both {files.both}; {len(end)} differ at the end"
    yield output.styled(said, bold=bool(end))
    for name, part in (("at the start already", start), ("", end)):
        if part and name:
            yield f"  {len(part)} {name}:"
        for one in part:
            yield from _file(one, diffs=diffs)
    for doubt in files.doubts:
        yield output.styled(output.harmless(f"  not sure: {doubt}"), fg=_RED)


def _file(one: File, *, diffs: bool) -> Iterator[str]:
    from tapes_cli.tree_diff import file_lines as unified

    was, now = one.diff.was, one.diff.now
    sign, colour = ("<", _RED) if now is None else (">", _GREEN) if was is None else ("|", _YELLOW)
    plus, minus = one.texts.counts()
    size = f"+{plus} −{minus}" if not one.texts.why else one.texts.why
    by = {(True, True): "both", (True, False): "A", (False, True): "B"}.get(one.touched, "neither run")
    note = "" if one.counts else " · not counted as a difference"
    hashes = " / ".join(held.hash.hex()[:12] if held and held.hash else "none" for held in (was, now))
    changed = f" · changed by {by}" if one.where == "end" else ""
    path = one.path.decode("utf-8", "backslashreplace")
    yield _line(f"  {sign} {path} {size} · {hashes}{changed}{note}", colour)
    if one.texts.why:
        return
    lines = [line.decode("utf-8", "replace") for line in unified(one.diff, one.texts)]
    body = lines[next((n for n, line in enumerate(lines) if line.startswith("@@")), len(lines)) :]
    shown = body if diffs else body[:_MOST] if len(body) <= _MOST and one.counts else []
    for line in shown:
        yield output.styled(output.fit("      " + output.harmless(line), output.width()), fg=_SIDES.get(line[:1]))


_SIDES = {"-": _RED, "+": _GREEN, "@": "cyan"}


def fact_lines(found: Everything) -> Iterator[str]:
    """What stood around."""
    told = found.surroundings
    if not told:
        yield "surroundings: the same"
        return
    yield output.styled(f"surroundings: {len(told)} not the same", bold=True)
    for one in told:
        a, b = (value if value is not None else "(none)" for value in (one.a, one.b))
        short = len(a) + len(b) < output.width() - 30
        yield _line(f"  {one.kind} {one.name}: {f'{a} / {b}' if short else ''}", _YELLOW)
        if not short:
            yield from changed_words(a, b, most=4)


def _line(text: str, colour: str) -> str:
    return output.styled(output.fit(output.harmless(text), output.width()), fg=colour)


# -- what they took


def took_rows(found: Everything) -> list[tuple[str, str, str, str]]:
    """What, in A, in B, and B without A."""
    a, b = found.a.took, found.b.took
    outcome = [row.outcome for row in found.summaries]
    rows = [("outcome", outcome[0], outcome[1], "")]
    for name, of, form in _NUMBERS:
        one, other = of(a), of(b)
        if one or other:
            rows.append((name, form(one), form(other), _delta(other - one, form)))
    if a.cost is not None or b.cost is not None:
        delta = _delta(b.cost - a.cost, _dollars) if a.cost is not None and b.cost is not None else ""
        rows.append(("cost", _dollars(a.cost), _dollars(b.cost), delta))
    if a.ttft is not None or b.ttft is not None:
        delta = _delta(b.ttft - a.ttft, _us) if a.ttft is not None and b.ttft is not None else ""
        rows.append(("first word, median", _us(a.ttft), _us(b.ttft), delta))
    return rows


def took_lines(found: Everything) -> Iterator[str]:
    rows = [("", "A", "B", "B − A"), *took_rows(found)]
    widths = [max(output.cell_width(row[n]) for row in rows) for n in range(4)]
    for row in rows:
        cells = [
            output.pad(row[0], widths[0]),
            *(" " * (w - output.cell_width(c)) + c for c, w in zip(row[1:], widths[1:], strict=True)),
        ]
        yield output.harmless("  ".join(cells).rstrip())
    unpriced = found.a.took.unpriced + found.b.took.unpriced
    if unpriced:
        yield f"unpriced, and in no cost: {unpriced} calls"


def _whole(value: int) -> str:
    return str(value)


def _ns(value: int) -> str:
    return output.duration(value)


def _us(value: int | None) -> str:
    if value is None:
        return ""
    return f"{value / 1000:.0f}ms" if value < 1_000_000 else output.duration(value * 1000)


def _dollars(value: Decimal | None) -> str:
    return "unpriced" if value is None else f"${value:.4f}"


def _delta[N: (int, Decimal)](value: N, form: Callable[[N], str]) -> str:
    if not value:
        return "0"
    return ("+" if value > 0 else "−") + form(abs(value))


_NUMBERS: tuple[tuple[str, Callable[[Took], int], Callable[[int], str]], ...] = (
    ("steps", lambda took: took.steps, _whole),
    ("model calls", lambda took: took.calls, _whole),
    ("  failed", lambda took: took.failed, _whole),
    ("tool calls", lambda took: took.tools, _whole),
    ("  failed", lambda took: took.tools_failed, _whole),
    ("commands", lambda took: took.commands, _whole),
    ("  failed", lambda took: took.commands_failed, _whole),
    ("tokens in", lambda took: took.tokens.given, output.count),
    ("  from caches", lambda took: took.tokens.cache_read, output.count),
    ("  into caches", lambda took: took.tokens.cache_write_5m + took.tokens.cache_write_1h, output.count),
    ("tokens out", lambda took: took.tokens.output, output.count),
    ("wall time", lambda took: took.wall_ns, _ns),
)


def took_object(took: Took) -> dict[str, object]:
    return {
        "steps": took.steps,
        "calls": took.calls,
        "calls_failed": took.failed,
        "tools": took.tools,
        "tools_failed": took.tools_failed,
        "commands": took.commands,
        "commands_failed": took.commands_failed,
        "tokens_in": took.tokens.given,
        "cache_read": took.tokens.cache_read,
        "cache_write": took.tokens.cache_write_5m + took.tokens.cache_write_1h,
        "tokens_out": took.tokens.output,
        "reasoning": took.tokens.reasoning,
        "cost_usd": float(took.cost) if took.cost is not None else None,
        "unpriced": took.unpriced,
        "duration_us": took.wall_ns // 1000,
        "ttft_us": took.ttft,
    }
