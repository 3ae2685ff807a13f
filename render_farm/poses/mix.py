"""Several sources of poses with weights: drawn ones, files and folders, samples of a prior (``scene.poses.sources``).

Which source a frame takes, and which of its poses, is a pure function of (seed, frame index).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...config import UserError, nearest
from ...models.joints import joint_set as find_joint_set
from .config import PROCEDURAL, PoseConfig
from .source import PoseSource, load_pose_source, turn_of_lying

PRIOR = "prior:"
SOURCE_STREAM, BANK_SEED = 8, 20_011
BANK = 4096
"""Samples kept of a prior; frames beyond that show them again on other bodies, from other sides."""
LYING_SHARES = {"supine": 0.55, "prone": 0.2, "side": 0.25}
"""Postures of samples of an infant's prior, which knows nothing of gravity."""


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


def prior_source(name: str, joint_set: str = "smpl24") -> PoseSource:
    """Samples of a pose prior, laid down in lying postures.

    Args:
        name: of a shipped prior (open-infant, open-person), or path of a prior file.

    Raises:
        UserError: for an unknown name (nearest named) or a file that is no prior.
    """
    from ..fit.priors import FILES, read_prior

    path = FILES.get(name, Path(name))
    if not path.is_file():
        raise UserError(f"scene.poses.sources: no prior '{name}': {nearest(name, FILES)}, or the path of a prior file")
    prior = read_prior(path)
    rng = np.random.default_rng(BANK_SEED)
    drawn = np.asarray(prior.draw(rng, BANK), np.float32).reshape(BANK, -1, 3)
    names = find_joint_set(joint_set).joints
    pose = np.zeros((BANK, len(names), 3), np.float32)
    shared = [(names.index(joint), k) for k, joint in enumerate(prior.joints) if joint in names]
    if not shared:
        raise UserError(f"prior '{name}' covers {', '.join(prior.joints[:4])}...: no joint of '{joint_set}'")
    for target, k in shared:
        pose[:, target] = drawn[:, k]
    postures = rng.choice(list(LYING_SHARES), BANK, p=list(LYING_SHARES.values()))
    orient = np.stack([turn_of_lying(posture, rng) for posture in postures])
    digest = hashlib.sha256(pose.tobytes() + orient.tobytes()).hexdigest()[:16]
    labels = tuple(f"{PRIOR}{name}:{k}" for k in range(BANK))
    return PoseSource(pose, orient, np.ones(BANK, bool), tuple(map(str, postures)), labels, digest)
