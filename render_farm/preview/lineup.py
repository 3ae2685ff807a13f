"""People of different ages side by side before a height chart."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.bodies.body import Body
from ..scenes.scene import Camera
from .draw import PAPER, draw_people
from .dressing import Dress
from .media import Bytes, captioned, write_text
from .views import finer, frame_points

Singles = NDArray[np.float32]
_FOV = 3.0  # degrees: so long a lens that heights can be read off the chart
_NEAREST_SHARE = 0.12
_LINE, _BOLD, _SHADE = (204, 207, 212), (150, 154, 160), 46


def betas_at_age(body: Body, age: float) -> Singles:
    """Shape (num_betas,) of a typical body of an age, in the body's unit of age.

    A straight line through the members of the population nearest in age, read at ``age``, so that the youngest and
    the oldest are not drawn towards the middle.
    """
    assert body.population is not None and body.population_ages is not None
    ages = body.population_ages.astype(np.float64)
    near = np.argsort(np.abs(ages - age), kind="stable")[: max(8, round(_NEAREST_SHARE * len(ages)))]
    line = np.stack([np.ones(len(near)), ages[near] - age], 1)
    return np.linalg.lstsq(line, body.population[near].astype(np.float64), rcond=None)[0][0].astype(np.float32)


def lineup(
    people: Sequence[tuple[Dress, Singles]],
    names: Sequence[str],
    width: int,
    *,
    mark: float,
    gap: float = 0.35,
    renderer_name: str = "auto",
) -> Bytes:
    """Standing people (dress, vertices (V, 3)) from the front, left to right, on one line.

    Args:
        names: written beneath, one a person; "" where the person before goes on (another view of the same).
        mark: distance of the chart's lines, metres.
        gap: between people, as a share of the tallest's height, less beside a nameless one.
    """
    tallest = max(float(np.ptp(points[:, 1])) for _, points in people)
    placed: list[tuple[Dress, Singles]] = []
    left = 0.0
    for (dress, points), name in zip(people, names, strict=True):
        low, high = points.min(0), points.max(0)
        left += (gap if name else 0.35 * gap) * tallest if placed else 0.0
        shift = np.array([left - low[0], -low[1], -(low[2] + high[2]) / 2])
        placed.append((dress, (points + shift).astype(np.float32)))
        left += float(high[0] - low[0])
    top = np.ceil(1.02 * tallest / mark) * mark
    edges = -0.09 * left, 1.03 * left
    corners = np.array([(x, y, 0.0) for x in edges for y in (-0.03 * top, 1.05 * top)])
    height = round(width * 1.08 * top / (edges[1] - edges[0]))
    camera = frame_points(corners, (0.0, 0.0), width, height, margin=0.0, fov=_FOV)
    picture = _chart(finer(camera, 2), placed, mark, top)
    for person in placed:  # one at a time: shadows are the finer the smaller the scene
        picture = draw_people(
            [person], finer(camera, 2), None, backdrop=picture, supersample=1, renderer_name=renderer_name
        )
    picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return _labels(picture, camera, placed, names, mark, top)


def _project(camera: Camera, x: float, y: float) -> tuple[float, float]:
    """Pixel of the place (x, y, 0)."""
    seen = camera.K @ (np.asarray(camera.R) @ np.array([x, y, 0.0]) + camera.t)
    return float(seen[0] / seen[2]), float(seen[1] / seen[2])


def _chart(camera: Camera, placed: Sequence[tuple[Dress, Singles]], mark: float, top: float) -> Bytes:
    """Paper with horizontal lines, and a soft shadow where each person stands."""
    picture = np.empty((camera.height, camera.width, 3), np.uint8)
    picture[:] = PAPER
    for k in range(round(top / mark) + 1):
        row = round(_project(camera, 0, k * mark)[1])
        picture[max(row - 1, 0) : row + 1] = _BOLD if k % 5 == 0 else _LINE
    shade = np.zeros(picture.shape[:2], np.float32)
    for _, points in placed:
        feet = points[points[:, 1] < 0.06 * np.ptp(points[:, 1])]
        x, y = _project(camera, float(feet[:, 0].mean()), 0.0)
        half = (_project(camera, float(feet[:, 0].max()), 0)[0] - x) * 1.25
        cv2.ellipse(
            shade, (round(x), round(y)), (round(half), max(3, round(0.09 * half))), 0, 0, 360, 1.0, -1, cv2.LINE_AA
        )
    shade = np.asarray(cv2.GaussianBlur(shade, (0, 0), camera.height / 150), np.float32)
    return np.clip(picture - _SHADE * shade[..., None], 0, 255).astype(np.uint8)


def _labels(
    picture: Bytes,
    camera: Camera,
    placed: Sequence[tuple[Dress, Singles]],
    names: Sequence[str],
    mark: float,
    top: float,
) -> Bytes:
    size = int(np.clip(camera.height / 30, 11, 18))
    for k in range(1, round(top / mark) + 1):
        x, y = 6, _project(camera, 0, k * mark)[1]
        picture = write_text(picture, f"{100 * k * mark:.0f} cm", (x, y - 1), size, "ls")
    foot = captioned(picture, " ", size)
    groups = [k for k, name in enumerate(names) if name]
    for start, stop in zip(groups, [*groups[1:], len(names)], strict=True):
        middle = np.mean(
            [_project(camera, float(p[:, 0].min() + p[:, 0].max()) / 2, 0)[0] for _, p in placed[start:stop]]
        )
        foot = write_text(foot, names[start], (float(middle), len(picture) + size // 4), size, "ma")
    return foot
