"""From a posed hand to surfaces: the hand itself, its forearm, sleeve, watch and bracelets, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ....config import UserError
from ....models.bodies.body import Body
from ...looks.patterns import Bytes, draw_colour, draw_palette, finish, lab_to_rgb, noise, tile
from ...poses.angles import choose
from ...renderers.mesh import vertex_normals
from ...scenes.scene import OCCLUDER, Surface, Topology
from . import arms
from .config import ArmConfig
from .hands import PosedHand
from .model import HandModel

Floats = NDArray[np.floating]
_CLOTH_STREAM, _THING_STREAM = 411, 412
CLOTHS = 48
"""Entries of the pools of sleeves and of things' surfaces."""


@dataclass(frozen=True)
class Wear:
    """What one arm wears, drawn before the camera is known.

    Attributes:
        bend: (2,) radians of the wrist. cuff: where the sleeve begins, or None. cloth: entry of the pool. watch: whether one
            is worn; bangles: (start, width, thickness) of straps and bracelets, metres. seed: of the sleeve's creases.
    """

    bend: Floats
    cuff: float | None
    cloth: int
    watch: bool
    bangles: tuple[tuple[float, float, float], ...]
    seed: int


def draw_wear(rng: np.random.Generator, config: ArmConfig) -> Wear:
    """Draw what an arm wears."""
    bend = np.radians([rng.uniform(*config.bend), rng.uniform(*config.sway)])
    cuff = float(rng.uniform(*config.cuff)) if rng.random() < config.sleeve else None
    room = cuff if cuff is not None else 0.2
    watch = bool(rng.random() < config.watch and room > 0.06)
    bangles: list[tuple[float, float, float]] = []
    strap = float(rng.uniform(0.016, 0.022))
    if watch:
        bangles.append((0.026 - strap / 2, strap, 0.0028))
    elif rng.random() < config.bracelet and room > 0.04:
        at = rng.uniform(0.008, 0.016)
        for _ in range(int(rng.integers(1, 4))):
            width = rng.uniform(0.002, 0.007)
            bangles.append((float(at), float(width), float(rng.uniform(0.0015, 0.0035))))
            at += width + rng.uniform(0.001, 0.003)
    return Wear(bend, cuff, int(rng.integers(CLOTHS)), watch, tuple(bangles), int(rng.integers(2**31)))


def border_of(body: Body) -> NDArray[np.int64]:
    """Vertices of a hand's open border in order round the wrist.

    Raises:
        UserError: if the mesh has no border, or more than one.
    """
    faces = body.faces.astype(np.int64)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there = {(int(a), int(b)) for a, b in edges}
    follows = {a: b for a, b in there if (b, a) not in there}
    ring = [next(iter(follows))] if follows else []
    while ring and follows.get(ring[-1]) not in (ring[0], None) and len(ring) <= len(follows):
        ring.append(follows[ring[-1]])
    if len(ring) < 3 or len(ring) != len(follows):
        raise UserError(f"body '{body.name}' has no single open border at the wrist, so no forearm can be joined to it")
    return np.array(ring)


@dataclass
class Wardrobe:
    """Pools of cloth and of things' surfaces of one job; entry j is a pure function of (seed, j)."""

    seed: int
    _kept: dict[tuple[int, int], Bytes] = field(default_factory=dict)

    def cloth(self, index: int) -> Bytes:
        """A sleeve's fabric (128, 128, 3), repeated over it."""
        return self._entry(_CLOTH_STREAM, index)

    def surface(self, index: int) -> Bytes:
        """A thing's surface (128, 128, 3)."""
        return self._entry(_THING_STREAM, index)

    def _entry(self, stream: int, index: int) -> Bytes:
        if (stream, index) not in self._kept:
            rng = np.random.default_rng([self.seed, stream, index])
            self._kept[stream, index] = _fabric(rng) if stream == _CLOTH_STREAM else _cover(rng)
        return self._kept[stream, index]


def _fabric(rng: np.random.Generator) -> Bytes:
    kind = choose(rng, {"plain": 5, "heather": 3, "stripes": 1.5, "checks": 1.5, "dots": 0.4})
    colours = draw_palette(rng, (12, 92), (1, 34))
    picture = tile(rng, kind, colours, 128)
    return finish(picture, 1 + 0.05 * noise(rng, 128, 40) + 0.05 * noise(rng, 128, 4, 2.5))


def _cover(rng: np.random.Generator) -> Bytes:
    """Plain plastic or metal, printed carton, or a label with lines of text."""
    kind = choose(rng, {"plain": 3, "blocks": 2, "stripes": 1, "heather": 0.6, "dots": 0.5})
    colours = draw_palette(rng, (8, 94), (2, 60))
    picture = np.ascontiguousarray(tile(rng, kind, colours, 128))
    if rng.random() < 0.5:  # a label
        ink, paper = draw_colour(rng, (5, 35), (0, 40)), draw_colour(rng, (70, 97), (0, 30))
        top = int(rng.integers(10, 50))
        cv2.rectangle(picture, (14, top), (113, top + 58), paper.tolist(), -1)
        for line in range(top + 8, top + 52, 9):
            cv2.line(picture, (22, line), (int(rng.integers(60, 106)), line), ink.tolist(), 3)
    return finish(picture, 1 + 0.03 * noise(rng, 128, 8))


def screen(rng: np.random.Generator) -> Bytes:
    """A phone's face (96, 48, 3): dark rim, lit screen with a few shapes."""
    picture = np.empty((96, 48, 3), np.float32)
    picture[:] = (8, 0, 0)
    picture[4:92, 3:45] = draw_colour(rng, (12, 90), (0, 40))
    for _ in range(int(rng.integers(2, 9))):
        x, y = int(rng.integers(5, 36)), int(rng.integers(6, 80))
        colour = draw_colour(rng, (20, 95), (0, 60))
        cv2.rectangle(
            picture, (x, y), (x + int(rng.integers(4, 30)), y + int(rng.integers(3, 16))), colour.tolist(), -1
        )
    picture[:, 45:] = picture[:, :3] = (8, 0, 0)
    return np.round(lab_to_rgb(picture)).astype(np.uint8)


class Tailor:
    """Makes surfaces of posed hands of one side.

    Args:
        model: the side's body.
    """

    def __init__(self, model: HandModel) -> None:
        body = model.body
        self.model, self.mirrored = model, model.side == "left"
        self.topology = Topology(body.name, body.faces, body.uv, body.uv_faces, body.part_ids, False)
        self.covering = replace(
            self.topology, name=f"{body.name}-cover", part_ids=np.full_like(body.part_ids, OCCLUDER)
        )
        ring = border_of(body)
        rest = (body.template[ring] - body.template[ring].mean(0)) * model.mirror
        angle = np.unwrap(np.arctan2(rest[:, 1], rest[:, 2]))
        ring = ring if angle[-1] > angle[0] else ring[::-1]
        rest = (body.template[ring] - body.template[ring].mean(0)) * model.mirror
        start = int(np.arctan2(rest[:, 1], rest[:, 2]).argmin())
        self.ring = np.roll(ring, -start)
        self._arm = arms.forearm_topology(len(ring), self.mirrored)
        count, extra = len(body.template), arms.RINGS * len(ring) + 1
        index = np.concatenate(
            [self.ring, count + np.arange(extra - len(ring))]
        )  # of the arm's vertices in both together
        self._both = Topology(
            f"{body.name}-with-arm", np.concatenate([body.faces, index[self._arm.faces]]).astype(np.int32),
            np.zeros((1, 2), np.float32), np.zeros((len(body.faces) + len(self._arm.faces), 3), np.int32),
            np.ones(len(body.faces) + len(self._arm.faces), np.uint8), False,
        )  # fmt: skip
        self._index = index

    def arm(self, hand: PosedHand, wear: Wear) -> arms.Arm:
        """The cross sections of a hand's arm, in the frame of grasps (mirrored for a left hand)."""
        return arms.Arm(hand.vertices[self.ring] * self.model.mirror, wear.bend, hand.scale)

    def bare(
        self, hand: PosedHand, arm: arms.Arm, length: float, turn: Floats, place: Floats, covering: bool
    ) -> tuple[Surface, Surface]:
        """Hand and forearm, world, with normals that run on over the wrist; textures are still to come."""
        extra = arms.forearm(arm, length) * self.model.mirror
        points = np.concatenate([hand.vertices, extra[len(self.ring) :]])
        world = (points @ turn.T + place).astype(np.float32)
        normals = vertex_normals(self._both, world)
        count = len(hand.vertices)
        none = np.zeros((1, 1, 3), np.uint8)
        body = Surface(self.covering if covering else self.topology, world[:count], none, 0.05, 0.3, normals[:count])
        return body, Surface(self._arm, world[self._index], none, 0.05, 0.3, normals[self._index])

    def worn(
        self, arm: arms.Arm, wear: Wear, length: float, turn: Floats, place: Floats, pool: Wardrobe
    ) -> list[Surface]:
        """Sleeve, strap and watch, bracelets, world."""
        made: list[tuple[Topology, Floats, Bytes, float]] = []
        rng, count = np.random.default_rng(wear.seed), len(self.ring)
        if wear.cuff is not None and wear.cuff * arm.scale < length - 0.02:
            points = arms.sleeve(arm, rng, wear.cuff * arm.scale, length)
            topology = arms.tube_topology("sleeve", arms.SLEEVE_RINGS, count, self.mirrored, (3.0, 6.0))
            made.append((topology, points, pool.cloth(wear.cloth), 0.0))
        for start, width, thick in wear.bangles:
            if (start + width) * arm.scale < length - 0.01:
                points = arms.band(arm, start * arm.scale, width, thick)
                topology = arms.tube_topology("bangle", arms.BAND_RINGS, count, self.mirrored, (1.0, 0.15))
                made.append((topology, points, pool.surface(wear.cloth), 0.15 if not wear.watch else 0.03))
        if wear.watch and length > 0.05:
            points = arms.dial(arm, 0.026 * arm.scale, rng.uniform(0.013, 0.019) * arm.scale, rng.uniform(0.006, 0.010))
            made.append((arms.dial_topology(self.mirrored), points, pool.surface(wear.cloth + CLOTHS), 0.2))
        return [
            Surface(topology, ((points * self.model.mirror) @ turn.T + place).astype(np.float32), texture, shine, 0.2)
            for topology, points, texture, shine in made
        ]


def held(hand: PosedHand, turn: Floats, place: Floats, texture: Bytes) -> Surface:
    """The thing in a hand, world."""
    assert hand.thing is not None and hand.turn is not None and hand.place is not None
    own = hand.thing.vertices @ hand.turn.T + hand.place
    shine = 0.02 if hand.thing.kind == "box" else 0.12
    return Surface(hand.thing.topology, (own @ turn.T + place).astype(np.float32), texture, shine, 0.1)
