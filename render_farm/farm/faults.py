"""Fault injection for the farm: die for real at named points, a counted number of times.

The counts lie in files, so they outlive the processes that they kill. Used by tests, soak runs and ``sim2pose bench``.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

POINTS = ("before_write", "before_publish", "after_publish")


@dataclass(frozen=True)
class FaultPlan:
    """Hooks for ``publish_shard`` that kill or hang their own process.

    Attributes:
        folder: where the marker files lie; each fault that fired leaves ``<point>-<shard>-<n>`` there.
        at: (point, shard id) -> how many times to fire there.
        probability: of firing at any other point, drawn from (seed, point, shard, how often passed).
        limit: at most this many faults by probability.
        action: "kill" (SIGKILL to itself), "exit" (``os._exit``) or "hang" (sleep for an hour).
    """

    folder: Path
    at: dict[tuple[str, int], int] = field(default_factory=dict)
    probability: float = 0.0
    limit: int = 1_000_000
    seed: int = 0
    action: str = "kill"

    def __call__(self, point: str, shard_id: int) -> None:
        """Fire if the plan says so; each planned fault fires once, whatever process asks."""
        for n in range(self.at.get((point, shard_id), 0)):
            if self._claim(f"{point}-{shard_id}-{n}"):
                self._fire()
        if self.probability and len(self.fired()) < self.limit:
            passed = 0
            while not self._claim(f".passed-{point}-{shard_id}-{passed}"):
                passed += 1
            rng = np.random.default_rng([self.seed, POINTS.index(point), shard_id, passed])
            if rng.random() < self.probability and self._claim(f"{point}-{shard_id}-random{passed}"):
                self._fire()

    def fired(self) -> list[str]:
        """Names of the faults that fired."""
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))

    def _claim(self, name: str) -> bool:
        try:
            os.close(os.open(self.folder / name, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def _fire(self) -> None:
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.action == "exit":
            os._exit(17)
        elif self.action == "hang":
            time.sleep(3600)
        else:
            raise ValueError(f"unknown action '{self.action}': known: kill, exit, hang")
