"""`tapes verify [REF]`: re-derive every hash and link through the normal read path, in a process of its own.

LMDB trusts its pages: a zeroed or mangled one can abort the process that reads it. So the work is done by a child, and
when the child dies the archive is damaged, and we are still here to say so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import click

from tapes.errors import Damaged, TapesError
from tapes_cli import output
from tapes_cli.exit_codes import Exit
from tapes_cli.home import open_archive
from tapes_cli.main import report

WORKER = "--worker"


@click.command("verify")
@click.argument("ref", required=False)
@click.option("--json", "as_json", is_flag=True, help="The report as one object.")
@click.option(WORKER, "worker", is_flag=True, hidden=True)
def command(ref: str | None, as_json: bool, worker: bool) -> int:
    """Check the whole archive, or one session. Exit code 0: sound; 4: damaged, and the first bad record is named."""
    if worker:
        return work(ref)
    words = [sys.executable, "-m", "tapes_cli", "verify", WORKER, *([ref] if ref else [])]
    child = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    lines = [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]
    if child.returncode not in (Exit.OK, Exit.DAMAGED) and child.returncode > 0:
        return child.returncode  # a usage error or an unknown REF, already said by the child
    if child.returncode < 0 or not lines:
        lines.append(
            {
                "sound": False,
                "first_bad": None,
                "findings": [f"the storage engine crashed while reading (signal {-child.returncode})"],
            }
        )
    return show(lines[-1], as_json)


def work(ref: str | None) -> int:
    """In the child: verify, and print the report as JSON."""
    from tapes.archive.refs import resolve
    from tapes.archive.verify import verify

    try:
        with open_archive() as archive:
            session = resolve(archive, ref).session if ref else None
            progress = None
            if sys.stderr.isatty():

                def progress(done: int, total: int) -> None:
                    click.echo(f"\rverifying {done}/{total}", nl=False, err=True)

            result = verify(archive, session, progress)
    except Damaged as error:
        click.echo(json.dumps({"sound": False, "first_bad": error.where, "findings": [str(error)]}))
        return Exit.DAMAGED
    except TapesError as error:
        return report(error)
    first = result.first_bad
    click.echo(
        json.dumps(
            {
                "sound": first is None,
                "records": result.records,
                "objects": result.objects,
                "bytes": result.bytes,
                "first_bad": first.where if first else None,
                "findings": [f"{finding.where}: {finding.what}" for finding in result.findings],
            }
        )
    )
    return Exit.OK if first is None else Exit.DAMAGED


def show(result: dict[str, Any], as_json: bool) -> int:
    if as_json:
        output.show_json(result)
    elif result["sound"]:
        click.echo(
            f"sound: {result['records']} records, {result['objects']} objects, {output.size(result['bytes'])} checked"
        )
    else:
        click.echo(f"DAMAGED; first bad record: {result['first_bad'] or 'unknown'}")
        for finding in result["findings"]:
            click.echo(f"  {output.harmless(finding)}")
        click.echo("Nothing was changed. What is not named here was read and is sound.", err=True)
    return Exit.OK if result["sound"] else Exit.DAMAGED
