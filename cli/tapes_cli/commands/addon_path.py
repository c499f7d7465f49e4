"""`tapes addon-path`: the script for a mitmproxy of the user's own."""

from __future__ import annotations

from pathlib import Path

import click

import tapes_addons


@click.command("addon-path")
def command() -> None:
    """Print the path of the script that records in your own mitmproxy.

    \b
    mitmdump -s "$(tapes addon-path)"
    """
    click.echo(Path(tapes_addons.__path__[0]) / "scripts" / "capture_script.py")
