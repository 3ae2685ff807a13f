"""Several sources of poses with weights: drawn ones, files and folders, samples of a prior (``scene.poses.sources``).

Which source a frame takes, and which of its poses, is a pure function of (seed, frame index).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...config import UserError
from .config import PRIOR, PROCEDURAL, PoseConfig
from .prior_source import prior_source
from .source import PoseSource, load_pose_source

SOURCE_STREAM = 8


@dataclass(frozen=True)
class PoseMix:
    """Sources and their shares.

    Attributes:
        names: as the config names them. sources: None stands for procedural poses.
        edges: cumulated shares, the last 1.
    """

    names: tuple[str, ...]
    sources: tuple[PoseSource | None, ...]
    edges: tuple[float, ...]

    def choose(self, seed: int, index: int) -> int:
        """Which source frame ``index`` takes."""
        if len(self.names) == 1:
            return 0
        draw = np.random.default_rng([seed, index, SOURCE_STREAM]).random()
        return min(int(np.searchsorted(self.edges, draw, side="right")), len(self.names) - 1)

    @property
    def digest(self) -> str | None:
        """16 hex digits of what the files hold, or None if there are only procedural poses."""
        found = [source.digest for source in self.sources if source is not None]
        return hashlib.sha256("".join(found).encode()).hexdigest()[:16] if found else None


def load_pose_mix(config: PoseConfig, joint_set: str = "smpl24") -> PoseMix:
    """Read the sources that a config names, for bodies of a joint set.

    Raises:
        UserError: for a file that is absent, damaged or of another width, a path that is neither file nor folder, or an
            unknown prior (nearest named).
    """
    weights = {name: weight for name, weight in config.mix.items() if weight > 0}
    edges = np.cumsum(list(weights.values()))
    sources = tuple(None if name == PROCEDURAL else _load(name, joint_set) for name in weights)
    return PoseMix(tuple(weights), sources, tuple((edges / edges[-1]).tolist()))


def _load(name: str, joint_set: str) -> PoseSource:
    if name.startswith(PRIOR):
        return prior_source(name.removeprefix(PRIOR), joint_set)
    if not Path(name).exists():
        raise UserError(
            f"scene.poses.sources: no pose file or folder at '{name}'; priors are named {PRIOR}NAME, drawn poses "
            f"'{PROCEDURAL}'"
        )
    return load_pose_source(name, joint_set)
