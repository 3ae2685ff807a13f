"""Plants: pot plants, bushes and trees of single leaves, each on a stem, a trunk or the ground."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..looks.patterns import Bytes
from .meshes import occluder_topology
from .scene import Surface, Topology

Floats = NDArray[np.floating]
LEAVES = 760
"""Leaves of a plant: as many faces as renderers want to take vertices alone for shadows (see :data:`.meshes.ENOUGH`)."""
VARIANTS = 16
_LEAF = np.array([[0, 0, -1.0], [0.42, 0.12, 0], [0, 0, 1], [-0.42, 0.12, 0]])
"""Corners of a leaf of half length 1, folded along its middle."""


@dataclass(frozen=True)
class Crown:
    """Where the leaves of a plant are: between two heights, within ``wide`` metres of its middle.

    Attributes:
        leaf: half length of a leaf, metres. dome: widest at its lower end, as bushes are, else in the middle.
    """

    low: float
    high: float
    wide: float
    leaf: float
    dome: bool = False


@cache
def _topology() -> Topology:
    """All leaves; each shows a place of its own in the texture, so that no two have quite one colour."""
    corner = np.arange(LEAVES)[:, None] * 4
    faces = np.concatenate([corner + np.array([0, 1, 2]), corner + np.array([0, 2, 3])])
    spot = np.random.default_rng(0).random((LEAVES, 1, 2))
    uv = spot + 0.10 * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    parts = occluder_topology("leaves", faces, uv.reshape(-1, 2))
    return Topology(parts.name, parts.faces, parts.uv, parts.uv_faces, parts.part_ids, two_sided=True)


@cache
def _leaves(variant: int, dome: bool) -> tuple[Floats, Floats, Floats, Floats]:
    """Leaves of a crown of size 1: places (L, 3), y from 0 to 1; corners about them (L, 4, 3); normals (4 L, 3); shade (4 L,).

    They grow in clusters, most of them near the crown's outside, and hang a little.
    """
    rng = np.random.default_rng(variant)
    clusters = rng.normal(0, 1, (24, 3))
    clusters *= 0.8 * (rng.random((24, 1)) ** 0.4) / np.linalg.norm(clusters, axis=1, keepdims=True)
    places = clusters[rng.integers(24, size=LEAVES)] + rng.normal(0, 0.17, (LEAVES, 3))
    places *= np.minimum(1, 1.05 / np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-9))
    if dome:
        places[:, 1] = np.abs(places[:, 1])
    along = _unit(rng.normal(0, 1, (LEAVES, 3)) + 0.8 * places - np.array([0, 0.5, 0]))
    across = _unit(np.cross(places + rng.normal(0, 0.7, (LEAVES, 3)) + np.array([0, 0.5, 0]), along))
    axes = np.stack([across, np.cross(along, across), along], 1)
    corners = rng.uniform(0.6, 1.2, (LEAVES, 1, 1)) * np.einsum("vk,nkd->nvd", _LEAF, axes)
    outward = _unit(places + np.array([0, 0.15, 0]))
    normals = _unit(0.75 * outward + 0.5 * axes[:, 1] * np.sign((axes[:, 1] * outward).sum(1, keepdims=True)))
    height = np.minimum(places[:, 1], 1) if dome else 0.5 + 0.5 * places[:, 1]
    shade = np.clip(np.linalg.norm(places, axis=1), 0.35, 1.0) * np.minimum(0.75 + 0.25 * height, 1)
    places = np.stack([places[:, 0], height, places[:, 2]], 1)
    return places, corners, np.repeat(normals, 4, 0), np.repeat(shade, 4).astype(np.float32)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


def foliage(crown: Crown, variant: int, texture: Bytes, yaw: float, at: tuple[float, float, float]) -> Surface:
    """The leaves of a plant whose foot is at ``at``; ``variant``: one of :data:`VARIANTS` ways in which they grow."""
    places, corners, normals, shade = _leaves(variant % VARIANTS, crown.dome)
    points = places[:, None] * (crown.wide, crown.high - crown.low, crown.wide) + crown.leaf * corners
    points[..., 1] = np.maximum(points[..., 1] + crown.low, 0.01)
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
    placed = points.reshape(-1, 3) @ turn + np.asarray(at)
    turned = np.ascontiguousarray(normals @ turn, np.float32)
    return Surface(_topology(), placed.astype(np.float32), texture, 0.02, 0.4, turned, shade)


def crown_of(rng: np.random.Generator, kind: str) -> Crown:
    """Draw the crown of a "plant" in a pot, a "bush" or a "tree"."""
    low, high, wide, leaf = {
        "plant": (0.42, 1.15, 0.30, 0.055),
        "bush": (0.0, 0.9, 0.55, 0.06),
        "tree": (1.7, 4.2, 1.25, 0.17),
    }[kind]
    scale, tall = rng.uniform(0.7, 1.3), rng.uniform(0.8, 1.3)
    return Crown(low, max(high * tall, low + 0.3), wide * scale, leaf * rng.uniform(0.75, 1.3) * scale, kind == "bush")
