"""Points of any joint set as a linear map of a body's vertices and posed joints.

Where a point comes from, by the set it is asked for in:

- **COCO sets** (``coco17``, ``coco_wholebody133``): nose, eyes, ears, shoulders, elbows, wrists, hips, knees and ankles
  from the keypoint regressor, since COCO's hips and shoulders are not SMPL's.
- **All other sets** (``openpose25``, ``fidip19``, ``smplx127``, …): the model's joint of that name; ``neck`` is SMPL's
  joint 12, as in SMPLify-X.
- Points that are no joints: the vertex of that name (nose, eyes, ears, finger tips, toes, heels); else the keypoint
  regressor's row; else the face landmark ``face0`` … ``face67``; else what ``joints.maps.DERIVED`` makes of joints, such
  as ``mid_hip``, the mean of the two hip joints.

Everything is linear and differentiable, and costs two matrix products a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...config import UserError
from ..joints import joint_set
from ..joints.maps import DERIVED

if TYPE_CHECKING:
    from .body import Body


@dataclass(frozen=True)
class PointWeights:
    """``points = vertices @ V + joints @ J`` for vertices V (V, 3) and posed joints J (J, 3).

    Attributes:
        vertices: (K, V) and joints: (K, J), float32 on the body's device; rows of points that the body lacks are zero.
        names: the K points. missing: those that the body lacks.
    """

    vertices: torch.Tensor
    joints: torch.Tensor
    names: tuple[str, ...]
    missing: tuple[str, ...]

    def __call__(self, vertices: torch.Tensor, joints: torch.Tensor) -> torch.Tensor:
        """Points (B, K, 3) of vertices (B, V, 3) and posed joints (B, J, 3)."""
        return self.vertices @ vertices + self.joints @ joints


def point_weights(body: Body, name: str) -> PointWeights:
    """The map for a joint set by name; see the module for where each point comes from."""
    wanted = joint_set(name)
    model = {joint: k for k, joint in enumerate(joint_set(body.joint_set).joints)}
    rows = {joint: k for k, joint in enumerate(joint_set(body.keypoint_set).joints)}
    regressor = body.keypoint_regressor.cpu().numpy()
    regressed_first = set(rows) if name.startswith("coco") and body.keypoint_set == "coco17" else set()
    from_vertices = np.zeros((wanted.count, len(body.template)), np.float32)
    from_joints = np.zeros((wanted.count, body.joint_count), np.float32)
    missing = []
    for k, point in enumerate(wanted.joints):
        recipe = next((names for names in DERIVED.get(point, ()) if set(names) <= set(model)), None)
        if point in model and point not in regressed_first:
            from_joints[k, model[point]] = 1
        elif point in body.extra_vertices and point not in regressed_first:
            from_vertices[k, body.extra_vertices[point]] = 1
        elif point in rows:
            from_vertices[k] = regressor[rows[point]]
        elif point in body.landmarks:
            np.add.at(from_vertices[k], *body.landmarks[point])
        elif recipe is not None:
            from_joints[k, [model[joint] for joint in recipe]] = 1 / len(recipe)
        else:
            missing.append(point)
    device, dtype = body.mesh.template.device, body.mesh.template.dtype
    return PointWeights(
        torch.from_numpy(from_vertices).to(device, dtype),
        torch.from_numpy(from_joints).to(device, dtype),
        wanted.joints,
        tuple(missing),
    )


def refuse_missing(body: Body, name: str, missing: tuple[str, ...]) -> None:
    """Raise a :class:`UserError` that names the points of a joint set that a body lacks, if there are any."""
    if missing:
        some = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
        raise UserError(f"body '{body.name}' ({body.format}) cannot give {some} of joint set '{name}': {_why(body)}")


def _why(body: Body) -> str:
    """What a user can do about points that a body lacks."""
    if not body.extra_vertices and not body.official:
        return (
            f"its mesh ({len(body.template)} vertices, {len(body.faces)} faces) is not the official one, so its vertex "
            "numbers are unknown; add 'extra_vertices' (JSON of smplx's names to vertex numbers) to the file"
        )
    return "choose another joint set, or a body that has these points (open-person has face and fingers)"
