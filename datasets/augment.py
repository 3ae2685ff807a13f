"""Augmentation of top-down samples: geometry as parameters of the crop, photometry on the crop's pixels.

Keypoints only ever pass through the affine map of :mod:`crops`; photometry (:mod:`photometry`) sees pixels alone, so no
step can lose, reorder or move a keypoint. Everything is a pure function of the generator handed in.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np

from ..config import UserError, nearest
from ..models.joints import JointSet
from .crops import PADDING, crop_affine
from .photometry import Photometry


@dataclass(frozen=True)
class Geometry:
    """Ranges of the crop's geometry. HRNet's and FiDIP's values are scale .35, rotation 45°, rotation_prob .6.

    Attributes:
        scale: region size is multiplied by 1 ± N(0, scale²) clipped at ±scale (HRNet's ``scale_factor``).
        rotation_deg: standard deviation in degrees, clipped at two of them.
        rotation_prob: share of samples that are turned.
        flip_prob: share of samples that are mirrored.
        half_body_prob: share of samples, among those with enough visible joints, cut to the upper or the lower body.
        half_body_above: half-body crops need more visible joints than this.
        shift: the region's centre moves by up to ± this fraction of the region.
    """

    scale: float = 0.0
    rotation_deg: float = 0.0
    rotation_prob: float = 0.0
    flip_prob: float = 0.0
    half_body_prob: float = 0.0
    half_body_above: int = 8
    shift: float = 0.0


@dataclass(frozen=True)
class Augmentation:
    """Geometry and photometry together; photometry None leaves the pixels alone."""

    geometry: Geometry = field(default_factory=Geometry)
    photometry: Photometry | None = None


_GEOMETRY = Geometry(0.35, 45.0, rotation_prob=0.6, flip_prob=0.5, half_body_prob=0.3, half_body_above=8, shift=0.05)

_MILD = Geometry(scale=0.15, rotation_deg=15.0, rotation_prob=0.6, flip_prob=0.5, shift=0.03)
_LOOK = Photometry(
    colour_prob=0.9,
    brightness=0.16,
    contrast=0.45,
    saturation=(0.2, 1.5),
    hue_deg=25.0,
    white_balance=0.3,
    grey_prob=0.1,
    gamma_prob=0.5,
    gamma=(0.6, 1.6),
    light_prob=0.25,
    light=0.5,
    blur_prob=0.25,
    blur_sigma=(0.4, 2.0),
    motion_prob=0.1,
    motion_length=(3, 9),
    low_res_prob=0.15,
    low_res=3.0,
    noise_prob=0.5,
    noise_sigma=(2.0, 16.0),
    jpeg_prob=0.3,
    jpeg_quality=(15, 80),
    patch_prob=0.4,
    patch_count=(1, 4),
    patch_size=(0.08, 0.35),
)

LEVELS: dict[str, Augmentation] = {
    "none": Augmentation(),
    # For runs of minutes on hundreds of frames, which the published ranges below would starve.
    "mild": Augmentation(_MILD),
    "photometric": Augmentation(_MILD, _LOOK),
    "plain": Augmentation(_GEOMETRY),
    "strong": Augmentation(_GEOMETRY, _LOOK),
}


def augmentation(level: str) -> Augmentation:
    """Look a level of :data:`LEVELS` up.

    Raises:
        UserError: for an unknown level.
    """
    if level not in LEVELS:
        raise UserError(f"unknown augmentation '{level}': {nearest(level, LEVELS)}")
    return LEVELS[level]


@functools.cache
def lower_body(joint_set: JointSet) -> np.ndarray:
    """(J,) bool: joints from the hips down, told by their names."""
    words = ("hip", "pelvis", "knee", "ankle", "foot", "toe", "heel")
    return np.array([any(word in name for word in words) for name in joint_set.joints])


def half_body_box(keypoints: np.ndarray, chosen: np.ndarray) -> np.ndarray | None:
    """Box xywh (4,) whose crop is 1.5 times the chosen joints' extent (HRNet's half body); None if it has no area."""
    points = keypoints[chosen, :2]
    if len(points) < 3:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    size = (high - low) * (1.5 / PADDING)  # the crop adds its own padding
    if size.min() <= 1.0:
        return None
    return np.concatenate([(low + high - size + 1) / 2, size])


def sample_affine(
    rng: np.random.Generator,
    bbox: np.ndarray,
    keypoints: np.ndarray,
    visible: np.ndarray,
    joint_set: JointSet,
    input_wh: tuple[int, int],
    config: Geometry,
) -> tuple[np.ndarray, bool]:
    """Draw a crop for one person.

    Args:
        rng: consumed the same whatever is drawn.
        bbox: (4,) xywh, picture pixels.
        keypoints: (J, 2+) picture pixels.
        visible: (J,) bool, joints that may steer a half-body crop. Pass all False for a person whose labels are hidden,
            or the crop would leak them.
        joint_set: tells the lower body.
        input_wh: crop (width, height).
        config: the ranges.

    Returns:
        (2, 3) float32 picture→crop, and whether it mirrors.
    """
    draw = rng.random(8)
    normal = rng.standard_normal(2)
    if visible.sum() > config.half_body_above and draw[0] < config.half_body_prob:
        lower = lower_body(joint_set)
        box = half_body_box(keypoints, visible & (lower if draw[1] < 0.5 else ~lower))
        bbox = bbox if box is None else box
    scale = 1.0 + float(np.clip(normal[0] * config.scale, -config.scale, config.scale))
    limit = 2 * config.rotation_deg
    turned = draw[2] < config.rotation_prob
    rotation = float(np.clip(normal[1] * config.rotation_deg, -limit, limit)) if turned else 0.0
    shift = (float(config.shift * (2 * draw[3] - 1)), float(config.shift * (2 * draw[4] - 1)))
    flip = bool(draw[5] < config.flip_prob)
    return crop_affine(bbox, input_wh, PADDING, rotation, scale, shift, flip), flip
