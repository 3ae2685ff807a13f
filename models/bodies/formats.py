"""The four SMPL-family formats: what their files hold, and the checks that refuse a file of another kind.

Loper et al. 2015 (SMPL; SMIL has the same layout), Romero et al. 2017 (SMPL-H, MANO), Pavlakos et al. 2019 (SMPL-X).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...config import UserError, nearest
from ..joints import PARENTS

REQUIRED = ("v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights", "f")
"""Arrays that every format's file holds."""


@dataclass(frozen=True)
class BodyFormat:
    """One format.

    Attributes:
        name: "smpl", "smplh", "smplx" or "mano". title: as its authors write it.
        joint_set: its joints, in order. keypoint_set: the keypoints that pictures are labelled with.
        vertices, faces: size of the official mesh; a file with both counts is taken for that mesh.
        extra: arrays beyond :data:`REQUIRED` that the format's official files hold.
    """

    name: str
    title: str
    joint_set: str
    keypoint_set: str
    vertices: int
    faces: int
    extra: tuple[str, ...] = ()

    @property
    def parents(self) -> tuple[int, ...]:
        """Parent of each joint, -1 at the root."""
        return PARENTS[self.joint_set]

    @property
    def joint_count(self) -> int:
        """Number of joints with a rotation."""
        return len(self.parents)

    @property
    def hands(self) -> dict[str, str]:
        """Hand ("left", "right", or "hand" for MANO's only one) to the ending of its keys in a file."""
        return {"smpl": {}, "mano": {"hand": ""}}.get(self.name, {"left": "l", "right": "r"})

    def is_official(self, vertices: int, faces: int) -> bool:
        """Whether a mesh of this size is taken for the official one, whose vertex numbers are known."""
        return (vertices, faces) == (self.vertices, self.faces)


_HANDS = ("hands_componentsl", "hands_componentsr", "hands_meanl", "hands_meanr")

FORMATS = {
    entry.name: entry
    for entry in (
        BodyFormat("smpl", "SMPL", "smpl24", "coco17", 6890, 13776),
        BodyFormat("smplh", "SMPL-H", "smplh52", "coco17", 6890, 13776, _HANDS),
        BodyFormat("smplx", "SMPL-X", "smplx55", "coco17", 10475, 20908, (*_HANDS, "lmk_faces_idx", "lmk_bary_coords")),
        BodyFormat("mano", "MANO", "mano16", "freihand21", 778, 1538, ("hands_components", "hands_mean")),
    )
}
"""All formats by name."""

_BY_JOINTS = {entry.joint_count: entry for entry in FORMATS.values()}


def format_named(name: str) -> BodyFormat:
    """Look a format up by its name in any case ("smplx").

    Raises:
        UserError: for an unknown name; names the nearest.
    """
    if name.lower() not in FORMATS:
        raise UserError(f"unknown body format '{name}': {nearest(name.lower(), FORMATS)}")
    return FORMATS[name.lower()]


def claimed_format(path: Path) -> str | None:
    """Format that a file's name states ("SMPLX_NEUTRAL.npz"), or its folder's for a plain name ("smplh/male/model.npz")."""
    prefix = path.stem.split("_")[0].lower()
    if prefix in FORMATS and "_" in path.stem:
        return prefix
    folders = path.parts[-3:-1] if path.stem.lower() == "model" else ()
    return next((part.lower() for part in reversed(folders) if part.lower() in FORMATS), None)


def identify(name: str, arrays: dict[str, np.ndarray], claims: dict[str, str]) -> BodyFormat:
    """The format that the arrays are in, checked throughout.

    Args:
        name: of the body, for messages.
        arrays: dense numeric arrays by key.
        claims: what says so ("the file's name") -> format it claims.

    Raises:
        UserError: if an array is missing, or arrays contradict each other or the claim; one sentence that says which.
    """
    missing = [key for key in REQUIRED if key not in arrays]
    if missing:
        raise UserError(f"body '{name}' lacks {', '.join(missing)}: a body model file holds {', '.join(REQUIRED)}")
    weights = arrays["weights"]
    joints = weights.shape[1] if weights.ndim == 2 else 0
    if joints not in _BY_JOINTS:
        known = ", ".join(f"{count} ({entry.title})" for count, entry in sorted(_BY_JOINTS.items()))
        raise UserError(f"body '{name}': weights are {weights.shape}, which is no known format; joints are {known}")
    found = _BY_JOINTS[joints]
    vertices, faces = len(arrays["v_template"]), len(arrays["f"])
    for source, claim in claims.items():
        if format_named(claim) is not found:
            raise UserError(
                f"body '{name}' is {format_named(claim).title} by {source}, but its arrays are {found.title}'s "
                f"({joints} joints, {vertices} vertices): give the right file, or name it for what it is"
            )
    _check_shapes(name, arrays, found)
    _check_values(name, arrays, found)
    other = next((e for e in FORMATS.values() if e.is_official(vertices, faces) and e.vertices != found.vertices), None)
    if other is not None:
        raise UserError(
            f"body '{name}' has {joints} joints as {found.title}, but the mesh of {other.title} ({vertices} vertices, "
            f"{faces} faces): its arrays come from different models"
        )
    return found


def _check_shapes(name: str, arrays: dict[str, np.ndarray], entry: BodyFormat) -> None:
    """Refuse arrays whose shapes do not belong together."""
    vertices, joints = len(arrays["v_template"]), entry.joint_count
    wanted: dict[str, tuple[int | None, ...]] = {
        "v_template": (vertices, 3),
        "weights": (vertices, joints),
        "posedirs": (vertices, 3, 9 * (joints - 1)),
        "J_regressor": (joints, vertices),
        "shapedirs": (vertices, 3, None),
        "kintree_table": (2, joints),
        "f": (None, 3),
        "keypoint_regressor": (None, vertices),
        "uv": (None, 2),
        "uv_faces": (len(arrays["f"]), 3),
        "vt": (None, 2),
        "ft": (len(arrays["f"]), 3),
        "lmk_faces_idx": (51,),
        "lmk_bary_coords": (51, 3),
        "dynamic_lmk_faces_idx": (None, 17),
        "dynamic_lmk_bary_coords": (None, 17, 3),
        **{f"hands_components{side}": (None, 45) for side in ("l", "r", "")},
        **{f"hands_mean{side}": (45,) for side in ("l", "r", "")},
    }
    for key, shape in wanted.items():
        if key not in arrays:
            continue
        found = arrays[key].shape
        if len(found) != len(shape) or any(n is not None and n != m for n, m in zip(shape, found, strict=True)):
            need = ", ".join("any" if n is None else str(n) for n in shape)
            raise UserError(f"body '{name}': {key} is {found}, {entry.title} needs ({need}) with these vertices")


def _check_values(name: str, arrays: dict[str, np.ndarray], entry: BodyFormat) -> None:
    """Refuse numbers that are not finite, indices beyond their arrays, and another joint tree."""
    for key, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(f"body '{name}': {key} holds NaN or infinite numbers: the file is damaged")
    tree = arrays["kintree_table"][0].astype(np.int64)
    if tuple(tree[1:]) != entry.parents[1:]:
        raise UserError(f"body '{name}': kintree_table is not the joint tree of {entry.title}")
    limits = {
        "f": len(arrays["v_template"]),
        "uv_faces": len(arrays.get("uv", ())),
        "ft": len(arrays.get("vt", ())),
        "lmk_faces_idx": len(arrays["f"]),
        "dynamic_lmk_faces_idx": len(arrays["f"]),
    }
    for key, limit in limits.items():
        if key not in arrays:
            continue
        if arrays[key].dtype.kind not in "iu":
            raise UserError(f"body '{name}': {key} holds {arrays[key].dtype} values, need whole numbers")
        low, high = (int(arrays[key].min()), int(arrays[key].max())) if arrays[key].size else (0, -1)
        if low < 0 or high >= limit:
            bad = low if low < 0 else high
            raise UserError(f"body '{name}': {key} names item {bad} of {limit} (0 to {limit - 1}): the file is damaged")
