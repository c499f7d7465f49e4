"""The little task of `tapes demo`: a project with one wrong line, and two scripted runs that mend it.

Both runs are the same up to their fourth turn. Run `demo-a` then changes the wrong line; run `demo-b`
changes another one, is told so by the check, and needs a second try (and meets an overloaded model on the
way).
"""

from __future__ import annotations

from pathlib import Path

SCRIPT = Path(__file__).parent / "scripts" / "demo.json"
RUNS = ("demo-a", "demo-b")
PROMPT = "check.py fails. Find out why and fix it."

_README = """\
# prices

What a basket costs, in cents: the goods, 19 % tax, and shipping. Shipping is free from 50.00 on.

    python3 check.py
"""

_PRICES = '''\
"""What a basket costs. Every amount is in cents."""

TAX = 19  # percent
FREE_FROM = 5000
SHIPPING = 499


def shipping(net: int) -> int:
    return 0 if net > FREE_FROM else SHIPPING


def total(net: int) -> int:
    return net + net * TAX // 100 + shipping(net)
'''

# No byte code: two edits of equal length within one second would leave a stale .pyc, and the check would lie.
_CHECK = '''\
"""The checks of this project: status 0 when all hold."""

import sys

sys.dont_write_bytecode = True

from prices import total

EXPECTED = {0: 499, 1000: 1689, 4999: 6447, 5000: 5950}

failed = 0
for net, expected in EXPECTED.items():
    found = total(net)
    failed += found != expected
    print(f"{'ok  ' if found == expected else 'FAIL'} total({net}) is {found}, expected {expected}")
print(f"{failed} of {len(EXPECTED)} checks failed" if failed else "all checks passed")
sys.exit(1 if failed else 0)
'''


def demo_project(folder: Path) -> None:
    """Write the project into `folder`, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("README.md", _README), ("prices.py", _PRICES), ("check.py", _CHECK)):
        (folder / name).write_text(text, "utf-8")
