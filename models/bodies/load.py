"""Read SMPL-family model files into a :class:`Body`."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import smplx
import torch
from smplx.utils import Struct

from ...config import UserError, nearest
from ..joints import JOINT_SETS, SMPL24_PARENTS
from .body import Body
from .meshes import distance_to_mesh, grid_atlas
from .skinning import prepare

OPEN_BODIES = {"open-infant": Path(__file__).parent / "data" / "open_infant.npz"}
"""Bodies that come with the package, by name."""

SMPL_KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights", "f")
"""Arrays of an SMPL model file (Loper et al. 2015); SMIL files hold the same."""

MAX_BETAS = 20

# Face vertices of SMPL's own mesh (smplx.vertex_ids), for files that bring no keypoint regressor.
_SMPL_FACE = {"nose": 332, "left_eye": 2800, "right_eye": 6260, "left_ear": 583, "right_ear": 4071}
_SMPL_VERTICES = 6890


def load_body(name_or_path: str | Path, device: str | torch.device = "cpu") -> Body:
    """Load a body by name ("open-infant") or from an SMPL-format ``.npz`` file.

    Raises:
        UserError: for an unknown name, a missing or foreign file, or a file that lacks an array; says which.
    """
    name = str(name_or_path)
    if name in OPEN_BODIES:
        return load_parts(name, read_npz(OPEN_BODIES[name]), device)
    path = Path(name_or_path)
    if path.suffix not in (".npz", ".pkl") and not path.exists():
        raise UserError(f"unknown body '{name}': {nearest(name, OPEN_BODIES)} (or give the path of a model file)")
    return load_parts(path.stem, read_npz(path), device)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` file; object arrays, which could run code, are refused.

    Raises:
        UserError: if the file is absent, not an npz archive, or holds pickled objects.
    """
    if not path.is_file():
        raise UserError(f"no body model file at {path}")
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path} is not an .npz archive; save the model's arrays ({', '.join(SMPL_KEYS)}) with numpy.savez"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except ValueError as error:
        raise UserError(
            f"{path} holds pickled objects, which are not read: save plain arrays with numpy.savez"
        ) from error


def load_parts(name: str, arrays: dict[str, np.ndarray], device: str | torch.device = "cpu") -> Body:
    """Build a body from SMPL arrays and, where present, ours: ``uv``, ``uv_faces``, ``keypoint_regressor``,
    ``population_betas``, ``population_months`` and ``meta`` (JSON).

    Raises:
        UserError: if an array is missing or does not fit the others.
    """
    _check(name, arrays)
    faces = arrays["f"].astype(np.int32)
    layer = _smplx_layer(arrays).to(device)
    template = layer.v_template.cpu().numpy()
    weights = layer.lbs_weights.cpu().numpy()
    if "uv" in arrays:
        uv, uv_faces = arrays["uv"].astype(np.float32), arrays["uv_faces"].astype(np.int32)
    else:
        uv, uv_faces = grid_atlas(len(faces))
    regressor = (
        arrays["keypoint_regressor"].astype(np.float32) if "keypoint_regressor" in arrays else _coco(name, arrays)
    )
    meta: dict[str, Any] = json.loads(str(arrays["meta"])) if "meta" in arrays else {}
    population = arrays.get("population_betas")
    return Body(
        name=name,
        faces=faces,
        uv=uv,
        uv_faces=uv_faces,
        part_ids=(1 + weights[faces].sum(1).argmax(1)).astype(np.uint8),
        template=template,
        weights=weights,
        parents=SMPL24_PARENTS,
        keypoint_depth=distance_to_mesh(regressor @ template, template, faces).astype(np.float32),
        num_betas=layer.num_betas,
        joint_count=len(SMPL24_PARENTS),
        licence=meta.get("licence", f"made with the body model file '{name}'; its licence applies"),
        layer=layer,
        mesh=prepare(
            layer.v_template, layer.shapedirs, layer.posedirs, layer.J_regressor, SMPL24_PARENTS, layer.lbs_weights
        ),
        keypoint_regressor=torch.from_numpy(regressor).to(device),
        population=None if population is None else population.astype(np.float32),
        population_months=arrays.get("population_months"),
        meta=meta,
    )


def _check(name: str, arrays: dict[str, np.ndarray]) -> None:
    """Refuse arrays that are no 24-joint SMPL body, naming what is wrong."""
    missing = [key for key in SMPL_KEYS if key not in arrays]
    if missing:
        raise UserError(f"body '{name}' lacks {', '.join(missing)}: an SMPL-format file holds {', '.join(SMPL_KEYS)}")
    joints = len(SMPL24_PARENTS)
    vertices = arrays["v_template"].shape[0]
    found = arrays["weights"].shape
    if found != (vertices, joints):
        raise UserError(
            f"body '{name}': weights are {found}, need ({vertices}, {joints}); only SMPL and SMIL files fit here"
        )
    wanted = {
        "v_template": (vertices, 3),
        "posedirs": (vertices, 3, 9 * (joints - 1)),
        "J_regressor": (joints, vertices),
        "shapedirs": (vertices, 3, arrays["shapedirs"].shape[-1]),
    }
    for key, shape in wanted.items():
        if arrays[key].shape != shape:
            raise UserError(f"body '{name}': {key} is {arrays[key].shape}, need {shape}")
    tree = arrays["kintree_table"][0].astype(np.int64)
    if tuple(tree[1:]) != SMPL24_PARENTS[1:]:
        raise UserError(f"body '{name}': kintree_table is not SMPL's joint tree")


class _SmplxLayer(smplx.SMPLLayer):
    """``smplx.SMPLLayer`` that accepts any number of shape columns.

    smplx takes files with fewer columns than ``SHAPE_SPACE_DIM`` for 10-beta files.
    """

    def __init__(self, data: Struct, num_betas: int, face_vertices: dict[str, int]) -> None:
        self.SHAPE_SPACE_DIM = num_betas
        super().__init__(
            model_path="",
            data_struct=data,
            num_betas=num_betas,
            vertex_ids=face_vertices,  # the default would be SMPL-H's, wrong on another mesh
            use_hands=False,
            use_feet_keypoints=False,
        )


def _smplx_layer(arrays: dict[str, np.ndarray]) -> smplx.SMPL:
    """The arrays as an ``smplx`` model in float32."""
    betas = min(arrays["shapedirs"].shape[-1], MAX_BETAS)
    data = {key: arrays[key] for key in SMPL_KEYS}
    data["shapedirs"] = arrays["shapedirs"][:, :, :betas].astype(np.float32)
    data["posedirs"] = arrays["posedirs"].astype(np.float32)
    data["kintree_table"] = arrays["kintree_table"].astype(np.int64)
    if "keypoint_regressor" in arrays:
        face_points = arrays["keypoint_regressor"][:5] @ arrays["v_template"]
        gaps = np.linalg.norm(arrays["v_template"] - face_points[:, None], axis=-1)
        nose, left_eye, right_eye, left_ear, right_ear = gaps.argmin(1).tolist()
    else:
        nose, left_eye, right_eye, left_ear, right_ear = (v % len(arrays["v_template"]) for v in _SMPL_FACE.values())
    face = {"nose": nose, "reye": right_eye, "leye": left_eye, "rear": right_ear, "lear": left_ear}
    return _SmplxLayer(Struct(**data), betas, face).requires_grad_(False)


def _coco(name: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """COCO-17 regressor (17, V) for SMPL's own mesh: face vertices, and SMPL's joint regressor for the limbs."""
    vertices = arrays["v_template"].shape[0]
    if vertices != _SMPL_VERTICES:
        raise UserError(
            f"body '{name}' has {vertices} vertices and no keypoint_regressor: only SMPL's mesh ({_SMPL_VERTICES}) is "
            f"known; add a (17, {vertices}) array keypoint_regressor in COCO order"
        )
    smpl, regressor = JOINT_SETS["smpl24"], np.zeros((17, vertices), np.float32)
    for row, joint in enumerate(JOINT_SETS["coco17"].joints):
        if joint in _SMPL_FACE:
            regressor[row, _SMPL_FACE[joint]] = 1
        else:
            regressor[row] = arrays["J_regressor"][smpl.index(joint)]
    return regressor
