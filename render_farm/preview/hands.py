"""Hands: a grasp as it closes, and named gestures."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...models.bodies.body import Body
from ...models.bodies.gestures import gesture
from .draw import draw_bodies
from .dressing import dress_plainly
from .media import Bytes, labelled, strip, write_video
from .standing import posed

Singles = NDArray[np.float32]
GRASP = ("spread", "wide_grasp", "power_grasp")
"""Stations of a hand that takes hold of something."""
STILLS = ("relaxed", "fist", "pinch", "tripod", "point", "victory", "thumbs_up")
MOVES = ("relaxed", "spread", "wide_grasp", "power_grasp", "spread", "pinch", "spread", "victory", "fist", "relaxed")
_TILE, _COLUMNS = (190, 220), 7


def side_of(body: Body) -> str:
    """ "left" or "right", by where the fingers lie in the rest pose (MANO: left along +X)."""
    joints = body.mesh.joints.cpu().numpy()
    return "left" if joints[1:, 0].mean() > joints[0, 0] else "right"


def hand_pose(body: Body, name: str) -> Singles:
    """Pose (16, 3) of a gesture, fingers up, wrist at rest."""
    side = side_of(body)
    joints = body.mesh.joints.cpu().numpy().astype(np.float64)
    pose = np.zeros((16, 3), np.float32)
    pose[0, 2] = np.pi / 2 if side == "left" else -np.pi / 2
    pose[1:] = gesture(name, side, joints - joints[0]).reshape(15, 3)
    return pose


def between(body: Body, stations: tuple[str, ...], steps: int) -> list[Singles]:
    """Poses (16, 3) along gestures, ``steps`` from each to the next, slow at both ends; the last station included."""
    poses = [hand_pose(body, name) for name in stations]
    shares = 0.5 - 0.5 * np.cos(np.pi * np.arange(steps) / steps)
    path = [a + np.float32(s) * (b - a) for a, b in pairwise(poses) for s in shares]
    return [*path, poses[-1]]


def hand_sheet(body: Body, seed: int = 0) -> Bytes:
    """A grasp in seven pictures, and seven gestures beneath, each seen from the palm's side."""
    closing = between(body, GRASP, 3)
    poses = [*closing, *(hand_pose(body, name) for name in STILLS)]
    texts = ["open", *[""] * (len(closing) - 2), "grasp", *(name.replace("_", " ") for name in STILLS)]
    images = _draw(body, poses, _TILE, seed)
    return strip(labelled(images, texts), _COLUMNS)


def hand_video(body: Body, path: Path | str, seed: int = 0) -> Path:
    """A hand that goes through gestures and a grasp, as .gif or .mp4."""
    return write_video(_draw(body, between(body, MOVES, 14), (240, 270), seed), path, 20.0)


def _draw(body: Body, poses: list[Singles], size: tuple[int, int], seed: int) -> list[Bytes]:
    zero = np.zeros(body.num_betas, np.float32)
    vertices = np.stack([posed(body, zero, pose) for pose in poses])
    azimuth = 55.0 if side_of(body) == "left" else -55.0
    return list(draw_bodies(body, vertices, size, (azimuth, 12.0), dress=dress_plainly(body, seed=seed), ground=None))
