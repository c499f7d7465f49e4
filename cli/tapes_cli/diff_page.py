"""A comparison as one page that needs nothing else: styles and script are in it, and nothing can be fetched from it.

Two locks, each enough alone: all captured text is escaped (and what could reorder or hide text made visible, as in the
terminal), and the page's own policy runs no script but ours, known by its hash, and loads nothing from anywhere.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tapes.compare.requests import Difference
from tapes.compare.rows import Row
from tapes.compare.words import Piece, shortened, words
from tapes.errors import UsageError
from tapes.session.view import Step
from tapes_cli import output
from tapes_cli.diff_all import Everything
from tapes_cli.diff_parts import took_rows
from tapes_cli.diff_story import SIGNS, counts
from tapes_cli.story import ACTION_ICONS, ICONS, Story, ending

LONGEST = 60_000
"""Characters of a step that are in the page."""
AROUND = 3
"""Rows that are the same and shown around those that differ."""
SCREENS = 8
"""Places at which both terminals are shown."""
MOST_WORDS = 20_000
"""Characters of either side whose words are compared in the page."""


def write(found: Everything, path: Path) -> None:
    """The whole page, or none: it is put in place when it is done."""
    text = page(found)
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        made.write_text(text, encoding="utf-8")
        made.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # it may never have been there
            made.unlink(missing_ok=True)
        raise UsageError(f"{path} can not be written: {error.strerror}") from error


def page(found: Everything) -> str:
    folder = Path(__file__).with_name("page")
    style, script = (folder.joinpath(name).read_text("utf-8") for name in ("diff.css", "diff.js"))
    allowed = f"script-src '{_hash(script)}'; style-src '{_hash(style)}'"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    title = f"{found.names[0]} and {found.names[1]}"
    return "".join(
        [
            "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n",
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
            '<meta name=viewport content="width=device-width, initial-scale=1">\n',
            "<meta name=referrer content=no-referrer>\n",
            f"<title>{_safe(title)} · tapes diff</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n",
            f"<h1>{_safe(title)}</h1>\n",
            *_heads(found),
            *_verdict(found),
            *_took(found),
            *_context(found),
            *_rows(found),
            *_commands(found),
            *_files(found),
            *_around(found),
            *_screens(found),
            "</main>\n<div id=map aria-hidden=true><div id=view></div></div>\n",
            '<section id=panel class=hidden aria-label="both sides"><header><b>Step</b><span id=title class=dim>',
            "</span><button data-key=p>‹ before</button><button data-key=n>next ›</button>",
            "<button data-key=Escape>close</button></header><div id=both></div></section>\n",
            f'<script type="application/json" id=data>{_data(found)}</script>\n',
            f"<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _safe(text: str, *, lines: bool = False) -> str:
    return html.escape(output.harmless(text, lines=lines), quote=True)


# -- the parts


def _heads(found: Everything) -> Iterator[str]:
    yield "<div class=cards>"
    for side, run, row, name in zip("ab", (found.a, found.b), found.summaries, found.names, strict=True):
        model = max(row.models, key=lambda name: row.models[name], default="no model")
        yield (
            f"<div class='card {side}'><b>{side.upper()} · {_safe(name)}</b> "
            f"<span class=dim>{_safe(row.outcome)}</span><br>"
            f"{_safe(f'{row.agent} {row.agent_version}'.strip())} · {_safe(model)} · {len(run.steps)} steps<br>"
            f"<span class=dim>{_safe(output.wall(row.started_ns))} · {_safe(run.cwd)}</span><br>"
            f"<code class=dim>{run.session.hex()}</code></div>"
        )
    yield "</div>\n"


def _verdict(found: Everything) -> Iterator[str]:
    first = found.made.first
    if first is None:
        said = "The same in all steps." if found.same else "The same in all steps; what stands around them differs."
        yield f"<div class='verdict{' same' if found.same else ''}'>{said}</div>\n"
    else:
        alike = sum(not row.differs for row in found.made.rows[: first.row])
        yield f"<div class=verdict><b>They part after {alike} steps that are the same</b>"
        for side, step, name in (("A", first.a, found.names[0]), ("B", first.b, found.names[1])):
            if step is None:
                yield f"<br>{side}: has no such step"
            else:
                run = found.a if side == "A" else found.b
                brief = output.fit(Story(run.found.threads, run.cwd).brief(step), 200)
                ref = f"<code>{_safe(f'{name}:{step.number}')}</code>"
                yield f"<br>{side}: {ref} <code class=dim>{step.hash.short(12)}</code> {_safe(brief)}"
        again = first.again
        met = f"They meet again at A {again.a.number}, B {again.b.number}." if again and again.a and again.b else ""
        yield f"<br>{met or 'They do not meet again.'}</div>\n"
    yield from (f"<p class=dim>{_safe(remark)}</p>" for remark in found.remarks())


def _took(found: Everything) -> Iterator[str]:
    yield "<details open><summary>What they took</summary><table><tr><th></th><th>A</th><th>B</th><th>B − A</th></tr>"
    for cells in took_rows(found):
        yield "<tr>" + "".join(f"<td>{_safe(cell.strip())}</td>" for cell in cells) + "</tr>"
    yield "</table></details>\n"


def _context(found: Everything) -> Iterator[str]:
    at = found.context or found.begun
    if at.exchanges == (None, None):
        return
    when = "just before they part" if found.context else "at the first call"
    yield f"<h2>Context {when}</h2>"
    telling = [one for one in at.differences if not one.masked]
    masked = [one for one in at.differences if one.masked]
    if not telling:
        yield "<div class=list>The same model, system text, tools and parameters.</div>"
    for one in telling:
        yield f"<details open><summary>{_difference_name(one)}</summary>{_difference(one)}</details>"
    for row in at.earlier:
        if row.differs and not (row.a and row.b):
            said = f"{row.step.type} only in {'A' if row.a else 'B'} here, step {row.step.number}"
            text = _safe(row.step.text[:LONGEST], lines=True)
            yield f"<details><summary>{_safe(said)}</summary><pre>{text}</pre></details>"
    both = [row for row in at.earlier if row.a and row.b]
    if masked or both:
        count = output.plural(len(masked) + len(both), "part")
        yield f"<details><summary class=dim>{count} with other directories, dates, times or ids only</summary>"
        for one in masked:
            yield f"<p class=dim>{_difference_name(one)}</p>{_difference(one)}"
        for row in both:
            if row.a and row.b:
                pieces = shortened(words(row.a.text[:MOST_WORDS], row.b.text[:MOST_WORDS]), 40)
                yield f"<p class=dim>steps {row.a.number} and {row.b.number} ({row.a.type})</p>"
                yield f"<pre>{_pieces(pieces)}</pre>"
        yield "</details>"
    yield from (f"<p class=ca>{_safe(unread)}</p>" for unread in at.unread)


def _difference_name(one: Difference) -> str:
    lone = " · only in B" if one.a is None else " · only in A" if one.b is None else ""
    return _safe(f"{one.part} {one.name}".strip() + lone)


def _difference(one: Difference) -> str:
    if one.a is None or one.b is None:
        tag = "ins" if one.a is None else "del"
        return f"<pre><{tag}>{_safe((one.a or one.b or '')[:LONGEST], lines=True)}</{tag}></pre>"
    return f"<pre>{_pieces(shortened(words(one.a, one.b), 120))}</pre>"


def _pieces(pieces: Iterator[Piece]) -> str:
    tags = {" ": "{}", "-": "<del>{}</del>", "+": "<ins>{}</ins>"}
    return "".join(tags[piece.sign].format(_safe(piece.text, lines=True)) for piece in pieces)


def _rows(found: Everything) -> Iterator[str]:
    rows = found.made.rows
    yield f"<h2>Steps</h2><p class=dim>{_safe(' '.join(counts(found)))}</p>"
    yield (
        "<div class=bar><button data-key=p>‹ difference</button><button data-key=n>difference ›</button>"
        "<button data-key=f>fold</button><span class=dim><kbd>n</kbd> <kbd>p</kbd> differences · "
        "<kbd>j</kbd> <kbd>k</kbd> steps · <kbd>Enter</kbd> both in full · <kbd>f</kbd> fold · "
        "<kbd>Esc</kbd> close</span></div><div class=rows>"
    )
    shown: set[int] = set()
    for first, behind in found.made.hunks():
        shown |= set(range(first - AROUND, behind + AROUND))
    stories = Story(found.a.found.threads, found.a.cwd), Story(found.b.found.threads, found.b.cwd)
    group, thread = "", rows[0].thread if rows else ("", "")
    for n, row in enumerate(rows):
        if row.thread != thread:
            thread, group = row.thread, ""
            name = " / ".join(dict.fromkeys(name or "(none)" for name in thread))
            yield f"<div class=thread>thread {_safe(name)}</div>"
        if n in shown:
            group = ""
        elif not group:
            group = str(n)
            count = next((m for m in range(n, len(rows)) if m in shown or rows[m].thread != thread), len(rows)) - n
            text = f"{count} step{'s' * (count != 1)} the same"
            about = f'data-of="{group}" data-text="{text}"'
            yield f"<button class=fold {about} aria-expanded=false>▸ {text}</button>"
        yield _row(n, row, group, stories)
    yield "</div>\n"


def _row(n: int, row: Row, group: str, stories: tuple[Story, Story]) -> str:
    kinds = [row.kind, *(f"failed-{side}" for side, step in (("a", row.a), ("b", row.b)) if step and step.failed)]
    fold = f' data-fold="{group}"' if group else ""
    cells = [_cell(step, stories[side], row) for side, step in enumerate((row.a, row.b))]
    hidden = " hidden" if group else ""
    sign = f"<div class=sign>{_safe(SIGNS[row.kind].strip())}</div>"
    return f"<div class='row {' '.join(kinds)}{hidden}' data-n={n}{fold}>{cells[0]}{sign}{cells[1]}</div>"


def _cell(step: Step | None, story: Story, row: Row) -> str:
    if step is None:
        return f"<div class=cell><span class=dim>{f'→ step {row.peer.number}' if row.peer else ''}</span></div>"
    icon = ACTION_ICONS.get(step.facts.get("action", "")) if step.type == "tool.use" else None
    brief = output.fit(story.brief(step), 240)
    usage, ttft = step.facts.get("usage") or {}, step.facts.get("ttft_us")
    took = [
        f"{ttft / 1000:.0f} ms" if ttft is not None else "",
        f"{output.count(usage['output'])} tok" if usage.get("output") else "",
    ]
    return (
        f"<div class=cell><span class=t>{' · '.join(filter(None, took))}</span><span class=n>{step.number}</span>"
        f"<span class=h>{step.hash.short(8)}</span>"
        f"<span class=what>{'✗' if step.failed else icon or ICONS[step.type]} {_safe(brief)}</span></div>"
    )


def _commands(found: Everything) -> Iterator[str]:
    told = [ran for ran in found.commands if ran.what != "same"]
    if not found.commands:
        return
    yield f"<h2>Commands</h2><div class=list><div>{len(found.commands) - len(told)} the same, {len(told)} not</div>"
    for ran in told:
        if ran.a and ran.b and ran.what in ("exit", "output"):
            one, other = ending(ran.a.facts), ending(ran.b.facts)
            said = f"A {ran.a.number}, B {ran.b.number} · {one} / {other}: {ran.a.text}"
            yield f"<div class='mono cc'>| {_safe(said)}</div>"
            if any(ran.output):
                pieces = shortened(words(*(text[:MOST_WORDS] for text in ran.output)), 60)
                yield f"<details><summary>its output</summary><pre>{_pieces(pieces)}</pre></details>"
        else:
            for side, step in (("A", ran.a), ("B", ran.b)):
                if step:
                    said = f"{'<' if side == 'A' else '>'} {side} {step.number} · {ending(step.facts)}: {step.text}"
                    yield f"<div class='mono c{side.lower()}'>{_safe(output.fit(said, 400))}</div>"
        for name, a, b in ran.variables:
            yield f"<div class='mono cc'>{_safe(f'{name}: {a} / {b}')}</div>"
    yield "</div>\n"


def _files(found: Everything) -> Iterator[str]:
    from tapes_cli.tree_diff import file_lines

    files = found.files
    if not files.known:
        return
    yield f"<h2>Files</h2><p class=dim>A changed {files.touched[0]}, B {files.touched[1]}, both {files.both}</p>"
    if not files.found:
        yield "<div class=list>The same at the end.</div>"
    for one in files.found:
        plus, minus = one.texts.counts()
        size = f"+{plus} −{minus}" if not one.texts.why else one.texts.why
        name = one.path.decode("utf-8", "backslashreplace")
        note = " · from the start" if one.where == "start" else ""
        yield f"<details><summary class=mono>{_safe(name)} <span class=dim>{_safe(size)}{note}</span></summary><pre>"
        size_left = LONGEST
        for line in file_lines(one.diff, one.texts):
            text = line.decode("utf-8", "replace")
            size_left -= len(text)
            if size_left < 0:
                yield "…"
                break
            tag = {"-": "del", "+": "ins"}.get(text[:1], "span")
            yield f"<{tag}>{_safe(text)}</{tag}>\n"
        yield "</pre></details>"


def _around(found: Everything) -> Iterator[str]:
    if not found.surroundings:
        return
    yield "<h2>Surroundings</h2><table><tr><th></th><th>A</th><th>B</th></tr>"
    for one in found.surroundings:
        cells = [f"{one.kind} {one.name}", *(value if value is not None else "(none)" for value in (one.a, one.b))]
        yield "<tr>" + "".join(f"<td>{_safe(output.fit(cell, 300))}</td>" for cell in cells) + "</tr>"
    yield "</table>\n"


def _screens(found: Everything) -> Iterator[str]:
    """Both terminals, at the first stretches that differ: on either side as of its last step up to there."""
    rows, told = found.made.rows, False
    for first, _ in list(found.made.hunks())[:SCREENS]:
        steps = [
            next((step for row in reversed(rows[: first + 1]) if (step := row.a if side == 0 else row.b)), None)
            for side in (0, 1)
        ]
        shown = [found.screen(run, step) if step else [] for run, step in zip((found.a, found.b), steps, strict=True)]
        if not any(shown):
            continue
        if not told:
            yield "<h2>Screens</h2>"
        numbers = " and ".join(f"{name} {step.number}" for name, step in zip("AB", steps, strict=True) if step)
        yield f"<details{'' if told else ' open'}><summary>at {numbers}</summary><div class=screens>"
        told = True
        for lines in shown:
            text = "\n".join(lines)
            yield f"<pre>{_safe(text, lines=True)}</pre>"
        yield "</div></details>\n"


# -- the data


def _data(found: Everything) -> str:
    """What the script shows; so written that no text in it can end the block."""
    rows = [_row_data(row, found) for row in found.made.rows]
    text = json.dumps({"rows": rows, "kinds": [row.kind for row in found.made.rows]}, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _row_data(row: Row, found: Everything) -> dict[str, Any]:
    said = {"same": "the same", "changed": f"changed: {row.what}", "only_a": "only in A", "only_b": "only in B"}
    title = said.get(row.kind, f"moved: step {row.peer.number if row.peer else '?'} in the other run")
    made: dict[str, Any] = {
        "title": f"{row.step.type} · {title}" + (" but for what is masked" if row.masked else ""),
        "a": _step_data(row.a, found.names[0]),
        "b": _step_data(row.b, found.names[1]),
    }
    if row.a and row.b and row.a.text != row.b.text and max(len(row.a.text), len(row.b.text)) <= MOST_WORDS:
        a, b = (output.harmless(step.text, lines=True) for step in (row.a, row.b))
        made["words"] = [list(piece) for piece in words(a, b)]
    return made


def _step_data(step: Step | None, name: str) -> dict[str, Any] | None:
    if step is None:
        return None
    usage = step.facts.get("usage") or {}
    facts = {key: step.facts.get(key) for key in ("name", "path", "exit", "model")}
    told = [f"{key} {value}" if key == "exit" else str(value) for key, value in facts.items() if value is not None]
    times = (("first byte after", step.facts.get("ttft_us")), ("took", step.facts.get("duration_us")))
    told += [f"{word} {us / 1000:.0f} ms" for word, us in times if us is not None]
    told += [f"{value} {key.replace('_', ' ')}" for key, value in usage.items()]
    return {
        "number": step.number,
        "ref": output.harmless(f"{name}:{step.number}"),
        "type": step.type,
        "hash": step.hash.hex(),
        "failed": step.failed,
        "facts": output.harmless(f"{output.wall(step.wall_ns)} · {' · '.join(told)}".rstrip(" ·")),
        "text": output.harmless(step.text[:LONGEST], lines=True),
        "more": max(0, len(step.text) - LONGEST),
    }
