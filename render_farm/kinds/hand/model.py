"""One side's hand, prepared: posed in the frame of grasps, and with the plausible poses of its own components."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies.blocks import blocked, pose_joints, skin_blocks, some_vertices
from ....models.bodies.body import Body
from ....models.bodies.gestures import hand_pose
from ....models.bodies.hand_draws import draw_angles, hand_mirrored
from ...poses.points import point_reader
from .grasp import Hands
from .placing import MIRROR

Floats = NDArray[np.floating]
_COEFFICIENT_DRAWS, _COEFFICIENT_SEED = 600, 311


class HandModel:
    """One side's body, prepared.

    Args:
        body: a MANO hand. side: which. joint_sets: that are labelled.
    """

    def __init__(self, body: Body, side: str, joint_sets: tuple[str, ...]) -> None:
        self.body, self.side = body, side
        self.mirror = MIRROR if side == "left" else np.ones(3)
        self.points = point_reader(body, joint_sets)
        self.tips = point_reader(body, ("mano21",))
        self.owner = owner = body.weights.argmax(1)
        template = (body.template - body.mesh.joints[0].cpu().numpy()) * self.mirror
        reach = float(np.abs(template[:, 0]).max())
        flat = (
            (owner == 0)
            & (template[:, 1] < -0.3 * np.ptp(template[owner == 0, 1]) + 0.004)
            & (template[:, 0] < -0.1 * reach)
        )
        self._mesh, self._palms = blocked(body.mesh), blocked(some_vertices(body.mesh, np.flatnonzero(flat)[::2]))
        self._radii, self._length = self._measured()
        self._spread = self._coefficients()

    def _measured(self) -> tuple[Floats, float]:
        """Radii (5, 3) in metres of the template's finger segments, from bone to pad, and its length to the middle knuckle."""
        zero = torch.zeros(1, self.body.num_betas)
        flat = pose_joints(self.body.mesh, zero, torch.zeros(1, 16, 3))
        root = self.body.mesh.joints[0].cpu().numpy()
        joints = (self.body.mesh.joints.cpu().numpy() - root) * self.mirror
        tips = (_tips(self.tips(flat, zero))[0] - root) * self.mirror
        ends = np.concatenate([joints[1:].reshape(5, 3, 3)[:, 1:], tips[:, None]], 1)
        owner = self.body.weights.argmax(1)
        points = (self.body.template - self.body.mesh.joints[0].cpu().numpy()) * self.mirror
        radii = np.empty((5, 3))
        for f in range(5):
            for k in range(3):
                start, end = joints[1 + 3 * f + k], ends[f, k]
                own = points[owner == 1 + 3 * f + k]
                share = np.clip((own - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
                gap = np.linalg.norm(own - start - share[:, None] * (end - start), axis=1)
                radii[f, k] = np.quantile(gap[(share > 0.1) & (share < 0.9)], 0.85)
        return radii, float(np.linalg.norm(joints[4]))

    def _coefficients(self) -> tuple[Floats, Floats, Floats] | None:
        """Mean (45,), components (C, 45) and deviations (C,) of plausible poses in the body's own pose space."""
        space = self.body.hands.get("hand")
        if space is None or space.components is None or space.mean is None:
            return None
        mean, components = (x.cpu().numpy().astype(np.float64) for x in (space.mean, space.components))
        drawn = draw_angles(np.random.default_rng(_COEFFICIENT_SEED), _COEFFICIENT_DRAWS)
        poses = hand_mirrored(hand_pose(drawn, "right")) if self.side == "left" else hand_pose(drawn, "right")
        return mean, components, ((poses - mean) @ components.T).std(0)

    def coefficients_pose(self, rng: np.random.Generator, count: int, spread: float, number: int) -> Floats:
        """Poses (count, 45) of this side about the flat hand, Gaussian in the first components of the body."""
        assert self._spread is not None
        mean, components, deviation = self._spread
        used = components[:number]
        draws = np.clip(rng.standard_normal((count, len(used))), -2, 2)
        return mean + spread * draws * deviation[: len(used)] @ used

    def rest(self, betas: torch.Tensor) -> tuple[Hands, Floats]:
        """Hands at rest of betas (B, N) in the frame of grasps, and their wrist joints (B, 3)."""
        skeleton = pose_joints(self.body.mesh, betas, np.zeros((len(betas), 16, 3), np.float32))
        root = skeleton.joints[:, :1]
        joints, tips = skeleton.joints - root, _tips(self.tips(skeleton, betas)) - root
        palms = skin_blocks(self._palms, skeleton, betas).numpy() - root
        scale = np.linalg.norm(joints[:, 4].astype(np.float64), axis=1) / self._length
        joints, tips, palms = (part.astype(np.float64) * self.mirror for part in (joints, tips, palms))
        return Hands(joints, tips, palms, self._radii * scale[:, None, None]), root[:, 0].astype(np.float64)

    def pose(self, betas: torch.Tensor, poses: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Vertices, joints, keypoints, tips (B, ., 3) float64 of hands in poses (B, 45) of this side, wrist at the origin."""
        full = np.zeros((len(betas), 16, 3), np.float32)
        full[:, 1:] = poses.reshape(-1, 15, 3)
        skeleton = pose_joints(self.body.mesh, betas, full)
        vertices = skin_blocks(self._mesh, skeleton, betas).numpy()
        points = vertices, skeleton.joints, self.points(skeleton, betas), _tips(self.tips(skeleton, betas))
        root = skeleton.joints[:, :1].astype(np.float64)
        return tuple(part - root for part in points)  # type: ignore[return-value]


def _tips(mano21: Floats) -> Floats:
    """Tips (B, 5, 3) in MANO's order of fingers from points of mano21, which ends with thumb, index, middle, ring, pinky."""
    return mano21[:, [17, 18, 20, 19, 16]]
