"""mini-swe-agent's shells (seen with 2.4.6): Python's `shell=True`, so /bin/sh, which asks no variable of ours."""

from __future__ import annotations

import re

from tapes.pattern import pattern
from tapes.wire.json_value import Json
from tapes.wire.shells.base import Claim, Told
from tapes.wire.shells.environment import field
from tapes.wire.shells.generic import GenericShells, table_of

_TAGGED = pattern(
    r"(?:<exception>(?P<why>.*?)</exception>\s*)?<returncode>(?P<code>-?\d+)</returncode>\s*"
    r"<output>\n?(?P<output>.*?)</output>\s*",
    re.DOTALL,
)


class MiniShells(GenericShells):
    name: str = "mini"

    def claims(self, tool: str, arguments: Json) -> tuple[Claim, ...]:
        return (Claim(line),) if tool == "bash" and (line := field(arguments, "command")) else ()

    def told(self, tool: str, result: str, is_error: bool) -> Told:
        if tagged := _TAGGED.fullmatch(result):
            return _told(int(tagged["code"]), tagged["output"], False, tagged["why"] or "")
        said = table_of(result)
        code, output, why = said.get("returncode"), said.get("output"), said.get("exception_info")
        if type(code) is not int:
            return Told()
        head, tail = said.get("output_head"), said.get("output_tail")
        if isinstance(head, str) and isinstance(tail, str):
            output = f"{head}\n{tail}"
        return _told(code, output if isinstance(output, str) else None, "elided_chars" in said, str(why or ""))


def _told(code: int, output: str | None, shortened: bool, why: str) -> Told:
    """Python's return codes: a negative one is a signal; with an exception the command was not seen to its end."""
    if why:
        return Told(None, None, output, shortened, timed_out="timed out" in why)
    return Told(None if code < 0 else code, -code if code < 0 else None, output, shortened)
