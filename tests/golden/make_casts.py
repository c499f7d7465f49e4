"""Makes the golden asciicasts: python tests/golden/make_casts.py (with tests/ on PYTHONPATH).

Only when what is exported is meant to change; say why in the commit.
"""

from __future__ import annotations

from pathlib import Path

from tapes.export.asciicast import Version, asciicast
from terminal_tape import TerminalSession

HERE = Path(__file__).parent
VERSIONS: tuple[Version, ...] = (2, 3)


def session() -> TerminalSession:
    """All that an asciicast can say, and some of what it can not."""
    session = TerminalSession(argv=[b"bash", b"-c", b"it's \xff"])
    session.terminal(
        0, [(0, "o", b"\x1b]0;title\x07$ "), (500_000, "i", b"ls\r"), (9, "o", b"ls\r\n")], (40, 10), term="xterm"
    )
    session.command(1, b"ls -l")
    session.terminal(
        1.1, [(0, "o", b"\x1b[31mred\x1b[0m caf\xc3"), (1_000, "o", b"\xa9 \xff\r\n"), (7, "r", 60, 12)], (40, 10)
    )
    session.command(4, 'echo "漢" \u2028'.encode(), None, 9)
    session.terminal(4.2, [(0, "x", 77), (2_000_000, "r", 0, 0), (0, "o", b"cut \xe6\xbc")], (60, 12), last=True)
    session.close(9.5, 3)
    return session


def cast(version: Version) -> str:
    made = session()
    return "".join(asciicast(made.archive, made.tape, version, title="golden"))


def path(version: Version) -> Path:
    return HERE / f"session_v{version}.cast"


if __name__ == "__main__":
    for version in VERSIONS:
        path(version).write_text(cast(version), "utf-8")
