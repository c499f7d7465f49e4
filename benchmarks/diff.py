"""Aligning two runs: right or wrong against truth made by hand, beside a plain LCS by tool name; and how long it takes.

    python benchmarks/diff.py [turns]

The ten pairs are those of the tests (tests/compare/pairs.py). An alignment is a set of pairs of steps; told is how many
of its pairs are true (precision) and how many of the true ones it has (recall). The LCS is what a first attempt does:
the longest common subsequence of the steps' types and tools' names. Times are of made-up runs of so many turns (three
steps each: words, a call, a result), with the most memory that Python asked for meanwhile.
To reach: 2,000 steps a side in 2 s; memory that does not grow with the square of them.
"""

from __future__ import annotations

import json
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from compare.pairs import CASES, Recorder
from tapes.compare.runs import compare
from tapes.compare.units import Side
from tapes.record.digest import blob_digest
from tapes.session.view import Step

TURNS = 667
type Pairs = set[tuple[str, str]]
type Turn = tuple[str, str, str]


def by_meaning(a: Recorder, b: Recorder) -> Pairs:
    rows = compare(a.side(), b.side()).rows
    found = ((row.a.number, row.b.number) for row in rows if row.a and row.b)
    return {(a.names[i], b.names[j]) for i, j in found if i in a.names and j in b.names}


def by_tool_name(a: Recorder, b: Recorder) -> Pairs:
    one, other = ([step for step in side.steps if step.number in side.names] for side in (a, b))
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in range(len(one) - 1, -1, -1):
        for j in range(len(other) - 1, -1, -1):
            same = _tool(one[i]) == _tool(other[j])
            table[i][j] = table[i + 1][j + 1] + 1 if same else max(table[i + 1][j], table[i][j + 1])
    found, i, j = set(), 0, 0
    while i < len(one) and j < len(other):
        if _tool(one[i]) == _tool(other[j]):
            found.add((a.names[one[i].number], b.names[other[j].number]))
            i, j = i + 1, j + 1
        elif table[i + 1][j] >= table[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def _tool(step: Step) -> tuple[str, str]:
    return step.type, str(step.facts.get("name", ""))


def rightness() -> None:
    print(f"{'pair':<58} {'true':>4}  {'meaning: right, missed, wrong':>30}  {'LCS by tool: right, missed, wrong':>34}")
    sums = [[0, 0, 0], [0, 0, 0]]
    for case in CASES:
        truth, cells = case.truth(), []
        for n, how in enumerate((by_meaning, by_tool_name)):
            a, b = case.recorded()
            found = how(a, b)
            counts = (len(found & truth), len(truth - found), len(found - truth))
            sums[n] = [total + count for total, count in zip(sums[n], counts, strict=True)]
            cells.append(", ".join(map(str, counts)))
        print(f"{case.name:<58} {len(truth):>4}  {cells[0]:>30}  {cells[1]:>34}")
    for name, (right, missed, wrong) in zip(("by meaning", "LCS by tool"), sums, strict=True):
        print(f"{name}: precision {right / (right + wrong):.3f}, recall {right / (right + missed):.3f}")


# -- how long


def turn(draw: random.Random, words: Sequence[str], n: int) -> Turn:
    lines = ("pytest -q tests/{}", "cat src/{}", "sed -i s/a/b/ {}", "ls {}", "grep -rn {} .", "git diff {}", "rm {}")
    output = "\n".join(" ".join(draw.choices(words, k=10)) for _ in range(30))
    return " ".join(draw.choices(words, k=20)), draw.choice(lines).format(draw.choice(words)), f"{n}\n{output}"


def side(seed: str, turns: Sequence[Turn]) -> Side:
    steps: list[Step] = []

    def add(kind: str, text: str, n: int, **facts: str) -> None:
        number = len(steps) + 1
        digest = blob_digest(f"{seed} {number}".encode())
        steps.append(
            Step(number, kind, digest, 0, blob_digest(f"{seed} turn {n}".encode()), "", number, text, facts=facts)
        )

    for n, (words, line, output) in enumerate(turns):
        add("answer", words, n)
        add("tool.use", json.dumps({"command": line}), n, name="Bash", id=f"{seed}{n}")
        add("tool.result", output, n, name="Bash", id=f"{seed}{n}")
    return Side(steps, {}, "claude", f"/work/{seed}")


def timed(name: str, a: Sequence[Turn], b: Sequence[Turn]) -> None:
    one, other = side("a", a), side("b", b)
    began = time.perf_counter()
    compare(one, other)
    took = time.perf_counter() - began
    tracemalloc.start()
    made = compare(side("a", a), side("b", b))
    most = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    kinds = {
        kind: sum(row.kind == kind for row in made.rows) for kind in ("same", "changed", "only_a", "only_b", "moved")
    }
    print(f"{name:<26} {len(one.steps):>6} × {len(other.steps):<6} {took:6.2f} s {most:7.1f} MB  {kinds}")


def speed(turns: int) -> None:
    draw = random.Random(1)
    words = [f"word{n}" for n in range(3000)]
    base = [turn(draw, words, n) for n in range(turns)]
    pool = [turn(draw, words, n) for n in range(12)]
    made: dict[str, Callable[[], tuple[list[Turn], list[Turn]]]] = {
        "equal": lambda: (base, base),
        "1 turn in 20 is gone": lambda: (base, [one for one in base if draw.random() > 0.05]),
        "1 turn in 5 is another": lambda: (
            base,
            [one if draw.random() > 0.2 else turn(draw, words, 0) for one in base],
        ),
        "nothing in common": lambda: (base, [turn(draw, words, n) for n in range(turns)]),
        "loops of twelve turns": lambda: tuple([draw.choice(pool) for _ in range(turns)] for _ in "ab"),  # type: ignore[dict-item, return-value]
        "the halves exchanged": lambda: (base, base[turns // 2 :] + base[: turns // 2]),
    }
    for name, pair in made.items():
        timed(name, *pair())


if __name__ == "__main__":
    rightness()
    print()
    speed(int(sys.argv[1]) if len(sys.argv) > 1 else TURNS)
