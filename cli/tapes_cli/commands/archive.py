"""`tapes archive info|compact|backup|rebuild`: look after the archive's file.

Each that reads all of it works in a process of its own (tapes_cli.apart).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tapes.errors import Damaged, NotFound, TapesError
from tapes_cli import output
from tapes_cli.apart import SILENT_S, Outcome, Teller, run_apart
from tapes_cli.commands import retention
from tapes_cli.exit_codes import Exit
from tapes_cli.home import home, open_archive
from tapes_cli.main import report

if TYPE_CHECKING:
    from tapes.archive.lmdb_archive import LmdbArchive
    from tapes.archive.rebuild import Rebuilt

WORKER = "--worker"

as_json_ = click.option("--json", "as_json", is_flag=True, help="The result as one object.")
worker_ = click.option(WORKER, "worker", is_flag=True, hidden=True)
timeout_ = click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=SILENT_S,
    show_default=True,
    help="Seconds without progress after which the work is stopped.",
)


@click.group("archive")
def command() -> None:
    """Look after the archive: what it takes, compact it, copy it, make its indexes anew."""


for _other in retention.COMMANDS:
    command.add_command(_other)


# -- info


@command.command("info")
@as_json_
def info(as_json: bool) -> None:
    """Show what the archive holds and what it takes."""
    from tapes.archive.figures import figures

    with open_archive() as archive:
        found = figures(archive)
    if as_json:
        output.show_json(
            {
                "path": str(found.path),
                "format": found.version,
                "bytes": found.file_bytes,
                "disk_bytes": found.disk_bytes,
                "free_bytes": found.free_bytes,
                "sessions": found.sessions,
                "open_sessions": found.open_sessions,
                "records": found.records,
                "objects": found.objects,
                "packs": found.packs,
                "first": output.iso(found.first_ns or 0),
                "last": output.iso(found.last_ns or 0),
                "tables": {name: {"rows": t.rows, "bytes": t.bytes} for name, t in found.tables.items()},
                "users": found.users,
                "kept": [str(path) for path in found.kept],
            }
        )
        return
    click.echo(f"{found.path}  format {found.version}")
    click.echo(f"{found.sessions} sessions ({found.open_sessions} open), {found.records} records", nl=False)
    click.echo(f", {found.objects} objects in {found.packs} packs")
    click.echo(
        f"from {output.wall(found.first_ns or 0) or 'unknown'} to {output.wall(found.last_ns or 0) or 'unknown'}"
    )
    click.echo(f"{output.size(found.file_bytes)}, of which {output.size(found.free_bytes)} are free", nl=False)
    click.echo(": `tapes archive compact` gives them back" if found.free_bytes > found.file_bytes // 4 else "")
    largest = sorted(found.tables.items(), key=lambda row: -row[1].bytes)
    rows = [(name, str(table.rows), output.size(table.bytes)) for name, table in largest]
    for line in output.table(rows, ("table", "rows", "size"), stretch=0):
        click.echo(f"  {line}")
    for user in found.users:
        click.echo(f"in use by {output.harmless(user)}")
    for path in found.kept:
        click.echo(f"set aside by a rebuild: {path} ({output.size(path.stat().st_size)})")


# -- compact


@command.command("compact")
@as_json_
@timeout_
@worker_
def compact(as_json: bool, timeout: float, worker: bool) -> int:
    """Give free space inside the archive back to the disk. Nothing else may have the archive open."""
    if worker:
        return _in_child("compacting", _compact)
    return _finish(run_apart(["archive", "compact", WORKER], timeout), as_json, _show_compacted)


def _compact(tell: Teller) -> dict[str, Any]:
    from tapes.archive.copy import compact

    done = compact(home() / "archive", tell.progress)
    return {"before": done.before, "after": done.after, "records": done.report.records}


def _show_compacted(done: dict[str, Any]) -> None:
    click.echo(f"{output.size(done['before'])} before, {output.size(done['after'])} now", nl=False)
    click.echo(f"; {done['records']} records verified")


# -- backup


@command.command("backup")
@click.argument("target", type=click.Path(path_type=Path))
@as_json_
@timeout_
@worker_
def backup(target: Path, as_json: bool, timeout: float, worker: bool) -> int:
    """Copy the archive to TARGET, a new directory or a new file NAME.mdb, and verify the copy. Recording may go on."""
    if worker:
        return _in_child("copying", lambda tell: _backup(target, tell))
    return _finish(run_apart(["archive", "backup", WORKER, "--", str(target)], timeout), as_json, _show_backup)


def _backup(target: Path, tell: Teller) -> dict[str, Any]:
    from tapes.archive.copy import backup

    done = backup(home() / "archive", target.absolute(), tell.progress)
    session, head, seq = done.head or (None, None, None)
    return {
        "path": str(done.path),
        "bytes": done.bytes,
        "records": done.records,
        "sessions": done.sessions,
        "last": done.last[1].hex() if done.last else None,
        "last_place": done.last[0] if done.last else 0,
        "session": session.hex() if session else None,
        "head": head.hex() if head else None,
        "head_seq": seq,
    }


def _show_backup(done: dict[str, Any]) -> None:
    click.echo(f"{done['path']}: {output.size(done['bytes'])}, verified")
    click.echo(f"{done['sessions']} sessions, {done['records']} records", nl=False)
    click.echo(f" to {done['last'][:12]} (place {done['last_place']} in the log)" if done["last"] else "")
    if done["session"]:
        click.echo(f"latest session {done['session'][:12]}, to its record {done['head_seq']}, {done['head'][:12]}")


# -- rebuild


@command.command("rebuild")
@click.option("--dry-run", is_flag=True, help="Only say what could be brought back, and what not.")
@as_json_
@timeout_
@worker_
def rebuild(dry_run: bool, as_json: bool, timeout: float, worker: bool) -> int:
    """Make every index anew from the packs. Nothing else may have the archive open.

    Exit code 0: all of it is back. 4: something is lost; it is listed, and the old file is kept.
    """
    if worker:
        return _in_child("rebuilding", lambda tell: _rebuild(dry_run, tell))
    words = ["archive", "rebuild", WORKER, *(["--dry-run"] if dry_run else [])]
    return _finish(run_apart(words, timeout), as_json, _show_rebuilt)


def _rebuild(dry_run: bool, tell: Teller) -> dict[str, Any]:
    from tapes.archive.rebuild import rebuild

    return _rebuilt(rebuild(home() / "archive", dry_run=dry_run, fold=_fold(tell), progress=tell.progress))


def _fold(tell: Teller) -> Callable[[LmdbArchive], None]:
    """Summaries that are not there, made anew; what cannot be read has none."""
    from tapes.archive.base import Batch
    from tapes.session.rows import summary_of

    def fold(archive: LmdbArchive) -> None:
        for session in archive.sessions():
            if archive.summary(session) is None:
                try:
                    made = summary_of(archive, session)
                except (Damaged, NotFound):
                    continue
                archive.commit(Batch([], summaries={session: made.to_bytes()}))
                tell.progress(0, 0)

    return fold


def _rebuilt(done: Rebuilt) -> dict[str, Any]:
    return {
        "whole": done.whole,
        "swapped": done.swapped,
        "records": done.records,
        "objects": done.objects,
        "sessions": done.sessions,
        "before": done.before,
        "after": done.after,
        "packs": [{"pack": number, "what": what} for number, what in sorted(done.losses.packs.items())],
        "tables": done.losses.tables,
        "breaks": done.losses.breaks,
        "lost": [
            {
                "session": lost.session.hex() if lost.session else None,
                "names": list(lost.names),
                "records": [{"seq": r.seq, "hash": r.hash.hex() if r.hash else None} for r in lost.records],
                "not_whole": [digest.hex() for digest in lost.bodies],
            }
            for lost in done.lost
        ],
        "findings": [f"{finding.where}: {finding.what}" for finding in done.findings],
        "more": done.more,
        "kept": str(done.kept) if done.kept else None,
    }


def _show_rebuilt(done: dict[str, Any]) -> None:
    click.echo(f"{done['records']} records, {done['objects']} objects, {done['sessions']} sessions", nl=False)
    click.echo(" were made anew" if done["swapped"] else " can be made anew; nothing was changed")
    if done["whole"]:
        click.echo("nothing is lost; the whole was verified")
        return
    click.echo("LOST:")
    for what, rows in itertools.groupby(
        done["packs"], key=lambda row: row["what"].removeprefix(f"pack {row['pack']}: ")
    ):
        numbers = [row["pack"] for row in rows]
        name = f"pack {numbers[0]}" if len(numbers) == 1 else f"packs {numbers[0]} to {numbers[-1]}"
        click.echo(f"  {name}: {output.harmless(what)}")
    for text in (*done["tables"], *done["breaks"]):
        click.echo(f"  {output.harmless(text)}")
    for lost in done["lost"]:
        _show_lost(lost)
    click.echo(f"{len(done['findings']) + done['more']} findings when it was verified: `tapes verify` lists them")
    if done["kept"]:
        click.echo(f"The damaged file is kept: {done['kept']}", err=True)


def _show_lost(lost: dict[str, Any]) -> None:
    name = f"session {lost['session'][:12]}" if lost["session"] else "sessions unknown"
    click.echo(f"  {name}{''.join(f' {output.harmless(n)}' for n in lost['names'])}:")
    for row in lost["records"]:
        seq = f"record {row['seq']}" if row["seq"] is not None else "a record"
        click.echo(f"    {seq} {row['hash'][:12] if row['hash'] else '(hash unknown)'} is lost")
    for digest in lost["not_whole"]:
        click.echo(f"    what record {digest[:12]} refers to is not whole")


# -- the child and its parent


def _in_child(what: str, work: Callable[[Teller], dict[str, Any]]) -> int:
    open_archive().close() if what == "copying" else _there()
    tell = Teller(what)
    try:
        tell.result(work(tell))
    except TapesError as error:
        return report(error)
    return Exit.OK


def _there() -> None:
    """NotFound, with what to type, when there is no archive yet. Without opening it: its indexes may be gone."""
    if not (home() / "archive").is_dir():
        open_archive().close()


def _finish(done: Outcome, as_json: bool, show: Callable[[dict[str, Any]], None]) -> int:
    if done.crash:
        raise Damaged(
            f"{done.crash}; nothing was changed", hint="restore a backup, or copy the archive's data.mdb aside"
        )
    if done.result is None:
        return done.status  # said by the child
    if as_json:
        output.show_json(done.result)
    else:
        show(done.result)
    return Exit.OK if done.result.get("whole", True) else Exit.DAMAGED
