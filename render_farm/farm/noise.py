"""A job without a renderer: small pictures of noise with random labels, for trying the farm itself.

Used by tests, soak runs and for measuring what the farm costs: its frames take about a tenth of a millisecond.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from ...config import config_hash
from ...datasets import storage
from ...datasets.frames import DatasetInfo, Frame, Person
from .job import FarmJob

JOINTS = 5
WIDTH, HEIGHT = 24, 16


@dataclass
class NoiseFrames:
    """Frames that depend on (seed, index) alone; every fifth one shows nobody (a :class:`.job.FrameMaker`).

    Attributes:
        seed: of the job.
        seconds: to sleep for each frame.
        poison: frames that raise.
        counts: "odd" frames made in the present call.
    """

    seed: int
    seconds: float = 0.0
    poison: frozenset[int] = frozenset()
    counts: dict[str, int] = field(default_factory=dict)

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        """Frames start..stop-1."""
        self.counts = {}
        for index in range(start, stop):
            if self.seconds:
                time.sleep(self.seconds)
            if index in self.poison:
                raise ZeroDivisionError(f"frame {index} is poison")
            self.counts["odd"] = self.counts.get("odd", 0) + index % 2
            yield self.frame(index)

    def frame(self, index: int) -> Frame:
        """One frame."""
        rng = np.random.default_rng([self.seed, index])
        picture = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        keypoints = np.concatenate([rng.random((JOINTS, 2)), rng.integers(0, 3, (JOINTS, 1))], 1).astype(np.float32)
        person = Person(rng.random(4).astype(np.float32), keypoints, 9.0, betas=rng.random(20).astype(np.float32))
        image = simplejpeg.encode_jpeg(picture)
        people = [] if index % 5 == 0 else [person]
        return Frame(index, image, HEIGHT, WIDTH, "synthetic", persons=people, source=f"{self.seed}/{index}")

    def close(self) -> None:
        """Nothing to release."""


def noise_job(folder: Path | str, frames: int, seed: int = 7, shard_frames: int = 32, **changes: Any) -> FarmJob:
    """A job of :class:`NoiseFrames`; ``changes`` go to the :class:`.job.FarmJob`."""
    config = {"kind": "noise", "seed": seed, "shard_frames": shard_frames, "scene": {"size": [HEIGHT, WIDTH]}}
    joints = tuple(f"joint{i}" for i in range(JOINTS))
    info = DatasetInfo("five", joints, ((1, 2),), None, config, config_hash(config), "free")
    make = changes.pop("make", partial(NoiseFrames, seed))
    return FarmJob(storage.absolute(folder), frames, shard_frames, info, make, **changes)
