"""What changed between two steps, as a unified diff in git's form."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

import click

from tapes.archive.base import Archive
from tapes.session.attribution import Attribution
from tapes.session.treediff import FileDiff, Texts, differ, texts
from tapes.session.worktree import Held, Tree, Worktree
from tapes_cli import output
from tapes_cli.worktrees import below, entry_object, find_path, octal, shown, warn

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


type Diffs = Iterable[tuple[Worktree, FileDiff]]


def of_range(found: Attribution, first: int | None, last: int | None) -> Iterator[tuple[Worktree, FileDiff]]:
    """From when step `first` was over (None, 0: the start) to when `last` was (None, more than there are: the end)."""
    for tree in found.trees:
        one = _tree(tree, first, len(found.doings.steps)) if first else tree.tree(0)
        other = _tree(tree, last, len(found.doings.steps)) if last is not None else tree.at()
        warn([*one.doubts, *(doubt for doubt in other.doubts if doubt not in one.doubts)])
        if one.snapshot.place > other.snapshot.place and (last is None or (first or 0) <= last):
            continue  # a call is over after the command that it ran, which has a higher number
        for diff in differ(tree, one, other):
            yield tree, diff


def of_step(found: Attribution, number: int) -> Iterator[tuple[Worktree, FileDiff]]:
    """What is put to a step; to a call, what its commands did. Of what changed more than once, all together."""
    step = found.doings.step(number)
    both: dict[tuple[bytes, bytes], FileDiff] = {}
    trees = {tree.root: tree for tree in found.trees}
    for change in found.changes:
        called = {doing.call for doing in change.causes[:1]}
        if change.step != number and step.hash not in called:
            continue
        version = change.version
        now = None if version.entry.kind == "gone" else version.entry
        key = version.root, version.path
        was = both[key].was if key in both else version.before
        both[key] = FileDiff(version.path, was, now)
    renamed = {(root, diff.was.path) for (root, path), diff in both.items() if diff.was and diff.was.path != path}
    for (root, path), diff in sorted(both.items()):
        unchanged = diff.now.same(diff.was) and diff.change != "renamed" if diff.now else diff.was is None
        if not ((root, path) in renamed and diff.now is None) and not unchanged:
            yield trees[root], diff


def show_diff(
    archive: Archive, found: Attribution, diffs: Diffs, paths: Sequence[str], *, raw: bool, as_json: bool
) -> None:
    """Those that lie in one of the paths."""
    chosen = [find_path(found.trees, path) for path in paths]
    lines: list[bytes] = []
    for tree, diff in diffs:
        within = [path for where, path in chosen if where is tree]
        names = [side.path for side in (diff.was, diff.now) if side is not None]
        if _is_directory(diff) or (chosen and not (within and any(below(path, within) for path in names))):
            continue  # git knows no directories either
        both = texts(archive, diff)
        if as_json:
            output.show_json({"root": shown(tree.root), **diff_object(diff, both)})
        else:
            lines += file_lines(diff, both)
    if as_json:
        return
    if raw:
        sys.stdout.buffer.write(b"".join(line + b"\n" for line in lines))
        sys.stdout.buffer.flush()
    else:
        output.page(_drawn(line) for line in lines)


def _tree(tree: Worktree, number: int, count: int) -> Tree:
    if number > count:
        click.echo(f"tapes: the session has {count} steps: up to its end", err=True)
        return tree.at()
    return tree.at(number) if number else tree.tree(0)


def _is_directory(diff: FileDiff) -> bool:
    return all(side is None or side.kind == "dir" for side in (diff.was, diff.now))


def _drawn(line: bytes) -> str:
    text = output.harmless(line.decode("utf-8", "replace"))
    bold = line.startswith((b"diff ", b"--- ", b"+++ "))
    return output.styled(text, bold=bold) if bold else output.styled(text, fg=_COLOURS.get(text[:1]))


def file_lines(diff: FileDiff, both: Texts) -> Iterator[bytes]:
    """As git writes it, so that it can be applied."""
    was, now = diff.was, diff.now
    old, new = (quoted(b"a/" + (was or diff).path), quoted(b"b/" + diff.path))
    yield b"diff --git " + old + b" " + new
    yield from _modes(diff)
    if was is not None and now is not None and was.path != now.path:
        yield b"rename from " + quoted(was.path)
        yield b"rename to " + quoted(now.path)
    for side, held in (("before", was), ("after", now)):
        if held is not None and held.facts.get("redacted"):
            yield f"# {side}: {held.facts['redacted']} redacted".encode()
    if both.why == "binary":
        yield b"Binary files " + (old if was else b"/dev/null") + b" and " + (new if now else b"/dev/null") + b" differ"
        return
    if both.why:
        yield f"# not compared: {both.why} ({_size(was)} → {_size(now)})".encode()
        return
    if both.old == both.new:
        return
    yield b"index " + _short(was) + b".." + _short(now)
    yield b"--- " + (old if was else b"/dev/null")
    yield b"+++ " + (new if now else b"/dev/null")
    for hunk in both.hunks():
        yield f"@@ -{hunk.old},{hunk.old_count} +{hunk.new},{hunk.new_count} @@".encode()
        for sign, text in hunk.lines:
            yield sign.encode() + text.removesuffix(b"\n")
            if not text.endswith(b"\n"):
                yield b"\\ No newline at end of file"


def _modes(diff: FileDiff) -> Iterator[bytes]:
    was, now = diff.was, diff.now
    if was is None and now is not None:
        yield b"new file mode " + git_mode(now)
    elif was is not None and now is None:
        yield b"deleted file mode " + git_mode(was)
    elif was is not None and now is not None and (was.kind, was.mode) != (now.kind, now.mode):
        yield b"old mode " + git_mode(was)
        yield b"new mode " + git_mode(now)


def git_mode(held: Held) -> bytes:
    if held.kind == "link":
        return b"120000"
    return b"10" + octal(held.mode).encode() if held.kind == "file" else b"040000"


def _short(held: Held | None) -> bytes:
    return (held.hash.short() if held and held.hash else "0" * 12).encode()


def _size(held: Held | None) -> str:
    return output.size(held.size) if held else "nothing"


def quoted(path: bytes) -> bytes:
    """As git quotes a name: only where something in it needs it."""
    if all(32 <= char < 127 and char not in b'"\\' for char in path):
        return path
    special = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
    return (
        '"'
        + "".join(f"\\{special[c]}" if c in special else chr(c) if 32 <= c < 127 else f"\\{c:03o}" for c in path)
        + '"'
    ).encode()


def diff_object(diff: FileDiff, both: Texts) -> dict[str, object]:
    was, now = diff.was, diff.now
    held = now or was
    assert held is not None
    plus, minus = both.counts()
    text = b"\n".join(file_lines(diff, both)).decode("utf-8", "replace") if not both.why else None
    return {
        **entry_object(held),
        "change": diff.change,
        "from": shown(was.path) if was and was.path != diff.path else None,
        "mode_before": octal(was.mode) if was else None,
        "mode": octal(now.mode) if now else None,
        "hash_before": was.hash.hex() if was and was.hash else None,
        "hash": now.hash.hex() if now and now.hash else None,
        "size_before": was.size if was else None,
        "size": now.size if now else None,
        "binary": both.why == "binary",
        "not_compared": both.why or None,
        "added_lines": None if both.why else plus,
        "removed_lines": None if both.why else minus,
        "diff": text,
    }
