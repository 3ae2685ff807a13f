"""A jointed figure of ellipsoids with SMPL's skeleton: a body that needs no model file.

The doctor's check of the renderers, tests and benchmarks draw it. It answers as a body model does (betas, pose,
transl to vertices, joints, keypoints), so labels can be checked against it, and is painted as dressed from neck to knee.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..scenes.scene import PersonInScene, Surface, Topology

# SMPL's 24 joints: parent, and rest position in metres of an infant-sized figure (T-pose, Y up, facing +Z, left = +X).
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
_LEFT_HALF = {
    0: (0, 0, 0), 1: (0.05, -0.03, 0), 3: (0, 0.06, 0), 4: (0.055, -0.15, 0), 6: (0, 0.11, 0), 7: (0.055, -0.26, -0.01),
    9: (0, 0.15, 0), 10: (0.06, -0.28, 0.05), 12: (0, 0.22, 0), 13: (0.03, 0.19, 0), 15: (0, 0.29, 0.01),
    16: (0.085, 0.19, 0), 18: (0.175, 0.19, 0), 20: (0.255, 0.19, 0), 22: (0.295, 0.19, 0),
}  # fmt: skip
_MIRRORED = {2: 1, 5: 4, 8: 7, 11: 10, 14: 13, 17: 16, 19: 18, 21: 20, 23: 22}
# Half axes of the ellipsoid around each bone, and its centre relative to the joint, metres.
_SHAPES = {
    0: ((0.075, 0.055, 0.055), (0, 0, 0)), 1: ((0.04, 0.085, 0.042), (0, -0.06, 0)), 3: ((0.07, 0.05, 0.055), (0, 0.02, 0)),
    4: ((0.032, 0.075, 0.033), (0, -0.05, 0)), 6: ((0.072, 0.05, 0.055), (0, 0.02, 0)),
    7: ((0.022, 0.03, 0.025), (0, -0.005, 0)), 9: ((0.075, 0.06, 0.055), (0, 0.02, 0)),
    10: ((0.02, 0.015, 0.04), (0, 0, 0)), 12: ((0.03, 0.04, 0.03), (0, 0.01, 0)), 13: ((0.045, 0.035, 0.04), (0.03, 0, 0)),
    15: ((0.068, 0.085, 0.08), (0, 0.02, 0)), 16: ((0.06, 0.03, 0.03), (0.045, 0, 0)),
    18: ((0.055, 0.025, 0.025), (0.04, 0, 0)), 20: ((0.025, 0.018, 0.018), (0.01, 0, 0)),
    22: ((0.03, 0.012, 0.02), (0.01, 0, 0)),
}  # fmt: skip
# COCO-17 in order: joint it moves with, and offset from that joint at rest, metres.
_KEYPOINTS = (
    (15, (0, 0.01, 0.078)), (15, (0.025, 0.03, 0.07)), (15, (-0.025, 0.03, 0.07)), (15, (0.066, 0.02, 0)),
    (15, (-0.066, 0.02, 0)), (16, (0, 0, 0)), (17, (0, 0, 0)), (18, (0, 0, 0)), (19, (0, 0, 0)), (20, (0, 0, 0)),
    (21, (0, 0, 0)), (1, (0, 0, 0)), (2, (0, 0, 0)), (4, (0, 0, 0)), (5, (0, 0, 0)), (7, (0, 0, 0)), (8, (0, 0, 0)),
)  # fmt: skip
_BARE = (7, 8, 10, 11, 12, 15, 20, 21, 22, 23)  # feet, neck, head, hands; everything else is clothed
_SKIN, _CLOTH = (226, 172, 145), (96, 132, 176)


def _mirror(point: tuple[float, ...]) -> tuple[float, ...]:
    return (-point[0], *point[1:])


def _sphere(rings: int, sectors: int) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float32]]:
    """Unit sphere with poles on Y: vertices, outward faces, and texture coordinates of each vertex (v down)."""
    theta = np.linspace(0, np.pi, rings + 1)[:, None]
    phi = np.linspace(0, 2 * np.pi, sectors, endpoint=False)[None]
    vertices = np.stack(
        np.broadcast_arrays(np.sin(theta) * np.sin(phi), np.cos(theta), np.sin(theta) * np.cos(phi)), -1
    )
    row, column = np.meshgrid(np.arange(rings), np.arange(sectors), indexing="ij")
    a, b = row * sectors + column, row * sectors + (column + 1) % sectors
    faces = np.concatenate([np.stack([a, a + sectors, b], -1)[1:], np.stack([b, a + sectors, b + sectors], -1)[:-1]])
    uv = np.stack(np.broadcast_arrays(phi / (2 * np.pi), theta / np.pi), -1)
    return vertices.reshape(-1, 3), faces.reshape(-1, 3).astype(np.int32), uv.reshape(-1, 2).astype(np.float32)


class Figure:
    """The figure at one mesh density.

    Args:
        rings, sectors: of each of the 24 ellipsoids; 16 and 18 give 7,344 vertices.
    """

    def __init__(self, rings: int = 16, sectors: int = 18) -> None:
        self.rest = np.array(
            [_LEFT_HALF[j] if j in _LEFT_HALF else _mirror(_LEFT_HALF[_MIRRORED[j]]) for j in range(24)], np.float64
        )
        sphere, faces, uv = _sphere(rings, sectors)
        count = len(sphere)
        vertices, self._bone = [], np.repeat(np.arange(24), count)
        for joint in range(24):
            axes, centre = _SHAPES[_MIRRORED.get(joint, joint)]
            middle = _mirror(centre) if joint in _MIRRORED else centre
            vertices.append(sphere * axes + middle + self.rest[joint])
        self.vertices = np.concatenate(vertices)
        offset = count * np.arange(24)[:, None, None]
        # An atlas of 6 x 4 tiles, one a bone.
        cells = np.stack(np.meshgrid(np.arange(6), np.arange(4)), -1).reshape(24, 1, 2)
        self.topology = Topology(
            name=f"figure-{rings}x{sectors}",
            faces=(faces[None] + offset).reshape(-1, 3).astype(np.int32),
            uv=((cells + 0.02 + 0.96 * uv[None]) / (6, 4)).reshape(-1, 2).astype(np.float32),
            uv_faces=(faces[None] + offset).reshape(-1, 3).astype(np.int32),
            part_ids=np.repeat(np.arange(1, 25, dtype=np.uint8), len(faces)),
        )
        self.texture = self._paint()

    def _paint(self, cell: int = 32) -> NDArray[np.uint8]:
        """Skin on head, hands and feet, striped cloth elsewhere: (4 * cell, 6 * cell, 3)."""
        texture = np.empty((4 * cell, 6 * cell, 3), np.uint8)
        for joint in range(24):
            row, column = divmod(joint, 6)
            tile = texture[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
            tile[:] = _SKIN if joint in _BARE else _CLOTH
            if joint not in _BARE:
                tile[::8] = tile[1::8] = (214, 219, 226)
        return texture

    def __call__(
        self, betas: NDArray[np.floating], pose: NDArray[np.floating], transl: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
        """Pose the figure as SMPL does: rotations along the skeleton, the root about the pelvis, then translation.

        Args:
            betas: (20,); only the first counts: overall size ``1 + 0.1 * betas[0]``.
            pose: (24, 3) axis-angle, radians, global orientation first.
            transl: (3,) metres.

        Returns:
            vertices (V, 3) float32, joints (24, 3), keypoints (17, 3) in COCO order.
        """
        scale = 1 + 0.1 * float(betas[0])
        local = Rotation.from_rotvec(np.asarray(pose, np.float64).reshape(24, 3)).as_matrix()
        turns, joints = [local[0]], [self.rest[0] * scale]
        for joint in range(1, 24):
            parent = PARENTS[joint]
            joints.append(joints[parent] + turns[parent] @ (self.rest[joint] - self.rest[parent]) * scale)
            turns.append(turns[parent] @ local[joint])
        turn, place = np.stack(turns), np.stack(joints) + np.asarray(transl)
        offsets = (self.vertices - self.rest[self._bone]) * scale
        vertices = np.einsum("vij,vj->vi", turn[self._bone], offsets) + place[self._bone]
        keypoints = np.stack([place[j] + turn[j] @ np.array(offset) * scale for j, offset in _KEYPOINTS])
        return vertices.astype(np.float32), place, keypoints

    def person(
        self, betas: NDArray[np.floating], pose: NDArray[np.floating], transl: NDArray[np.floating]
    ) -> PersonInScene:
        """The posed figure as a person of a scene."""
        vertices, joints, keypoints = self(betas, pose, transl)
        surface = Surface(self.topology, vertices, self.texture)
        return PersonInScene(surface, keypoints, joints, betas, pose, transl, body="figure")
