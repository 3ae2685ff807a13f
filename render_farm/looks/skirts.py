"""Skirts: the one garment that paint and thickness cannot make, since it spans both legs.

A tube of cloth hangs from the hips in the rest pose and is skinned like the body: pelvis at its waist, thighs at its
hem, blended from left to right across the lap. It takes its shape directions from the skin nearest to it. What a thigh
would push through is then pushed off it (:func:`off_the_thighs`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.bodies.body import Body
from ...models.bodies.skinning import SkinnedMesh
from ..scenes.scene import Topology
from .cutting import Cutter, Piece
from .patterns import Bytes, finish, noise, tile

Singles = NDArray[np.float32]
ROWS, COLUMNS = 9, 41
_CLEAR = 0.005  # metres between thigh and skirt
_BANDS = 7  # along the thigh, in which its girth is measured


def skirt_topology(name: str) -> Topology:
    """Two-sided tube, ROWS rings of COLUMNS vertices (the last column repeats the first, for the texture's seam)."""
    corner = (np.arange(ROWS - 1)[:, None] * COLUMNS + np.arange(COLUMNS - 1)).reshape(-1)
    outer = np.concatenate(
        [
            np.stack([corner, corner + COLUMNS, corner + 1], 1),
            np.stack([corner + 1, corner + COLUMNS, corner + COLUMNS + 1], 1),
        ]
    )
    u, v = np.meshgrid(np.linspace(0, 1, COLUMNS), np.linspace(0, 1, ROWS))
    uv = np.stack([u.reshape(-1), v.reshape(-1)], 1).astype(np.float32)
    inner = outer[:, ::-1] + ROWS * COLUMNS  # its own vertices, so that each side has its own normals
    middle = u.reshape(-1)[outer].mean(1)
    upper = v.reshape(-1)[outer].mean(1) < 0.35
    part = np.where(upper, 1, np.where(middle < 0.5, 2, 3))  # 1 + SMPL joint: pelvis, left hip, right hip
    faces = np.concatenate([outer, inner]).astype(np.int32)
    return Topology(name, faces, np.concatenate([uv, uv]), faces, np.concatenate([part, part]).astype(np.uint8))


def skirt_mesh(body: Body, cutter: Cutter) -> SkinnedMesh:
    """The tube in the rest pose, (2 ROWS COLUMNS) vertices: outer side, then inner side 2 mm within."""
    scale, points, owner = cutter.scale, cutter.body.vertices.position, cutter.body.vertices.joint
    grid = np.meshgrid(np.linspace(0, 2 * np.pi, COLUMNS), np.linspace(0, 1, ROWS))
    angle, down = (axis.reshape(-1) for axis in grid)
    height = (cutter.hip + 0.022 * scale) - down * 0.50 * cutter.leg_length
    near = np.isin(owner, (0, 1, 2)) & (np.abs(points[:, 1] - cutter.hip) < 0.04 * scale)
    low, high = points[near].min(0), points[near].max(0)
    flare = (0.010 + 0.028 * down) * scale
    ripple = 1 + 0.05 * down * np.sin(9 * angle)
    x = ((high[0] - low[0]) / 2 + flare) * np.sin(angle) * ripple
    z = (high[2] + low[2]) / 2 + ((high[2] - low[2]) / 2 + flare) * np.cos(angle) * ripple
    outer = np.stack([x, height, z], 1)
    inner = outer - 0.002 * scale * np.stack([np.sin(angle), 0 * angle, np.cos(angle)], 1)
    rest = np.concatenate([outer, inner])

    side = np.clip(0.5 + 0.8 * x / max(float(np.abs(x).max()), 1e-6), 0, 1)
    thigh = np.clip(down * 1.5, 0, 1)
    weights = np.zeros((body.joint_count, len(outer)))  # pelvis and hips come first in every joint set
    weights[0], weights[1], weights[2] = 1 - thigh, thigh * side, thigh * (1 - side)
    nearest = torch.from_numpy(np.argmin(((rest[:, None] - points[None, ::3]) ** 2).sum(-1), axis=1) * 3)
    mesh, count = body.mesh, len(points)
    planes = torch.cat([nearest, nearest + count, nearest + 2 * count])
    return replace(
        mesh,
        template=torch.from_numpy(rest.T.reshape(-1)).float(),
        shapedirs=mesh.shapedirs[:, planes].contiguous(),
        posedirs=torch.zeros(0, len(planes)),
        pose_features=mesh.pose_features[:0],
        weights=torch.from_numpy(np.concatenate([weights, weights], 1)).float().contiguous(),
    )


def off_the_thighs(
    skirt: Singles, vertices: Singles, joints: Singles, thighs: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> Singles:
    """The posed skirt with every vertex outside of both thighs.

    Each thigh counts as a round tube about the line from hip to knee, as wide as the dressed flesh is there.

    Args:
        skirt: (S, 3) posed, outer side then inner side, metres. vertices: (V, 3) posed and dressed body.
        joints: (J, 3) posed. thighs: indices of the vertices of the left and of the right thigh.
    """
    result = skirt.copy()
    outer = len(skirt) // 2
    for _ in range(2):  # off one thigh may be into the other
        for (hip, knee), flesh in zip(((1, 4), (2, 5)), thighs, strict=True):
            origin, line = joints[hip], joints[knee] - joints[hip]
            length = max(float(np.linalg.norm(line)), 1e-6)
            line = line / length
            girth = _girths(vertices[flesh] - origin, line, length)
            way = result - origin
            along = way @ line
            across = way - along[:, None] * line
            distance = np.sqrt(np.einsum("ij,ij->i", across, across))
            wanted = np.interp(along / length, np.linspace(0, 1, _BANDS), girth, left=0.0, right=girth[-1])
            wanted = wanted + np.where(np.arange(len(skirt)) < outer, _CLEAR, 0.6 * _CLEAR)
            wanted[(along < 0) | (along > 1.15 * length)] = 0
            push = np.maximum(wanted - distance, 0)
            result += (push / np.maximum(distance, 1e-6))[:, None] * across
    return np.asarray(result, np.float32)


def _girths(flesh: Singles, line: Singles, length: float) -> Singles:
    """(_BANDS,) largest distance from the axis of the flesh (N, 3) about each of the bands along it."""
    along = flesh @ line
    distance = np.sqrt(np.maximum(np.einsum("ij,ij->i", flesh, flesh) - along**2, 0))
    band = np.clip(np.round(along / length * (_BANDS - 1)).astype(np.int64), 0, _BANDS - 1)
    inner = band > 0  # the hip's own band holds the buttock of the other side, too
    girth = np.zeros(_BANDS, np.float32)
    np.maximum.at(girth, band[inner], distance[inner])
    girth[0] = 0.6 * girth[1]
    return girth


def paint_skirt(rng: np.random.Generator, piece: Piece, cutter: Cutter, size: int = 128) -> Bytes:
    """Texture (size, 2 size, 3) uint8 sRGB of a skirt in the print of the dress: pleats, and a darker hem."""
    print_ = tile(rng, piece.kind, piece.colours, 64)
    round_ = np.arange(2 * size) / (2 * size) * 2 * np.pi * cutter.half_width
    down = np.arange(size) / size * 0.5 * cutter.leg_length
    columns, rows = (np.floor(along * (64 / piece.span)).astype(int) % 64 for along in (round_, down))
    lab = print_[rows[:, None], columns[None]]
    folds = noise(rng, 2 * size, 14, aspect=9.0)[:size]
    shade = 1 + 0.09 * folds * np.linspace(0.4, 1.2, size)[:, None]
    shade[-3:] *= 0.85
    shade[: size // 16] *= 0.88
    return finish(np.ascontiguousarray(lab, np.float32), shade.astype(np.float32))
