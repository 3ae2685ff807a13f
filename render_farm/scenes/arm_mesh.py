"""The arm of an adult's body: cut off at the shoulder, and posed with its hand flat."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from ...config import UserError
from ...models.bodies import load_body
from ...models.bodies.body import Body
from ...models.bodies.gestures import gesture
from ...models.bodies.meshes import vertex_normals
from ...models.bodies.skinning import skin
from ...models.geometry import axis_angle_to_matrix
from ...models.joints import joint_set
from ..looks.patterns import Singles
from ..poses.angles import choose
from .scene import OCCLUDER, Topology

_GESTURES = {"relaxed": 0.45, "wide_grasp": 0.3, "spread": 0.15, "power_grasp": 0.1}
_AGES = (240.0, 720.0)  # months


@dataclass(frozen=True)
class ArmMesh:
    """The left arm of a body, cut off at the shoulder.

    Attributes:
        rows: (V,) which vertices of the body. faces: (F, 3) among them.
        uv: (2V, 2) along and round the arm, twice, the second time a turn further. uv_faces: (F, 3).
        along: (V,) 0 at the shoulder, 1 at the finger tips. wrist: ``along`` of the wrist.
    """

    rows: NDArray[np.intp]
    faces: NDArray[np.int32]
    uv: Singles
    uv_faces: NDArray[np.int32]
    along: Singles
    wrist: float


@cache
def adult() -> tuple[Body, ArmMesh]:
    """The open person and its left arm."""
    body = load_body("open-person", flat_hand_mean=True)
    return body, cut_arm(body)


def cut_arm(body: Body) -> ArmMesh:
    """Find the left arm of a body of 55 joints.

    Raises:
        UserError: for a body without fingers.
    """
    if body.joint_set != "smplx55":
        raise UserError(f"body '{body.name}' ({body.joint_set}) has no fingers; arms need a body of smplx55")
    names = joint_set("smplx55").joints
    joints = body.mesh.joints.cpu().numpy()
    own = [k for k, name in enumerate(names) if name.startswith("left_") and _of_arm(name)]
    owner = np.argmax(body.weights, axis=1)
    template = body.template.astype(np.float32)
    shoulder, wrist = joints[names.index("left_shoulder"), 0], joints[names.index("left_wrist"), 0]
    kept = np.isin(owner, own) & (template[:, 0] > shoulder)
    faces = body.faces[kept[body.faces].all(1)]
    rows = np.unique(faces)
    place = np.zeros(len(template), np.int64)
    place[rows] = np.arange(len(rows))
    points = template[rows]
    along = (points[:, 0] - shoulder) / (points[:, 0].max() - shoulder)
    middle = joints[names.index("left_elbow")]
    round_ = (np.arctan2(points[:, 2] - middle[2], points[:, 1] - middle[1]) / (2 * np.pi)) % 1.0
    uv = np.stack([along, round_], 1)
    local = place[faces]
    corner = round_[local]
    across = (np.ptp(corner, axis=1) > 0.5)[:, None] & (corner < 0.5)
    return ArmMesh(
        rows=rows,
        faces=local.astype(np.int32),
        uv=np.concatenate([uv, uv + np.array([0, 1])]).astype(np.float32),
        uv_faces=(local + len(rows) * across).astype(np.int32),
        along=along.astype(np.float32),
        wrist=float((wrist - shoulder) / (points[:, 0].max() - shoulder)),
    )


def _of_arm(name: str) -> bool:
    fingers = ("index", "middle", "pinky", "ring", "thumb")
    return name.removeprefix("left_").startswith(("shoulder", "elbow", "wrist", *fingers))


@cache
def arm_topology(side: str) -> Topology:
    """Connectivity of a left or right arm; drawn as an occluder."""
    arm = adult()[1]
    flip = slice(None) if side == "left" else slice(None, None, -1)
    part = np.full(len(arm.faces), OCCLUDER, np.uint8)
    faces, coords = (np.ascontiguousarray(each[:, flip]) for each in (arm.faces, arm.uv_faces))
    return Topology(f"adult-arm-{side}", faces, arm.uv, coords, part, two_sided=True)


def posed_arm(rng: np.random.Generator) -> Singles:
    """The left arm's vertices (V, 3) and normals stacked, (2V, 3), the hand flat and its middle at the origin."""
    body, arm = adult()
    names = joint_set("smplx55").joints
    joints = body.mesh.joints.cpu().numpy().astype(np.float64)
    fingers = [k for k, name in enumerate(names) if name.startswith("left_") and k >= 25]
    wrist, elbow = names.index("left_wrist"), names.index("left_elbow")
    pose = np.zeros((55, 3), np.float32)
    pose[elbow, 1] = -np.radians(rng.uniform(8, 55))
    pose[wrist, 2] = np.radians(rng.uniform(12, 52))
    pose[wrist, 1] = np.radians(rng.normal(0, 8))
    bent = gesture(choose(rng, _GESTURES), "left", joints[[wrist, *fingers]] - joints[wrist]).reshape(15, 3)
    pose[fingers] = bent * rng.uniform(0.6, 1.1)
    betas = torch.zeros(1, len(body.mesh.shapedirs))  # shape, then expression
    betas[:, : body.num_betas] = torch.from_numpy(body.sample_betas(rng, 1, _AGES))
    with torch.no_grad():
        planes, posed = skin(body.mesh, betas, torch.from_numpy(pose)[None])
    vertices = planes[0].T.contiguous().numpy()
    normals = vertex_normals(vertices, body.faces)
    local = axis_angle_to_matrix(torch.from_numpy(pose)).numpy()
    hand = local[elbow] @ local[wrist]
    palm = 0.5 * (posed[0, wrist] + posed[0, names.index("left_middle1")]).numpy()
    moved = (vertices[arm.rows] - palm) @ hand
    return np.concatenate([moved, normals[arm.rows] @ hand]).astype(np.float32)
