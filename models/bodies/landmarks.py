"""Points of a body that its joints do not give: named vertices, and face landmarks on triangles.

A vertex number means something on one mesh only. It comes from the file (``extra_vertices`` of the open bodies), or, for
an official mesh known by its numbers of vertices and faces, from the tables of ``smplx``; never from another mesh's.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ...config import UserError
from .formats import BodyFormat

_SIDES = {"l": "left", "r": "right"}
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_FEET = {"BigToe": "big_toe", "SmallToe": "small_toe", "Heel": "heel"}

POINT_NAMES = {
    "nose": "nose",
    **{f"{s}{part}": f"{side}_{full}" for s, side in _SIDES.items() for part, full in (("eye", "eye"), ("ear", "ear"))},
    **{f"{s}{finger}": f"{side}_{finger}_tip" for s, side in _SIDES.items() for finger in _FINGERS},
    **{f"{s.upper()}{part}": f"{side}_{full}" for s, side in _SIDES.items() for part, full in _FEET.items()},
    **{finger: f"{finger}_tip" for finger in _FINGERS},
}
"""smplx's names of extra vertices to the names of joint sets."""


def named_vertices(name: str, arrays: dict[str, Any], entry: BodyFormat) -> dict[str, int]:
    """Vertex number by point, in the names of joint sets; empty for a mesh that nothing is known of.

    Raises:
        UserError: if the file's own table is not JSON of vertex numbers.
    """
    vertices = len(arrays["v_template"])
    if "extra_vertices" in arrays:
        try:
            table = json.loads(str(arrays["extra_vertices"]))
            numbers = {POINT_NAMES.get(key, key): int(value) for key, value in table.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"body '{name}': extra_vertices must be JSON of names to vertex numbers") from error
        wrong = [key for key, value in numbers.items() if not 0 <= value < vertices]
        if wrong:
            raise UserError(f"body '{name}': extra_vertices names vertex {numbers[wrong[0]]} of {vertices}")
        return numbers
    if not entry.is_official(vertices, len(arrays["f"])):
        return {}
    from smplx.vertex_ids import vertex_ids

    table = vertex_ids[{"smpl": "smplh"}.get(entry.name, entry.name)]  # SMPL and SMPL-H share one mesh
    return {POINT_NAMES[key]: int(value) for key, value in table.items()}


def face_landmarks(arrays: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Face points of iBUG's 68 as vertices and barycentric weights.

    The 51 inner ones are ``face17`` to ``face67``. The jaw line ``face0`` to ``face16`` slides over the skin when the
    head turns about the neck; given here is its place for a head that looks ahead (row 0 of SMPL-X's table).

    Returns:
        name -> (vertex numbers (3,), weights (3,)).
    """
    faces = arrays["f"].astype(np.int64)
    found: list[tuple[int, np.ndarray, np.ndarray]] = []
    if "dynamic_lmk_faces_idx" in arrays and "dynamic_lmk_bary_coords" in arrays:
        found.append((0, arrays["dynamic_lmk_faces_idx"][0], arrays["dynamic_lmk_bary_coords"][0]))
    if "lmk_faces_idx" in arrays and "lmk_bary_coords" in arrays:
        found.append((17, arrays["lmk_faces_idx"], arrays["lmk_bary_coords"]))
    return {
        f"face{first + k}": (faces[int(face)], np.asarray(bary[k], np.float64))
        for first, numbers, bary in found
        for k, face in enumerate(numbers)
    }
