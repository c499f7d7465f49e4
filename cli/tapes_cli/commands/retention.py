"""`tapes archive retention|pin|unpin|gc`: how long sessions are kept, which for ever, and letting the others go.

Nothing is ever collected but by `gc`, which says what will go and asks.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import click

from tapes.archive.base import Archive
from tapes.archive.redaction import Decided, Withholding
from tapes.archive.refs import resolve
from tapes.archive.summary import Summary
from tapes.errors import Damaged, UsageError
from tapes.record.digest import Digest
from tapes.session.forget import of_session
from tapes.session.rows import rows
from tapes.values import dataclass
from tapes_cli import output
from tapes_cli.destroying import ask, decide, finish
from tapes_cli.home import home, open_archive, open_archive_for_writing
from tapes_cli.keeping import Keeping

DAY_NS = 86_400 * 10**9
_DAYS = re.compile(r"([1-9]\d{0,4})d", re.ASCII)


@click.command("retention")
@click.argument("policy", required=False)
def retention(policy: str | None) -> None:
    """Show how long sessions are kept, or set it: 30d, or keep (the default). Nothing is collected by that: see gc."""
    if policy is not None:
        days = _DAYS.fullmatch(policy)
        if policy != "keep" and not days:
            raise UsageError(f"{policy!r} is no retention", hint="30d keeps sessions for 30 days, `keep` for ever")
        # There must be an archive: what is kept otherwise?
        with open_archive(), Keeping.held(home()) as keeping:
            keeping.days = int(days[1]) if days else None
            keeping.save(home())
    keeping = Keeping.load(home())
    click.echo("keep" if keeping.days is None else f"{keeping.days}d")
    for pin in sorted(keeping.pins):
        click.echo(f"pinned: {pin.hex()}")


@click.command("pin")
@click.argument("ref")
def pin(ref: str) -> None:
    """Keep a session whatever its age, and from being forgotten."""
    _change(ref, pinned=True)


@click.command("unpin")
@click.argument("ref")
def unpin(ref: str) -> None:
    """Take the pin off a session."""
    _change(ref, pinned=False)


def _change(ref: str, *, pinned: bool) -> None:
    with open_archive() as archive:
        session = resolve(archive, ref).session
    with Keeping.held(home()) as keeping:
        if pinned:
            keeping.pins.add(session)
        else:
            keeping.pins.discard(session)
        keeping.save(home())
    click.echo(f"session {session.short()} is {'pinned' if pinned else 'not pinned'}")


@dataclass(frozen=True, slots=True)
class Judged:
    """A session, and why it stays; an empty reason: it may go."""

    session: Digest
    summary: Summary
    stays: str


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def gc(dry_run: bool, yes: bool) -> None:
    """Forget the sessions that are older than the retention; finish what an earlier forgetting may have left.

    Only whole and closed sessions go. Pinned ones stay, and those that one which stays continues or branches off.
    """
    keeping = Keeping.load(home())
    if dry_run:
        with open_archive() as archive:
            _show(judge(archive, keeping, time.time_ns()), keeping)
        return
    with open_archive_for_writing() as writing:
        writing.alone()
        looked = writing.last()
        judged = judge(writing, keeping, time.time_ns())
        going = [_withholding(writing, each.session) for each in judged if not each.stays]
        _show(judged, keeping)
        said: list[Digest] = []
        if going:
            ask(yes)
            said = decide(writing, [(each, "session") for each in going], f"retention {keeping.days}d", looked)
    finish(said, [each.session for each in going])


def _withholding(archive: Archive, session: Digest) -> Withholding:
    return of_session(archive, session)[0]


def judge(archive: Archive, keeping: Keeping, now_ns: int) -> list[Judged]:
    """Every session, oldest first; none when all are kept."""
    if keeping.days is None:
        return []
    before = now_ns - keeping.days * DAY_NS
    found = list(_each(archive, keeping, before))
    continued = dict(_continued(archive, found))
    changed = True
    while changed:  # who stays keeps the session that it continues, and that one its own
        changed = False
        for n, each in enumerate(found):
            later = continued.get(each.session, ())
            if not each.stays and any(other.stays for other in found if other.session in later):
                found[n] = Judged(each.session, each.summary, "a session that stays continues it")
                changed = True
    return found


def _each(archive: Archive, keeping: Keeping, before: int) -> Iterator[Judged]:
    for row in rows(archive, newest_first=False):
        summary, damage = row.summary, row.error
        try:
            if not damage and not _says_something(archive, row.session):
                continue  # all of it is withheld
        except Damaged as error:  # its row is there, so nobody looked at its records before
            damage = str(error)
        if damage:
            stays = f"it is damaged: {damage}"
        elif row.session in keeping.pins:
            stays = "it is pinned"
        elif not summary.closed:
            stays = "it is open"
        elif summary.ended_ns >= before:
            stays = "it is not that old"
        else:
            stays = ""
        yield Judged(row.session, summary, stays)


def _says_something(archive: Archive, session: Digest) -> bool:
    decided = Decided(list(archive.session_records(session)))
    return any(not decided.record(record) for _, record in archive.session_records(session))


def _continued(archive: Archive, found: list[Judged]) -> Iterator[tuple[Digest, set[Digest]]]:
    """By session, those that continue it."""
    by: dict[Digest, set[Digest]] = {}
    for each in found:
        try:
            opened = archive.session_record(each.session, 0)[1].body
        except Damaged:
            continue  # it stays, but what it continued nobody can say
        for before in (opened.get("continues"), (opened.get("branch_of") or {}).get("session")):
            if before is not None:
                by.setdefault(Digest(before), set()).add(each.session)
    yield from by.items()


def _show(judged: list[Judged], keeping: Keeping) -> None:
    if keeping.days is None:
        click.echo("retention: keep; no session is too old")
        return
    going = [each for each in judged if not each.stays]
    click.echo(f"retention: {keeping.days}d; {len(going)} of {len(judged)} sessions go")
    for each in judged:
        name = f" {each.summary.name}" if each.summary.name else ""
        what = f"stays: {each.stays}" if each.stays else "goes"
        line = f"  {each.session.short()}{name} · {output.wall(each.summary.ended_ns)} · {what}"
        click.echo(output.harmless(line))


COMMANDS = (retention, pin, unpin, gc)
