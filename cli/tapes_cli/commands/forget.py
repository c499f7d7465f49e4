"""`tapes forget REF[:A..B]`: say what will go and who shares it, ask, then destroy it."""

from __future__ import annotations

import re
from collections import Counter

import click

from tapes.archive.base import Archive
from tapes.archive.refs import resolve
from tapes.errors import UsageError
from tapes.session.forget import Loss, Plan, forget_session, forget_steps
from tapes_cli import output
from tapes_cli.destroying import ask, decide, finish
from tapes_cli.home import home, open_archive, open_archive_for_writing
from tapes_cli.keeping import Keeping

_RANGE = re.compile(r"(.+):(\d{1,9})(?:\.\.(\d{1,9}))?", re.DOTALL)
SHOWN = 20
"""Lines of bodies and records that are listed; of the rest the number is."""


@click.command("forget")
@click.argument("ref")
@click.option("--reason", default="", help="Why; kept in the record that says what was withheld.")
@click.option("--everywhere", is_flag=True, help="Also where other sessions say the same (texts of 64 bytes and more).")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: one object a line; fields in docs/cli.md.")
def command(ref: str, reason: str, everywhere: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Destroy what a session said: REF a whole session, REF:A..B what its steps A to B say. There is no way back.

    Records, their hashes and links stay, as records or as tombstones, and a new record says who withheld what and why.
    Run again after a crash: it finishes what was left.
    """
    if as_json and not dry_run:
        raise UsageError("--json is for --dry-run")
    if dry_run:
        with open_archive() as archive:
            plan = planned(archive, ref, everywhere)
            if as_json:
                show_objects(plan)
            else:
                show(archive, plan)
        return
    with open_archive_for_writing() as writing:
        writing.alone()
        looked = writing.last()
        plan = planned(writing, ref, everywhere)
        sessions = [withholding.session for withholding in plan.withholdings]
        Keeping.load(home()).refuse_pinned(plan.withholdings)  # before anybody is asked
        if any(plan.withholdings):
            show(writing, plan)
            ask(yes)
            said = decide(writing, [(withholding, plan.what) for withholding in plan.withholdings], reason, looked)
        else:
            click.echo("Nothing is left to withhold; finishing what an earlier run may have left.", err=True)
            said = []
    finish(said, sessions)


def planned(archive: Archive, text: str, everywhere: bool) -> Plan:
    """What the words on the command line ask for."""
    suffixed = _RANGE.fullmatch(text)
    found = resolve(archive, suffixed[1] if suffixed else text)
    if found.record is not None:
        raise UsageError(
            f"{found.record.short()} is a record of session {found.session.short()}",
            hint="forget the session, or steps of it: tapes forget SESSION:A..B",
        )
    if not suffixed:
        return forget_session(archive, found.session, everywhere=everywhere)
    first = int(suffixed[2])
    last = int(suffixed[3] or first)
    if not 1 <= first <= last:
        raise UsageError(f"{first}..{last} are no steps", hint="the first step is 1, and A..B goes up")
    return forget_steps(archive, found.session, first, last, everywhere=everywhere)


# -- what will go


def show(archive: Archive, plan: Plan) -> None:
    names = {session: name for name, session in archive.names().items()}
    for withholding in plan.withholdings:
        session = withholding.session
        mine = [loss for loss in plan.losses if loss.session == session]
        bodies = [loss for loss in mine if loss.ref]
        records = [loss for loss in mine if not loss.ref]
        name = f" {names[session]}" if session in names else ""
        click.echo(output.harmless(f"session {session.short()}{name} · {plan.what}"))
        click.echo(f"  become unreadable: {len(bodies)} bodies, {output.size(_bytes(bodies))}")
        if plan.unread and withholding is plan.withholdings[0]:
            steps = ", ".join(f"{first}..{last}" if first != last else str(first) for first, last in plan.unread)
            click.echo(f"  become unreadable: steps {steps}")
        listed(bodies if plan.what != "session" else [])
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(loss.type for loss in records).items()))
        click.echo(f"  become tombstones: {len(records)} records{': ' + kinds if kinds else ''}")
        listed(records if plan.what != "session" else [])
    for session, count in Counter(loss.session for loss in plan.elsewhere).items():
        click.echo(f"  session {session.short()} says some of it too, in {count} places, and keeps it (--everywhere)")
    for shared in plan.shared:
        size = output.size(shared.bytes)
        click.echo(
            f"  session {shared.session.short()} shares {shared.pieces} pieces, {size}: they stay, it needs them"
        )


def listed(losses: list[Loss]) -> None:
    for loss in losses[:SHOWN]:
        size = f", {output.size(loss.ref.length)}" if loss.ref else ""
        click.echo(f"    {loss.record.short(8)} {loss.type}{size}: {loss.why}")
    if len(losses) > SHOWN:
        click.echo(f"    and {len(losses) - SHOWN} more")


def _bytes(losses: list[Loss]) -> int:
    return sum({loss.ref.hash: loss.ref.length for loss in losses if loss.ref}.values())


def show_objects(plan: Plan) -> None:
    for losses, goes in ((plan.losses, True), (plan.elsewhere, False)):
        for loss in losses:
            output.show_json(
                {
                    "session": loss.session.hex(),
                    "record": loss.record.hex(),
                    "type": loss.type,
                    "what": "body" if loss.ref else "record",
                    "body_hash": loss.ref.hash.hex() if loss.ref else None,
                    "bytes": loss.ref.length if loss.ref else None,
                    "goes": goes,
                    "why": loss.why,
                }
            )
    for shared in plan.shared:
        output.show_json(
            {"session": shared.session.hex(), "what": "shared", "pieces": shared.pieces, "bytes": shared.bytes}
        )
