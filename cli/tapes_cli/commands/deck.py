"""`tapes deck`: find a session, walk it, look at all of it; nothing is executed again."""

from __future__ import annotations

import os
import sys

import click

from tapes.archive.base import Archive
from tapes.archive.refs import Ref, resolve
from tapes.errors import UsageError
from tapes_cli.home import open_archive


@click.command("deck")
@click.argument("refs", nargs=-1, metavar="[REF [REF]]")
def command(refs: tuple[str, ...]) -> int:
    """Look at recorded sessions on a screen of its own: find one, walk it step by step, replay it, compare two.

    \b
    tapes deck               all sessions
    tapes deck @             the last one
    tapes deck fix-a:12      a session, at a step
    tapes deck 2a815b166a7d  a record, at its step
    tapes deck fix-a fix-b   two of them, side by side

    Keys: ? on every screen, or docs/deck.md. Nothing is executed again.
    """
    if len(refs) > 2:
        raise UsageError("the deck opens one session, or two to compare", hint="tapes deck A B")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the deck needs a terminal", hint="for programs: tapes show --json, tapes commands --json")
    with open_archive() as archive:
        from tapes_cli.deck.app import Deck, Target

        found = [resolve(archive, text) for text in refs]
        targets = [Target(one.session, one.step if one.record is None else step_of(archive, one)) for one in found]
        # Where they were exported they would rule, and the screen would never follow its window.
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)
        deck = Deck(archive, targets)
        deck.run()
    return deck.return_code or 0  # another one where it ended by a fault of ours


def step_of(archive: Archive, ref: Ref) -> int | None:
    """The first step that a record, or the exchange that it begins, is told by; None where none is."""
    from tapes.session.view import steps

    return next((step.number for step in steps(archive, ref.session) if ref.record in (step.hash, step.exchange)), None)
