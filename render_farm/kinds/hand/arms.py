"""The forearm that closes a hand's open wrist, and what is worn on it: sleeve, watch, bracelets.

A forearm is a tube of rings that begins with the very vertices of the hand's border, so no gap can open, bends about the
wrist and ends in a cap beyond the picture. Everything is built in the hand's own frame (right, or a left one mirrored; see
:mod:`.grasp`): the arm leaves along +X.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...scenes.scene import OCCLUDER, Topology
from .objects import grid_faces

Floats = NDArray[np.floating]
RINGS = 39  # dense enough that shadows need no further points on it
REACH = 0.62
"""Longest arm, metres: it stays a forearm's thickness beyond the elbow, which lies outside of the picture."""
PLACES = REACH * np.linspace(0, 1, RINGS) ** 1.6
"""Where the rings of an adult's forearm lie."""
BENDING = 0.045
"""Metres over which the wrist's bend is spread."""
# Width (across the palm) and depth of an adult's forearm as multiples of the wrist's, by distance from it in metres.
_SHARE_AT = np.array([0.0, 0.04, 0.10, 0.16, 0.22, 0.27, 0.7])
_WIDTH = np.array([1.0, 1.02, 1.18, 1.38, 1.50, 1.48, 1.6])
_DEPTH = np.array([1.0, 1.08, 1.32, 1.55, 1.66, 1.66, 1.8])


@dataclass(frozen=True)
class Arm:
    """Cross sections of an arm, by distance from the border of the hand's mesh.

    Attributes:
        border: (N, 3) the hand's border, in order, seen from the fingers counter-clockwise or the mirror of that.
        bend: (2,) radians: flexion and sway of the wrist. scale: size relative to an adult's.
    """

    border: Floats
    bend: Floats
    scale: float

    def rings(self, distance: Floats, thickness: Floats | float = 0.0) -> Floats:
        """Rings (K, N, 3) at distances (K,) in metres, raised by ``thickness`` (K, N) or a number."""
        s = np.asarray(distance, np.float64)
        share = np.minimum(s / (BENDING * self.scale), 1)
        share = share * share * (3 - 2 * share)
        # The axis is the integral of the direction: half the bend while it grows, all of it beyond.
        steps = (np.arange(13) + 0.5) / 13 * s[:, None]
        grown = np.minimum(steps / (BENDING * self.scale), 1)
        grown = grown * grown * (3 - 2 * grown)
        ahead = [part.sum(1) / 13 for part in _directions(self.bend, grown)]  # means over (K, 13)
        middle = self.border.mean(0)
        centre = middle + np.stack(ahead, 1) * s[:, None]
        outline = self.border - middle
        flat = np.exp(-s / (0.012 * self.scale))[:, None]  # the border need not be plane; further on rings are
        around = np.repeat(outline[None], len(s), 0)
        around[..., 0] *= flat
        at = s / self.scale
        around[..., 1] *= np.interp(at, _SHARE_AT, _DEPTH)[:, None]
        around[..., 2] *= np.interp(at, _SHARE_AT, _WIDTH)[:, None]
        radius = np.maximum(np.hypot(around[..., 1], around[..., 2]), 1e-6)
        grow = 1 + np.asarray(thickness) / radius
        around[..., 1:] *= grow[..., None]
        return centre[:, None] + _turned(self.bend, share, around)

    def direction(self) -> Floats:
        """(3,) unit vector from the wrist to the elbow, beyond the bend."""
        return np.concatenate(_directions(self.bend, np.ones(1)))


def _directions(bend: Floats, share: Floats) -> tuple[Floats, Floats, Floats]:
    """Unit vectors, as arrays x, y, z, along +X turned by shares of the bend."""
    flex, sway = bend[0] * share, bend[1] * share
    level = np.cos(sway)
    return np.cos(flex) * level, -np.sin(flex) * level, np.sin(sway)


def _turned(bend: Floats, share: Floats, vectors: Floats) -> Floats:
    """Vectors (K, N, 3) turned as :func:`_directions` turns +X."""
    cf, sf, cs, ss = (f(a * share)[:, None] for a in bend for f in (np.cos, np.sin))
    x, y, z = (vectors[..., k] for k in range(3))
    x, z = cs * x - ss * z, ss * x + cs * z  # sway about Y, then flexion about Z
    turned = np.empty_like(vectors)
    turned[..., 0], turned[..., 1], turned[..., 2] = cf * x + sf * y, cf * y - sf * x, z
    return turned


def forearm(arm: Arm, length: float) -> Floats:
    """Vertices (RINGS * N + 1, 3): the border itself, rings out to ``length``, the cap's middle."""
    rings = arm.rings(np.minimum(PLACES * arm.scale, length))  # those beyond the end lie on it
    rings[0] = arm.border
    return np.concatenate([rings.reshape(-1, 3), rings[-1].mean(0)[None]])


def tube(arm: Arm, distance: Floats, thickness: Floats) -> Floats:
    """Vertices (K * (N + 1), 3) of rings with a doubled first column, for a seam in the texture."""
    rings = arm.rings(distance, thickness)
    return np.concatenate([rings, rings[:, :1]], 1).reshape(-1, 3)


def sleeve(arm: Arm, rng: np.random.Generator, cuff: float, length: float) -> Floats:
    """A sleeve from its cuff on: the edge folds inwards, the cloth stands off the arm and creases."""
    count = len(arm.border)
    loose, thick = rng.uniform(0.003, 0.012) * arm.scale, rng.uniform(0.0015, 0.004)
    s = cuff + (length - cuff) * np.linspace(0, 1, SLEEVE_RINGS - 3) ** 1.3
    distance = np.array([cuff + 0.006, cuff, cuff - 0.001, *s])
    distance = np.maximum(distance, 0.0005)
    angle = 2 * np.pi * np.arange(count) / count
    waves = sum(
        rng.uniform(0.2, 1) / k * np.sin(k * angle[None] + rng.uniform(0, 6.3) + rng.uniform(-60, 60) * s[:, None])
        for k in (1, 2, 3, 4)
    )
    ramp = np.clip((s - cuff) / 0.03, 0, 1)[:, None]
    folds = 0.0012 * rng.standard_normal((len(s), 1)) + 0.0016 * waves
    cloth = thick + loose * (0.35 + 0.65 * ramp) + ramp * np.maximum(folds, -0.4 * loose)
    rim = np.array([0.0002, 0.0006, thick + 0.2 * loose])[:, None] * np.ones(count)
    return tube(arm, distance, np.concatenate([rim, cloth]))


SLEEVE_RINGS = 40
BAND_RINGS = 4


def band(arm: Arm, start: float, width: float, thick: float) -> Floats:
    """A closed strap or bangle round the wrist: inner edge, outer face, inner edge."""
    return tube(arm, np.array([start, start, start + width, start + width]), np.array([[0.0], [thick], [thick], [0.0]]))


def dial(arm: Arm, at: float, radius: float, thick: float, columns: int = 25) -> Floats:
    """The case of a watch on the back of the wrist: rows of a low cylinder, its face outwards."""
    ring = arm.rings(np.array([at]), 0.001)[0]
    out = _turned(arm.bend, np.array([_share(arm, at)]), np.array([[[0.0, 1.0, 0.0]]]))[0, 0]
    along, across = _turned(arm.bend, np.array([_share(arm, at)]), np.array([[[1.0, 0, 0], [0, 0, 1.0]]]))[0]
    top = ring.mean(0) + out * ((ring - ring.mean(0)) @ out).max()
    turn = np.linspace(0, 2 * np.pi, columns)
    circle = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * along
    rows = [(0.0, thick), (0.86, thick), (0.86, thick), (1.0, 0.8 * thick), (1.0, 0.8 * thick), (1.0, -0.004)]
    return np.concatenate([top + radius * r * circle + h * out for r, h in rows])


def _share(arm: Arm, at: float) -> float:
    share = min(at / (BENDING * arm.scale), 1.0)
    return share * share * (3 - 2 * share)


def _topology(
    name: str, faces: NDArray[np.int32], uv: Floats, mirrored: bool, uv_faces: NDArray | None = None
) -> Topology:
    faces = np.ascontiguousarray(faces[:, ::-1] if mirrored else faces)
    uv_faces = faces if uv_faces is None else np.ascontiguousarray(uv_faces[:, ::-1] if mirrored else uv_faces)
    ids = np.full(len(faces), OCCLUDER, np.uint8)
    return Topology(f"{name}{'-mirrored' if mirrored else ''}", faces, uv.astype(np.float32), uv_faces, ids, False)


@cache
def forearm_topology(count: int, mirrored: bool) -> Topology:
    """Connectivity of :func:`forearm` for a border of ``count`` vertices; texture: u round the arm, v along it."""
    grid = grid_faces(RINGS, count + 1)  # indices of texture coordinates: a column more, for the seam
    columns = count + 1
    faces = grid // columns * count + grid % columns % count
    last, middle = (RINGS - 1) * count, RINGS * count
    ring = np.arange(count)
    cap = np.stack([last + ring, np.full(count, middle), last + (ring + 1) % count], 1)
    cap_uv = np.stack([grid.max() - count + ring, np.full(count, RINGS * columns), grid.max() - count + ring + 1], 1)
    v, u = np.meshgrid(PLACES / REACH, np.linspace(0, 1, columns), indexing="ij")
    uv = np.concatenate([np.stack([u, v], -1).reshape(-1, 2), [[0.5, 1.0]]])
    return _topology(
        f"forearm-{count}", np.concatenate([faces, cap]).astype(np.int32), uv, mirrored,
        np.concatenate([grid, cap_uv]).astype(np.int32),
    )  # fmt: skip


@cache
def tube_topology(name: str, rings: int, count: int, mirrored: bool, repeats: tuple[float, float]) -> Topology:
    """Connectivity of :func:`tube`; the texture repeats ``repeats`` times round and along."""
    v, u = np.meshgrid(np.linspace(0, repeats[1], rings), np.linspace(0, repeats[0], count + 1), indexing="ij")
    return _topology(f"{name}-{count}", grid_faces(rings, count + 1), np.stack([u, v], -1).reshape(-1, 2), mirrored)


@cache
def dial_topology(mirrored: bool, columns: int = 25) -> Topology:
    """Connectivity of :func:`dial`: its face shows the middle of the texture."""
    radius = np.array([0.0, 0.42, 0.46, 0.48, 0.49, 0.5])[:, None]
    turn = np.linspace(0, 2 * np.pi, columns)
    uv = np.stack([0.5 + radius * np.sin(turn), 0.5 - radius * np.cos(turn)], -1).reshape(-1, 2)
    return _topology("watch", grid_faces(6, columns), uv, mirrored)
