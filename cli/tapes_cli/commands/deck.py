"""`tapes deck`: find a session, walk it, look at all of it; nothing is executed again."""

from __future__ import annotations

import sys

import click

from tapes.archive.refs import resolve
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
    tapes deck fix-a fix-b   two of them, side by side

    Keys: ? on every screen, or docs/deck.md. Nothing is executed again.
    """
    if len(refs) > 2:
        raise UsageError("the deck opens one session, or two to compare", hint="tapes deck A B")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the deck needs a terminal", hint="for programs: tapes show --json, tapes commands --json")
    with open_archive() as archive:
        from tapes_cli.deck.app import Deck, Target

        targets = []
        for text in refs:
            found = resolve(archive, text)
            targets.append(Target(found.session, found.step))
        deck = Deck(archive, targets)
        deck.run()
    return deck.return_code or 0  # another one where it ended by a fault of ours
