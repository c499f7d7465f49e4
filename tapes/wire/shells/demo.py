"""The shells of the scripted agent of `tapes demo` and the tests."""

from __future__ import annotations

from collections.abc import Mapping

from tapes.pattern import pattern
from tapes.wire.shells.base import Told
from tapes.wire.shells.generic import GenericShells
from tapes.wire.shells.marked import MARKED

_STATUS = pattern(r"(?:^|\n)Exit code (-?\d+)$")


class DemoShells(GenericShells):
    name: str = "demo"
    marks, scope = MARKED["demo"]

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
