"""What a benchmark returns, and how it is timed: candidate and baseline in turns, in one process, best of the rounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure. ``baseline`` names what it is compared with and its value; ``ratio`` = value / baseline's value."""

    name: str
    value: float
    unit: str
    baseline: str
    ratio: float | None


def one_core() -> None:
    """Bind this process, and those it starts, to one core, so that "on one core" holds for libraries with threads too."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def rates(work: Mapping[str, Callable[[], int]], rounds: int = 3) -> dict[str, float]:
    """Items a second of each piece of work, the best of ``rounds`` turns.

    The pieces take turns within a round, so that a disturbance of the machine meets all of them alike; the first call of
    each is a warm-up and not timed. Each call does its piece once and returns how many items that was.
    """
    for call in work.values():
        call()
    best = dict.fromkeys(work, 0.0)
    for _ in range(rounds):
        for name, call in work.items():
            begin = time.perf_counter()
            items = call()
            best[name] = max(best[name], items / (time.perf_counter() - begin))
    return best


def compare(name: str, unit: str, found: Mapping[str, float], baseline: str) -> Row:
    """The row that sets ``found[name]`` beside ``found[baseline]``."""
    return Row(name, found[name], unit, f"{baseline}: {found[baseline]:.1f}", found[name] / found[baseline])
