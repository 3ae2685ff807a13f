"""A picture whose every pixel is known, drawn by each new renderer before it is trusted: a driver that draws nothing,
shifts by half a pixel or swaps rows is refused instead of filling a data set with wrong pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...config import UserError
from ..scenes.scene import Camera, Lights, PersonInScene, Scene, Surface, Topology

_TOPOLOGY = Topology(
    "self-check",
    np.array([[0, 1, 2]], np.int32),
    np.array([[0.5, 0.5]], np.float32),
    np.zeros((1, 3), np.int32),
    np.array([7], np.uint8),
)


def check_scene() -> Scene:
    """A red triangle at z = 2 m over the pixels with ``u + v <= 5`` of a blue 16 x 12 picture.

    Its borders lie a quarter of a pixel outside of the outermost centres, so that half a pixel of shift is seen.
    """
    corners = np.array([[-0.25, -0.25], [-0.25, 5.5], [5.5, -0.25]])  # pixels; counter-clockwise seen by the camera
    K = np.array([[16.0, 0, 7.5], [0, 16.0, 5.5], [0, 0, 1]])
    vertices = np.column_stack([(corners - K[:2, 2]) / 16 * 2, np.full(3, 2.0)]).astype(np.float32)
    texture = np.array([[[255, 0, 0]]], np.uint8)
    nothing = np.zeros(3)
    person = PersonInScene(
        Surface(_TOPOLOGY, vertices, texture, specular=0), nothing, nothing, nothing, nothing, nothing
    )
    camera = Camera(K, np.eye(3), np.zeros(3), 16, 12)
    lights = Lights(np.array([0.0, 0.0, -1.0]), np.full(3, 0.5), np.zeros(3), np.zeros(3))
    return Scene(camera, [person], np.full((12, 16, 3), (0, 0, 255), np.uint8), lights)


def check_renderer(renderer: Any) -> None:
    """Draw :func:`check_scene` and compare.

    Raises:
        UserError: saying what differs.
    """
    drawn = renderer.render(check_scene())
    rows, columns = np.mgrid[:12, :16]
    inside = rows + columns <= 5
    faults = []
    if not np.array_equal(drawn.parts == 7, inside):
        faults.append("the triangle is missing or misplaced")
    elif not np.allclose(drawn.depth[inside], 2, atol=1e-4) or not np.isinf(drawn.depth[~inside]).all():
        faults.append("depths are wrong")
    elif np.any(drawn.instances != (drawn.parts == 7)):
        faults.append("instances are wrong")
    elif (
        not (drawn.rgb[rows + columns <= 3] == drawn.rgb[0, 0]).all() or drawn.rgb[0, 0, 0] < 180 or drawn.rgb[0, 0, 2]
    ):
        faults.append(f"the triangle's colour is {drawn.rgb[0, 0].tolist()} instead of red")
    elif not (drawn.rgb[rows + columns >= 9] == (0, 0, 255)).all():
        faults.append("the backdrop is wrong")
    if faults:
        raise UserError(
            f"renderer {renderer.name} ({getattr(renderer, 'device_name', 'unknown device')}) draws a wrong test picture: "
            f"{faults[0]}; update the graphics driver, or use another renderer (opengl, raycast)"
        )
