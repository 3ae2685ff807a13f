"""Vertices of a body that stand for nose, eyes, ears, finger tips, toes and heels, by smplx's names."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from .anny_source import AnnySource
from .submesh import Submesh

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_TOES = ("LBigToe", "LSmallToe", "LHeel")


def extra_vertices(source: AnnySource, mesh: Submesh, arrays: dict[str, np.ndarray]) -> dict[str, int]:
    """Vertex of each extra joint of smplx, found on the left and mirrored for the right.

    Eyes are the poles of the corneas, finger tips the vertices furthest along the last segment, the others those nearest
    to Anny's keypoints.
    """
    template = arrays["v_template"].astype(np.float64)
    weights = source.model.dense_vertex_bone_weights.numpy()[mesh.kept]
    points = source_points(source, mesh, template)
    found = {"nose": nearest(template, points[0]), "lear": nearest(template, points[3])}
    assert mesh.mirror[found["nose"]] == found["nose"]
    eye = np.flatnonzero(weights[:, source.bones.index("eye.L")] > 0.5)
    found["leye"] = int(eye[template[eye, 2].argmax()])
    for number, finger in enumerate(_FINGERS, start=1):
        last, before = (weights[:, source.bones.index(f"finger{number}-{segment}.L")] for segment in (3, 2))
        along = last @ template / last.sum() - before @ template / before.sum()
        tip = np.flatnonzero(last > 0.5)
        found[f"l{finger}"] = int(tip[(template[tip] @ along).argmax()])
    for name, place in zip(_TOES, points[17::2], strict=True):
        found[name] = nearest(template, place)
    mirrored = {
        ("R" + name[1:] if name[0] == "L" else "r" + name[1:]): v for name, v in found.items() if name != "nose"
    }
    return found | {name: int(mesh.mirror[vertex]) for name, vertex in mirrored.items()}


def source_points(source: AnnySource, mesh: Submesh, template: np.ndarray) -> np.ndarray:
    """Anny's COCO-17 and foot keypoints (23, 3) on a body that has only the vertices ``mesh.kept``.

    Regressor weights of vertices that were dropped go to the nearest that were kept.
    """
    regressor = np.concatenate([source.coco_regressor(), source.foot_regressor()])
    base = source.model.template_vertices.numpy()
    onto = cKDTree(base[mesh.kept]).query(base)[1]
    reduced = np.zeros((len(regressor), len(mesh.kept)))
    np.add.at(reduced.T, onto, regressor.T)
    return reduced @ template


def nearest(points: np.ndarray, place: np.ndarray) -> int:
    """Index of the point nearest to a place."""
    return int(((points - place) ** 2).sum(1).argmin())
