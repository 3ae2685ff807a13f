"""Pose priors of the open bodies, learned from the farm's own poses, and those of files.

The infant's is learned from poses as the farm lays them down, the person's from tables of
what adults do with their limbs within clinical ranges (American Academy of Orthopaedic Surgeons, 1965). Both are shipped as
small files; :func:`learn_infant` and :func:`learn_person` make them anew.
"""

from __future__ import annotations

import numpy as np
import torch

from ...config import UserError
from ...models.bodies.body import Body
from ...models.joints import joint_set
from ...models.priors import GaussianPrior, PartMixture, PosePrior
from ...models.priors.gaussian import Floats
from ...models.priors.named import SHIPPED, load_fit_prior
from .config import FitConfig

INFANT_COMPONENTS = {"trunk": 12, "arm": 32, "leg": 32, "class": 16}
PERSON_COMPONENTS = {"trunk": 10, "arm": 20, "leg": 20, "class": 12}
"""Modes of each part, and classes of the whole body."""

HAND_SPREAD = 0.4
"""Standard deviation of finger joints about the mean hand, radians."""


def pose_prior(config: FitConfig, body: Body) -> PosePrior:
    """The pose prior of a fit: that of ``prior.path`` (a name, a file, a run folder), else the body's own.

    Every body of an adult's format without a prior of its own takes the person's; hands one about their mean pose.

    Raises:
        UserError: for an unknown name, a file that is no prior, or one that shares no joint with the body.
    """
    prior = load_fit_prior(config.prior.path) if config.prior.path is not None else own_prior(body)
    if not set(prior.joints) & set(joint_set(body.joint_set).joints[1:]):
        raise UserError(f"the pose prior covers {', '.join(prior.joints[:4])}...: no joint of body '{body.name}'")
    return prior


def own_prior(body: Body) -> PosePrior:
    """The shipped prior for a body; see :func:`pose_prior`."""
    if body.format == "mano":
        names = joint_set(body.joint_set).joints[1:]
        mean = mean_pose(body)[1:].reshape(-1)
        return GaussianPrior(mean, np.eye(len(mean)) / HAND_SPREAD**2, names)
    infant = body.name == "open-infant" or "smil" in body.name.lower() or body.age_unit == "months"
    return PartMixture.from_file(SHIPPED["open-infant" if infant else "open-person"])


def mean_pose(body: Body) -> Floats:
    """Pose (J, 3) with everything at rest: zero, but for hands whose mean the body knows."""
    pose = np.zeros((body.joint_count, 3))
    first = {"smplh": (22, 37), "smplx": (25, 40)}.get(body.format, (1, 1))
    for side, start in zip(("left", "right"), first, strict=True):
        hand = body.hands.get("hand" if body.format == "mano" else side)
        if hand is not None and hand.mean is not None:
            pose[start : start + 15] = hand.mean.double().cpu().numpy().reshape(15, 3)
    return pose


def infant_poses(count: int, seed: int) -> Floats:
    """Body poses (count, 69) of the farm's infants, settled on their bed."""
    from ...models.bodies import load_body
    from ..config import BLOCK
    from ..poses.config import PoseConfig, ShapeConfig
    from ..poses.posing import Poser

    poser = Poser(load_body("open-infant"), PoseConfig(), ShapeConfig(), seed)
    with torch.no_grad():
        blocks = [poser.pose(range(start, start + BLOCK)).pose.numpy() for start in range(0, count, BLOCK)]
    return np.concatenate(blocks)[:count, 1:].reshape(count, -1).astype(np.float64)


def learn_infant(count: int = 16384, seed: int = 1_000_003) -> PartMixture:
    """The infant's prior from ``count`` poses of the farm, of a seed that no data set uses; takes minutes."""
    poses = infant_poses(count, seed)
    joints = joint_set("smpl24").joints[1:]
    return PartMixture.from_samples(poses, joints, INFANT_COMPONENTS, exemplars=1024, floor=0.03)


def learn_person(count: int = 8192, seed: int = 0) -> PartMixture:
    """The person's prior from tables of adult modes, see :mod:`.adults`; takes minutes."""
    from .adults import adult_poses

    return PartMixture.from_samples(adult_poses(count, seed), joint_set("smpl24").joints[1:22], PERSON_COMPONENTS)
