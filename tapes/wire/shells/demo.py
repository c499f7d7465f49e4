"""The shells of the scripted agent of `tapes demo` and the tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tapes.wire.shells.base import Told
from tapes.wire.shells.generic import GenericShells

_STATUS = re.compile(r"(?:^|\n)Exit code (-?\d+)$")


@dataclass(frozen=True, slots=True)
class DemoShells(GenericShells):
    name: str = "demo"
    marks: tuple[str, ...] = ("TAPES_DEMO_CALL",)
    scope: tuple[str, ...] = ("TAPES_DEMO_CALL",)

    def told(self, tool: str, result: str, is_error: bool) -> Told:
        if not is_error:
            return Told(status=0, output="" if result == "(no output)" else result)
        status = _STATUS.search(result)
        if status is None:
            return Told(timed_out=result.rpartition("\n")[2].startswith("Stopped after "))
        code = int(status[1])  # Python's: a negative one is a signal
        output = result[: status.start()]
        return Told(None if code < 0 else code, -code if code < 0 else None, output)

    def join_marks(self, environ: Mapping[bytes, bytes]) -> Mapping[str, str]:
        call = environ.get(b"TAPES_DEMO_CALL", b"")
        return {"env": call.decode("utf-8", "replace")} if call else {}
