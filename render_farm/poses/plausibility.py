"""Is a posed body possible? Parts that pass through each other, joints beyond their limits, the ground, balance.

Judged on spheres (:mod:`.capsules`), a whole block at once, so that a frame costs tens of microseconds. A pose that fails
is drawn again; how often, and why, is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.bodies.body import Body
from ...models.joints import joint_set
from ...models.turns import vectors_to_matrices
from .capsules import SHRINK, build_capsules, place_capsules
from .config import PlausibilityConfig

Floats = NDArray[np.float64]

REASONS = ("self_penetration", "joint_limit", "ground_penetration", "unsupported")

TURN = {
    "spine1": 60.0, "spine2": 60.0, "spine3": 60.0, "neck": 75.0, "head": 75.0, "collar": 65.0, "hip": 165.0,
    "ankle": 80.0, "foot": 75.0, "wrist": 110.0, "hand": 130.0,
}  # fmt: skip
"""Largest rotation of a joint, degrees, any axis: passive ranges of adults (American Academy of Orthopaedic Surgeons, 1965)
plus some 20 degrees, since infants bend farther and models share a spine's bend among three joints."""
FLEX = {"knee": (-15.0, 170.0), "elbow": (-20.0, 170.0)}
"""Range of flexion of a hinge, degrees."""
DIRECTIONS = np.stack([np.cos(np.linspace(0, 2 * np.pi, 16, endpoint=False)),
                       np.sin(np.linspace(0, 2 * np.pi, 16, endpoint=False))], 1)  # fmt: skip


class JointLimits:
    """Limits of the joints of a pose, by name; joints that no table names are not judged.

    Args:
        names: of the J joints of the poses to judge.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        sides = [name.removeprefix("left_").removeprefix("right_") for name in names]
        self.names = names
        self._balls = [k for k, key in enumerate(sides) if key in TURN]
        self._most = np.array([TURN[sides[k]] for k in self._balls])
        self._hinges = [(k, name, *FLEX[sides[k]]) for k, name in enumerate(names) if sides[k] in FLEX]
        self.judged = {names[k] for k in [*self._balls, *(hinge[0] for hinge in self._hinges)]}

    def ratios(self, pose: NDArray[np.floating]) -> Floats:
        """(B, J) rotation of each joint of poses (B, J, 3), axis-angle, in units of its limit; hinges by their flexion."""
        ratios = np.zeros(pose.shape[:2])
        ratios[:, self._balls] = np.degrees(np.linalg.norm(pose[:, self._balls], axis=2)) / self._most
        turns = vectors_to_matrices(np.asarray(pose[:, [hinge[0] for hinge in self._hinges]], np.float64))
        for row, (k, name, low, high) in enumerate(self._hinges):
            middle, half = (low + high) / 2, (high - low) / 2
            ratios[:, k] = np.abs(flexion_angle(turns[:, row], name) - middle) / half
        return ratios


@dataclass(frozen=True)
class Judgement:
    """What is wrong with B poses.

    Attributes:
        excess: (B, R) by how much each of :data:`REASONS` exceeds its limit, in limits; 0 or less is fine.
    """

    excess: Floats

    @property
    def plausible(self) -> NDArray[np.bool_]:
        """(B,) nothing is wrong."""
        return np.asarray((self.excess <= 0).all(1))

    @property
    def badness(self) -> Floats:
        """(B,) the sum of what is too much: the smaller the better."""
        return np.asarray(np.maximum(self.excess, 0).sum(1))

    def counts(self, rejected: NDArray[np.int64]) -> dict[str, int]:
        """How many of the rejected (indices) fail for each reason that occurs; a pose may fail for several."""
        failed = (self.excess[rejected] > 0).sum(0)
        return {reason: int(count) for reason, count in zip(REASONS, failed, strict=True) if count}


class Plausibility:
    """Judges poses of one body.

    Args:
        body: a whole body (SMPL, SMPL-H, SMPL-X format).
        config: limits; a limit of None is not judged.
    """

    def __init__(self, body: Body, config: PlausibilityConfig) -> None:
        self.body, self.config = body, config
        self.capsules = build_capsules(body)
        self.height = float(np.ptp(body.template[:, 1]))
        self.limits = JointLimits(joint_set(body.joint_set).joints)

    def judge(
        self, shape: torch.Tensor, pose: torch.Tensor, ground: Floats | None = None, held: bool = False
    ) -> Judgement:
        """Judge a batch.

        Args:
            shape: (B, N) betas, then expression. pose: (B, J, 3) axis-angle, global orientation in a world with Y up.
            ground: (B,) height of the ground below the root's rest position, metres; None: the body touches it.
            held: whether something else holds the bodies, so that balance does not matter.
        """
        centres, radius = place_capsules(self.body, self.capsules, shape, pose)
        limits, count = self.config, len(pose)
        excess = np.full((count, len(REASONS)), -1.0)
        if limits.penetration is not None:
            excess[:, 0] = self._penetration(centres, radius) / limits.penetration - 1
        if limits.joints is not None:
            excess[:, 1] = self.limits.ratios(pose.double().numpy()).max(1) / limits.joints - 1
        low = (centres[..., 1] - radius).min(1)
        if limits.ground is not None and ground is not None:
            excess[:, 2] = np.maximum(ground - low, 0) / (limits.ground * self.height) - 1
        if limits.balance is not None and not held:
            excess[:, 3] = self._imbalance(centres, radius, low if ground is None else ground) / limits.balance - 1
        return Judgement(excess)

    def _penetration(self, centres: Floats, radius: Floats) -> Floats:
        """(B,) deepest overlap of two parts, as a share of the thinner one's radius."""
        first, second = self.capsules.pairs.T
        thick = SHRINK * radius
        gap = np.linalg.norm(centres[:, first] - centres[:, second], axis=2) - thick[:, first] - thick[:, second]
        return np.asarray(np.maximum(-gap / np.minimum(thick[:, first], thick[:, second]), 0).max(1))

    def _imbalance(self, centres: Floats, radius: Floats, ground: Floats) -> Floats:
        """(B,) how far the centre of mass lies outside of what the body rests on, seen from above, in heights."""
        below = (centres[..., 1] - radius) - ground[:, None] < 0.05 * self.height
        flat = centres[..., [0, 2]] @ DIRECTIONS.T  # (B, S, 16)
        edge = np.where(below[..., None], flat + radius[..., None], -np.inf).max(1)
        mass = np.einsum("s,bsd->bd", self.capsules.mass, flat)
        return np.asarray(np.maximum(mass - edge, 0).max(1) / self.height)


def flexion_angle(turn: NDArray[np.floating], joint: str) -> Floats:
    """Flexion (B,) in degrees of a knee or an elbow from its local rotation (B, 3, 3), positive as the joint bends.

    At rest (SMPL's T-pose) the shin points to -Y and bends towards -Z; the forearms point to +X (left) and -X (right) and
    bend towards +Z.
    """
    if joint.endswith("knee"):
        bone = -turn[:, :, 1]
        return np.asarray(np.degrees(np.arctan2(-bone[:, 2], -bone[:, 1])))
    side = 1.0 if joint.startswith("left") else -1.0
    bone = side * turn[:, :, 0]
    return np.asarray(np.degrees(np.arctan2(bone[:, 2], side * bone[:, 0])))
