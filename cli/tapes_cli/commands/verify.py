"""`tapes verify [REF]`: re-derive every hash and link through the normal read path, in a process of its own.

The process is watched (tapes_cli.apart): damage that the storage engine dies of, or hangs on, is damage that was found.
"""

from __future__ import annotations

import re
import time
from typing import Any

import click

from tapes.errors import Damaged, TapesError, UsageError
from tapes_cli import output
from tapes_cli.apart import SILENT_S, Outcome, Teller, run_apart
from tapes_cli.exit_codes import Exit
from tapes_cli.home import home, open_archive
from tapes_cli.main import report

WORKER = "--worker"
_SUBSET = re.compile(r"([0-9]{1,9})/([0-9]{1,9})", re.ASCII)


@click.command("verify")
@click.argument("ref", required=False)
@click.option("--full", "mode", flag_value="full", help="Everything, every byte re-hashed (the default).")
@click.option("--quick", "mode", flag_value="quick", help="Only whether the tables agree; nothing is hashed.")
@click.option("--subset", metavar="N/T", help="The N-th of T parts of everything, so that T runs cover it.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
@click.option("--json", "as_json", is_flag=True, help="The report as one object.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=SILENT_S,
    show_default=True,
    help="Seconds without progress after which the reading is stopped, and called damage.",
)
@click.option(WORKER, "worker", is_flag=True, hidden=True)
def command(
    ref: str | None, mode: str | None, subset: str | None, resume: bool, as_json: bool, timeout: float, worker: bool
) -> int:
    """Check the whole archive, or one session. Exit code 0: sound; 4: damaged, and the first bad record is named."""
    part = _part(subset) if subset else None
    whole = ref is None and mode != "quick" and part is None
    if sum((ref is not None, mode is not None, part is not None)) > 1:
        raise UsageError("give one of REF, --full, --quick and --subset")
    if resume and not whole:
        raise UsageError("--resume goes on with a full run only", hint="a quick run is short, and so is a part of many")
    if worker:
        return work(ref, mode == "quick", part, resume)
    words = [f"--{mode}"] if mode else [f"--subset={subset}"] if subset else []
    words += ["--resume"] * resume
    return show(run_apart(["verify", WORKER, *words, *(["--", ref] if ref else [])], timeout), as_json)


def _part(text: str) -> tuple[int, int]:
    found = _SUBSET.fullmatch(text)
    part, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < part <= parts:
        raise UsageError(f"{text!r} is no part of a whole", hint="--subset 3/10 is the third of ten parts")
    return part, parts


# -- the child


def work(ref: str | None, quick: bool, part: tuple[int, int] | None, resume: bool) -> int:
    """Verify, and print the report as JSON."""
    from tapes.archive.refs import resolve
    from tapes.archive.verify import verify, verify_structure, verify_subset
    from tapes_cli.resume import Kept

    tell = Teller("verifying")
    kept = Kept(home() / "verify.json")
    try:
        with open_archive() as archive:
            if quick:
                found, scope = verify_structure(archive, tell.progress), "structure"
            elif part:
                found, scope = verify_subset(archive, *part, tell.progress), f"part {part[0]} of {part[1]}"
            elif ref:
                found, scope = verify(archive, resolve(archive, ref).session, tell.progress), "session"
            else:
                start = kept.load(archive) if resume else None
                if resume:
                    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(kept.begun)) if start else ""
                    said = f"goes on with the run of {since}" if start else "nothing to go on with: from the beginning"
                    click.echo(said, err=True)
                with kept.keeping(archive) as keep:
                    found, scope = verify(archive, None, tell.progress, start=start, keep=keep), "everything"
    except Damaged as error:
        tell.result({"sound": False, "first_bad": error.where, "findings": [str(error)]})
        return Exit.DAMAGED
    except TapesError as error:
        return report(error)
    first = found.first_bad
    tell.result(
        {
            "sound": first is None,
            "scope": scope,
            "hashed": not quick,
            "records": found.records,
            "objects": found.objects,
            "bytes": found.bytes,
            "first_bad": first.where if first else None,
            "withheld": [
                {"by": by, "records": gone.records, "bodies": gone.bodies} for by, gone in found.withheld.items()
            ],
            "pending": found.pending,
            "findings": [f"{finding.where}: {finding.what}" for finding in found.findings],
            "more": found.more,
        }
    )
    return Exit.OK if first is None else Exit.DAMAGED


# -- its parent


def show(done: Outcome, as_json: bool) -> int:
    result = done.result
    if done.crash or (result is None and done.status == Exit.OK):
        result = {"sound": False, "first_bad": None, "findings": [done.crash or "the reading ended without a report"]}
    if result is None:
        return done.status  # a usage error or an unknown REF, already said by the child
    if as_json:
        output.show_json(result)
    elif result["sound"]:
        click.echo(_sound(result))
        for gone in result["withheld"]:
            click.echo(f"withheld by record {gone['by']}: {gone['records']} records, {gone['bodies']} bodies")
        if result["pending"]:
            click.echo(f"{result['pending']} records are withheld and not destroyed yet: tapes archive gc", err=True)
    else:
        click.echo(f"DAMAGED; first bad record: {result['first_bad'] or 'unknown'}")
        for finding in result["findings"]:
            click.echo(f"  {output.harmless(finding)}")
        if result.get("more"):
            click.echo(f"  and {result['more']} more")
        said = "was read and is sound" if result.get("hashed", True) else "was not hashed"
        click.echo(f"Nothing was changed. What is not named here {said}.", err=True)
        click.echo("`tapes archive rebuild --dry-run` says what can be brought back.", err=True)
    return Exit.OK if result["sound"] else Exit.DAMAGED


def _sound(result: dict[str, Any]) -> str:
    records = f"{result['records']} records"
    if not result["hashed"]:
        return f"the tables agree: {records}; nothing was hashed, so a changed byte was not looked for"
    objects = f", {result['objects']} objects" if result["objects"] else ""
    scope = f" ({result['scope']})" if result["scope"].startswith("part") else ""
    return f"sound{scope}: {records}{objects}, {output.size(result['bytes'])} checked"
