"""`tapes files REF`: the working directory as it was, what changed in it, and by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from tapes.archive.refs import Ref, resolve
from tapes.errors import UsageError
from tapes.pattern import pattern
from tapes.session.attribution import Attribution
from tapes.session.doings import Doings
from tapes.session.worktree import Tree, Worktree
from tapes.values import dataclass
from tapes_cli import output
from tapes_cli.home import open_archive
from tapes_cli.standing import Standing, standing
from tapes_cli.worktrees import (
    COLOURS,
    SIGNS,
    at_ref,
    below,
    by,
    change_object,
    claim_object,
    entry_object,
    find_path,
    hash_of,
    name,
    no_snapshots,
    octal,
    shown,
    size_of,
    verdict,
)

_RANGE = pattern(r"(?P<ref>.*):(?P<first>\d{0,9})\.\.(?P<last>\d{0,9})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a session's directories."""

    found: Attribution
    ref: Ref
    paths: tuple[str, ...] = ()
    as_json: bool = False


@click.command("files")
@click.argument("ref", default="@")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--all", "everything", is_flag=True, help="The whole tree, not only what changed since the start.")
@click.option("--log", "logged", metavar="PATH", help="Every version of a file: step, cause, size, hash.")
@click.option("--diff", "as_diff", is_flag=True, help="What REF:A..B changed, as a unified diff; of REF:N, its step N.")
@click.option("--raw", is_flag=True, help="With --diff: the bytes as they were, for patch(1) and git apply.")
@click.option("--json", "as_json", is_flag=True, help="One object a line; fields in docs/cli.md.")
def command(
    ref: str, paths: tuple[str, ...], everything: bool, logged: str | None, as_diff: bool, raw: bool, as_json: bool
) -> None:
    """The working directory when step REF:N was over (or at the end): what changed since the start, in which step, by
    which command or call, and whether the agent has said so. PATH narrows it to files and directories.

    \b
    tapes files @
    tapes files @:12 --all
    tapes files @ --log src/main.py
    tapes files @:5..12 --diff src
    """
    ranged = _RANGE.fullmatch(ref)
    if ranged and not as_diff:
        raise UsageError("A..B is for --diff", hint=f"tapes files {ref} --diff; of one step: REF:{ranged['last']}")
    if raw and not as_diff:
        raise UsageError("--raw is for --diff", hint="the bytes of a file: tapes cat REF:STEP PATH")
    with open_archive() as archive:
        found = resolve(archive, ranged["ref"] or "@" if ranged else ref)
        attribution = Attribution.of(archive, Doings.read(archive, found.session))
        if not attribution.trees:
            raise no_snapshots(found.session)
        asked = Asked(attribution, found, paths, as_json)
        if logged is not None:
            from tapes_cli.file_log import show_log

            show_log(archive, attribution, found, logged, as_json=as_json)
        elif as_diff:
            from tapes_cli.tree_diff import of_range, of_step, show_diff

            diffs = (
                of_step(attribution, found.step)
                if found.step
                else of_range(attribution, *(_steps(ranged) if ranged else (None, None)))
            )
            show_diff(archive, attribution, diffs, paths, raw=raw, as_json=as_json)
        else:
            show_files(asked, everything=everything)


def _steps(ranged: re.Match[str]) -> tuple[int | None, int | None]:
    """None: from the start, to the end."""
    first, last = (int(ranged[name]) if ranged[name] else None for name in ("first", "last"))
    return first, last


# -- a tree


def show_files(asked: Asked, *, everything: bool) -> None:
    lines: list[str] = []
    named = [find_path(asked.found.trees, path) for path in asked.paths]
    for tree in asked.found.trees:
        chosen = [path for where, path in named if where is tree]
        if named and not chosen:
            continue
        at = at_ref(tree, asked.ref)
        seen = standing(asked.found, tree, at, chosen)
        if asked.as_json:
            _as_json(seen, everything=everything)
            continue
        lines += [*([""] if lines else []), *_heading(asked.found, tree, at, len(seen.changed), asked.ref)]
        lines += _table(seen, everything=everything)
        lines += [
            output.styled(
                f"! {name(c.claim.path)}  step {c.claim.step} says it did {c.claim.action} it: {c.why}", fg="red"
            )
            for c in seen.missing
        ]
    if not asked.as_json:
        output.page(lines)


def _heading(found: Attribution, tree: Worktree, at: Tree, changed: int, ref: Ref) -> Iterator[str]:
    over = any(record.type == "session.close" for _, record in tree.records)
    when = "at the end" if over else "so far"
    if ref.step is not None:
        when = f"when step {ref.step} was over" if ref.step else "at the start"
    if ref.record is not None and ref.step is None:
        when = "as this snapshot found it"
    files = sum(entry.kind != "dir" for entry in at.entries.values())
    branch = f" · {name(at.snapshot.branch.encode())} {at.snapshot.head[:8]}".rstrip() if at.snapshot.branch else ""
    yield output.styled(
        f"{name(tree.root)} {when} · {files} files, {changed} changed since the start{branch}", bold=True
    )
    seen = f"snapshot {at.snapshot.n} ({output.harmless(at.snapshot.cause)}) · {output.wall(at.snapshot.wall_ns)}"
    yield f"{seen} · {at.snapshot.hash.hex()}"
    if late := [doing.step for doing in found.doings.all if doing.began < tree.snapshots[0].began]:
        yield f"the first look was taken after step {late[-1]} had begun: what was done by then counts as the start"
    for doubt in at.doubts:
        yield output.styled(f"not sure: {output.harmless(doubt)}", fg="red")
    yield ""


def _table(seen: Standing, *, everything: bool) -> Iterator[str]:
    tree, at, changed, olds, last, _, chosen = seen
    rows: list[tuple[str, ...]] = []
    for path in sorted(changed):
        change, entry = last.get(path), at.entries.get(path)
        moved = olds.get(path)
        said = (by(change), verdict(change)) if change else ("", "")
        told = f"{shown(moved)} → {shown(path)}" if moved is not None else shown(path)
        if entry is not None and changed[path] == "mode" and path in tree.base:
            told += f" ({octal(tree.base[path].mode)} → {octal(entry.mode)})"
        facts = (size_of(entry), hash_of(entry)) if entry is not None else ("", "")
        step = str(change.step) if change and change.step is not None else ""
        rows.append((SIGNS[changed[path]], told, *facts, step, *said))
    if everything:
        for path, entry in at.entries.items():
            if path not in changed and below(path, chosen):
                slash = "/" if entry.kind == "dir" else ""
                rows.append(("", shown(path) + slash, size_of(entry), hash_of(entry), "", "", ""))
    if not rows:
        yield "nothing changed" if not everything else "nothing is there"
        return
    first, *lines = output.table(rows, ("", "file", "size", "hash", "step", "by", "said"), 5)
    yield output.styled(first, bold=True)
    for row, line in zip(rows, lines, strict=True):
        yield output.styled(line, fg=COLOURS.get(row[0]))


def _as_json(seen: Standing, *, everything: bool) -> None:
    tree, at, changed, olds, last, missing, chosen = seen
    where = {
        "root": shown(tree.root),
        "snapshot": at.snapshot.n,
        "record": at.snapshot.hash.hex(),
        "exact": at.exact,
        "doubts": list(at.doubts),
    }
    paths = sorted(changed) if not everything else sorted(changed.keys() | {p for p in at.entries if below(p, chosen)})
    for path in paths:
        change, entry = last.get(path), at.entries.get(path)
        held = entry or (change.version.entry if change else None)
        if held is None:
            continue
        about = change_object(change) if change and path in changed else {}
        moved = olds.get(path)
        output.show_json(
            {
                **entry_object(held),
                "change": changed.get(path),
                "from": shown(moved) if moved is not None else None,
                **where,
                **about,
                "time": output.iso(change.version.snapshot.wall_ns) if change and path in changed else None,
            }
        )
    for told in missing:
        output.show_json({**claim_object(told), **where})
