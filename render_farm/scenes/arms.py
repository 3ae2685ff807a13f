"""Adults' arms that reach into the picture: the open person's arm and hand, posed, sleeved and set down on the infant.

Arms are a pool of the job, entry j a pure function of (seed, j): each is posed once, its hand flat, palm down and
fingers along +X, and then placed rigidly. Only the faces of arm and hand are drawn, with part id 255.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..looks.patterns import Bytes, Singles, draw_palette, finish, noise, tile
from ..looks.skin import tone
from ..poses.angles import choose
from .arm_mesh import adult, arm_topology, posed_arm
from .cloths import HeightMap
from .config import OccluderConfig
from .meshes import turned
from .scene import Camera, Surface

_ARM_STREAM = 404
_TEXTURE = (64, 128)
_TRIES = 8
_PRESS = 0.005  # metres by which a hand presses in
_HOVER = 0.03  # metres between palm and body that need no better direction
_TOO_NEAR = 0.28  # metres from the lens
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Arm:
    """One arm of the pool: vertices (V, 3) about the palm, hand flat, palm down, fingers along +X; its look."""

    vertices: Singles
    texture: Bytes
    side: str


def draw_arm(rng: np.random.Generator, config: OccluderConfig) -> Arm:
    """Draw one arm: gesture, build, skin, sleeve, perhaps a glove or a watch."""
    _, arm = adult()
    points, normals = np.split(posed_arm(rng), 2)
    end = float(choose(rng, {"-1": 0.15, "0.3": 0.35, "0.5": 0.2, "1": 0.3}))  # of the sleeve, in ways to the wrist
    sleeve = end * arm.wrist * rng.uniform(0.94, 1.0) if end > 0 else -1.0
    cover = np.clip((sleeve - arm.along) / 0.012, 0, 1)
    thick = rng.uniform(0.004, 0.009)
    wrinkle = 0.0025 * np.sin(90 * arm.along + 4 * np.sin(12 * arm.uv[: len(points), 1]))
    points = points + (cover * (thick + wrinkle))[:, None] * normals
    texture = _painted(rng, config, sleeve, arm.wrist)
    side = "left" if rng.random() < 0.5 else "right"
    if side == "right":
        points = points * (1, 1, -1)
    return Arm(np.ascontiguousarray(points, np.float32), texture, side)


def _painted(rng: np.random.Generator, config: OccluderConfig, sleeve: float, wrist: float) -> Bytes:
    """Texture with rows round the arm and columns from the shoulder to the finger tips."""
    rows, columns = _TEXTURE
    skin_ = tone(rng.uniform(*config.arm_tone))
    along = (np.arange(columns) + 0.5) / columns
    lab = np.empty((rows, columns, 3), np.float32)
    lab[:] = skin_ + np.array([-4, 5, 2], np.float32) * np.clip(skin_[0] / 90, 0.2, 1)
    mottle = np.tile(noise(rng, rows, 5), (1, 2))
    lab += np.array([1.0, 0.9, 0.3], np.float32) * mottle[..., None]
    lab[:, :, 1] += 3.0 * (along > wrist + 0.12)
    gloved, watch = rng.random() < 0.12, rng.random() < 0.2
    if gloved:
        lab[:, along > wrist - 0.03] = choose_colour(rng, ((62, -6, -34), (88, 0, 1), (48, 12, -30)))
    elif watch:
        lab[:, (along > wrist - 0.075) & (along < wrist - 0.045)] = choose_colour(
            rng, ((18, 0, 0), (60, 2, 12), (88, 0, 0))
        )
    cloth = along < sleeve
    kind = choose(rng, {"plain": 0.5, "stripes": 0.2, "heather": 0.2, "checks": 0.1})
    print_ = np.tile(tile(rng, kind, draw_palette(rng, (20, 92), (0, 35)), rows), (1, 2, 1))
    lab[:, cloth] = print_[:, cloth]
    shade = 1 + 0.02 * np.tile(noise(rng, rows, 14), (1, 2))
    shade[:, cloth] += 0.07 * np.tile(noise(rng, rows, 6, aspect=0.4), (1, 2))[:, cloth]
    shade[:, (along > sleeve - 0.012) & cloth] *= 0.85
    return finish(lab, shade.astype(np.float32))


def choose_colour(rng: np.random.Generator, colours: tuple[tuple[float, float, float], ...]) -> Singles:
    """One of some Lab colours."""
    return np.array(colours[int(rng.integers(len(colours)))], np.float32)


class Arms:
    """The arms of one job; entry j is a pure function of (seed, j)."""

    def __init__(self, config: OccluderConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self._arms: dict[int, Arm] = {}

    def arm(self, index: int) -> Arm:
        """Entry ``index`` of the pool, posed and painted at first use."""
        if index not in self._arms:
            rng = np.random.default_rng([self.seed, _ARM_STREAM, index])
            self._arms[index] = draw_arm(rng, self.config)
        return self._arms[index]

    def reach(self, rng: np.random.Generator, camera: Camera, bumps: HeightMap, joints: Floats) -> list[Surface]:
        """One or two arms whose hands lie on the infant or beside it, and which leave the picture.

        Args:
            joints: (J, 3) of the infant, world, metres. An arm that finds no such place is left out.
        """
        both, entry = rng.random() < self.config.second_arm, int(rng.integers(self.config.arm_pool))
        surfaces, heading = [], float(rng.uniform(-np.pi, np.pi))
        arm = self.arm(entry)
        other = "right" if arm.side == "left" else "left"
        pair = ((arm.side, arm.vertices), (other, arm.vertices * np.array([1, 1, -1], np.float32)))
        for number, (side, vertices) in enumerate(pair[: 2 if both else 1]):
            anchor = _ANCHORS[int(rng.integers(len(_ANCHORS)))]
            beside, offset = rng.random() < 0.2, rng.normal(0, 0.03, 2)
            target = joints[list(anchor)].mean(0)[[0, 2]] + offset
            if beside:
                target = target + 0.17 * np.array([np.cos(heading), np.sin(heading)])
            found = _set_down(vertices, target, heading + number * rng.uniform(0.5, 1.1), camera, bumps)
            if found is not None:
                surfaces.append(Surface(arm_topology(side), found, arm.texture, specular=0.04, wrap=0.3))
        return surfaces


_ANCHORS = ((3,), (9,), (6,), (1, 4), (2, 5), (4, 7), (5, 8), (16, 18), (17, 19), (15,), (20,), (21,))
"""Joints amid which a hand is laid: belly, chest, thighs, shins, upper arms, head, hands."""


def _set_down(vertices: Singles, target: Floats, heading: float, camera: Camera, bumps: HeightMap) -> Singles | None:
    """The arm lowered onto what lies beneath, from the direction near ``heading`` in which it hovers least.

    Only directions count from which the arm's cut end lies outside of the picture.
    """
    hand = vertices[:, 0] > -0.10
    thin = np.concatenate([vertices[hand][::5], vertices[~hand][::17]])
    root = thin[thin[:, 0] < thin[:, 0].min() + 0.06]
    best: tuple[float, Singles] | None = None
    for step in range(_TRIES):
        yaw = heading + (step + 1) // 2 * (1 if step % 2 else -1) * 2 * np.pi / _TRIES
        points = turned(thin, yaw)
        x, z = points[:, 0] + target[0], points[:, 2] + target[1]
        lift = float((bumps.at(x, z) - points[:, 1]).max()) - _PRESS
        place = np.array([target[0], lift, target[1]])
        if not _outside(turned(root, yaw) + place, camera):
            continue
        if np.linalg.norm(points + place - camera.position, axis=1).min() < _TOO_NEAR:
            continue
        hover = lift - float(bumps.at(target[:1], target[1:])[0])
        if best is None or hover < best[0] - 0.02:
            best = hover, np.asarray(turned(vertices, yaw) + place, np.float32)
        if best[0] < _HOVER:
            break
    return None if best is None or best[0] > 0.12 else best[1]


def _outside(points: Floats, camera: Camera) -> bool:
    """Whether all points (N, 3) lie behind the camera or outside of the picture."""
    seen = points @ np.asarray(camera.R).T + np.asarray(camera.t)
    ahead = seen[:, 2] > 0.05
    flat = seen @ np.asarray(camera.K).T
    pixel = flat[:, :2] / np.maximum(flat[:, 2:], 1e-6)
    inside = ahead & (pixel >= 0).all(1) & (pixel[:, 0] < camera.width) & (pixel[:, 1] < camera.height)
    return not bool(inside.any())
