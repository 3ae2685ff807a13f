"""Make a :class:`Body` of an open body's name, a model file, or a folder of model files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...config import UserError
from ..joints import joint_set
from .body import Body
from .files import OPEN_BODIES, TEXT_KEYS, locate, read_arrays, read_npz
from .formats import REQUIRED, BodyFormat, claimed_format, identify
from .hands import HandSpace
from .landmarks import face_landmarks, named_vertices
from .meshes import distance_to_mesh, grid_atlas
from .skinning import move, prepare

__all__ = ["OPEN_BODIES", "SMPL_KEYS", "BodyOptions", "load_body", "load_parts", "read_npz"]

SMPL_KEYS = REQUIRED
"""Arrays of an SMPL model file (Loper et al. 2015); those of the other formats are the same and more."""

MAX_BETAS = 20
"""Betas used of a file that has more, unless more are asked for."""

MAX_EXPRESSIONS = 10
"""Likewise for expressions."""

# Columns of SMPL-X's shapedirs: 300 betas and 100 expressions in full files, 10 and 10 in the small ones.
_SMPLX_COLUMNS = (300, 400)
_SMPLX_SMALL_COLUMNS = (10, 20)


@dataclass(frozen=True)
class BodyOptions:
    """Parameters of ``smplx.create`` that decide how a file is used.

    Attributes:
        num_betas, num_expression_coeffs: how many to use; None for those of the file, at most :data:`MAX_BETAS` and
            :data:`MAX_EXPRESSIONS`.
        use_pca: hand poses are given to ``full_pose`` as coefficients. num_pca_comps: how many a hand; 45 mean
            axis-angle for MANO, as in smplx.
        flat_hand_mean: zero hand pose is the flat hand, not the mean one.
    """

    num_betas: int | None = None
    num_expression_coeffs: int | None = None
    use_pca: bool = False
    num_pca_comps: int = 6
    flat_hand_mean: bool = False


def load_body(
    model: str | Path,
    *,
    model_type: str | None = None,
    gender: str = "neutral",
    is_rhand: bool = True,
    num_betas: int | None = None,
    num_expression_coeffs: int | None = None,
    use_pca: bool = False,
    num_pca_comps: int = 6,
    flat_hand_mean: bool = False,
    device: str | torch.device = "cpu",
) -> Body:
    """Load a body with the parameters of ``smplx.create``.

    Args:
        model: an open body ("open-infant", "open-person", "open-hand-left", "open-hand-right"), a model file (.npz or
            .pkl; SMPL, SMIL, SMPL-H, SMPL-X or MANO), or a folder of such files laid out as smplx wants them.
        model_type: "smpl", "smplh", "smplx" or "mano"; needed for a folder, checked for a file.
        gender: of the file in a folder. is_rhand: likewise for MANO.
        num_betas, num_expression_coeffs, use_pca, num_pca_comps, flat_hand_mean: see :class:`BodyOptions`.
        device: of the torch arrays.

    Raises:
        UserError: for an unknown name, a missing, damaged or foreign file, one that asks to run code, or arrays that
            do not fit together; says which.
    """
    options = BodyOptions(num_betas, num_expression_coeffs, use_pca, num_pca_comps, flat_hand_mean)
    path = locate(model, model_type, gender, is_rhand)
    name = str(model) if str(model) in OPEN_BODIES else path.stem
    return load_parts(name, read_arrays(path), device, options, stated_formats(path, model_type))


def stated_formats(path: Path, model_type: str | None) -> dict[str, str]:
    """What says of which format a file is: the caller's ``model_type``, and its name."""
    claim = claimed_format(path)
    claims = {} if model_type is None else {"model_type": model_type}
    return claims if claim is None else claims | {"its file's name": claim}


def load_parts(
    name: str,
    arrays: dict[str, Any],
    device: str | torch.device = "cpu",
    options: BodyOptions | None = None,
    claims: dict[str, str] | None = None,
) -> Body:
    """Build a body from the arrays of a format and, where present, ours: ``uv``, ``uv_faces``, ``keypoint_regressor``,
    ``extra_vertices`` (JSON), ``population_betas``, ``population_months`` or ``population_years``, ``meta`` (JSON).

    Args:
        claims: what says of which format the arrays are ("model_type") -> format; contradictions are refused.

    Raises:
        UserError: if an array is missing or does not fit the others or the claims.
    """
    options = options or BodyOptions()
    meta: dict[str, Any] = json.loads(str(arrays["meta"])) if "meta" in arrays else {}
    claims = dict(claims or {}) | ({"its meta": meta["format"]} if isinstance(meta.get("format"), str) else {})
    numbers = {key: value for key, value in arrays.items() if key not in TEXT_KEYS}
    entry = identify(name, numbers, claims)
    betas, expressions = shape_space(name, numbers["shapedirs"], entry, options, trim="meta" in arrays)
    faces = numbers["f"].astype(np.int32)
    template, weights = (numbers[key].astype(np.float32) for key in ("v_template", "weights"))
    joint_regressor = numbers["J_regressor"].astype(np.float32)
    extra = named_vertices(name, arrays, entry)
    regressor = keypoint_regressor(name, numbers, entry, extra)
    uv, uv_faces = texture_layout(numbers)
    population = numbers.get("population_betas")
    ages = next(((key, numbers[key]) for key in ("population_months", "population_years") if key in numbers), None)
    return Body(
        name=name,
        format=entry.name,
        joint_set=entry.joint_set,
        keypoint_set=entry.keypoint_set,
        official=entry.is_official(len(template), len(faces)),
        faces=faces,
        uv=uv,
        uv_faces=uv_faces,
        part_ids=(1 + weights[faces].sum(1).argmax(1)).astype(np.uint8),
        template=template,
        weights=weights,
        parents=entry.parents,
        keypoint_depth=distance_to_mesh(regressor @ template, template, faces).astype(np.float32),
        num_betas=betas.shape[-1],
        num_expressions=expressions.shape[-1],
        joint_count=entry.joint_count,
        licence=meta.get("licence", f"made with the body model file '{name}'; its licence applies"),
        mesh=move(
            prepare(
                torch.from_numpy(template),
                torch.from_numpy(np.concatenate([betas, expressions], -1)),
                torch.from_numpy(numbers["posedirs"].astype(np.float32).reshape(3 * len(template), -1).T),
                torch.from_numpy(joint_regressor),
                entry.parents,
                torch.from_numpy(weights),
            ),
            device,
        ),
        joint_regressor=joint_regressor,
        keypoint_regressor=torch.from_numpy(regressor).to(device),
        hands=hand_spaces(name, numbers, entry, options, device),
        extra_vertices=extra,
        landmarks=face_landmarks(numbers),
        population=None if population is None else population.astype(np.float32)[:, : betas.shape[-1]],
        population_ages=None if ages is None else ages[1],
        age_unit="months" if ages is None else ages[0].removeprefix("population_"),
        meta=meta,
    )


def shape_space(
    name: str, shapedirs: np.ndarray, entry: BodyFormat, options: BodyOptions, trim: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Shape and expression directions (V, 3, N) float32 as smplx reads them.

    ``trim`` drops trailing columns that are zero, with which open bodies fill SMPL-X's 400.
    """
    total = shapedirs.shape[-1]
    split, end = (total, total)
    if entry.name == "smplx":
        split, end = _SMPLX_COLUMNS if total >= _SMPLX_COLUMNS[1] else _SMPLX_SMALL_COLUMNS
    parts = []
    for first, last, asked, most, what in (
        (0, split, options.num_betas, MAX_BETAS, "num_betas"),
        (split, end, options.num_expression_coeffs, MAX_EXPRESSIONS, "num_expression_coeffs"),
    ):
        columns = shapedirs[:, :, first:last]
        if trim and columns.shape[-1]:
            used = np.flatnonzero(np.abs(columns).max((0, 1)) > 0)
            columns = columns[:, :, : used[-1] + 1 if len(used) else 0]
        if asked is not None and not 0 <= asked <= columns.shape[-1]:
            raise UserError(f"body '{name}' has {columns.shape[-1]} of {what}, not {asked}")
        parts.append(columns[:, :, : most if asked is None else asked].astype(np.float32))
    return parts[0], parts[1]


def hand_spaces(
    name: str, arrays: dict[str, np.ndarray], entry: BodyFormat, options: BodyOptions, device: str | torch.device
) -> dict[str, HandSpace]:
    """Mean and components of each hand."""
    spaces = {}
    for hand, ending in entry.hands.items():
        mean, components = arrays.get(f"hands_mean{ending}"), None
        if options.use_pca and not (entry.name == "mano" and options.num_pca_comps == 45):
            every = arrays.get(f"hands_components{ending}")
            have = 0 if every is None else len(every)
            if not 1 <= options.num_pca_comps <= have:
                raise UserError(
                    f"body '{name}' has {have} hand components (hands_components{ending}), not {options.num_pca_comps}: "
                    "change num_pca_comps, or load it with use_pca=False"
                )
            assert every is not None
            components = torch.from_numpy(every[: options.num_pca_comps].astype(np.float32)).to(device)
        if options.flat_hand_mean:
            mean = np.zeros(45)
        spaces[hand] = HandSpace(
            None if mean is None else torch.from_numpy(mean.astype(np.float32)).to(device), components
        )
    return spaces


def texture_layout(arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates and their triangles: ours, SMPL-X's own (``vt``, v upwards), or a grid of triangles."""
    if "uv" in arrays and "uv_faces" in arrays:
        return arrays["uv"].astype(np.float32), arrays["uv_faces"].astype(np.int32)
    if "vt" in arrays and "ft" in arrays:
        uv = arrays["vt"].astype(np.float32)
        return np.stack([uv[:, 0], 1 - uv[:, 1]], 1), arrays["ft"].astype(np.int32)
    return grid_atlas(len(arrays["f"]))


def keypoint_regressor(
    name: str, arrays: dict[str, np.ndarray], entry: BodyFormat, extra: dict[str, int]
) -> np.ndarray:
    """Keypoints from vertices (K, V): the file's, or named vertices and rows of the joint regressor."""
    wanted, model = joint_set(entry.keypoint_set).joints, joint_set(entry.joint_set).joints
    vertices = len(arrays["v_template"])
    if "keypoint_regressor" in arrays:
        regressor = arrays["keypoint_regressor"].astype(np.float32)
        if len(regressor) != len(wanted):
            raise UserError(
                f"body '{name}': keypoint_regressor is {regressor.shape}, {entry.title} needs ({len(wanted)}, "
                f"{vertices}) in the order of {entry.keypoint_set}"
            )
        return regressor
    regressor = np.zeros((len(wanted), vertices), np.float32)
    for row, joint in enumerate(wanted):
        if joint in model:
            regressor[row] = arrays["J_regressor"][model.index(joint)]
        elif joint in extra:
            regressor[row, extra[joint]] = 1
        else:
            raise UserError(
                f"body '{name}' has {vertices} vertices and {len(arrays['f'])} faces and no keypoint_regressor: of "
                f"{entry.title} only the official mesh ({entry.vertices}, {entry.faces}) is known; add a "
                f"({len(wanted)}, {vertices}) array keypoint_regressor in the order of {entry.keypoint_set}"
            )
    return regressor
