"""`tapes deck`: find a session, walk it, look at all of it; nothing is executed again."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from tapes.archive.base import Archive
from tapes.archive.refs import resolve
from tapes.errors import UsageError
from tapes.session.view import view
from tapes_cli.home import open_archive
from tapes_cli.pointing import step_of

if TYPE_CHECKING:
    from tapes_cli.deck.app import Target


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
        from tapes_cli.deck.app import Deck

        targets = [target(archive, text) for text in refs]
        # Where they were exported they would rule, and the screen would never follow its window.
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)
        deck = Deck(archive, targets)
        deck.run()
    return deck.return_code or 0  # another one where it ended by a fault of ours


def target(archive: Archive, text: str) -> Target:
    """What a REF means here: a session, one of its steps, the step of a record."""
    from tapes_cli.deck.app import Target

    meant = resolve(archive, text)
    if meant.record is None:
        return Target(meant.session, meant.step)
    found = view(archive, meant.session)
    return Target(meant.session, step_of(meant, found, list(found.steps)))
