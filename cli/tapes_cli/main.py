"""The `tapes` command: finds the verb, loads its file alone, and turns errors into one line and an exit code.

Only this outermost layer reads the environment. A verb's module is imported when it is asked for, so that `tapes log`
never waits for mitmproxy or textual.
"""

from __future__ import annotations

import gc
import importlib
import keyword
import os
import sys
from typing import TYPE_CHECKING

import click

from tapes import __version__
from tapes.errors import Damaged, NotFound, TapesError
from tapes_addons.harmless import harmless
from tapes_cli.exit_codes import Exit

if TYPE_CHECKING:  # `tapes log` needs none of what it imports
    from tapes_addons.warm import Warm

VERBS = {
    "run": "Record an agent: tapes run -- claude",
    "serve": "Record agents that are started elsewhere, until stopped",
    "env": "Print the settings that lead an agent to tapes serve",
    "addon-path": "Print the script for a mitmproxy of your own",
    "deck": "Look at sessions on a screen: find, walk, replay, compare",
    "log": "List the recorded sessions",
    "show": "Show a session's timeline, exchanges or egress",
    "commands": "List the commands that ran: asked, ran and told side by side",
    "files": "The working directory at any step: what changed, by whom",
    "blame": "Which step brought each line of a file",
    "diff": "Compare two runs, or two model calls: where they part, and what differs",
    "search": "Find what was said or run, in all sessions",
    "stats": "Sum up tokens, costs, failures and times",
    "note": "Add a note to a session, or a snapshot of the surroundings",
    "cat": "Print a record, a body, or a file as it was",
    "replay": "Play a recorded screen, or print it as it was",
    "break": "Breakpoints: at which steps playing a session stops",
    "playback": "Serve a session as a model API: the run, offline",
    "checkout": "Take a moment of a session out, as files",
    "export": "Write a session as a cast, Markdown, JSON, HAR or script",
    "verify": "Re-derive every hash and link",
    "doctor": "Check that everything is in order for recording",
    "archive": "Compact, copy or repair the archive; what it takes",
    "forget": "Destroy what a session, or some of its steps, said",
    "demo": "Record two runs of a scripted agent, offline",
}


class Verbs(click.Group):
    """One verb, one file in `commands/`, imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        name = cmd_name.replace("-", "_") + ("_" if keyword.iskeyword(cmd_name) else "")
        module = importlib.import_module(f"tapes_cli.commands.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table: the help page must not import every verb.
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tapes")
def tapes() -> None:
    """The flight recorder for AI agents.

    Records what an agent said to its models and keeps it as hash-linked records; reads it back without running
    anything again. The archive is in $TAPES_HOME, else in the platform's data directory.
    """


def run(warm: Warm | None) -> None:
    """Run the command line and exit. `warm`: the capture process that waits for the plan of `tapes run`."""
    try:
        status = tapes.main(prog_name="tapes", standalone_mode=False, obj=warm)
    except click.ClickException as error:
        error.show()
        # 2 could be the agent's own status, so `run` says what env(1) says.
        ran = isinstance(error, click.UsageError) and error.ctx and error.ctx.command.name == "run"
        status = Exit.COULD_NOT_CAPTURE if ran else Exit.USAGE
    except click.Abort:
        status = 130
    except BrokenPipeError:
        # The reader of our output has left (`tapes log | head`): nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = Exit.OK
    except TapesError as error:
        status = report(error)
    gc.freeze()  # nothing is left to be done: no last look for garbage either
    sys.exit(status if isinstance(status, int) else Exit.OK)


def report(error: TapesError) -> Exit:
    """Say what is wrong and what to do next, on stderr."""
    click.echo(harmless(f"tapes: {error}", lines=True), err=True)
    if error.hint:
        click.echo(harmless(f"  {error.hint}", lines=True), err=True)
    if isinstance(error, Damaged):
        return Exit.DAMAGED
    return Exit.NOT_FOUND if isinstance(error, NotFound) else Exit.USAGE
