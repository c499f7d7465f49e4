"""`tapes note [REF] [TEXT]`: put a note, or a snapshot of the surroundings, into a session's chain."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

import click

from tapes.archive.base import Batch, Draft
from tapes.archive.refs import resolve
from tapes.errors import UsageError
from tapes.intake.surroundings import environment_of, redacted
from tapes.wire.redact import Redactor, secret_variables
from tapes_cli.home import open_archive_for_writing

TEXT_MOST = 64 * 1024


@click.command("note")
@click.argument("words", nargs=-1, metavar="[REF] [TEXT]")
@click.option("--snapshot", "with_snapshot", is_flag=True, help="Also what this directory and machine are like now.")
def command(words: tuple[str, ...], with_snapshot: bool) -> None:
    """Add a note to the session REF, by default @, the last one. TEXT of `-` is read from standard input.

    Works while the session is being recorded and after. Redacted like everything else; prints the record's hash.
    """
    ref, text = _read(words, with_snapshot)
    if not text.strip() and not with_snapshot:
        raise UsageError("there is nothing to note", hint='tapes note "what I saw", or tapes note --snapshot')
    if len(text.encode("utf-8", "surrogateescape")) > TEXT_MOST:
        raise UsageError(f"a note has {TEXT_MOST} bytes at most")
    with open_archive_for_writing() as archive:
        found = resolve(archive, ref)
        parent = found.record or found.session
        draft = Draft("note", _body(text, with_snapshot), found.session, (parent,))
        click.echo(archive.commit(Batch([draft]))[0].hex())


def _read(words: tuple[str, ...], with_snapshot: bool) -> tuple[str, str]:
    """One word alone is what to note; a snapshot needs none, there it is the session."""
    match words:
        case ():
            ref, text = "@", ""
        case (word,):
            ref, text = (word, "") if with_snapshot else ("@", word)
        case (ref, text):
            pass
        case _:
            raise UsageError("too many words", hint="put the note in quotes")
    return ref, sys.stdin.read(TEXT_MOST + 1) if text == "-" else text


def _body(text: str, with_snapshot: bool) -> dict[str, object]:
    environ = dict(os.environb)
    redactor, spans = Redactor(secret_variables(environ)), list[list[object]]()
    body: dict[str, object] = {"kind": "note", "text": text, "who": getpass.getuser()}
    if with_snapshot:
        from tapes_addons.snapshot import snapshot

        cwd = str(Path.cwd())
        body |= {"kind": "snapshot", "cwd": cwd, "snapshot": snapshot(cwd, environ)}
        body |= environment_of(environ)
    clean = {name: redacted(value, name, redactor, spans) for name, value in body.items()}
    return clean | ({"redactions": spans} if spans else {})
