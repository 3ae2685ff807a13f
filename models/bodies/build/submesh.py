"""The part of the source mesh that a body keeps: a subset of its vertices, with its own faces and texture layout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anny_source import AnnySource
from .decimate import MAX_EDGE, decimate

_FACE_IMPORTANCE = 12.0
_DIGIT_IMPORTANCE = 2.0
_DIGITS = ("_hand", "_foot", "1", "2", "3")  # fingers are numbered by segment
FACE_RADIUS = 0.04
"""How far the face reaches around nose and eyes, metres, on an infant of mean size."""


@dataclass(frozen=True)
class Submesh:
    """``kept`` (V,) source vertices; ``faces`` (F, 3), ``uv_faces`` (F, 3) into ``uv`` (T, 2) with v growing downwards;
    ``mirror`` (V,) the vertex opposite to each."""

    kept: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    mirror: np.ndarray


def select(
    source: AnnySource, points: np.ndarray, target: int, face_radius: float = FACE_RADIUS, max_edge: float = MAX_EDGE
) -> Submesh:
    """The source's mesh without the tongue, decimated to about ``target`` vertices.

    Args:
        points: (source vertices, 3) a typical T-posed body, symmetric, metres. target: vertices to keep.
        face_radius: size of the face, metres. max_edge: longest edge that decimation may make, metres.
    """
    visible = ~source.region("tongue")
    faces, uv_faces, mirror = source.faces[visible], source.uv_faces[visible], source.mirror()
    importance = face_importance(source, points, face_radius)[visible]
    faces, uv_faces = decimate(points, faces, uv_faces, source.uv, mirror, source.weights, importance, target, max_edge)
    return compact(faces, uv_faces, source.uv, mirror)


def face_importance(source: AnnySource, points: np.ndarray, face_radius: float) -> np.ndarray:
    """How much an error on each triangle (F,) counts: most on the face, little within mouth and eye sockets."""
    nose, left_eye, right_eye = source.coco_regressor()[:3] @ points
    centre = (nose + left_eye + right_eye) / 3
    distance = np.linalg.norm(points[source.faces].mean(1) - centre, axis=1)
    importance = 1 + _FACE_IMPORTANCE * np.exp(-((distance / face_radius) ** 2))
    digits = [joint for joint, name in enumerate(source.joint_set.joints) if name.endswith(_DIGITS) and "_" in name]
    importance += _DIGIT_IMPORTANCE * source.weights[:, digits].sum(1)[source.faces].mean(1)
    inner = source.region("mouth_cavity", "eye_cavity.L", "eye_cavity.R", "eye_back.L", "eye_back.R")
    return np.where(inner, 0.1, importance)


def compact(faces: np.ndarray, uv_faces: np.ndarray, uv: np.ndarray, mirror: np.ndarray) -> Submesh:
    """Drop vertices and texture coordinates that no face uses, and renumber the rest.

    Args:
        faces, uv_faces: (F, 3) into the source's vertices and ``uv`` (T, 2), whose v grows upwards.
        mirror: (source vertices,) permutation.
    """
    kept, renumbered = np.unique(faces, return_inverse=True)
    used, uv_renumbered = np.unique(uv_faces, return_inverse=True)
    position = np.full(len(mirror), -1)
    position[kept] = np.arange(len(kept))
    opposite = position[mirror[kept]]
    assert opposite.min() >= 0, "the kept vertices are not symmetric"
    return Submesh(
        kept=kept,
        faces=renumbered.reshape(faces.shape),
        uv=uv[used] * (1, -1) + (0, 1),
        uv_faces=uv_renumbered.reshape(faces.shape),
        mirror=opposite,
    )
