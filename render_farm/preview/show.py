"""What a body looks like: the pictures behind ``sim2pose bodies show``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ...datasets.poses import load_poses
from ...models.bodies import load_body
from ...models.bodies.body import Body
from .draw import draw_bodies
from .dressing import dress_plainly
from .hands import hand_sheet, hand_video
from .lineup import betas_at_age, lineup
from .media import MOVING, STILLS, Bytes, captioned, labelled, strip, suffix_of, write_picture, write_video
from .motion import motion_strip, motion_video
from .people import people_sheet
from .standing import at_ease, posed, turned

MONTHS = (0, 6, 12, 24)
MOST_BYTES = 200_000
"""JPEG files are made to fit into this, for documents."""
_INFANT_SEEDS = (16, 13, 17, 23)
_TURN_SECONDS, _TURN_FPS = 4.0, 24.0


def show_body(name: str, path: Path | str, poses: Path | None = None, seed: int = 0) -> Path:
    """Draw a body into a picture (.png, .jpg) or an animation (.gif, .mp4).

    A picture shows what the body can be: the ages of an infant, people of all ages with faces and hands, the gestures of a
    hand, or shapes of a licensed file. An animation turns it round, or moves a hand. With ``poses`` both show these.

    Args:
        name: of an open body, or a model file. poses: file of a pose sequence. seed: of clothes and skin.

    Raises:
        UserError: for an unknown body, a bad pose file, or a path that cannot be written.
    """
    suffix = suffix_of(path)
    body = load_body(name)
    if poses is not None:
        sequence, dress = load_poses(poses), dress_plainly(body, seed=seed)
        if suffix in MOVING:
            return motion_video(body, sequence, path, dress=dress)
        sheet = motion_strip(body, sequence, dress=dress)
    elif suffix in MOVING:
        return hand_video(body, path, seed) if body.format == "mano" else turntable(body, path, seed)
    else:
        sheet = _still(body)(body, seed)
    return write_picture(sheet, path, MOST_BYTES if suffix in STILLS[1:] else None)


def _still(body: Body) -> Callable[[Body, int], Bytes]:
    if body.format == "mano":
        return hand_sheet
    if body.population is not None and body.age_unit == "months":
        return infant_ages
    if body.population is not None and body.num_expressions:
        return people_sheet
    return shapes_sheet


def infant_ages(body: Body, seed: int = 0) -> Bytes:
    """Typical infants of 0, 6, 12 and 24 months before a height chart."""
    assert body.population_ages is not None
    low, high = float(body.population_ages.min()), float(body.population_ages.max())
    ages = [age for age in MONTHS if low - 1 <= age <= high + 1]
    if not ages:
        raise UserError(f"body '{body.name}' knows ages {low:.0f} to {high:.0f} months, none of {MONTHS}")
    people, names = [], []
    for k, age in enumerate(ages):
        points = posed(body, betas_at_age(body, age), at_ease(body))
        people.append((dress_plainly(body, seed=seed + _INFANT_SEEDS[k]), points))
        names.append(f"{age} months, {100 * float(np.ptp(points[:, 1])):.1f} cm")
    return lineup(people, names, 1200, mark=0.10, gap=0.22)


def shapes_sheet(body: Body, seed: int = 0) -> Bytes:
    """Mean shape from four sides, and the first two shape directions at two standard deviations."""
    views = ("front", "three-quarter", "side", "back")
    pose, zero = at_ease(body), np.zeros(body.num_betas, np.float32)
    shapes, texts = [zero] * len(views), list(views)
    for direction in range(min(2, body.num_betas)):
        for value in (-2.0, 2.0):
            shapes.append(zero + value * np.eye(body.num_betas, dtype=np.float32)[direction])
            texts.append(f"beta {direction} = {value:+.0f}")
    dress = dress_plainly(body, seed=seed)
    vertices = np.stack([posed(body, betas, pose) for betas in shapes])
    around = np.stack([turned(vertices[k], -angle) for k, angle in enumerate((0.0, 35.0, 90.0, 180.0))])
    vertices = np.concatenate([around, vertices[len(views) :]])
    vertices[..., 1] -= vertices[..., 1].min(1, keepdims=True)
    images = draw_bodies(body, vertices, (280, 420), "front", dress=dress, ground=0.0)
    return captioned(strip(labelled(list(images), texts), 4), body.name)


def turntable(body: Body, path: Path | str, seed: int = 0) -> Path:
    """A standing body turning once, as .gif or .mp4."""
    points = posed(body, np.zeros(body.num_betas, np.float32), at_ease(body))
    angles = np.arange(0, 360, 360 / (_TURN_SECONDS * _TURN_FPS))
    vertices: NDArray[np.float32] = np.stack([turned(points, angle) for angle in angles])
    images = draw_bodies(body, vertices, (360, 480), (0.0, 10.0), dress=dress_plainly(body, seed=seed))
    return write_video(list(images), path, _TURN_FPS)
