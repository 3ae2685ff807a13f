"""Samples of a pose prior as a source of poses (``prior:NAME``): drawn once, so that a frame is a function of its index.

A prior knows nothing of gravity. Samples of a density that carry their weight on what touches the ground stand as they are,
upright; others, and all of the shipped mixtures, are laid down in lying postures.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray

from ...config import UserError
from ...models.bodies import load_body
from ...models.joints import joint_set as find_joint_set
from ...models.priors import PosePrior
from ...models.priors.density import PoseDensity
from ...models.priors.named import load_prior
from ...models.threads import torch_threads
from .config import PRIOR, PlausibilityConfig
from .plausibility import Plausibility
from .source import PoseSource, turn_of_lying

BANK_SEED = 20_011
BANK = 4096
"""Samples kept of a prior; frames beyond that show them again on other bodies, from other sides."""
GRID = 1e-4
"""Radians to which samples of densities are rounded, so that all machines of a job draw the same."""
LYING_SHARES = {"supine": 0.55, "prone": 0.2, "side": 0.25}
"""Postures of samples that cannot stand."""


def prior_source(name: str, joint_set: str = "smpl24") -> PoseSource:
    """Samples of a pose prior.

    Args:
        name: of a shipped prior (open-infant, open-person), path of a prior file, or a run folder.
        joint_set: of the bodies to pose. Joints that the prior does not cover are at rest, and marked so.

    Raises:
        UserError: for an unknown name (nearest named), a file that is no prior, or one that covers no joint of the set.
    """
    try:
        prior = load_prior(name)
    except UserError as error:
        raise UserError(f"scene.poses.sources: {error}") from None
    rng = np.random.default_rng(BANK_SEED)
    drawn, joints = sample_poses(prior, BANK, BANK_SEED, rng)
    names = find_joint_set(joint_set).joints
    pose, covered = np.zeros((BANK, len(names), 3), np.float32), np.zeros(len(names), np.bool_)
    shared = [(names.index(joint), k) for k, joint in enumerate(joints) if joint in names]
    if not shared:
        raise UserError(f"prior '{name}' covers {', '.join(joints[:4])}...: no joint of '{joint_set}'")
    for target, k in shared:
        pose[:, target], covered[target] = drawn[:, k], True
    standing = stands(pose, joint_set) if isinstance(prior, PoseDensity) else np.zeros(BANK, np.bool_)
    postures = rng.choice(list(LYING_SHARES), BANK, p=list(LYING_SHARES.values()))
    orient = np.stack([turn_of_lying(posture, rng) for posture in postures])
    orient[standing], postures = np.eye(3), np.where(standing, "standing", postures)
    digest = hashlib.sha256(pose.tobytes() + orient.tobytes()).hexdigest()[:16]
    labels = tuple(f"{PRIOR}{name}:{k}" for k in range(BANK))
    return PoseSource(pose, orient, ~standing, tuple(map(str, postures)), labels, digest, covered)


def sample_poses(
    prior: PoseDensity | PosePrior, count: int, seed: int, rng: np.random.Generator | None = None
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Poses (count, C, 3) of a prior and the names of its C joints; a function of (prior, count, seed).

    Densities are sampled in float64 on one thread and rounded to :data:`GRID`; mixtures draw from ``rng``, or from one of
    the seed.
    """
    if not isinstance(prior, PoseDensity):
        rng = np.random.default_rng(seed) if rng is None else rng
        return np.asarray(prior.draw(rng, count), np.float32).reshape(count, -1, 3), prior.joints
    precise = prior.double()
    with torch_threads(1):
        drawn = precise.sample(count, torch.Generator().manual_seed(seed)).numpy()
    prior.float()
    return np.asarray(np.round(drawn / GRID) * GRID, np.float32), prior.space.joints


def stands(pose: NDArray[np.float32], joint_set: str) -> NDArray[np.bool_]:
    """(n,) whether bodies in poses (n, J, 3), their pelvis upright, have their centre of mass over what they stand on.

    Judged on the open infant for poses of SMPL's 24 joints, else on the open person.
    """
    body = load_body("open-infant" if joint_set == "smpl24" else "open-person")
    judge = Plausibility(body, PlausibilityConfig(penetration=None, joints=None, ground=None))
    names = find_joint_set(joint_set).joints
    upright = torch.zeros(len(pose), body.joint_count, 3)
    for k, name in enumerate(find_joint_set(body.joint_set).joints[1:], start=1):
        if name in names:
            upright[:, k] = torch.from_numpy(pose[:, names.index(name)])
    parts = []
    for part in upright.split(256):
        shape = torch.zeros(len(part), body.num_betas + body.num_expressions)
        parts.append(judge.judge(shape, part).excess[:, 3] <= 0)
    return np.concatenate(parts)
