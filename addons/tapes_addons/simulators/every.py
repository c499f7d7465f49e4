"""One short conversation in each of the given dialects, one after the other: what `tapes doctor` records to see whether
everything works.

    python -m tapes_addons.simulators.every anthropic gemini
"""

from __future__ import annotations

import sys

from tapes_addons.simulators import agent


def main(dialects: list[str]) -> int:
    """0 when each of them said that it was done."""
    return max([agent.main(["Say hello.", "--fast", "--dialect", dialect]) for dialect in dialects], default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
