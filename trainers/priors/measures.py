"""Measures on poses and joint positions alone: distances, diversity, Fréchet distance, memorisation, joint limits.

Joint positions are (n, M, 3) in metres about the root without global orientation (:mod:`.skeleton`); results are in
millimetres. Nothing here knows of priors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...config import UserError
from ...models.geometry import axis_angle_to_matrix
from ...render_farm.poses.plausibility import JointLimits

FACTORS = 2**23
"""Most numbers of an intermediate result: 32 MiB in float32."""
FURTHER_LIMITS = {"jaw": 40.0, "eyeball": 40.0, "finger": 110.0}
"""Largest rotation, degrees, of joints that the farm's filter does not judge: mandibular depression, eye movement, and the
flexion of a finger's middle joint (American Academy of Orthopaedic Surgeons, 1965: 100), each with some 10 more."""


def joint_distance(first: Tensor, second: Tensor) -> Tensor:
    """Mean distance (n,) of corresponding joints (n, M, 3), millimetres."""
    return 1000 * (first - second).norm(dim=-1).mean(-1)


def rotation_distance(first: Tensor, second: Tensor) -> Tensor:
    """Angle (..., ) radians between rotations given as rotation vectors (..., 3); exact near zero."""
    apart = axis_angle_to_matrix(first) - axis_angle_to_matrix(second)
    # |R1 - R2|_F = 2 sqrt(2) sin(angle / 2) (Hartley et al. 2013, "Rotation averaging", section 3)
    return 2 * torch.asin((apart.flatten(-2).norm(dim=-1) / 8**0.5).clamp(max=1.0))


def pair_distances(first: Tensor, second: Tensor) -> Tensor:
    """Mean joint distances (a, b) between all of (a, M, 3) and all of (b, M, 3), millimetres, in bounded memory."""
    height = max(1, FACTORS // len(second))
    rows = []
    for part in first.split(height):
        total = part.new_zeros(len(part), len(second))
        for joint in range(first.shape[1]):
            total += torch.cdist(part[:, joint], second[:, joint], compute_mode="donot_use_mm_for_euclid_dist")
        rows.append(1000 * total / first.shape[1])
    return torch.cat(rows)


def diversity(joints: Tensor) -> float:
    """Average pairwise distance (APD): mean over all pairs of different poses of the mean joint distance, millimetres.

    Yuan and Kitani 2020 (DLow), here on single poses; of two poses it is their distance.
    """
    count = len(joints)
    if count < 2:
        raise UserError(f"diversity needs two poses or more, found {count}")
    total = sum(float(pair_distances(part, joints).double().sum()) for part in joints.split(256))
    return total / (count * (count - 1))


def nearest_distance(queries: Tensor, base: Tensor) -> Tensor:
    """Mean joint distance (q,) of each of (q, M, 3) to the nearest of (N, M, 3), millimetres."""
    best = queries.new_full((len(queries),), float("inf"))
    for part in base.split(4096):
        best = torch.minimum(best, pair_distances(queries, part).amin(1))
    return best


def frechet_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Fréchet distance of the Gaussians with the moments of two samples (n, d), (m, d); in the samples' unit.

    d² = |μ₁ - μ₂|² + tr(C₁ + C₂ - 2 (C₁^½ C₂ C₁^½)^½) (Dowson and Landau 1982), the 2-Wasserstein distance.

    Raises:
        UserError: for fewer than two rows.
    """
    if min(len(first), len(second)) < 2:
        raise UserError("a Fréchet distance needs two rows or more on each side")
    one, two = (np.asarray(values, np.float64) for values in (first, second))
    covariances = [np.atleast_2d(np.cov(values.T)) for values in (one, two)]
    return gaussian_frechet(one.mean(0), covariances[0], two.mean(0), covariances[1])


def gaussian_frechet(
    mean1: NDArray[np.float64], cov1: NDArray[np.float64], mean2: NDArray[np.float64], cov2: NDArray[np.float64]
) -> float:
    """Fréchet distance of two Gaussians; see :func:`frechet_distance`."""
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov2 @ root), 0)).sum()
    square = ((mean1 - mean2) ** 2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * cross
    return float(np.sqrt(max(square, 0.0)))


def frechet_of_joints(first: Tensor, second: Tensor) -> float:
    """Fréchet distance of joint positions (n, M, 3), (m, M, 3), millimetres, divided by √M: as of one joint."""
    arrays = [1000 * values.flatten(1).double().cpu().numpy() for values in (first, second)]
    return frechet_distance(*arrays) / float(np.sqrt(first.shape[1]))


class PoseLimits:
    """Joint limits of a prior's joints: those of the farm's filter, and rough ones of jaw, eyes and fingers.

    Args:
        joints: names of the C joints.
    """

    def __init__(self, joints: Sequence[str]) -> None:
        self.limits = JointLimits(tuple(joints))
        self.further = np.full(len(joints), np.inf)
        for k, name in enumerate(joints):
            if name not in self.limits.judged:
                kind = next((kind for kind in ("jaw", "eyeball") if kind in name), "finger")
                self.further[k] = FURTHER_LIMITS[kind]

    def ratios(self, pose: Tensor) -> NDArray[np.float64]:
        """(n, C) rotation of each joint in units of its limit, of poses (n, C, 3); above 1 is beyond it."""
        vectors = pose.double().cpu().numpy()
        angles = np.degrees(np.linalg.norm(vectors, axis=-1))
        return np.asarray(np.maximum(self.limits.ratios(vectors), angles / self.further))

    def violations(self, pose: Tensor) -> float:
        """Share of poses with any joint beyond its limit."""
        return float((self.ratios(pose) > 1).any(1).mean())


def over_takes(values: Tensor, takes: NDArray[np.integer]) -> tuple[float, float | None]:
    """Mean over all poses, and the standard deviation of the takes' means (None of a single take).

    Args:
        values: (n,). takes: (n,) which take each pose is of.
    """
    found = values.double().cpu().numpy()
    means = np.array([found[takes == take].mean() for take in np.unique(takes)])
    return float(found.mean()), float(means.std(ddof=1)) if len(means) > 1 else None
