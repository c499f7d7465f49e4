"""`tapes blame REF PATH`: which step brought each line of a file, by which command or call, and what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import click

from tapes.archive.refs import resolve
from tapes.session.attribution import Attribution, Change
from tapes.session.blame import Line, blame
from tapes.session.doings import Doings
from tapes.session.view import Step
from tapes.session.worktree import Version, Worktree
from tapes_cli import output
from tapes_cli.home import open_archive
from tapes_cli.worktrees import (
    at_ref,
    by,
    change_object,
    find_path,
    no_snapshots,
    shown,
    verdict,
    warn,
)

WIDEST = 32
"""Columns for who it was."""
type Key = tuple[int, bytes]


@click.command("blame")
@click.argument("ref")
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="One object a line of the file; fields in docs/cli.md.")
def command(ref: str, path: str, as_json: bool) -> None:
    """Each line of a file with the step that brought it: the file as it was when step REF:N was over, or at the end.

    Below it stand the steps: what they ran or called, whether the agent has said so, and the prompt that led there.
    """
    with open_archive() as archive:
        found = resolve(archive, ref)
        attribution = Attribution.of(archive, Doings.read(archive, found.session))
        if not attribution.trees:
            raise no_snapshots(found.session)
        tree, raw = find_path(attribution.trees, path)
        at = at_ref(tree, found)
        warn(at.doubts)
        lines = blame(archive, tree, raw, at.snapshot.place)
        known = changes(attribution, tree, lines)
        prompts = {c.step: attribution.doings.prompt(c.step) for c in known.values() if c.step is not None}
        if as_json:
            for line in lines:
                output.show_json(line_object(line, known, prompts))
        else:
            output.page(drawn(lines, known, prompts))


def changes(found: Attribution, tree: Worktree, lines: Sequence[Line]) -> dict[Key, Change]:
    """By snapshot and path: those that brought one of the lines."""
    wanted = {key_of(line.origin) for line in lines if line.origin is not None}
    return {
        key: change
        for change in found.changes
        if change.version.root == tree.root and (key := key_of(change.version)) in wanted
    }


def key_of(version: Version) -> Key:
    return version.snapshot.place, version.path


def drawn(lines: Sequence[Line], known: Mapping[Key, Change], prompts: Mapping[int, Step | None]) -> Iterator[str]:
    told = {key: output.fit(output.harmless(by(change)), WIDEST) for key, change in known.items()}
    wide = max([output.cell_width(text) for text in told.values()], default=0)
    digits = len(str(len(lines)))
    for line in lines:
        change = known.get(key_of(line.origin)) if line.origin else None
        step = str(change.step) if change and change.step is not None else "·"
        text = output.harmless(line.text.removesuffix(b"\n").decode("utf-8", "replace"))
        head = f"{step:>5} {output.pad(told[key_of(change.version)] if change else '', wide)} {line.number:>{digits}} "
        yield output.styled(head, fg="yellow" if change else "bright_black") + text
    yield ""
    if any(line.origin is None for line in lines):
        yield "    · there at the start"
    for change in sorted(known.values(), key=lambda one: one.version.snapshot.began):
        yield from legend(change, prompts)


def legend(change: Change, prompts: Mapping[int, Step | None]) -> Iterator[str]:
    count = "" if change.step is None else change.step
    hashed = f"{change.causes[0].hash.short()} " if change.causes else ""
    yield output.fit(f"{count:>5} {hashed}{verdict(change)} · {output.harmless(by(change))}", output.width())
    if change.why:
        yield f"      {output.harmless(change.why)}"
    asked = prompts.get(change.step) if change.step is not None else None
    if asked is not None:
        words = output.harmless(" ".join(asked.text.split()))
        yield output.fit(f"      asked in step {asked.number}: {words}", output.width())


def line_object(line: Line, known: Mapping[Key, Change], prompts: Mapping[int, Step | None]) -> dict[str, object]:
    found: dict[str, object] = {"line": line.number, "text": line.text.decode("utf-8", "backslashreplace")}
    version = line.origin
    change = known.get(key_of(version)) if version is not None else None
    if version is None or change is None:
        nothing = dict.fromkeys(("path", "hash", "snapshot", "record", "time", "step", "verdict", "verdict_why"))
        return found | {"origin": "start"} | nothing | {"claimed_by": None, "causes": [], "prompt": None}
    asked = prompts.get(change.step) if change.step is not None else None
    return found | {
        "origin": "step" if change.causes else "not seen",
        "path": shown(version.path),
        "hash": version.entry.hash.hex() if version.entry.hash else None,
        "snapshot": version.n,
        "record": version.record.hex(),
        "time": output.iso(version.snapshot.wall_ns),
        **change_object(change),
        "prompt": {"step": asked.number, "hash": asked.hash.hex(), "text": asked.text} if asked else None,
    }
