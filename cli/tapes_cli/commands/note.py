"""`tapes note [REF] [TEXT]`: put a note, a mark at a step, or a snapshot of the surroundings into a session's chain."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

import click

from tapes.archive.base import Archive, Batch, Draft
from tapes.archive.refs import Ref, resolve
from tapes.errors import NotFound, UsageError
from tapes.intake.surroundings import environment_of, redacted
from tapes.record.digest import Digest
from tapes.session.marks import MOST, marks_of
from tapes.values import dataclass
from tapes.wire.redact import Redactor, secret_variables
from tapes_cli.home import open_archive_for_writing
from tapes_cli.pointing import step_meant

TEXT_MOST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Said:
    """A note before it is known what it is about."""

    ref: str
    text: str = ""
    kind: str = "note"
    """Or `snapshot`, `mark`, `unmark`."""

    @property
    def of_step(self) -> bool:
        return self.kind in ("mark", "unmark")


@click.command("note")
@click.argument("words", nargs=-1, metavar="[REF] [TEXT]")
@click.option("--snapshot", "with_snapshot", is_flag=True, help="Also what this directory and machine are like now.")
@click.option("--mark", "label", metavar="LABEL", help="Mark the step REF:12 with a label, to find it again.")
@click.option("--unmark", is_flag=True, help="Take the marks of the step REF:12 back.")
def command(words: tuple[str, ...], with_snapshot: bool, label: str | None, unmark: bool) -> None:
    """Add a note to the session REF, by default @, the last one. TEXT of `-` is read from standard input.

    Works while the session is being recorded and after. Redacted like everything else; prints the record's hash.

    \b
    tapes note "what I saw"
    tapes note @:12 "this is why"
    tapes note @:12 --mark "the wrong turn"
    tapes search is:mark
    """
    if with_snapshot + unmark + (label is not None) > 1:
        raise UsageError("--snapshot, --mark and --unmark are notes of their own")
    said = _of_step(words, label) if unmark or label is not None else _read(words, with_snapshot)
    with open_archive_for_writing() as archive:
        found = resolve(archive, said.ref)
        parent, item = _about(archive, found, said)
        draft = Draft("note", _body(said, item), found.session, (parent,))
        click.echo(archive.commit(Batch([draft]))[0].hex())


def _read(words: tuple[str, ...], with_snapshot: bool) -> Said:
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
    text = sys.stdin.read(TEXT_MOST + 1) if text == "-" else text
    if not text.strip() and not with_snapshot:
        raise UsageError("there is nothing to note", hint='tapes note "what I saw", or tapes note --snapshot')
    if _size(text) > TEXT_MOST:
        raise UsageError(f"a note has {TEXT_MOST} bytes at most")
    return Said(ref, text, "snapshot" if with_snapshot else "note")


def _of_step(words: tuple[str, ...], label: str | None) -> Said:
    """A label is one line."""
    if len(words) != 1:
        raise UsageError("a mark stands at one step", hint='tapes note REF:12 --mark "the wrong turn"')
    if label is None:
        return Said(words[0], kind="unmark")
    label = " ".join(label.split())
    if not label:
        raise UsageError("a mark has a label", hint='tapes note REF:12 --mark "the wrong turn"')
    if _size(label) > MOST:
        raise UsageError(f"a mark's label has {MOST} bytes at most", hint='longer: tapes note REF:12 "TEXT"')
    return Said(words[0], label, "mark")


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _about(archive: Archive, found: Ref, said: Said) -> tuple[Digest, int]:
    """The record that it hangs under, and of a step which item of that it is."""
    if not said.of_step and found.step is None:
        return found.record or found.session, 0
    step = step_meant(archive, found)
    place = (step.hash, step.item)
    if said.kind == "unmark" and place not in marks_of(archive.session_records(found.session)):
        raise NotFound(f"step {step.number} has no mark", hint=f"tapes search is:mark session:{found.session.short()}")
    return place


def _body(said: Said, item: int) -> dict[str, object]:
    environ = dict(os.environb)
    redactor, spans = Redactor(secret_variables(environ)), list[list[object]]()
    body: dict[str, object] = {"kind": said.kind, "text": said.text, "who": getpass.getuser()}
    if said.of_step:
        body["item"] = item
    if said.kind == "snapshot":
        from tapes_addons.snapshot import snapshot

        cwd = str(Path.cwd())
        body |= {"cwd": cwd, "snapshot": snapshot(cwd, environ)}
        body |= environment_of(environ)
    clean = {name: redacted(value, name, redactor, spans) for name, value in body.items()}
    return clean | ({"redactions": spans} if spans else {})
