"""The ``smplx`` module that holds the same arrays as a :class:`Body`: the reference that tests and benchmarks compare with.

Traps of smplx 0.1.28 that this steps around: its ``SMPL`` reads pickles alone, ``SMPLX`` files alone; files with few shape
columns are taken for 10-beta files; and ``vertex_ids`` default to SMPL-H's, which are wrong on any other mesh.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import smplx
import torch
from smplx.utils import Struct

from .body import Body

# What smplx appends to the joints, in its order.
_HEAD = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
_FEET = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel"))
_TIPS = tuple(f"{side}_{f}_tip" for side in ("left", "right") for f in ("thumb", "index", "middle", "ring", "pinky"))


def smplx_layer(body: Body) -> smplx.SMPL:
    """The body as an ``smplx`` module (SMPL, SMPLH, SMPLX or MANO), float32, on the body's device, without gradients.

    Hand means and components are those that the body was loaded with. Appended joints are the body's own extra vertices;
    those that it lacks are vertex 0.
    """
    data = _arrays(body)
    expected: dict[str, Any] = {"num_betas": body.num_betas, "create_transl": False}
    if body.hands:
        sizes = [hand.size for hand in body.hands.values() if hand.components is not None]
        expected |= {"use_pca": bool(sizes), "num_pca_comps": sizes[0] if sizes else 6, "flat_hand_mean": False}
    kind = {"smpl": smplx.SMPL, "smplh": smplx.SMPLH, "smplx": smplx.SMPLX, "mano": smplx.MANO}[body.format]
    sized = type(
        kind.__name__, (kind,), {"SHAPE_SPACE_DIM": body.num_betas, "EXPRESSION_SPACE_DIM": body.num_expressions}
    )
    if body.format == "smplx":
        expected["num_expression_coeffs"] = body.num_expressions
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "SMPLX_NEUTRAL.npz"
            np.savez(path, **data)  # type: ignore[arg-type]
            layer = sized(str(path), ext="npz", **expected)
    else:
        layer = sized(model_path="", data_struct=Struct(**data), **expected)
    names = (*_HEAD, *_FEET, *_TIPS) if body.format != "mano" else tuple(f"{name[5:]}" for name in _TIPS[:5])
    extra = torch.tensor([body.extra_vertices.get(name, 0) for name in names], dtype=torch.long)
    layer.vertex_joint_selector.extra_joints_idxs = extra
    return layer.to(body.mesh.template.device).requires_grad_(False)


def _arrays(body: Body) -> dict[str, np.ndarray]:
    """The body's arrays in the layout of its format's files."""
    mesh, count, joints = body.mesh, len(body.template), body.joint_count
    features = np.zeros((9 * (joints - 1), 3 * count), np.float32)
    features[mesh.pose_features.cpu().numpy()] = mesh.posedirs.cpu().numpy()
    tree = np.stack([np.array(body.parents, np.int64), np.arange(joints)])
    tree[0, 0] = 2**32 - 1
    data = {
        "v_template": body.template,
        "shapedirs": mesh.shapedirs.cpu().numpy().reshape(-1, 3, count).transpose(2, 1, 0),
        "posedirs": features.reshape(-1, 3, count).transpose(2, 1, 0),
        "J_regressor": body.joint_regressor,
        "kintree_table": tree,
        "weights": body.weights,
        "f": body.faces.astype(np.int64),
    }
    for hand, ending in {"left": "l", "right": "r", "hand": ""}.items():
        if hand in body.hands:
            space = body.hands[hand]
            data[f"hands_mean{ending}"] = np.zeros(45, np.float32) if space.mean is None else space.mean.cpu().numpy()
            full = np.eye(45, dtype=np.float32)
            data[f"hands_components{ending}"] = full if space.components is None else space.components.cpu().numpy()
    if body.format == "smplx":
        marks = [body.landmarks[f"face{k}"] for k in range(17, 68)] if "face17" in body.landmarks else []
        lookup = {tuple(face): k for k, face in enumerate(body.faces.tolist())}
        data["lmk_faces_idx"] = np.array([lookup[tuple(face.tolist())] for face, _ in marks], np.int64)
        data["lmk_bary_coords"] = np.array([weights for _, weights in marks], np.float32).reshape(-1, 3)
    return data
