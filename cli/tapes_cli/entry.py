"""Where `tapes` begins: `tapes run` starts its capture process before anything else is loaded."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """The console script."""
    # What is imported stays; to look for garbage in it as often as Python does takes a tenth of a short command's time.
    gc.set_threshold(50_000)
    fill_standard_streams()
    warm = None
    # A branch changes directory and environment first, and a person is asked.
    branches = any(word.partition("=")[0] == "--from" for word in before_command(sys.argv))
    if sys.argv[1:2] == ["run"] and not branches and not {"-h", "--help"} & set(sys.argv[2:4]):
        from tapes_addons.warm import start

        warm = start()
    from tapes_cli.main import run

    run(warm)


def before_command(words: list[str]) -> list[str]:
    """Our own words of a command line."""
    return words[: words.index("--")] if "--" in words else words


def fill_standard_streams() -> None:
    """Where a caller closed one of 0, 1 and 2, put /dev/null: a file of ours opened there would be written to."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
