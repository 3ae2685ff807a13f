"""Sharp where the lens is focused and nothing moves: depth of field, and the smear of moving limbs.

Both work in layers: each layer is blurred with its own outline, so that a sharp body does not bleed into the blurred room
behind it and a blurred rail covers what lies behind it softly. Labels stay those of the sharp picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.joints import PARENTS, joint_set
from .config import LensConfig
from .scene import Camera, PersonInScene, Rendered

REFERENCE_SIDE = 256
"""Lengths of smears are given for a picture of this side and scale with the picture."""
LEAST_BLUR, TWO_LEVELS = 0.8, 3.0
"""Circles of confusion below so many pixels leave a picture as it is; beyond so many they are blurred at two strengths."""
_FAINT = 0.02  # a layer that covers less of a pixel says nothing about its colour
_LIMBS = ("elbow", "wrist", "knee", "hip", "shoulder", "ankle", "neck")
Bytes = NDArray[np.uint8]
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class LensParams:
    """One picture's lens and shutter.

    Attributes:
        aperture: diameter of the entrance pupil, metres; 0 keeps everything sharp.
        focus: distance in focus, metres along the optical axis.
        instance: number of the person that moves, 0 for none. parts: (256,) bool, which part ids of it move.
        travel: length of the smear in pixels of a 256-pixel picture. angle: its direction, radians.
    """

    aperture: float = 0.0
    focus: float = 1.0
    instance: int = 0
    parts: NDArray[np.bool_] | None = None
    travel: float = 0.0
    angle: float = 0.0


def sample_blur(
    rng: np.random.Generator, config: LensConfig, camera: Camera, persons: list[PersonInScene]
) -> LensParams | None:
    """Draw a picture's depth of field and motion; None if it has neither. The first person is focused on, and moves."""
    shallow, aperture, off = rng.random() < config.shallow, rng.uniform(*config.aperture), rng.standard_normal()
    moving, whole, pick = rng.random() < config.moving, rng.random() < config.whole, rng.random()
    travel, angle = rng.uniform(*config.travel), rng.uniform(0, np.pi)
    if not persons or not (shallow or moving):
        return None
    middle = np.asarray(camera.R)[2] @ persons[0].surface.vertices[::31].mean(0) + np.asarray(camera.t)[2]
    return LensParams(
        aperture=1e-3 * aperture if shallow else 0.0,
        focus=max(0.05, float(middle) * float(np.exp(config.focus_error * off))),
        instance=1 if moving else 0,
        parts=moving_parts(persons[0].skeleton, 1.0 if whole else pick) if moving else None,
        travel=travel,
        angle=angle,
    )


def moving_parts(skeleton: str, pick: float) -> NDArray[np.bool_]:
    """Part ids (256,) of the limb that ``pick`` in [0, 1) points at, with all that hangs on it; 1 means the whole person."""
    joints, parents = joint_set(skeleton).joints, PARENTS[skeleton]
    roots = [k for k, name in enumerate(joints) if name.rpartition("_")[2] in _LIMBS and k > 0]
    parts = np.zeros(256, bool)
    if pick >= 1 or not roots:
        parts[1 : 1 + len(joints)] = True
        return parts
    moved = {roots[int(pick * len(roots))]}
    for joint, parent in enumerate(parents):  # parents come before their children
        if parent in moved:
            moved.add(joint)
    parts[[1 + joint for joint in moved]] = True
    return parts


def apply_blur(rendered: Rendered, camera: Camera, lens: LensParams) -> Bytes:
    """The picture (H, W, 3) uint8 sRGB of ``rendered``, blurred by depth and motion."""
    picture = rendered.rgb
    if lens.aperture > 0:
        picture = depth_of_field(picture, rendered.depth, float(camera.K[0, 0]) * lens.aperture, lens.focus)
    if lens.instance and lens.parts is not None:
        mask = lens.parts[rendered.parts] & (rendered.instances == lens.instance)
        picture = smear(picture, mask, lens.travel * max(mask.shape) / REFERENCE_SIDE, lens.angle)
    return picture


def circle_of_confusion(depth: Singles, pupil: float, focus: float) -> Singles:
    """Diameter in pixels of the disc that a point at ``depth`` becomes, negative before the plane in focus.

    Thin lens focused at a distance much longer than its focal length: c = A f |1/s - 1/z| (Potmesil and Chakravarty 1981).

    Args:
        depth: (H, W) metres, inf for far away. pupil: focal length in pixels times the pupil's diameter in metres.
        focus: s, metres.
    """
    nearness = np.float32(-pupil) / np.clip(depth, np.float32(0.01), None)
    nearness += np.float32(pupil / focus)
    return nearness


def depth_of_field(rgb: Bytes, depth: Singles, pupil: float, focus: float) -> Bytes:
    """Blur a picture by its depth, see :func:`circle_of_confusion`; itself if nothing is out of focus visibly."""
    spread = circle_of_confusion(depth, pupil, focus)
    nearest, farthest, _, _ = cv2.minMaxLoc(spread)
    picture, less = rgb, 0.0
    for width in (farthest / 3, farthest) if farthest > TWO_LEVELS else (farthest,):
        if width < LEAST_BLUR:
            continue
        weight = _ramp(spread, 0, width / 2)  # what is sharp lends no light to the blurred
        layer = _spread_out(rgb, _halved(weight), partial(_disc, width=width), known=True)
        picture = _mixed(picture, layer, _ramp(spread, less, width))
        less = width
    if -nearest >= LEAST_BLUR:
        own, soften = _ramp(spread, 0, nearest / 2), partial(_disc, width=-nearest)
        behind = _spread_out(picture, _halved(1 - own), soften, known=True)
        picture = _mixed(_mixed(picture, behind, own), _spread_out(rgb, _halved(own), soften))
    return picture


def _ramp(values: Singles, none: float, full: float) -> Singles:
    """0 at ``none`` rising to 1 at ``full``, and flat beyond."""
    slope = 1 / (full - none)
    rising = values * np.float32(slope)
    if none:
        rising -= np.float32(none * slope)
    return np.clip(rising, 0, 1, out=rising)


def _spread_out(rgb: Bytes, weight: Singles, soften: Callable[[Singles], Singles], known: bool = False) -> Bytes:
    """A layer of a picture, blurred with its outline.

    Args:
        rgb: (H, W, 3). weight: (h, w), of the picture's size or half of it, which blurred pictures do not need.
        soften: blurs (h, w, 4), in the pixels of ``weight``.
        known: see below.

    Returns:
        (H, W, 4): its colours, carried on beyond its outline as far as the blur reaches, and 255 times how much of each
        pixel the layer covers or, if ``known``, 255 where it has colours of its own, falling to 0 where nothing of it comes.
    """
    size, full = weight.shape[::-1], rgb.shape[1::-1]
    few = cv2.cvtColor(rgb if size == full else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2RGBA)
    stack = soften(np.asarray(cv2.multiply(few.astype(np.float32), cv2.merge([weight] * 4)), np.float32))
    cover = np.asarray(cv2.extractChannel(stack, 3), np.float32)
    scale = 255 / np.clip(cover, np.float32(255 * _FAINT / 2), None)
    layer = cv2.convertScaleAbs(cv2.multiply(stack, cv2.merge([scale] * 4)))
    layer = cv2.copyTo(few, (cover < 255 * _FAINT / 2).view(np.uint8), layer)  # no black to mix with
    alpha = 255 * _ramp(cover, 255 * _FAINT / 2, 255 * _FAINT * 1.5) if known else cover
    layer = cv2.insertChannel(cv2.convertScaleAbs(alpha), layer, 3)
    return np.asarray(layer if size == full else cv2.resize(layer, full, interpolation=cv2.INTER_LINEAR), np.uint8)


def _halved(weight: Singles) -> Singles:
    """Weights (H, W) for a picture of half the size; pixels that stand for any without weight have none."""
    half = max(1, weight.shape[1] // 2), max(1, weight.shape[0] // 2)
    some = cv2.resize((weight > 0).astype(np.float32), half, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
    return np.asarray(mean, np.float32) * _ramp(np.asarray(some, np.float32), 0.75, 1.0)


def _mixed(below: Bytes, layer: Bytes, share: Singles | None = None) -> Bytes:
    """The colours of a layer (H, W, 4) over ``below`` (H, W, 3), as far as its last channel and ``share`` (H, W) say."""
    cover = cv2.extractChannel(layer, 3)
    if share is not None:
        cover = cv2.multiply(cover, cv2.convertScaleAbs(share, alpha=255), scale=1 / 255)
    part = cv2.cvtColor(cover, cv2.COLOR_GRAY2RGB)
    above = cv2.multiply(cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB), part, scale=1 / 255)
    return np.asarray(cv2.add(cv2.multiply(below, cv2.bitwise_not(part), scale=1 / 255), above), np.uint8)


def _disc(stack: Singles, width: float) -> Singles:
    """Blur a picture of half the size as by a disc of ``width`` pixels of the whole: the Gaussian of the same variance."""
    return np.asarray(cv2.GaussianBlur(stack, (0, 0), max(width / 8, 0.3)), np.float32)


def smear(rgb: Bytes, mask: NDArray[np.bool_], length: float, angle: float) -> Bytes:
    """Move what ``mask`` (H, W) shows by ``length`` pixels while the shutter is open; what it bares is filled from beside."""
    if length < 1 or not mask.any():
        return rgb
    margin = int(np.ceil(length)) + 2
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    area = np.s_[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin]
    picture, own = np.ascontiguousarray(rgb[area]), mask[area].astype(np.float32)
    large = length > 6
    kernel = smear_kernel(length / 2 if large else length, angle)

    def moved(stack: Singles) -> Singles:
        return np.asarray(cv2.filter2D(stack, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)

    mine, others = (_halved(own), _halved(1 - own)) if large else (own, 1 - own)
    front, behind = _spread_out(picture, mine, moved), _spread_out(picture, others, moved, known=True)
    result = rgb.copy()
    result[area] = _mixed(_mixed(picture, behind, own), front)
    return result


def smear_kernel(length: float, angle: float) -> Singles:
    """Kernel of a straight smear: 33 samples of the segment, spread bilinearly, sum 1."""
    radius = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    steps = np.linspace(-length / 2, length / 2, 33)
    x, y = radius + steps * np.cos(angle), radius + steps * np.sin(angle)
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    right, below = x - column, y - row
    np.add.at(kernel, (row, column), (1 - right) * (1 - below))
    np.add.at(kernel, (row, column + 1), right * (1 - below))
    np.add.at(kernel, (row + 1, column), (1 - right) * below)
    np.add.at(kernel, (row + 1, column + 1), right * below)
    return kernel / kernel.sum()
