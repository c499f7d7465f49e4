"""aider's shells (seen with 0.86.2): Python's `shell=True`. Its model has no tools: it suggests commands in its words,
and the user (or --yes-always) runs them. So there is nothing to hold against what ran."""

from __future__ import annotations

from tapes.wire.json_value import Json
from tapes.wire.shells.base import Claim, Told
from tapes.wire.shells.generic import GenericShells


class AiderShells(GenericShells):
    name: str = "aider"

    def claims(self, tool: str, arguments: Json) -> tuple[Claim, ...]:
        return ()

    def told(self, tool: str, result: str, is_error: bool) -> Told:
        return Told()
