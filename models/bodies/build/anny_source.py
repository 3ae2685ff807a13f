"""Anny (Brégier et al. 2025) seen as an SMPL body: T-pose, 24 joints, Y up. Used by the builder alone.

Anny is a rigged MakeHuman body with 104 bones. An SMPL joint stands for a group of bones: its rotation goes to the
group's first bone, the others follow rigidly, so that skinning weights simply add up within a group.

Only Anny's default topology is used: its data are CC0, while its ``smpl`` and ``smplx`` topologies would fetch
non-commercial files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import roma
import torch
from scipy.spatial import cKDTree

from ...joints import JOINT_SETS

AXES = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Anny's world (Z up, facing -Y) to SMPL's (Y up, facing +Z): rows are SMPL's x, y, z."""

_MIDDLE = {
    "pelvis": ("root", "pelvis.L", "pelvis.R", "spine05"),
    "spine1": ("spine04",),
    "spine2": ("spine03",),
    "spine3": ("spine02", "spine01"),
    "neck": ("neck01", "neck02", "neck03"),
    "head": ("head", "eye.L", "eye.R"),
}
_SIDED = {
    "hip": ("upperleg01", "upperleg02"),
    "knee": ("lowerleg01", "lowerleg02"),
    "ankle": ("foot",),
    "foot": tuple(f"toe{t}-{s}" for t in (1, 2, 3, 4, 5) for s in (1, 2, 3) if (t, s) != (1, 3)),
    "collar": ("clavicle", "shoulder01"),
    "shoulder": ("upperarm01", "upperarm02"),
    "elbow": ("lowerarm01", "lowerarm02"),
    "wrist": ("wrist", "metacarpal1", "metacarpal2", "metacarpal3", "metacarpal4"),
    "hand": tuple(f"finger{f}-{s}" for f in (1, 2, 3, 4, 5) for s in (1, 2, 3)),
}
FREE_JOINTS = tuple(i for i, name in enumerate(JOINT_SETS["smpl24"].joints) if not name.endswith(("foot", "_hand")))
"""SMPL joints that one Anny bone can turn. Toes and fingers hang on several bones and stay at rest in comparisons."""

CURL_DEGREES = {
    "finger1": (18.0, 22.0, 28.0),
    **{f"finger{f}": (38.0, 48.0, 32.0) for f in (2, 3, 4, 5)},
}
"""Flexion of each finger segment (1 is the thumb) in the template: the loosely closed hand of a resting infant."""


def bone_groups() -> list[tuple[str, ...]]:
    """Bones of each SMPL joint, the first one being the bone that takes the joint's rotation."""
    groups = []
    for name in JOINT_SETS["smpl24"].joints:
        side, _, part = name.partition("_")
        groups.append(tuple(f"{bone}.{side[0].upper()}" for bone in _SIDED[part]) if part else _MIDDLE[name])
    return groups


@dataclass(frozen=True)
class RestPose:
    """Global rotations (bones, 3, 3), Anny's axes, from Anny's reference pose to SMPL's T-pose with curled fingers."""

    rotations: torch.Tensor


class AnnySource:
    """Anny behind an SMPL-like call; everything in float64, SMPL's axes and metres."""

    def __init__(self, local_changes: list[str]) -> None:
        """Load Anny with the named local shape changes.

        The first load of a set of changes takes a minute or two and fills Anny's cache (``ANNY_CACHE_DIR``, 0.8 GB).
        """
        import anny

        self.anny = anny
        self.model = anny.Anny(skinning_method="lbs", local_changes=list(local_changes)).double()
        self.bones: list[str] = self.model.bone_labels
        self.parents: list[int] = [int(p) for p in self.model.bone_parents]
        self.groups = [[self.bones.index(bone) for bone in group] for group in bone_groups()]
        self.faces = self.model.faces.numpy()
        self.uv = self.model.texture_coordinates.numpy()
        self.uv_faces = self.model.face_texture_coordinate_indices.numpy()
        weights = self.model.dense_vertex_bone_weights
        self.weights = torch.stack([weights[:, group].sum(1) for group in self.groups], 1).numpy()
        self.axes = torch.from_numpy(AXES)
        self.rest = self._rest_pose()

    def region(self, *labels: str) -> np.ndarray:
        """Mask (F,) of the faces in MakeHuman regions such as "mouth_cavity", "eye_back.L" or "tongue"."""
        from anny.face_segmentation import get_face_segmentation_mask

        return np.asarray(get_face_segmentation_mask(self.model, list(labels))).astype(bool)

    def mirror(self) -> np.ndarray:
        """Permutation (V,) of vertices that mirrors the mesh; MakeHuman's base mesh is exactly symmetric."""
        base = self.model.template_vertices.numpy()
        gaps, opposite = cKDTree(base).query(base * (-1.0, 1.0, 1.0))
        assert gaps.max() < 1e-9
        return opposite

    def coco_regressor(self) -> np.ndarray:
        """Anny's own COCO-17 regressor, (17, V)."""
        regressor = self.anny.KeypointsRegressor.coco(self.model)
        assert tuple(regressor.labels[:17]) == JOINT_SETS["coco17"].joints
        return regressor.regression_weights[:17].numpy()

    def __call__(self, shapes: dict[str, Any], pose: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (B, V, 3) and SMPL joints (B, 24, 3) of shapes in a pose.

        Args:
            shapes: ``phenotypes`` and ``local_changes``, each a dict of name to (B,) values.
            pose: (B, 24, 3) axis-angle of SMPL joints about the T-pose, toes and fingers zero; None is the T-pose.
        """
        batch = len(next(iter(shapes["phenotypes"].values())))
        turns = np.zeros((batch, 24, 3)) if pose is None else pose
        assert not np.any(np.delete(turns, FREE_JOINTS, axis=1)), "toes and fingers cannot be compared with Anny"
        with torch.no_grad():
            deltas = self._deltas(torch.from_numpy(np.ascontiguousarray(turns)))
            output = self._forward(shapes, deltas)
        heads = output["bone_poses"][:, :, :3, 3]
        return (output["vertices"] @ self.axes.T).numpy(), (self._joints(heads) @ self.axes.T).numpy()

    def _forward(self, shapes: dict[str, Any], deltas: torch.Tensor) -> dict[str, torch.Tensor]:
        as_tensors = {k: {n: torch.as_tensor(v) for n, v in values.items()} for k, values in shapes.items()}
        return self.model(
            deltas,
            phenotype_kwargs=as_tensors["phenotypes"],
            local_changes_kwargs=as_tensors["local_changes"],
            pose_parameterization="local-ref",
        )

    def _joints(self, heads: torch.Tensor) -> torch.Tensor:
        """SMPL joints from bone heads (B, bones, 3): the leading bone's head; toes and fingers: mean of their bases."""
        places = []
        for group in self.groups:
            bases = [b for b in group if self.bones[b].startswith(("toe", "finger")) and self.bones[b][-4:-2] == "-1"]
            bases = [b for b in bases if not self.bones[b].startswith("finger1")] or group[:1]
            places.append(heads[:, bases].mean(1))
        return torch.stack(places, 1)

    def _deltas(self, pose: torch.Tensor) -> torch.Tensor:
        """Anny's pose parameters (B, bones, 4, 4) for SMPL rotations about the T-pose.

        With T-pose rotations G (global) and SMPL's composition H_c = H_p R_c, a bone's global rotation is H_c G_c,
        hence its rotation relative to its parent is (H_p G_p)^-1 H_c G_c = G_p^-1 R_c G_c.
        """
        rest = self.rest.rotations
        turns = self.axes.T @ roma.rotvec_to_rotmat(pose) @ self.axes
        local = torch.eye(4, dtype=torch.float64).repeat(len(pose), len(self.bones), 1, 1)
        leads = {group[0]: joint for joint, group in enumerate(self.groups) if joint in FREE_JOINTS}
        for bone, parent in enumerate(self.parents):
            above = rest[parent].T if parent >= 0 else torch.eye(3, dtype=torch.float64)
            own = turns[:, leads[bone]] @ rest[bone] if bone in leads else rest[bone]
            local[:, bone, :3, :3] = above @ own
        return local

    def _rest_pose(self) -> RestPose:
        """Straighten arms to +-X, legs to one line, and curl the fingers."""
        identity = torch.eye(4, dtype=torch.float64).repeat(1, len(self.bones), 1, 1)
        with torch.no_grad():
            output = self._forward({"phenotypes": {"age": [0.0]}, "local_changes": {}}, identity)
        heads = dict(zip(self.bones, output["bone_poses"][0, :, :3, 3].numpy(), strict=True))
        turn: dict[str, np.ndarray] = {}
        for side, sign in (("L", 1.0), ("R", -1.0)):
            arm = np.array([sign, 0.0, 0.0])
            for bone, start, end in (
                ("upperarm01", "upperarm01", "lowerarm01"),
                ("lowerarm01", "lowerarm01", "wrist"),
                ("wrist", "wrist", "finger3-1"),
            ):
                turn[f"{bone}.{side}"] = shortest_arc(heads[f"{end}.{side}"] - heads[f"{start}.{side}"], arm)
            leg = heads[f"foot.{side}"] - heads[f"upperleg01.{side}"]
            for bone, end in (("upperleg01", "lowerleg01"), ("lowerleg01", "foot")):
                turn[f"{bone}.{side}"] = shortest_arc(heads[f"{end}.{side}"] - heads[f"{bone}.{side}"], leg)
            turn[f"foot.{side}"] = np.eye(3)
            turn |= _curled_fingers(heads, side, sign, turn[f"wrist.{side}"])
        rotations: list[np.ndarray] = []
        for bone, parent in zip(self.bones, self.parents, strict=True):
            rotations.append(turn.get(bone, rotations[parent] if parent >= 0 else np.eye(3)))
        return RestPose(torch.from_numpy(np.stack(rotations)))


def _curled_fingers(heads: dict[str, np.ndarray], side: str, sign: float, hand: np.ndarray) -> dict[str, np.ndarray]:
    """Global rotations of the finger bones of one hand, each segment flexed further towards the palm.

    Fingers turn about the hand's transverse axis, the thumb about an axis halfway to the hand's length, so that it
    closes across the palm.
    """
    across = hand @ (heads[f"finger5-1.{side}"] - heads[f"finger2-1.{side}"])
    along = np.array([sign, 0.0, 0.0])
    across -= along * (across @ along)
    across /= np.linalg.norm(across)
    down = np.cross(along, across) * sign  # out of the palm
    flexion = -np.cross(along, down)  # positive turns about it take a finger's direction towards the palm
    turn = {}
    for finger, angles in CURL_DEGREES.items():
        axis = flexion + np.cross(across, down) if finger == "finger1" else flexion
        total = 0.0
        for segment, angle in enumerate(angles, start=1):
            total += angle
            turn[f"{finger}-{segment}.{side}"] = rotation(axis, np.radians(total)) @ hand
    return turn


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """Matrix (3, 3) of a turn by ``angle`` radians about ``axis`` (any length)."""
    return roma.rotvec_to_rotmat(torch.from_numpy(axis / np.linalg.norm(axis) * angle)).numpy()


def shortest_arc(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Smallest rotation (3, 3) that takes direction ``start`` to direction ``end``."""
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis = np.cross(start, end)
    if np.linalg.norm(axis) < 1e-12:
        return np.eye(3)
    return rotation(axis, float(np.arctan2(np.linalg.norm(axis), start @ end)))
