"""Medical leads and cables that run over bodies and bedding, and a pacifier in the mouth."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..looks.bodymap import BodyMap
from ..looks.faces import find_face
from ..looks.patterns import Bytes, Singles, lab_to_rgb
from .cloths import HeightMap
from .meshes import Part, grid_faces, join, occluder_topology, ring, sphere
from .scene import Surface, Topology

_STEPS, _SIDES = 120, 7
_LAB = ((92, 0, 1), (46, 60, 36), (50, -38, 24), (84, 4, 70), (42, 8, -44), (18, 0, 0), (70, 0, 0))
"""Of leads: white, red, green, yellow, blue, black, grey."""
Floats = NDArray[np.floating]


@cache
def _colour(index: int) -> Bytes:
    lab = np.full((4, 4, 3), _LAB[index], np.float32)
    return lab_to_rgb(lab).astype(np.uint8)


@cache
def _lead_topology() -> Topology:
    u, v = np.meshgrid(np.linspace(0, 1, _SIDES), np.linspace(0, 1, _STEPS))
    tube = grid_faces(_STEPS, _SIDES)[:, ::-1]
    _, faces, uv = sphere(7, 13)
    coords = np.concatenate([np.stack([u.reshape(-1), v.reshape(-1)], 1), uv])
    return occluder_topology("lead", np.concatenate([tube, faces + _STEPS * _SIDES]), coords)


def lead(rng: np.random.Generator, bumps: HeightMap, start: Floats, away: float, electrode: bool) -> Surface:
    """A lead from a place on the body over whatever lies in its way to half a metre and more from there.

    Args:
        start: (2,) x and z where it begins, metres. away: direction in which it leaves, radians.
        electrode: whether it begins at a patch.
    """
    radius, length, bend = rng.uniform(0.0013, 0.0027), rng.uniform(0.55, 1.0), rng.normal(0, 0.22, 2)
    colour, t = int(rng.integers(len(_LAB))), np.linspace(0, 1, _STEPS)
    ahead, aside = np.array([np.cos(away), np.sin(away)]), np.array([-np.sin(away), np.cos(away)])
    sway = bend[0] * np.sin(np.pi * t) + 0.5 * bend[1] * np.sin(2 * np.pi * t) + 0.02 * np.sin(rng.uniform(9, 16) * t)
    flat = start + length * (t[:, None] * ahead + (sway * t**0.5)[:, None] * aside)
    lying = bumps.at(flat[:, 0], flat[:, 1]).reshape(-1, 1) + np.float32(1.2 * radius)
    height = np.asarray(cv2.GaussianBlur(cv2.dilate(lying, np.ones((5, 1), np.uint8)), (1, 9), 0), np.float32)
    height = np.maximum(height.ravel(), lying.ravel())
    path = np.stack([flat[:, 0], height, flat[:, 1]], 1)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.stack([tangent[:, 2], 0 * t, -tangent[:, 0]], 1)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
    up = np.stack([tangent[:, 1] * side[:, 2] - tangent[:, 2] * side[:, 1],
                   tangent[:, 2] * side[:, 0] - tangent[:, 0] * side[:, 2],
                   tangent[:, 0] * side[:, 1] - tangent[:, 1] * side[:, 0]], 1)  # fmt: skip
    angle = np.linspace(0, 2 * np.pi, _SIDES)
    tube = path[:, None] + radius * (np.cos(angle)[:, None] * side[:, None] + np.sin(angle)[:, None] * up[:, None])
    patch = sphere(7, 13)[0] * ((0.013, 0.004, 0.013) if electrode else (0.003, 0.002, 0.003)) + path[0]
    vertices = np.concatenate([tube.reshape(-1, 3), patch]).astype(np.float32)
    return Surface(_lead_topology(), vertices, _colour(colour), specular=0.12)


@cache
def _pacifier() -> tuple[Floats, Topology]:
    """Shield, knob and ring about the mouth, facing +z, metres for an infant of 0.65 m."""
    points, faces, uv = join([
        Part(sphere(13, 23), (0, 0, 0.004), (0.020, 0.015, 0.0045), 0),
        Part(sphere(7, 13), (0, 0, 0.010), (0.008, 0.008, 0.006), 1),
        Part(ring(13, 33), (0, -0.004, 0.014), (0.011, 0.010, 0.011), 1, (0, 62.0)),
    ])  # fmt: skip
    return points, occluder_topology("pacifier", faces, uv)


class Mouths:
    """Where the mouth of a body is, whatever its pose.

    Raises:
        UserError: for a body whose face cannot be found (see :func:`..looks.faces.find_face`).
    """

    def __init__(self, body: BodyMap) -> None:
        face = find_face(body)
        marks = np.stack([face.mouth, *face.eyes])
        skin = np.where(np.isin(body.vertices.joint, (15,))[:, None], body.vertices.position, np.float32(9))
        self._rows = np.argmin(((skin[None] - marks[:, None]) ** 2).sum(-1), axis=1)
        self.scale = body.height / 0.65

    def pacifier(self, vertices: Singles, texture: Bytes) -> Surface:
        """A pacifier before the mouth of a posed body (V, 3), metres."""
        mouth, left, right = vertices[self._rows].astype(np.float64)
        across = (left - right) / max(float(np.linalg.norm(left - right)), 1e-6)
        up = (left + right) / 2 - mouth
        up = up - (up @ across) * across
        up /= max(float(np.linalg.norm(up)), 1e-6)
        size = float(np.linalg.norm(left - right)) / 0.047  # of the open infant's mean face
        points, topology = _pacifier()
        frame = np.stack([across, up, np.cross(across, up)])
        return Surface(topology, (size * points @ frame + mouth).astype(np.float32), texture, specular=0.2)
