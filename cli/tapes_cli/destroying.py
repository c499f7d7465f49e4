"""What `tapes forget` and `tapes archive gc` share: ask, write down what is to go, carry it out, say what is left."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tapes import __version__
from tapes.archive.base import Archive, Batch, Draft
from tapes.archive.redaction import Withholding
from tapes.errors import ArchiveFull, ArchiveInUse, Damaged, UsageError
from tapes.record.digest import Digest
from tapes.session.rows import summary_of
from tapes_cli import output
from tapes_cli.breakpoints import forget
from tapes_cli.checkouts import all_out
from tapes_cli.home import archive_path, cache_folder, home, index_path, open_archive_for_writing
from tapes_cli.keeping import Keeping

if TYPE_CHECKING:
    from tapes.archive.lmdb_archive import LmdbArchive


def ask(yes: bool) -> None:
    """UsageError where there is nobody to answer, Abort where the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody is here to confirm it", hint="--yes destroys it, --dry-run only says what would go")
    click.confirm("Destroy this? There is no way back.", abort=True, err=True)


def decide(archive: LmdbArchive, wanted: Sequence[tuple[Withholding, str]], reason: str, looked: int) -> list[Digest]:
    """Write down what is withheld, each with what it is in our words; the hashes of the records that say so. From here
    on it is only carried out: by us, or by the next run. ArchiveInUse when one of these sessions has records behind
    the place `looked` in the log, up to which it was looked for; UsageError when something of it was pinned since."""
    batch = Batch()
    for withholding, what in wanted:
        if withholding:
            who, parents = getpass.getuser(), tuple[Draft, ...](batch.drafts[:1])
            draft = withholding.draft(who=who, reason=reason, what=what, parents=parents, tapes=__version__)
            batch.drafts.append(draft)
    with Keeping.held(home()) as keeping:
        keeping.refuse_pinned(withholding for withholding, _ in wanted)
        sessions = {withholding.session for withholding, _ in wanted}
        if any(record.session in sessions for _, _, record in archive.log(looked)):
            raise ArchiveInUse(
                "the session was written to meanwhile, and may have said it again; nothing was destroyed",
                hint="run the same command again",
            )
        return archive.commit(batch)


def finish(said: Iterable[Digest], sessions: Collection[Digest]) -> None:
    """Carry out all that is decided, and say what came of it. ArchiveInUse when others have the archive open,
    ArchiveFull where there is no room: what is to go is then written down, and not destroyed."""
    from tapes.archive.destroy import carry_out, left_beside
    from tapes.index.file import remove
    from tapes.session.screen.keyframes import forget_all

    # Before anything else: what a screen showed, and what was said, must not outlive what was recorded of it. Whoever
    # watches a recording or searches has the archive open, so the destruction waits for them, and this is done again
    # with it. An index that is made meanwhile leaves out what is withheld.
    forget_all(cache_folder())
    remove(index_path())
    breaks = forget(home(), sessions)
    try:
        done = carry_out(archive_path())
    except (ArchiveInUse, ArchiveFull) as error:
        when = "they have ended" if isinstance(error, ArchiveInUse) else "there is room for a second file of its size"
        raise type(error)(
            f"what is to go is written down, and nothing is destroyed yet: {error}",
            hint=f"run the same command again, or `tapes archive gc`, when {when}",
        ) from error
    with open_archive_for_writing() as archive:
        archive.commit(Batch(summaries=dict(_summaries(archive, sessions))))
    if done.before:
        click.echo(f"destroyed: {done.records} records, {done.objects} pieces", nl=False)
        click.echo(f"; archive {output.size(done.before)} → {output.size(done.after)}")
    else:
        click.echo("nothing was left to destroy")
        return
    for digest in said:
        click.echo(f"withheld by record {digest.hex()}")
    for path in left_beside(archive_path()):
        click.echo(f"Not reached: {path}, an old file that a rebuild kept. Delete it.", err=True)
    for out in all_out(home()):
        if out.session in {session.hex() for session in sessions}:
            click.echo(
                output.harmless(f"Not reached: {out.path}, taken out of it at step {out.step}. Delete it."), err=True
            )
    for line in breaks:
        click.echo(output.harmless(line), err=True)
    for path in _logs():
        click.echo(f"Not reached: {path}, the log of a run that had trouble. Look, and delete it.", err=True)
    click.echo("Not reached: backups and snapshots made before, and what others were sent.", err=True)


def _summaries(archive: Archive, sessions: Iterable[Digest]) -> Iterator[tuple[Draft | Digest, bytes]]:
    for session in sessions:
        with suppress(Damaged):  # then its row says that
            yield session, summary_of(archive, session).to_bytes()


def _logs() -> list[Path]:
    return sorted((home() / "run").glob("**/capture.log"))
