"""Anny (Brégier et al. 2025) seen as a body of the SMPL family: T-pose, few joints, Y up. Used by the builders alone.

Only Anny's default topology is used: its data are CC0, while its ``smpl`` and ``smplx`` topologies would fetch
non-commercial files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import roma
import torch
from scipy.spatial import cKDTree

from ...joints import JOINT_SETS
from .bones import bone_groups, free_joints, tree
from .rest_pose import curled_rest, flat_rest

AXES = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Anny's world (Z up, facing -Y) to SMPL's (Y up, facing +Z): rows are SMPL's x, y, z."""


class AnnySource:
    """Anny behind an SMPL-like call; everything in float64, SMPL's axes and metres.

    Attributes:
        joint_set: :class:`JointSet` of the joints. parents: parent of each joint, -1 at the root.
        free: joints that a pose may turn. weights: (V, J) skinning weights, bone groups summed.
        faces: (F, 3) triangles. uv: (T, 2), v growing upwards. uv_faces: (F, 3).
    """

    def __init__(
        self,
        local_changes: list[str],
        joint_set: str = "smpl24",
        *,
        side: str | None = None,
        facial_actions: list[str] | None = None,
    ) -> None:
        """Load Anny with the named local shape changes.

        The first load of a set of changes takes a minute or two and fills Anny's cache (``ANNY_CACHE_DIR``, 0.8 GB).

        Args:
            joint_set: "smpl24" (an infant with loosely closed hands), "smplx55" or "mano16" (flat hands).
            side: "left" or "right" for "mano16": vertices and joints are then relative to that wrist, which turns
                the whole mesh.
            facial_actions: names of Anny's facial actions, for "smplx55".
        """
        import anny

        self.anny = anny
        self.joint_set = JOINT_SETS[joint_set]
        self.parents, self.free = tree(joint_set), free_joints(joint_set)
        self.side = side
        if joint_set == "smplx55":
            from .jaw import anny_with_jaw

            self.model = anny_with_jaw(local_changes, facial_actions or [], phenotypes="all")
        else:
            self.model = anny.Anny(skinning_method="lbs", local_changes=list(local_changes)).double()
        self.bones: list[str] = self.model.bone_labels
        self.bone_parents: list[int] = [int(p) for p in self.model.bone_parents]
        self.groups = [[self.bones.index(bone) for bone in group] for group in bone_groups(joint_set, side)]
        left_over = sorted(set(range(len(self.bones))) - {bone for group in self.groups for bone in group})
        assert not left_over or side is not None
        self.groups[0] += left_over
        self.faces = self.model.faces.numpy()
        self.uv = self.model.texture_coordinates.numpy()
        self.uv_faces = self.model.face_texture_coordinate_indices.numpy()
        weights = self.model.dense_vertex_bone_weights
        self.weights = torch.stack([weights[:, group].sum(1) for group in self.groups], 1).numpy()
        self.axes = torch.from_numpy(AXES)
        age, rest = (0.0, curled_rest) if joint_set == "smpl24" else (2 / 3, flat_rest)
        self.rest = torch.from_numpy(rest(self._places(age), self.bones, self.bone_parents))

    def region(self, *labels: str) -> np.ndarray:
        """Mask (F,) of the faces in MakeHuman regions such as "mouth_cavity", "eye_back.L" or "tongue"."""
        from anny.face_segmentation import get_face_segmentation_mask

        return np.asarray(get_face_segmentation_mask(self.model, list(labels))).astype(bool)

    def region_of(self, uv: np.ndarray, *labels: str) -> np.ndarray:
        """Mask (N,) of texture coordinates (N, 2), v growing upwards, that lie in MakeHuman regions."""
        from types import SimpleNamespace

        from anny.face_segmentation import get_face_segmentation_mask

        triangles = torch.arange(len(uv))[:, None].expand(-1, 3)
        places = SimpleNamespace(
            texture_coordinates=torch.from_numpy(np.asarray(uv)),
            face_texture_coordinate_indices=triangles,
            faces=triangles,
            device="cpu",
        )
        return np.asarray(get_face_segmentation_mask(places, list(labels))).astype(bool)

    def mirror(self) -> np.ndarray:
        """Permutation (V,) of vertices that mirrors the mesh; MakeHuman's base mesh is exactly symmetric."""
        base = self.model.template_vertices.numpy()
        gaps, opposite = cKDTree(base).query(base * (-1.0, 1.0, 1.0))
        assert gaps.max() < 1e-9
        return opposite

    def change(self, label: str) -> np.ndarray:
        """Displacement (V, 3) of each vertex by one unit of a local change or facial action, SMPL's axes, metres."""
        labels = [name.split(":")[1] for name in self.model.blendshape_labels]
        return (self.model.blendshapes[labels.index(label)] @ self.axes.T).numpy()

    def coco_regressor(self) -> np.ndarray:
        """Anny's own COCO-17 regressor, (17, V)."""
        regressor = self.anny.KeypointsRegressor.coco(self.model)
        assert tuple(regressor.labels[:17]) == JOINT_SETS["coco17"].joints
        return regressor.regression_weights[:17].numpy()

    def foot_regressor(self) -> np.ndarray:
        """Anny's regressor (6, V) of big toes, small toes and heels, each left then right."""
        regressor = self.anny.KeypointsRegressor.coco(self.model)
        assert regressor.labels[17] == "left_big_toe" and regressor.labels[22] == "right_heel"
        return regressor.regression_weights[17:23].numpy()

    def __call__(self, shapes: dict[str, Any], pose: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (B, V, 3) and joints (B, J, 3) of shapes in a pose.

        Args:
            shapes: ``phenotypes``, ``local_changes`` and, if loaded, ``facial_actions``, each a dict of name to (B,)
                values.
            pose: (B, J, 3) axis-angle about the T-pose, zero at joints that are not ``free``; None is the T-pose.
        """
        batch = len(next(iter(shapes["phenotypes"].values())))
        turns = np.zeros((batch, self.joint_set.count, 3)) if pose is None else np.array(pose)
        assert not np.any(np.delete(turns, self.free, axis=1)), "toes and closed fingers cannot be posed"
        whole = None
        if self.side is not None:
            whole, turns[:, 0] = roma.rotvec_to_rotmat(torch.from_numpy(turns[:, 0].copy())).numpy(), 0
        with torch.no_grad():
            output = self._forward(shapes, self._deltas(torch.from_numpy(np.ascontiguousarray(turns))))
            heads = output["bone_poses"][:, :, :3, 3]
            vertices = (output["vertices"] @ self.axes.T).numpy()
            joints = (self._joints(heads) @ self.axes.T).numpy()
        if whole is not None:
            vertices, joints = vertices - joints[:, :1], joints - joints[:, :1]
            vertices, joints = vertices @ whole.transpose(0, 2, 1), joints @ whole.transpose(0, 2, 1)
        return vertices, joints

    def _forward(self, shapes: dict[str, Any], deltas: torch.Tensor) -> dict[str, torch.Tensor]:
        as_tensors = {k: {n: torch.as_tensor(v) for n, v in values.items()} for k, values in shapes.items()}
        return self.model(
            deltas,
            phenotype_kwargs=as_tensors["phenotypes"],
            local_changes_kwargs=as_tensors["local_changes"],
            facial_actions=as_tensors.get("facial_actions"),
            pose_parameterization="local-ref",
        )

    def _joints(self, heads: torch.Tensor) -> torch.Tensor:
        """Joints from bone heads (B, bones, 3): the leading bone's head; toes and closed fingers: mean of the bases."""
        places = []
        for joint, group in enumerate(self.groups):
            bases = group[:1]
            if joint not in self.free:
                bases = [b for b in group if self.bones[b][-4:-2] == "-1" and not self.bones[b].startswith("finger1")]
            elif self.side is not None and joint == 0:
                bases = [self.bones.index(f"wrist.{self.side[0].upper()}")]
            places.append(heads[:, bases].mean(1))
        return torch.stack(places, 1)

    def _deltas(self, pose: torch.Tensor) -> torch.Tensor:
        """Anny's pose parameters (B, bones, 4, 4) for SMPL rotations about the T-pose.

        With T-pose rotations G (global) and SMPL's composition H_c = H_p R_c, a bone's global rotation is H_c G_c,
        hence its rotation relative to its parent is (H_p G_p)^-1 H_c G_c = G_p^-1 R_c G_c.
        """
        turns = self.axes.T @ roma.rotvec_to_rotmat(pose) @ self.axes
        local = torch.eye(4, dtype=torch.float64).repeat(len(pose), len(self.bones), 1, 1)
        leads = {group[0]: joint for joint, group in enumerate(self.groups) if joint in self.free}
        for bone, parent in enumerate(self.bone_parents):
            above = self.rest[parent].T if parent >= 0 else torch.eye(3, dtype=torch.float64)
            own = turns[:, leads[bone]] @ self.rest[bone] if bone in leads else self.rest[bone]
            local[:, bone, :3, :3] = above @ own
        return local

    def _places(self, age: float) -> dict[str, np.ndarray]:
        """Head of each bone, and ``<bone> end`` of each distal finger bone, (3,) in Anny's axes and reference pose."""
        identity = torch.eye(4, dtype=torch.float64).repeat(1, len(self.bones), 1, 1)
        with torch.no_grad():
            output = self._forward({"phenotypes": {"age": [age]}, "local_changes": {}}, identity)
        places = dict(zip(self.bones, output["bone_poses"][0, :, :3, 3].numpy(), strict=True))
        weights, vertices = self.model.dense_vertex_bone_weights.numpy(), output["vertices"][0].numpy()
        for bone, name in enumerate(self.bones):
            if name.startswith("finger") and name[-4:-2] == "-3":
                places[f"{name} end"] = weights[:, bone] @ vertices / weights[:, bone].sum()
        return places
