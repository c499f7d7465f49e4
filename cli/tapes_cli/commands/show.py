"""`tapes show REF`: the story of a session, one of its steps in full, its exchanges, or the other hosts it spoke to."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tapes.archive.base import Archive
from tapes.archive.refs import Ref, resolve
from tapes.archive.summary import Summary
from tapes.errors import NotFound, UsageError
from tapes.record.digest import Digest
from tapes.session.rows import rows, summary_of
from tapes.session.snapshots import has_snapshots
from tapes.session.threads import MAIN, Thread
from tapes.session.usage import Tokens
from tapes.session.view import STEP_TYPES, Step, View, as_told, is_of, view
from tapes.values import dataclass
from tapes.wire.files import ACTIONS
from tapes_cli import output
from tapes_cli.commands.log import coverage, main_model
from tapes_cli.home import open_archive
from tapes_cli.moments import FORMS, moment, nanoseconds, span
from tapes_cli.story import Story, label

if TYPE_CHECKING:
    from tapes_cli.changed import Changed


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which steps, and in what form."""

    thread: str = ""
    types: tuple[str, ...] = ()
    full: bool = False
    raw: bool = False
    as_json: bool = False

    def takes(self, step: Step) -> bool:
        """By its type alone."""
        return is_of(step, self.types)


@click.command("show")
@click.argument("ref", default="@")
@click.option(
    "--exchanges",
    "kind",
    flag_value="exchanges",
    help="Each model call: URL, status, outcome, sizes, tokens, hashes.",
)
@click.option("--threads", "kind", flag_value="threads", help="Each conversation: calls, failures, tokens, cost.")
@click.option(
    "--egress",
    "kind",
    flag_value="egress",
    help="Other hosts the agent spoke to: bytes and times, no content.",
)
@click.option("--thread", default="", metavar="T", help="Only this thread: its id or the beginning of it, or its name.")
@click.option(
    "--type",
    "types",
    multiple=True,
    type=click.Choice([*STEP_TYPES, *ACTIONS, "tool"]),
    metavar="TYPE",
    help="Only steps of this type (prompt, answer, tool, command, error, …) or that do this (read, edit, write, todo, "
    "spawn). May be repeated.",
)
@click.option("--around", metavar="STEP|TIME", help="All that happened in any session around a step of REF, or a time.")
@click.option("--window", default="5m", show_default=True, help="How far around: so long before it and after.")
@click.option("--full", is_flag=True, help="Print each step in full instead of one line.")
@click.option("--raw", is_flag=True, help="Print the words of the steps and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="One object a line; fields in docs/cli.md.")
def command(
    ref: str,
    kind: str | None,
    thread: str,
    types: tuple[str, ...],
    around: str | None,
    window: str,
    full: bool,
    raw: bool,
    as_json: bool,
) -> None:
    """Show a session: REF is a name, a hash, @ (the latest) or @~2; REF:12 is its step 12 in full."""
    wanted = Wanted(thread, types, full, raw, as_json)
    with open_archive() as archive:
        found = resolve(archive, ref)
        narrowed = thread or types or full or raw or around
        if kind and (found.step is not None or narrowed):
            whole = f"tapes show {ref.rpartition(':')[0] or ref if found.step is not None else ref} --{kind}"
            raise UsageError(f"--{kind} is about a whole session", hint=whole)
        if around is not None:
            show_around(archive, found, around, window, wanted)
        elif kind is not None:
            listing(kind)(archive, found.session, as_json)
        elif found.step is not None:
            show_step(archive, found, wanted)
        else:
            show_session(archive, found.session, wanted)


def listing(kind: str) -> Callable[[Archive, Digest, bool], None]:
    """What lists one side of a session."""
    from tapes_cli import exchange_list, thread_list  # and prices, which the story need not wait for

    lists = {"exchanges": exchange_list.show_exchanges, "threads": thread_list.show_threads}
    return lists.get(kind, exchange_list.show_egress)


# -- a session


def show_session(archive: Archive, session: Digest, wanted: Wanted) -> None:
    found = view(archive, session, first_words=wanted.as_json or wanted.full)
    summary = summary_of(archive, session)
    chosen = chosen_thread(found.threads, wanted.thread)
    changed, every = changed_files(archive, found, wanted)
    steps = (s for s in every if (chosen is None or (s.thread or MAIN) in chosen) and wanted.takes(s))
    if wanted.as_json:
        for step in steps:
            output.show_json(step_object(step, found.threads, changed))
        return
    if wanted.raw:
        say_raw(as_told(steps))
        return
    output.page([*headline(session, summary, found), *body(list(steps), found, summary, wanted, changed)])


def changed_files(archive: Archive, found: View, wanted: Wanted) -> tuple[Changed | None, Iterable[Step]]:
    """What the steps did to files, and the steps; None where nobody looked, and where nobody wants to know."""
    if wanted.raw or wanted.full or not has_snapshots(found.records):
        return None, found.steps
    from tapes_cli.changed import Changed  # and all that compares files, which other sessions need not wait for

    every = list(found.steps)
    return Changed.of(archive, found, every), every


def body(
    steps: Sequence[Step], found: View, summary: Summary, wanted: Wanted, changed: Changed | None
) -> Iterator[str]:
    story = Story(found.threads, summary.cwd, tokens=found.tokens(), changed=changed)
    if not wanted.full:
        yield from story.lines(steps, folded="reminder" not in wanted.types)
        return
    from tapes_cli.step_page import brief_page

    for item, depth in story.told(steps):
        yield from brief_page(item) if isinstance(item, Step) else [story.heading(item, depth)]
        yield ""


def chosen_thread(threads: Mapping[str, Thread], name: str) -> set[str] | None:
    """Ids of the threads that a name fits; None for all. NotFound where it fits none."""
    if not name:
        return None
    found = {
        t.id for t in threads.values() if t.id.startswith(name) or name in (t.path, t.path.rpartition("/")[2], t.kind)
    }
    if not found:
        known = ", ".join(output.harmless(label(thread)) for thread in threads.values())
        raise NotFound(f"no thread is called {name!r}", hint=f"there are: {known or 'none'}")
    return found


def say_raw(steps: Iterable[Step]) -> None:
    """What was said, as it was; on a terminal without what could drive it."""
    if sys.stdout.isatty():
        output.page(output.harmless(step.text, lines=True) for step in steps)
        return
    for step in steps:
        sys.stdout.buffer.write(step.text.encode("utf-8", "replace") + b"\n")


def headline(session: Digest, row: Summary, found: View) -> list[str]:
    name = f" {row.name}" if row.name else ""
    agent = f"{row.agent} {row.agent_version}".strip()
    first = f"session {session.short()}{name} · {agent} · {main_model(row) or 'no model'} · {row.outcome}"
    second = (
        f"{output.wall(row.started_ns)} · {output.duration(row.ended_ns - row.started_ns)} · {row.command} in {row.cwd}"
    )
    if row.playback:
        first += f" · played from {row.playback[:12]}"
    branch = [f"branch of {row.branch_of[:12]}, at {row.branch_at[:12]}"] if row.branch_of else []
    third = coverage([row])
    fourth: list[str] = []
    if found.commands:
        from tapes.session.audit import coverage as coverage_of  # and the agents' ways, which others need not wait for

        fourth = [str(coverage_of(found.commands))]
    kinds = Counter(thread.kind for thread in found.threads.values())
    beside = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if kind != "main")
    fifth = [f"threads: main, {beside}"] if beside else []
    tokens = sum(found.tokens().values(), Tokens())
    fifth += [f"tokens: {told(tokens)}"] if tokens.total else []
    wide = output.width()
    named = [output.fit(output.harmless(line), wide) for line in (first, second)]
    covered = [
        line for text in (*branch, third, *fourth, *fifth) for line in output.wrapped(output.harmless(text), wide)
    ]
    return [*named, *covered, ""]


def told(tokens: Tokens) -> str:
    """By kind, those that there are."""
    cached = {"read from caches": tokens.cache_read, "written to them": tokens.cache_write_5m + tokens.cache_write_1h}
    of = ", ".join(f"{output.count(number)} {name}" for name, number in cached.items() if number)
    reasoning = f" ({output.count(tokens.reasoning)} reasoning)" if tokens.reasoning else ""
    return f"{output.count(tokens.given)} in{f' ({of})' if of else ''}, {output.count(tokens.output)} out{reasoning}"


# -- one step


def show_step(archive: Archive, ref: Ref, wanted: Wanted) -> None:
    found = view(archive, ref.session, first_words=True)
    steps = list(found.steps)
    step = next((s for s in steps if s.number == ref.step), None)
    if step is None:
        short = ref.session.short()
        raise NotFound(f"session {short} has no step {ref.step}", hint=f"its steps: tapes show {short}")
    if wanted.thread or wanted.types:
        raise UsageError("--thread and --type choose among steps, and REF names one already")
    changed, _ = changed_files(archive, replace(found, steps=iter(steps)), wanted)
    if wanted.as_json:
        from tapes_cli.session_usage import cost_of  # and the price lists

        amount = cost_of(archive, found, step)
        cost = {"cost": None if amount is None else str(amount)} if step.facts.get("usage") else {}
        output.show_json(step_object(step, found.threads, changed) | cost)
    elif wanted.raw:
        say_raw([step])
    else:
        from tapes_cli.step_page import Page

        output.page(Page(archive, found, steps, step, changed).lines())


def step_object(step: Step, threads: Mapping[str, Thread], changed: Changed | None = None) -> dict[str, Any]:
    thread = threads.get(step.thread or MAIN)
    return {
        "step": step.number,
        "type": step.type,
        "hash": step.hash.hex(),
        "item": step.item,
        "exchange": step.exchange.hex() if step.exchange else None,
        "thread": step.thread,
        "thread_kind": thread.kind if thread else None,
        "parent": thread.parent or None if thread else None,
        "spawned_by": thread.spawned_by.hex() if thread and thread.spawned_by else None,
        "time": output.iso(step.wall_ns),
        "failed": step.failed,
        **step.facts,
        **(changed.objects(step) if changed is not None else {}),
        "text": step.text,
    }


# -- around a moment


def show_around(archive: Archive, ref: Ref, around: str, window: str, wanted: Wanted) -> None:
    """What all sessions did within a window of time, in order of time."""
    try:
        side = round(span(window).total_seconds() * 1e9)
    except OverflowError:
        raise UsageError(f"--window {window} is too long") from None
    middle = moment_of(archive, ref, around)
    first, last = middle - side, middle + side
    found: list[tuple[Step, str, View]] = []
    for row in rows(archive, newest_first=False):
        s = row.summary
        if row.error or s.started_ns > last or s.ended_ns < first:
            continue
        seen = view(archive, row.session, first_words=wanted.as_json or wanted.full)
        chosen = [step for step in seen.steps if first <= step.wall_ns <= last and wanted.takes(step)]
        if wanted.thread:
            chosen = [step for step in chosen if (step.thread or MAIN).startswith(wanted.thread)]
        found += [(step, s.name or row.session.short(8), seen) for step in chosen]
    found.sort(key=lambda item: item[0].wall_ns)
    if wanted.as_json:
        for step, name, seen in found:
            output.show_json({"session": name, **step_object(step, seen.threads)})
        return
    if wanted.raw:
        say_raw(step for step, _, _ in found)
        return
    output.page(_around_lines(found, middle, window, wanted))


def _around_lines(found: Sequence[tuple[Step, str, View]], middle: int, window: str, wanted: Wanted) -> Iterator[str]:
    from tapes_cli.step_page import brief_page

    yield f"{len(found)} steps within {window} of {output.wall(middle)}"
    yield ""
    wide = max((output.cell_width(name) for _, name, _ in found), default=0)
    for step, name, seen in found:
        if wanted.full:
            yield from [output.harmless(name), *brief_page(step), ""]
        else:
            yield f"{output.pad(output.harmless(name), wide)} {Story(seen.threads, before=wide + 1).line(step)}"


def moment_of(archive: Archive, ref: Ref, around: str) -> int:
    """Unix time in nanoseconds."""
    if not around.isdecimal():
        try:
            return nanoseconds(moment(around, datetime.now().astimezone()))
        except UsageError:
            raise UsageError(f"{around!r} is neither a step's number nor a time", hint=FORMS) from None
    step = next((s for s in view(archive, ref.session).steps if s.number == int(around)), None)
    if step is None:
        short = ref.session.short()
        raise NotFound(f"session {short} has no step {around}", hint=f"its steps: tapes show {short}")
    return step.wall_ns
