"""Cameras that move: world-to-camera trajectories as smooth functions of time.

A trajectory is drawn for a subject (a path of its centre and its height). All lengths in the config are in heights of the
subject, so that the same ranges suit adults and infants. Whatever is drawn, the turn between frames stays within
``turn_speed`` and ``turn_acceleration``, and the subject's centre lies within the picture in nine frames of ten: where
it does not, the camera follows more slowly and shakes less, sees a wider field, and steps back, in this order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ...config import Config
from ...models.geometry import camera_matrix, focal_from_fov, look_at
from ..poses.angles import choose
from ..ranges import Range, Share, Weights, check_weights
from .scene import Camera
from .smooth import band_noise, ease, follow

Floats = NDArray[np.float64]
KINDS = ("static", "pan", "dolly", "orbit", "handheld", "zoom")
IN_VIEW, BORDER, TRIES = 0.9, 0.08, 40
"""Share of frames whose centre must lie in the picture; the border that does not count, in sides; attempts at that."""
NEAREST = 0.9
"""Cameras stay this far from the subject's centre, in heights of the subject."""


class TrajectoryConfig(Config):
    """How cameras move. Distances are in heights of the subject, angles in degrees."""

    kinds: Weights = {"static": 0.14, "pan": 0.2, "dolly": 0.16, "orbit": 0.16, "handheld": 0.22, "zoom": 0.12}
    distance: Range = Field((1.5, 3.4), description="from the subject's centre, in its heights")
    elevation: Range = Field((-4.0, 24.0), description="of the camera above the subject's centre, as seen from there")
    lying_elevation: Range = Field((24.0, 72.0), description="the same for subjects that lie")
    fill: Range = Field((0.5, 0.92), description="share of the picture's height that the subject's height takes")
    fov: Range = Field((24.0, 78.0), description="admissible field of view of the longer side")
    lag: Range = Field((0.15, 0.6), description="seconds by which a following camera trails")
    travel: Range = Field((0.25, 0.9), description="way of a dolly over the clip, in heights")
    sweep: Range = Field((20.0, 100.0), description="angle of an orbit over the clip")
    zoom: Range = Field((1.15, 1.9), description="ratio of focal lengths of a zoom over the clip")
    shake: Range = Field((0.15, 0.7), description="standard deviation of the hand's turning, handheld")
    shake_band: Range = Field((0.3, 3.0), description="its band in Hz")
    tremor: Range = Field((0.003, 0.012), description="standard deviation of the hand's place, in heights")
    steady: Share = Field(0.7, description="share of the other kinds on a tripod; the rest shake a third as much")
    roll: float = Field(2.0, ge=0.0, description="standard deviation of the roll that lasts over the clip")
    turn_speed: float = Field(90.0, gt=0.0, description="most that a camera turns, degrees a second")
    turn_acceleration: float = Field(600.0, gt=0.0, description="most by which that changes, degrees a second squared")

    @model_validator(mode="after")
    def _known(self) -> TrajectoryConfig:
        check_weights("trajectory.kinds", self.kinds, KINDS)
        if self.distance[0] < NEAREST or self.fov[0] <= 0 or self.fov[1] >= 150 or self.lag[0] < 0:
            raise ValueError(f"trajectory: distance >= {NEAREST}, 0 < fov < 150 and lag >= 0 are needed")
        if self.zoom[0] < 1 or self.shake_band[0] <= 0:
            raise ValueError("trajectory.zoom must be at least 1 and trajectory.shake_band positive")
        return self


@dataclass(frozen=True)
class Trajectory:
    """A camera over T frames; ``X_cam = R @ X_world + t``, OpenCV axes, world Y up, metres.

    Attributes:
        kind: one of :data:`KINDS`. K: (T, 3, 3) pixels. R: (T, 3, 3), t: (T, 3).
    """

    kind: str
    K: Floats
    R: Floats
    t: Floats

    @property
    def positions(self) -> Floats:
        """(T, 3) centres of the camera in the world."""
        return np.asarray(-np.einsum("tji,tj->ti", self.R, self.t))

    def camera(self, frame: int, width: int, height: int) -> Camera:
        """The camera of one frame."""
        return Camera(self.K[frame], self.R[frame], self.t[frame], width, height)


@dataclass(frozen=True)
class Subject:
    """What a camera looks at.

    Attributes:
        centre: (T, 3) of the body, world. height: its length in metres. lying: whether it lies.
    """

    centre: Floats
    height: float
    lying: bool = False


@dataclass(frozen=True)
class _Draw:
    """What is drawn once for a clip, and how far it had to be tamed (see :func:`sample_trajectory`)."""

    kind: str
    azimuth: float
    elevation: float
    distance: float
    fill: float
    lag: float
    sign: float
    travel: float
    heading: float
    sweep: float
    zoom: float
    roll: float
    turning: Floats  # (T, 3) radians, camera axes
    moving: Floats  # (T, 3) metres
    calm: float = 1.0
    wide: float = 1.0
    back: float = 1.0


def sample_trajectory(
    rng: np.random.Generator, config: TrajectoryConfig, subject: Subject, fps: float, width: int, height: int
) -> Trajectory:
    """Draw a camera trajectory for a subject; as many frames as ``subject.centre`` has.

    The draws do not depend on the subject; only the taming that follows does.

    Args:
        fps: frames a second. width, height: of the picture, pixels.
    """
    draw = _draw(rng, config, subject, fps)
    for _ in range(TRIES):
        made = _trace(draw, config, subject, fps, width, height)
        speed, acceleration = turn_rates(made.R, fps)
        if speed.max(initial=0) > config.turn_speed or acceleration.max(initial=0) > config.turn_acceleration:
            draw = replace(draw, calm=0.8 * draw.calm, back=1.03 * draw.back)
        elif _nearest(made, subject) < 0.95 * NEAREST * subject.height:
            draw = replace(draw, back=1.1 * draw.back)
        elif _in_view(made, subject, width, height) < IN_VIEW:
            exhausted = made.K[:, 0, 0].min() <= 1.001 * focal_from_fov(config.fov[1], max(width, height))
            wide, back = (draw.wide, 1.12 * draw.back) if exhausted else (0.88 * draw.wide, draw.back)
            draw = replace(draw, wide=wide, back=back)
        else:
            break
    return made


def turn_rates(R: Floats, fps: float) -> tuple[Floats, Floats]:
    """How fast a camera turns: (T-1,) degrees a second, and (T-2,) the change of that vector, degrees a second squared."""
    relative = np.einsum("tij,tkj->tik", R[1:], R[:-1])
    vectors = np.array([cv2.Rodrigues(one)[0].ravel() for one in relative]).reshape(-1, 3)
    velocity = np.degrees(vectors) * fps
    return np.linalg.norm(velocity, axis=1), np.linalg.norm(np.diff(velocity, axis=0), axis=1) * fps


def _draw(rng: np.random.Generator, config: TrajectoryConfig, subject: Subject, fps: float) -> _Draw:
    times = np.arange(len(subject.centre)) / fps
    kind = choose(rng, config.kinds)
    elevation = rng.uniform(*(config.lying_elevation if subject.lying else config.elevation))
    steady, shake, tremor = rng.random() < config.steady, rng.uniform(*config.shake), rng.uniform(*config.tremor)
    turning = band_noise(rng, times, config.shake_band, 3) * (1.0, 1.0, 0.6)
    moving = band_noise(rng, times, config.shake_band, 3)
    amount = 1.0 if kind == "handheld" else 0.0 if steady or kind == "static" else 1 / 3
    return _Draw(
        kind=kind,
        azimuth=float(rng.uniform(-np.pi, np.pi)),
        elevation=float(np.radians(elevation)),
        distance=float(rng.uniform(*config.distance)) * subject.height,
        fill=float(rng.uniform(*config.fill)),
        lag=float(rng.uniform(*config.lag)),
        sign=1.0 if rng.random() < 0.5 else -1.0,
        travel=float(rng.uniform(*config.travel)) * subject.height,
        heading=float(rng.uniform(-np.pi, np.pi)),
        sweep=float(np.radians(rng.uniform(*config.sweep))),
        zoom=float(np.log(rng.uniform(*config.zoom))),
        roll=float(np.radians(config.roll * rng.standard_normal())),
        turning=np.radians(amount * shake) * turning,
        moving=amount * tremor * subject.height * moving,
    )


def _trace(draw: _Draw, config: TrajectoryConfig, subject: Subject, fps: float, width: int, height: int) -> Trajectory:
    count, centre = len(subject.centre), np.asarray(subject.centre, np.float64)
    share = np.linspace(-0.5, 0.5, count) if count > 1 else np.zeros(1)
    middle = (centre.min(0) + centre.max(0)) / 2
    trailing = follow(centre, draw.lag / draw.calm, fps)
    azimuth = np.full(count, draw.azimuth)
    distance, base, aim = draw.distance * draw.back, np.tile(middle, (count, 1)), trailing
    if draw.kind == "static":
        aim = base
    if draw.kind == "orbit":
        azimuth = azimuth + draw.sign * draw.sweep * draw.calm * share
        base = trailing
    if draw.kind == "handheld":
        base = follow(centre, 2 * draw.lag / draw.calm, fps)
    outward = np.stack([np.sin(azimuth), np.zeros(count), np.cos(azimuth)], 1) * np.cos(draw.elevation)
    outward[:, 1] = np.sin(draw.elevation)
    eye = base + distance * outward + draw.calm * draw.moving
    if draw.kind == "dolly":
        way = np.array([np.sin(draw.heading), 0.0, np.cos(draw.heading)])
        slide = 2 * ease(share + 0.5) - 1 if draw.sign > 0 else 2 * share  # eased, or at an even speed
        eye = eye + 0.5 * draw.travel * draw.calm * slide[:, None] * way
    eye[:, 1] = np.maximum(eye[:, 1], 0.16 * subject.height)
    lack = NEAREST * subject.height - np.linalg.norm((eye - centre) * (1, 0.5, 1), axis=1).min()
    if lack > 0:
        eye = eye + lack * np.array([np.sin(draw.azimuth), 0.0, np.cos(draw.azimuth)])
    R = np.stack([_looking(e, a, draw.roll, draw.calm * s) for e, a, s in zip(eye, aim, draw.turning, strict=True)])
    t = -np.einsum("tij,tj->ti", R, eye)
    focal = _focal(draw, config, subject, float(np.median(np.linalg.norm(eye - centre, axis=1))), share, width, height)
    K = np.stack([camera_matrix(float(f), width, height) for f in focal])
    return Trajectory(draw.kind, K, R, t)


def _looking(eye: Floats, aim: Floats, roll: float, shake: Floats) -> Floats:
    level, _ = look_at(eye, aim)
    hand = np.asarray(cv2.Rodrigues(shake + np.array([0.0, 0.0, roll]))[0], np.float64)
    return np.asarray(hand @ level, np.float64)


def _focal(
    draw: _Draw, config: TrajectoryConfig, subject: Subject, distance: float, share: Floats, width: int, height: int
) -> Floats:
    """Focal lengths (T,) in pixels, within the admissible fields of view."""
    shortest, longest = (focal_from_fov(fov, max(width, height)) for fov in (config.fov[1], config.fov[0]))
    wanted = draw.wide * draw.fill * min(width, height) * distance / subject.height
    if draw.kind != "zoom":
        return np.full(len(share), np.clip(wanted, shortest, longest))
    half = min(draw.zoom, np.log(longest / shortest)) / 2
    wanted = np.clip(wanted, shortest * np.exp(half), longest * np.exp(-half))
    return np.asarray(wanted * np.exp(draw.sign * half * (2 * ease(share + 0.5) - 1)))


def _nearest(made: Trajectory, subject: Subject) -> float:
    """Least distance of the camera from the subject's centre, heights counted half."""
    return float(np.linalg.norm((made.positions - subject.centre) * (1, 0.5, 1), axis=1).min())


def _in_view(made: Trajectory, subject: Subject, width: int, height: int) -> float:
    """Share of frames whose subject's centre lies well within the picture."""
    seen = np.einsum("tij,tj->ti", made.R, subject.centre) + made.t
    u, v = (np.einsum("tij,tj->ti", made.K, seen)[:, :2] / np.maximum(seen[:, 2:], 1e-6)).T
    inside = (seen[:, 2] > 0) & (u > BORDER * width) & (u < (1 - BORDER) * width)
    return float(np.mean(inside & (v > BORDER * height) & (v < (1 - BORDER) * height)))
