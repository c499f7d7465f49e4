"""The options that `tapes run` and `tapes serve` have in common: what is recorded, and where calls really go."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import click

from tapes_addons.plan import Plan


class How(TypedDict):
    """The options' values, as click gives them to a command."""

    map_host: tuple[str, ...]
    insecure_upstream: bool
    model_host: tuple[str, ...]
    all_paths: bool
    redact: str
    strict: bool


_OPTIONS = (
    click.option(
        "--map-host",
        metavar="HOST=URL",
        multiple=True,
        help="Send calls for HOST to URL (a gateway, a test server). May be repeated.",
    ),
    click.option("--insecure-upstream", is_flag=True, help="Do not check the certificates of model hosts."),
    click.option("--model-host", metavar="HOST", multiple=True, help="Record this host's calls too. May be repeated."),
    click.option("--all-paths", is_flag=True, help="Store telemetry and other non-model paths of model hosts too."),
    click.option("--redact", type=click.Choice(["standard", "strict"]), default="standard", show_default=True),
    click.option("--strict", is_flag=True, help="Refuse a model call (503) rather than let it go unrecorded."),
)


def recording[F: Callable[..., object]](command: F) -> F:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def put_into(plan: Plan, how: How) -> None:
    """What the options say, but for the model hosts, which are found out from more than them."""
    plan.map_host = list(how["map_host"])
    plan.insecure_upstream, plan.strict, plan.all_paths = how["insecure_upstream"], how["strict"], how["all_paths"]
    plan.redact = how["redact"]
