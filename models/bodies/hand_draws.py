"""Plausible hand poses as anatomical angles, and how deep fingers sink into each other: for the builder's pose
components and for whoever draws hands.

Angles are a gesture or grasp, or a mixture of two, with each finger at its own place between them, noise that fingers
share and noise of their own, within the ranges of motion. Collisions are measured on capsules about the bones.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from .. import turns
from ..joints import PARENTS
from .gestures import GESTURES, LIMITS, REST_JOINTS_MM

TIPS_MM = np.array(
    [(-200.2, -1.8, 34.1), (-211.4, 3.3, -8.2), (-160.3, -2.9, -56.3), (-198.2, 3.9, -36.0), (-104.9, -34.5, 108.4)]
)
"""Fingertips (5, 3) that belong to ``gestures.REST_JOINTS_MM``, in MANO's order of fingers."""

RADII_MM = np.array([(9.5, 8.0, 5.5), (9.5, 8.0, 5.5), (8.0, 6.5, 4.8), (9.0, 7.5, 5.2), (13.0, 8.0, 6.0)])
"""Radius of each finger segment, a capsule from joint to joint."""

PALM_MM = 21.0
"""How far the palm's skin lies below the knuckles' centres."""

OVERLAP_MM = 6.0
"""Depth to which capsules of different fingers may sink into each other: skin gives way, and capsules are too round."""

FREE_SHARE = 0.15
"""Share of poses in which every finger goes its own way."""
SINGLE_SHARE = 0.4
"""Share of poses near one gesture; the rest lies between two."""


_PAIRS = np.array([
    (a, i, b, j)
    for a, b in combinations(range(5), 2)
    for i in range(3)
    for j in range(3)
    # neighbours at the knuckles and in the web of the thumb are always close
    if not ((i == 0 and j == 0) or (4 in (a, b) and (i if a == 4 else j) == 0))
])  # fmt: skip
"""Pairs of segments of different fingers that may collide: finger, segment, finger, segment."""


def draw_angles(rng: np.random.Generator, n: int) -> np.ndarray:
    """Angles (n, 21) in degrees as ``gestures.ANGLES``, within the ranges of motion; fingers may still collide."""
    table = np.stack(list(GESTURES.values()))
    first, second = table[rng.integers(len(table), size=(2, n))]
    kind = rng.random(n)
    place = np.where(kind < FREE_SHARE + SINGLE_SHARE, 0.15 * rng.random(n), rng.random(n))
    by_finger = np.clip(place[:, None] + 0.1 * rng.standard_normal((n, 5)), 0, 1)
    share = np.repeat(by_finger, (4, 4, 4, 4, 5), axis=1)
    angles = first + share * (second - first)
    free = kind < FREE_SHARE
    angles[free] = _free_fingers(rng, int(free.sum()), angles[free])

    curl = 5 * rng.standard_normal((n, 1)) + 4 * rng.standard_normal((n, 4))  # all fingers together, and each
    for finger in range(4):
        mcp, sway, pip, dip = range(4 * finger, 4 * finger + 4)
        angles[:, mcp] += curl[:, finger] + 3 * rng.standard_normal(n)
        angles[:, pip] += 1.2 * curl[:, finger] + 3 * rng.standard_normal(n)
        angles[:, dip] += 0.8 * curl[:, finger] + 3 * rng.standard_normal(n)
        angles[:, sway] += 3 * rng.standard_normal(n)
        angles[:, sway] *= np.cos(np.radians(np.clip(angles[:, mcp], 0, 90))) ** 0.5  # a bent knuckle cannot sway
    angles[:, 16:] += rng.standard_normal((n, 5)) * (4, 4, 4, 5, 6)
    return np.clip(angles, LIMITS[:, 0], LIMITS[:, 1])


def _free_fingers(rng: np.random.Generator, n: int, angles: np.ndarray) -> np.ndarray:
    """Fingers with knuckle and middle joint bent independently; the end joint goes with the middle one, two to three."""
    angles = angles.copy()
    shared = rng.random((n, 1))
    for finger in range(4):
        mcp, sway, pip, dip = range(4 * finger, 4 * finger + 4)
        own = np.clip(shared[:, 0] + 0.25 * rng.standard_normal(n), 0, 1)
        angles[:, mcp] = own * rng.uniform(0, 90, n) - 5
        angles[:, pip] = own * rng.uniform(10, 110, n)
        angles[:, dip] = angles[:, pip] * rng.uniform(0.5, 0.8, n)
        angles[:, sway] = 5 * rng.standard_normal(n)
    return angles


def hand_mirrored(poses: np.ndarray) -> np.ndarray:
    """Poses (..., 45), axis-angle, of the other hand in the mirror image."""
    return poses * np.tile((1.0, -1.0, -1.0), 15)


def overlap(poses: np.ndarray) -> np.ndarray:
    """Greatest depth (N,) in millimetres to which fingers sink into each other or into the palm, in poses (N, 45)."""
    joints, tips = posed_joints(poses)
    starts = np.stack([joints[:, 1 + 3 * f : 4 + 3 * f] for f in range(5)], 1)
    last = tips - starts[:, :, 2]
    caps = tips - last * (RADII_MM[:, 2:] / np.linalg.norm(last, axis=-1, keepdims=True))
    ends = np.concatenate([starts[:, :, 1:], caps[:, :, None]], 2)
    a, i, b, j = _PAIRS.T
    p, q, r, s = (x[:, f, k].reshape(-1, 3) for x, f, k in ((starts, a, i), (ends, a, i), (starts, b, j), (ends, b, j)))
    gap = _segment_distance(p, q, r, s).reshape(len(poses), -1)
    deepest = np.maximum((RADII_MM[a, i] + RADII_MM[b, j] - gap).max(1), 0)
    return np.maximum(deepest, _palm_depth(ends))


def _palm_depth(ends: np.ndarray) -> np.ndarray:
    """Depth (N,) to which the far ends (N, 5, 3, 3) of the fingers' outer segments sink into the palm."""
    inside = (ends[..., 0] > -105) & (ends[..., 0] < 0) & (ends[..., 2] > -45) & (ends[..., 2] < 35)
    depth = np.where(inside, ends[..., 1] + RADII_MM + PALM_MM, 0)
    return np.maximum(depth[:, :4, 1:].reshape(len(ends), -1).max(1), 0)


def posed_joints(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, 16, 3) and fingertips (N, 5, 3) of an adult right hand in poses (N, 45), millimetres from the wrist."""
    rotations = np.tile(np.eye(3), (len(poses), 16, 1, 1))
    rotations[:, 1:] = turns.vectors_to_matrices(poses.reshape(-1, 15, 3))
    rest = np.tile(REST_JOINTS_MM, (len(poses), 1, 1))
    world, shift = chain(rotations, rest, PARENTS["mano16"])

    def moved(joints: list[int], points: np.ndarray) -> np.ndarray:
        return np.einsum("njab,jb->nja", world[:, joints], points) + shift[:, joints]

    return moved(list(range(16)), REST_JOINTS_MM), moved([3, 6, 9, 12, 15], TIPS_MM)


def _segment_distance(p: np.ndarray, q: np.ndarray, r: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Distance (N,) between segments p-q and r-s (N, 3): alternating projections, exact for these short chains to 0.1 mm."""
    u, v, w = q - p, s - r, p - r
    uu, vv, uv, uw, vw = (np.einsum("ni,ni->n", *pair) for pair in ((u, u), (v, v), (u, v), (u, w), (v, w)))
    share = np.full(len(p), 0.5)
    for _ in range(12):
        other = np.minimum(np.maximum((vw + share * uv) / vv, 0), 1)
        share = np.minimum(np.maximum((other * uv - uw) / uu, 0), 1)
    return np.linalg.norm(p + share[:, None] * u - r - other[:, None] * v, axis=1)


def chain(rotations: np.ndarray, joints: np.ndarray, parents: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (B, J, 3, 3) and translations (B, J, 3) of joints: ``x -> R x + t`` from the T-pose.

    Args:
        rotations: (B, J, 3, 3) relative to the parent. joints: (B, J, 3) of the T-pose.
    """
    world, places = turns.chain(rotations, joints, parents)
    return world, places - (world @ joints[..., None])[..., 0]
