"""Every version of one file: in which step, by whom, how large, which hash."""

from __future__ import annotations

from tapes.archive.base import Archive
from tapes.archive.refs import Ref
from tapes.errors import NotFound
from tapes.session.attribution import FALSE, Attribution
from tapes.session.blame import lineage
from tapes.session.linediff import counts, is_binary
from tapes.session.worktree import FALLEN, Held, content
from tapes_cli import output
from tapes_cli.worktrees import (
    at_ref,
    by,
    change_object,
    claim_object,
    entry_object,
    find_path,
    hash_of,
    name,
    shown,
    size_of,
    verdict,
    version_object,
)


def show_log(archive: Archive, found: Attribution, ref: Ref, text: str, *, as_json: bool) -> None:
    tree, path = find_path(found.trees, text)
    place = at_ref(tree, ref).snapshot.place
    told = {(c.version.snapshot.place, c.version.path): c for c in found.changes if c.version.root == tree.root}
    history = list(lineage(tree, path, place))
    if not history:
        raise NotFound(f"{name(path)} was not there then")
    names = {path}
    rows: list[tuple[str, ...]] = []
    objects: list[dict[str, object]] = []
    before: Held | None = None
    for held, version in history:
        names.add(held.path)
        change = told.get((version.snapshot.place, version.path)) if version else None
        plus, minus = _lines(archive, before, held)
        delta = f"+{plus} −{minus}" if plus is not None and version is not None else ""
        what = version.what if version else "start"
        when = output.wall(version.snapshot.wall_ns) if version else output.wall(tree.snapshots[0].wall_ns)
        step = str(change.step) if change and change.step is not None else ""
        named = f"{shown(version.moved)} → {shown(held.path)}" if version and version.moved is not None else ""
        said = (by(change), verdict(change)) if change else ("", "")
        rows.append(
            (
                what,
                when,
                step,
                " ".join((*([named] if named else []), said[0])),
                said[1],
                delta,
                size_of(held),
                hash_of(held),
            )
        )
        if version is None:
            base = {"root": shown(tree.root), **entry_object(held), "change": "start", "step": None}
            objects.append({**base, "added_lines": None, "removed_lines": None})
        else:
            about = change_object(change) if change else {}
            objects.append({**version_object(version), **about, "added_lines": plus, "removed_lines": minus})
        before = held
    missing = [c for c in found.claims if c.verdict == FALSE and c.claim.root == tree.root and c.claim.path in names]
    if as_json:
        for one in objects:
            output.show_json(one)
        for claimed in missing:
            output.show_json({"root": shown(tree.root), **claim_object(claimed)})
        return
    lines = [output.styled(f"{name(path)} in {name(tree.root)} · {len(rows)} versions", bold=True), ""]
    lines += output.table(rows, ("", "time", "step", "by", "said", "lines", "size", "hash"), 3)
    lines += [f"! step {c.claim.step} says it did {c.claim.action} it: {c.why}" for c in missing]
    notes = {c.why for c in told.values() if c.version.path in names and c.why}
    lines += ["", *(f"  {output.harmless(note)}" for note in sorted(notes))] if notes else []
    output.page(lines)


def _lines(archive: Archive, before: Held | None, now: Held) -> tuple[int | None, int | None]:
    """How many lines came and went; None where that can not be told."""
    sides = []
    for held in (before, now):
        if held is None or held.kind == "gone":
            sides.append(b"")
        elif not held.stored:
            return None, None
        else:
            try:
                sides.append(content(archive, held))
            except FALLEN:
                return None, None
    if any(map(is_binary, sides)):
        return None, None
    old, new = sides
    return counts(old, new)
