"""Hands in one world: the other hand of a person beside the first, what covers it, and all of them above a desk."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...looks.hands import HandSkin
from ...scenes.scene import Camera, Surface
from .arms import Arm
from .config import OBJECTS, CoverConfig
from .dressing import CLOTHS, Tailor, Wardrobe, Wear
from .hands import PosedHand
from .objects import make_thing
from .placing import apart, random_rotation
from .shade import spheres

Floats = NDArray[np.floating]


@dataclass
class Placed:
    """A hand in the world: ``x = turn p + place``."""

    hand: PosedHand
    wear: Wear
    arm: Arm
    turn: Floats
    place: Floats
    skin: HandSkin

    def world(self, points: Floats) -> Floats:
        """Points (N, 3) of the hand's frame in the world."""
        return points @ self.turn.T + self.place


def second_hand(
    rng: np.random.Generator,
    first: Placed,
    hand: PosedHand,
    wear: Wear,
    tailors: dict[str, Tailor],
    turned: Floats,
    resting: bool,
) -> Placed:
    """The person's other hand: the first's mirror image in the picture, turned a little, moved aside until they part.

    Args:
        turned: (3, 3) world to camera. resting: hands lie on a desk.
    """
    tailor = tailors[hand.side]
    arm = tailor.arm(hand, wear)
    flip = np.diag([-1.0, 1.0, 1.0])
    small = _share_of(random_rotation(rng), 0.18)
    turn = turned.T @ (small @ flip @ turned @ first.turn) @ flip
    aside = float((turned @ turn @ (arm.direction() * tailor.model.mirror))[0])
    push = turned.T @ np.array([np.sign(aside) or 1.0, 0.25 * rng.standard_normal(), 0.3 * rng.standard_normal()])
    if resting:
        push[1] = 0
    push /= np.linalg.norm(push)
    place = first.world(first.hand.joints[4:5])[0] - turn @ hand.joints[4]
    other = Placed(hand, wear, arm, turn, place, first.skin)
    if resting:
        other.place[1] += float(first.world(first.hand.vertices)[:, 1].min() - other.world(hand.vertices)[:, 1].min())
    mine, yours = (_filled(each, tailors[each.hand.side].model.mirror) for each in (first, other))
    offset = apart(mine[0], yours[0], (mine[1], yours[1]), push)
    other.place = other.place + offset + push * rng.uniform(0, 0.04)
    return other


def _filled(placed: Placed, mirror: Floats) -> tuple[Floats, Floats]:
    """Spheres (S, 3), (S,) in the world that fill a hand, the beginning of its arm and what it holds."""
    hand = placed.hand
    centres, radii = spheres(hand.joints, hand.tips, hand.scale)
    along = np.array([0.03, 0.07, 0.11, 0.16, 0.21])
    rings = placed.arm.rings(along) * mirror
    middle = rings.mean(1)
    thick = np.linalg.norm(rings - middle[:, None], axis=2).max(1) + 0.008
    centres, radii = np.concatenate([centres, middle]), np.concatenate([radii * 1.15, thick])
    if hand.thing is not None and hand.turn is not None and hand.place is not None:
        points = hand.thing.vertices[::5] @ hand.turn.T + hand.place
        centres, radii = np.concatenate([centres, points]), np.concatenate([radii, np.full(len(points), 0.008)])
    return placed.world(centres), radii


def covering_hand(
    rng: np.random.Generator,
    config: CoverConfig,
    what: str,
    first: Placed,
    hand: PosedHand,
    wear: Wear,
    skin: HandSkin,
    tailor: Tailor,
    camera: Camera,
) -> Placed:
    """Somebody's hand between the camera and the first: it reaches in from the side where it is, or its arm crosses."""
    arm = tailor.arm(hand, wear)
    direction = arm.direction() * tailor.model.mirror
    R, t = np.asarray(camera.R), np.asarray(camera.t)
    for _ in range(20):
        turn = R.T @ random_rotation(rng)
        elbow = R @ turn @ direction
        if abs(elbow[2]) < 0.45:
            break
    seen = first.world(first.hand.vertices[::7]) @ R.T + t
    size, middle = float(np.ptp(seen[:, :2], axis=0).max()), seen.mean(0)
    away = elbow[:2] / np.linalg.norm(elbow[:2])
    aside = rng.uniform(*config.aside) * size
    point = hand.joints[4]
    if what == "arm":  # beyond the wrist
        point, away = 0.10 * direction, np.array([-away[1], away[0]]) * (1 if rng.random() < 0.5 else -1)
    near = float(seen[:, 2].min()) - 0.07 - rng.uniform(0.0, 0.08)
    depth = max(near, 0.62 * middle[2])
    target = np.array([*(middle[:2] + away * aside) * depth / middle[2], depth])
    place = R.T @ (target - t) - turn @ point
    return Placed(hand, wear, arm, turn, place, skin)


def covering_thing(
    rng: np.random.Generator, config: CoverConfig, first: Placed, pool: Wardrobe, camera: Camera
) -> Surface:
    """A thing between the camera and the first hand."""
    thing = make_thing(rng, OBJECTS[int(rng.integers(len(OBJECTS)))], rng.uniform(0.5, 0.9))
    seen = first.world(first.hand.vertices[::7]) @ np.asarray(camera.R).T + np.asarray(camera.t)
    size, middle = float(np.ptp(seen[:, :2], axis=0).max()), seen.mean(0)
    angle, aside = rng.uniform(0, 2 * np.pi), rng.uniform(*config.aside) * size
    depth = max(float(seen[:, 2].min()) - 0.10, 0.62 * middle[2])
    target = np.array([*(middle[:2] + aside * np.array([np.cos(angle), np.sin(angle)])) * depth / middle[2], depth])
    place = np.asarray(camera.R).T @ (target - np.asarray(camera.t))
    vertices = thing.vertices @ random_rotation(rng).T + place
    texture = pool.surface(int(rng.integers(CLOTHS)))
    return Surface(thing.topology, vertices.astype(np.float32), texture, 0.1, 0.1)


def lift(placed: list[Placed], height: float) -> None:
    """Move hands up or down together, so that the lowest of them, of what they hold and of their arms is at ``height``."""
    lowest = np.inf
    for each in placed:
        hand, mirror = each.hand, np.array([-1.0, 1, 1]) if each.hand.side == "left" else np.ones(3)
        parts = [hand.vertices, (each.arm.rings(np.array([0.06, 0.12, 0.2]), 0.006) * mirror).reshape(-1, 3)]
        if hand.thing is not None and hand.turn is not None and hand.place is not None:
            parts.append(hand.thing.vertices @ hand.turn.T + hand.place)
        lowest = min(lowest, *(float(each.world(part)[:, 1].min()) for part in parts))
    for each in placed:
        each.place = each.place + np.array([0.0, height - lowest + 0.001, 0.0])


def _share_of(rotation: Floats, share: float) -> Floats:
    """A share of a rotation (3, 3) about its own axis."""
    return np.asarray(cv2.Rodrigues(cv2.Rodrigues(rotation)[0] * share)[0])
