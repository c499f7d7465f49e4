"""A capture process that keeps nothing but what it is told of the screen: lines of JSON in the archive's home."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tapes_addons.plan import Plan
from tapes_addons.terminal.listener import Listener
from tapes_addons.terminal.marks import Marks


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[-1]))
    _, fds, _, _ = socket.recv_fds(control, 1, 2)
    lines = control.makefile("rb")
    plan = Plan.from_json(lines.readline())
    kept, seen_ns = Path(plan.home) / "kept", 0
    if kept.exists():
        # A killed one may have left half a line.
        whole = kept.read_text().rpartition("\n")[0]
        kept.write_text(whole + "\n" if whole else "")
        seen_ns = max([json.loads(line)[1].get("mono_ns", 0) for line in whole.splitlines()], default=0)
    with kept.open("a", buffering=1) as file, (Path(plan.home) / "keepers").open("a", buffering=1) as keepers:
        keepers.write(f"{os.getpid()}\n")

        def put(value: object) -> None:
            fields: dict[str, Any] = asdict(value)  # type: ignore[call-overload]
            file.write(json.dumps([type(value).__name__, fields], default=lambda data: data.decode("latin-1")) + "\n")

        marks = Marks(plan.marks, os.fsencode(Path(plan.argv[0]).name)) if plan.marks else None
        listener = Listener(socket.socket(fileno=fds[1]), put, marks, seen_ns) if len(fds) > 1 else None
        control.sendall(b'{"session": "00"}\n{"ready": true}\n')
        for line in lines:
            if "finish" in json.loads(line):
                if listener is not None:
                    listener.join(5)
                names = ("exchanges", "complete", "partial", "gaps", "tool_uses", "lost", "redactions")
                done = {"calls": 1, "outcomes": {}, "all_written": True, "end_written": True, **dict.fromkeys(names, 0)}
                control.sendall(json.dumps({"done": done}).encode() + b"\n")
                return


if __name__ == "__main__":
    main()
