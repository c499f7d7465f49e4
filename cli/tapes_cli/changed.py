"""What a step did to files, as `tapes show` tells it: a line below the step, a part of its page, rows for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tapes.archive.base import Archive
from tapes.session.attribution import FALSE, TRUE, Attribution, Change, Claimed
from tapes.session.doings import Doings
from tapes.session.snapshots import has_snapshots
from tapes.session.treediff import FileDiff, texts
from tapes.session.view import Step, View
from tapes.values import dataclass, field
from tapes_cli import output
from tapes_cli.worktrees import SIGNS, hash_of, name, shown, verdict

NAMED = 4
"""Files that a line names."""
COUNTED = 400
"""Files whose lines are counted in one story: it is to be there soon."""
LARGEST = 1 << 20
_ORDER = ("changed", "renamed", "added", "mode", "deleted")
_AROUND = {"added": " (new)", "deleted": " (deleted)", "mode": " (mode)"}


@dataclass
class Changed:
    """Of one session."""

    archive: Archive
    by_step: Mapping[int, Sequence[Change]]
    unmet: Mapping[int, Sequence[Claimed]]
    """What was said and is not so, by step."""
    left: int = field(default=COUNTED)

    @classmethod
    def of(cls, archive: Archive, view: View, steps: Sequence[Step]) -> Changed:
        if not has_snapshots(view.records):
            return cls(archive, {}, {})
        found = Attribution.of(archive, Doings.of(view, steps))
        unmet: dict[int, list[Claimed]] = {}
        for told in found.claims:
            if told.verdict == FALSE:
                unmet.setdefault(told.claim.step, []).append(told)
        return cls(archive, {n: _files(changes) for n, changes in found.by_step().items()}, unmet)

    def lines(self, step: Step, indent: str, width: int) -> Iterator[str]:
        """Below the line of a step. What was not seen to be done by anything says so."""
        changes = self.by_step.get(step.number, ())
        for unseen in (False, True):
            some = [change for change in changes if bool(change.causes) is not unseen]
            if some:
                word = "file" if len(some) == 1 else "files"
                told = ", ".join(self._brief(change) for change in some[:NAMED])
                more = f" and {len(some) - NAMED} more" if len(some) > NAMED else ""
                by = ", not seen what by" if unseen else _doubt(some)
                text = f"± {len(some)} {word}{by}: {told}{more}"
                yield output.styled(output.fit(f"{indent}{output.harmless(text)}", width), dim=True)
        for claimed in self.unmet.get(step.number, ()):
            text = f"! {claimed.verdict}: {shown(claimed.claim.path)}: {claimed.why}"
            yield output.styled(output.fit(f"{indent}{output.harmless(text)}", width), fg="red")

    def _brief(self, change: Change) -> str:
        version = change.version
        old = f"{shown(version.moved)} → " if version.moved is not None else ""
        return f"{old}{shown(version.path)}{_AROUND.get(version.what, '')}{self.delta(change)}"

    def delta(self, change: Change) -> str:
        """` +12 −3`; empty where that is not known."""
        was, now = change.version.before, change.version.entry
        if (
            self.left <= 0
            or change.version.what == "mode"
            or now.kind not in ("file", "link", "gone")
            or max(now.size, was.size if was else 0) > LARGEST
        ):
            return ""
        self.left -= 1
        both = texts(self.archive, FileDiff(change.version.path, was, None if now.kind == "gone" else now))
        plus, minus = both.counts()
        return "" if both.why or not plus + minus else f" +{plus} −{minus}"

    def section(self, step: Step) -> list[str]:
        """Of its page."""
        found = []
        for change in self.by_step.get(step.number, ()):
            entry = change.version.entry
            parts = (self._brief(change), verdict(change) if change.causes else "not seen what by", hash_of(entry))
            found.append(f"{SIGNS[change.version.what]} " + " · ".join(part for part in parts if part))
            if change.why and change.causes:
                found.append(f"    {change.why}")
        for told in self.unmet.get(step.number, ()):
            found.append(f"! {name(told.claim.path)} · {told.verdict}: {told.why}")
        return found

    def objects(self, step: Step) -> dict[str, Any]:
        """`changed`, where there is anything to say."""
        rows: list[dict[str, Any]] = [
            {
                "path": shown(change.version.path),
                "change": change.version.what,
                "from": shown(change.version.moved) if change.version.moved is not None else None,
                "hash": change.version.entry.hash.hex() if change.version.entry.hash else None,
                "verdict": change.verdict or None,
                "verdict_why": change.why or None,
                "seen": bool(change.causes),
            }
            for change in self.by_step.get(step.number, ())
        ]
        rows += [
            {"path": shown(told.claim.path), "change": None, "from": None, "hash": None}
            | {"verdict": told.verdict, "verdict_why": told.why or None, "seen": False}
            for told in self.unmet.get(step.number, ())
        ]
        return {"changed": rows} if rows else {}


def _files(changes: Sequence[Change]) -> list[Change]:
    """Without directories whose files are told, and without the old names of what was renamed. First what says most."""
    paths = [change.version.path for change in changes]
    old = {change.version.moved for change in changes if change.version.moved is not None}
    found = [
        change
        for change in changes
        if not (change.version.is_directory and any(path.startswith(change.version.path + b"/") for path in paths))
        and not (change.version.path in old and change.version.entry.kind == "gone")
    ]
    return sorted(found, key=lambda change: _ORDER.index(change.version.what))


def _doubt(changes: Sequence[Change]) -> str:
    others = {doing.step for change in changes if change.verdict != TRUE for doing in change.causes[1:]}
    return f" (or by {', '.join(f'step {n}' for n in sorted(others)[:3])})" if others else ""
