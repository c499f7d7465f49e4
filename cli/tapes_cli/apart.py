"""Work in a process of its own, watched: for what reads an archive that may be damaged.

LMDB trusts its pages: a zeroed or mangled one can abort the process that reads it, or send it round in circles. So the
work is done by a child, which says on its standard output how far it is, a JSON object a line, and at last what came of
it. When the child dies or falls silent, we are still here to say so.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from tapes.values import dataclass

SILENT_S = 120
"""A child that says nothing for so long is taken to hang."""
LEAVING_S = 5
"""For a child to clean up after an interrupt that it was sent as well."""
TOLD_EVERY_S = 0.2
SHOWN_AFTER_S = 1.0
BAR = 30


class Teller:
    """In the child: says how far it is, and what came of it."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._next = 0.0

    def progress(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + TOLD_EVERY_S
            _say({"what": self.what, "done": done, "total": total})

    def result(self, found: Mapping[str, Any]) -> None:
        _say({"result": found})


def _say(line: Mapping[str, Any]) -> None:
    click.echo(json.dumps(line))
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    """The child's exit code; negative: the signal that ended it."""
    result: dict[str, Any] | None
    silent: bool = False
    """It was killed because it said nothing for too long."""

    @property
    def crash(self) -> str:
        """How it ended, in words, where it did not end by itself."""
        if self.silent:
            return "the storage engine hung while reading and was stopped"
        if self.status < 0:
            return f"the storage engine crashed while reading (signal {-self.status})"
        return ""


def run_apart(words: list[str], silent_s: float = SILENT_S) -> Outcome:
    """Run `tapes` with these words in a child; a bar on a terminal's standard error when it takes longer."""
    child = subprocess.Popen([sys.executable, "-m", "tapes_cli", *words], stdout=subprocess.PIPE)
    bar, result, silent = _Bar(), None, False
    try:
        for line in _lines(child, silent_s):
            if line is None:
                silent = True
                child.kill()
            elif "result" in line:
                result = line["result"]
            else:
                bar.show(line)
        return Outcome(child.wait(), result, silent)
    except KeyboardInterrupt:
        try:
            child.wait(LEAVING_S)
        except subprocess.TimeoutExpired:
            child.kill()
        raise
    finally:
        bar.clear()
        if child.poll() is None:
            child.kill()
            child.wait()


def _lines(child: subprocess.Popen[bytes], silent_s: float) -> Iterator[dict[str, Any] | None]:
    """What the child says; None when it said nothing for too long."""
    assert child.stdout is not None
    with selectors.DefaultSelector() as selector, child.stdout as pipe:
        selector.register(pipe, selectors.EVENT_READ)
        rest = b""
        while True:
            if not selector.select(silent_s):
                yield None
                return
            data = pipe.read1(65536)  # type: ignore[attr-defined]
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            yield from (json.loads(line) for line in lines if line.startswith(b"{"))


class _Bar:
    def __init__(self) -> None:
        self._from = time.monotonic() + SHOWN_AFTER_S
        self._shown = 0

    def show(self, line: Mapping[str, Any]) -> None:
        if time.monotonic() < self._from or not sys.stderr.isatty():
            return
        done, total = line["done"], line["total"]
        text = line["what"]
        if total:
            full = min(BAR, BAR * done // total)
            text += f"  [{'#' * full}{'-' * (BAR - full)}]  {min(100, 100 * done // total)} %"
        click.echo("\r" + text.ljust(self._shown), nl=False, err=True)
        self._shown = len(text)

    def clear(self) -> None:
        if self._shown:
            click.echo("\r" + " " * self._shown + "\r", nl=False, err=True)
