"""What retargeting needs of a body: its joints at rest, its soles, and how it moves from global rotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...config import UserError
from ...models.joints import JointSet, joint_set

if TYPE_CHECKING:
    from ...models.bodies import Body


@dataclass(frozen=True)
class Target:
    """A body at rest, T-pose, Y up, facing +Z; metres, float64.

    Attributes:
        body: name of the body.
        joint_set: its joints. parents: parent of each, -1 at the root.
        rest: (J, 3) joint positions.
        base_pose: (J, 3) axis-angle of joints that a motion says nothing about: zero, and the body's mean hands where it
            has them.
        soles: for "left" and "right", the heel (3,), turned by the ankle, and the ball and tip of the foot (2, 3),
            turned by the foot joint; points of the skin at rest.
        betas: (N,) the shape the rest is of, or None for the mean.
    """

    body: str
    joint_set: JointSet
    parents: tuple[int, ...]
    rest: np.ndarray
    base_pose: np.ndarray
    soles: dict[str, tuple[np.ndarray, np.ndarray]]
    betas: np.ndarray | None

    def index(self, name: str) -> int:
        """Position of a joint by SMPL name."""
        return self.joint_set.index(name)

    def place(self, names: Sequence[str]) -> np.ndarray:
        """Rest positions (n, 3) of joints by name."""
        return self.rest[[self.index(name) for name in names]]

    def leg_length(self) -> float:
        """Thigh and shin, mean of both sides."""
        legs = [self.place([f"{side}_hip", f"{side}_knee", f"{side}_ankle"]) for side in ("left", "right")]
        return float(np.mean([np.linalg.norm(np.diff(leg, axis=0), axis=1).sum() for leg in legs]))

    def positions(self, rotations: np.ndarray, pelvis: np.ndarray) -> np.ndarray:
        """Joint positions (T, J, 3) of global rotations (T, J, 3, 3) with the pelvis at (T, 3)."""
        result = np.empty((*rotations.shape[:2], 3))
        for joint, parent in enumerate(self.parents):
            if parent < 0:
                result[:, joint] = pelvis
            else:
                bone = self.rest[joint] - self.rest[parent]
                result[:, joint] = result[:, parent] + rotations[:, parent] @ bone
        return result

    def sole_points(self, rotations: np.ndarray, positions: np.ndarray, side: str) -> np.ndarray:
        """Heel, ball and tip of a foot (T, 3, 3) in the world."""
        ankle, foot = self.index(f"{side}_ankle"), self.index(f"{side}_foot")
        heel, toes = self.soles[side]
        at_heel = positions[:, ankle] + rotations[:, ankle] @ (heel - self.rest[ankle])
        at_toes = positions[:, foot, None] + (toes - self.rest[foot]) @ np.swapaxes(rotations[:, foot], -1, -2)
        return np.concatenate([at_heel[:, None], at_toes], 1)


def body_target(body: Body, betas: Sequence[float] | np.ndarray | None = None) -> Target:
    """Take from a body what retargeting needs.

    Args:
        betas: up to ``body.num_betas`` shape coefficients; the mean shape without.

    Raises:
        UserError: for a body that is no whole person, or too many betas.
    """
    import torch

    name = body.joint_set
    if name == "mano16":
        raise UserError(f"body '{body.name}' is a hand: motions go on whole bodies, as open-person")
    shape = torch.zeros(1, body.num_betas)
    if betas is not None:
        if len(betas) > body.num_betas:
            raise UserError(f"{len(betas)} betas given, body '{body.name}' has {body.num_betas}")
        shape[0, : len(betas)] = torch.as_tensor(np.asarray(betas, np.float32))
    with torch.no_grad():
        out = body(shape, torch.zeros(1, body.joint_count, 3), torch.zeros(1, 3))
    joints, vertices = (x[0].cpu().numpy().astype(np.float64) for x in (out.joints, out.vertices))
    joints = joints[: body.joint_count]
    base = np.zeros((body.joint_count, 3))
    if all(hand.mean is not None for hand in body.hands.values()):
        base = body.full_pose()[0].cpu().numpy().astype(np.float64)
    joints_of = joint_set(name)
    soles = {side: _sole(joints_of, body.weights, vertices, side) for side in ("left", "right")}
    kept = None if betas is None else shape[0].numpy()
    return Target(body.name, joints_of, tuple(body.parents), joints, base, soles, kept)


def _sole(names: JointSet, weights: np.ndarray, vertices: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Heel and (ball, tip) of a foot: the lowest skin of the hind quarter, of the fore half, and of the tip."""
    ankle, foot = names.index(f"{side}_ankle"), names.index(f"{side}_foot")
    dominant = weights.argmax(1)
    skin = vertices[(dominant == ankle) | (dominant == foot)]
    low, high = skin[:, 2].min(), skin[:, 2].max()
    along = (skin[:, 2] - low) / (high - low)

    def lowest(start: float, end: float) -> np.ndarray:
        part = skin[(along >= start) & (along <= end)]
        return part[part[:, 1].argmin()]

    return lowest(0.0, 0.25), np.stack([lowest(0.6, 0.8), lowest(0.85, 1.0)])
