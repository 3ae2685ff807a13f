"""Face landmarks of a body file: 51 fixed points, and a jaw line that slides over the skin as the head turns."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from ..meshes import vertex_normals
from .anny_source import AnnySource
from .face_points import OPEN_JAW, find_points, look_at, mouth_corner
from .fitting import mirrored
from .submesh import Submesh

YAWS = tuple(range(0, -40, -1)) + tuple(range(1, 40))
"""Turn of the head about +Y, degrees, for each row of SMPL-X's table of contours: 0 to -39, then 1 to 39."""

_CONTOUR = 17
_RAYS, _SMOOTH = 481, 31
_ON_HEAD = 0.9
"""Share of head and jaw in a vertex's skinning weights from which it counts as face rather than neck."""


def static_landmarks(source: AnnySource, mesh: Submesh) -> tuple[np.ndarray, np.ndarray]:
    """``lmk_faces_idx`` (51,) and ``lmk_bary_coords`` (51, 3) on the body's mesh, iBUG's points 17 to 67."""
    closed, opened = grown_up(source, 0.0), grown_up(source, OPEN_JAW)
    places, on_opened = find_points(look_at(source, closed), look_at(source, opened), mouth_corner(source, closed))
    skin = np.flatnonzero(source.region_of(mesh.uv[mesh.uv_faces].mean(1) * (1, -1) + (0, 1), "head"))
    triangles, weights = np.zeros(51, int), np.zeros((51, 3))
    for body, chosen in ((closed, ~on_opened), (opened, on_opened)):
        found, bary = closest_on_mesh(places[chosen], body[mesh.kept], mesh.faces[skin])
        triangles[chosen], weights[chosen] = skin[found], bary
    return triangles, weights


def jaw_line(source: AnnySource, mesh: Submesh, template: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``dynamic_lmk_faces_idx`` (79, 17) and ``dynamic_lmk_bary_coords`` (79, 17, 3): iBUG's points 0 to 16.

    For each yaw, the outline of the turned face from the front, from the height of the eyes at the right ear around
    the chin to the left ear, in equal steps. Face is the skin before the ears and above the edge of the jaw: on the far
    side the outline is where the cheek hides itself, on the near side the jaw.

    Args:
        template: (V, 3) the body's T-posed template.
    """
    triangles, eye_height = _face_triangles(source, mesh, template)
    corners = template[mesh.faces[triangles]]
    middle = np.array([0.0, (eye_height + corners[:, :, 1].min()) / 2, corners[:, :, 2].mean()])
    rows, weights = np.zeros((len(YAWS), _CONTOUR), int), np.zeros((len(YAWS), _CONTOUR, 3))
    for k, yaw in enumerate(np.radians(YAWS)):
        across = np.array([np.cos(yaw), 0.0, np.sin(yaw)])
        seen = np.stack([(corners - middle) @ across, corners[:, :, 1] - middle[1]], -1)
        rows[k], weights[k] = _outline(seen, eye_height - middle[1])
    return triangles[rows], weights


def _face_triangles(source: AnnySource, mesh: Submesh, template: np.ndarray) -> tuple[np.ndarray, float]:
    """Triangles of the skin between ears and jaw, and the height of the eyes."""
    weights, names = source.weights[mesh.kept], source.joint_set
    on_head = weights[:, names.index("head")] + weights[:, names.index("jaw")]
    eyes = weights[:, [names.index("left_eyeball"), names.index("right_eyeball")]].sum(1) > 0.5
    eye_height = float(template[eyes, 1].mean())
    ears = np.linalg.norm(source.change("l-ear-scale-incr") + source.change("r-ear-scale-incr"), axis=1)[mesh.kept]
    ear = ears > 0.1 * ears.max()
    before = ~ear & (template[:, 2] > np.quantile(template[ear, 2], 0.8))
    chosen = (on_head > _ON_HEAD) & before & ~eyes
    chosen &= template[:, 1] < eye_height + 0.01
    chosen &= vertex_normals(template, mesh.faces)[:, 1] > -0.8  # not the underside of the chin
    return np.flatnonzero(chosen[mesh.faces].all(1)), eye_height


def _outline(seen: np.ndarray, top: float) -> tuple[np.ndarray, np.ndarray]:
    """Triangle (17,) and barycentric coordinates (17, 3) of even steps along the outline of flat triangles (F, 3, 2).

    The outline is followed counter-clockwise from the left of the picture, below the height ``top``, around the origin.
    """
    angles = np.linspace(np.pi - 1, 2 * np.pi + 1, _RAYS)
    hits = np.zeros((_RAYS, 2))
    triangle, weights = np.zeros(_RAYS, int), np.zeros((_RAYS, 3))
    for ray, angle in enumerate(angles):
        along, aside = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        side, reach = seen @ aside, seen @ along  # (F, 3)
        after = np.roll(side, -1, axis=1)
        share = side / np.where(side == after, 1, side - after)
        distance = reach + share * (np.roll(reach, -1, axis=1) - reach)
        distance = np.where((side > 0) != (after > 0), distance, -np.inf)
        row, edge = np.unravel_index(distance.argmax(), distance.shape)
        hits[ray], triangle[ray] = distance[row, edge] * along, row
        weights[ray, edge], weights[ray, (edge + 1) % 3] = 1 - share[row, edge], share[row, edge]
    below = np.flatnonzero(hits[:, 1] <= top)
    smooth = uniform_filter1d(hits[below], _SMOOTH, axis=0, mode="nearest")  # triangles make the edge jagged
    steps = np.linalg.norm(np.diff(smooth, axis=0), axis=1)
    length = np.append(0.0, np.cumsum(steps))
    chosen = below[np.abs(length[:, None] - np.linspace(0, length[-1], _CONTOUR)).argmin(0)]
    return triangle[chosen], weights[chosen]


def grown_up(source: AnnySource, jaw: float) -> np.ndarray:
    """A T-posed adult (source vertices, 3) between man and woman, made symmetric, the jaw turned by so many radians."""
    pose = np.zeros((1, source.joint_set.count, 3))
    pose[0, source.joint_set.index("jaw"), 0] = jaw
    body, _ = source({"phenotypes": {"age": np.array([2 / 3]), "gender": np.array([0.5])}, "local_changes": {}}, pose)
    return (body[0] + mirrored(body[0], source.mirror())) / 2


def closest_on_mesh(places: np.ndarray, points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest triangle (P,) to each place and barycentric coordinates (P, 3) of the nearest place in it."""
    corners = points[faces]
    triangles, weights = np.zeros(len(places), int), np.zeros((len(places), 3))
    for row, place in enumerate(places):
        bary = _nearest_in_triangles(place, corners)
        gaps = ((np.einsum("fk,fkc->fc", bary, corners) - place) ** 2).sum(1)
        triangles[row] = gaps.argmin()
        weights[row] = bary[triangles[row]]
    return triangles, weights


def _nearest_in_triangles(place: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric coordinates (F, 3) of the place nearest to ``place`` in each triangle (F, 3, 3)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    u, v, w = b - a, c - a, place - a
    uu, uv, vv = (u * u).sum(1), (u * v).sum(1), (v * v).sum(1)
    wu, wv = (w * u).sum(1), (w * v).sum(1)
    area = np.maximum(uu * vv - uv * uv, 1e-30)
    s, t = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    best = np.stack([1 - s - t, s, t], 1)
    outside = (best < 0).any(1)
    gap = np.where(outside, np.inf, 0.0)
    for k in range(3):  # for places beside the triangle: the nearest place on an edge
        start, end = corners[:, k], corners[:, (k + 1) % 3]
        side = end - start
        along = np.clip(((place - start) * side).sum(1) / np.maximum((side**2).sum(1), 1e-30), 0, 1)
        distance = ((start + along[:, None] * side - place) ** 2).sum(1)
        edge = np.zeros_like(best)
        edge[:, k], edge[:, (k + 1) % 3] = 1 - along, along
        nearer = outside & (distance < gap)
        best[nearer], gap[nearer] = edge[nearer], distance[nearer]
    return best
