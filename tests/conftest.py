"""How many faults the fault tests try, and which: a run takes a sample, and arguments ask for others or for all.

pytest tests/archive/test_power_loss.py --fault-cases 1000 --fault-seed 7
"""

from __future__ import annotations

import gc
import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Faults:
    cases: int | None
    """As asked for; None: each test's own sample."""
    seed: int
    scale: int
    """Multiplies the sizes of hostile bodies."""

    def chance(self) -> random.Random:
        return random.Random(self.seed)

    def count(self, usual: int) -> int:
        return usual if self.cases is None else self.cases

    def some[T](self, of: Sequence[T], usual: int) -> list[T]:
        """A sample, in the order given; everything when as many were asked for."""
        count = min(self.count(usual), len(of))
        return [of[n] for n in sorted(self.chance().sample(range(len(of)), count))]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--fault-cases", type=int, default=None, help="how many each fault test tries (else a sample)")
    group.addoption("--fault-seed", type=int, default=1, help="which ones")
    group.addoption("--fault-scale", type=int, default=1, help="multiplies the sizes of hostile bodies; 25 is 100 MB")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is loaded and collected now stays to the end: to look through it again and again for garbage takes a good
    part of a run's processor time. What a test leaves is found as it was."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Faults:
    options = (request.config.getoption(f"--fault-{name}") for name in ("cases", "seed", "scale"))
    return Faults(*options)
