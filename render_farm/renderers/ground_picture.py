"""The ground as a camera sees it, painted by OpenCV: on a CPU several times as fast as pixel by pixel in a kernel.

Where pixels' rays meet a plane is a homography, and OpenCV looks textures up in two nanoseconds a pixel. Light and texture
multiply in codes that are a power of linear light, where products stay products; one table brings the result to sRGB with
the shoulder of ``glsl/colour.glsl``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Camera, Ground, Scene
from . import look
from .mesh import IdentityCache
from .shading import ground_texels, halved, levels
from .shadows import GroundMap

POWER = 2.2  # of the codes in which light multiplies
_ROOTS = np.round(255 * (np.arange(16 * 255 + 1) / (16 * 255)) ** (1 / POWER)).astype(np.uint8)
STEPS, MIXED = 4, 2  # of detail in an octave, and how many of them show a mixture of its ends
_ONE = int(126.943 * 2**23)  # a float's bits, read as an integer, are nearly its logarithm; here those of 1
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Area = tuple[slice, slice]


@dataclass(frozen=True)
class _Atlas:
    """A texture's levels of detail and steps between them, one below the other, each with a border that repeats it.

    Attributes:
        codes: (h, w, 4). corners, sizes: (2, 256) x and y of the first texel of what shows each step of detail, and its
            width and height.
    """

    codes: Bytes
    corners: Singles
    sizes: Singles


_ATLASES: IdentityCache[_Atlas] = IdentityCache(64)


@dataclass(frozen=True)
class GroundView:
    """Where a camera sees a scene's ground.

    Attributes:
        depth: (H, W) camera z of the ground at pixels' centres, metres, 0 where there is none.
        drop: height of the plane over the camera, metres.
        plane, own: (3, 3) from homogeneous pixels to homogeneous places on the plane: x and z of the world, metres; along
            the ground's own axes from its centre, metres.
    """

    camera: Camera
    ground: Ground
    depth: Singles
    drop: float
    plane: Floats
    own: Floats


def view_ground(camera: Camera, ground: Ground) -> GroundView:
    """Where a camera sees the ground if nothing is before it."""
    eye, rays = camera.position, np.asarray(camera.R).T @ np.linalg.inv(camera.K)
    drop = float(ground.height - eye[1]) or -1e-6
    # Over how far the ray rises a metre of depth.
    plane = np.stack([eye[0] * rays[1] + drop * rays[0], eye[2] * rays[1] + drop * rays[2], rays[1]])
    cos, sin = float(np.cos(ground.yaw)), float(np.sin(ground.yaw))
    turn, own = np.array([[cos, -sin], [sin, cos]]), np.eye(3)  # undoes a rotation by yaw about +Y
    own[:2, :2], own[:2, 2] = turn, -turn @ ground.centre
    own = own @ plane

    everywhere = slice(0, camera.height), slice(0, camera.width)
    depth = _linear(rays[1] * np.sign(drop), everywhere)
    np.maximum(depth, np.float32(0.5 * abs(drop) / look.FAR), out=depth)  # beyond FAR where rays do not meet the plane
    np.divide(np.float32(abs(drop)), depth, out=depth)
    seen = (depth > look.NEAR) & (depth < look.FAR)
    if ground.half_size is not None:
        rise = depth * np.float32(1 / drop)
        for row, half in zip(own, ground.half_size, strict=False):
            seen &= np.abs(_linear(row, everywhere) * rise) <= np.float32(half)
    depth *= seen
    return GroundView(camera, ground, depth, drop, plane, own)


def paint_ground(view: GroundView, scene: Scene, shade: GroundMap | None, shown: Bytes, hidden: Bytes | None) -> Bytes:
    """The picture of the ground, (H, W, 4) sRGB and an unused byte, undefined where the ground is not shown.

    Args:
        shade: light that arrives on the ground, or None for all of it.
        shown: (H, W), not 0 where the ground is shown.
        hidden: (H, W), not 0 where the lamp's light does not arrive; None to take its share from ``shade``.
    """
    result: Bytes = np.empty((*shown.shape, 4), np.uint8)
    area = _bounds(shown)
    if area is None:
        return result
    ambient, lamp = look.ambient_from_above(scene.lights), look.lamp_from_above(scene.lights)
    full = np.maximum(ambient + lamp, 1e-6)
    table, codes, none = _table(full), _textured(view, area), np.zeros(3)
    if shade is None:
        result[area] = cv2.LUT(codes, table)
    elif hidden is None:
        result[area] = cv2.LUT(_times(codes, view, shade, np.stack([ambient, lamp, none]) / full, area), table)
    else:
        result[area] = cv2.LUT(_times(codes, view, shade, np.stack([ambient, none, lamp]) / full, area), table)
        dark = _bounds(hidden)
        if dark is not None:
            part = codes[dark[0].start - area[0].start :, dark[1].start - area[1].start :]
            part = part[: dark[0].stop - dark[0].start, : dark[1].stop - dark[1].start]
            picture = cv2.LUT(_times(part, view, shade, np.stack([ambient, none, none]) / full, dark), table)
            cv2.copyTo(picture, np.ascontiguousarray(hidden[dark]), result[dark])
    return result


def _bounds(mask: Bytes) -> Area | None:
    """The rectangle that holds all of a mask that is not 0, or None if there is nothing."""
    x, y, width, height = cv2.boundingRect(mask)
    return (slice(y, y + height), slice(x, x + width)) if width else None


def _linear(row: Floats, area: Area) -> Singles:
    """``row @ (u, v, 1)`` at the pixels (h, w) of an area."""
    rows, columns = (np.arange(part.start, part.stop) for part in area)
    return np.add((row[0] * columns + row[2]).astype(np.float32), (row[1] * rows).astype(np.float32)[:, None])


def _rise(view: GroundView, area: Area) -> Singles:
    """What makes homogeneous places (h, w) places: 1 over how far a ray rises; somewhere where there is no ground."""
    return view.depth[area] * np.float32(1 / view.drop)


def _textured(view: GroundView, area: Area) -> Bytes:
    """The repeated texture as an area of the picture sees it, codes (h, w, 4), each pixel from the level that suits it."""
    atlas, rise = _atlas(view.ground.texture), _rise(view, area)
    level = _level(view, rise, area)
    places = []
    for row, corner, size in zip(view.own / view.ground.tile, atlas.corners, atlas.sizes, strict=False):
        place = _linear(row, area)
        place *= rise
        place -= np.floor(place)
        place *= cv2.LUT(level, size)
        place += cv2.LUT(level, corner)
        places.append(place)
    return np.asarray(cv2.remap(atlas.codes, places[0], places[1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _level(view: GroundView, rise: Singles, area: Area) -> Bytes:
    """Step of detail of each pixel (h, w): ``STEPS`` times the binary logarithm of how many texels wide it is.

    That is its width at its depth times the root of how aslant the ray meets the plane; here to the fourth power.
    """
    inverse = np.linalg.inv(view.camera.K)
    down, across = (np.arange(part.start, part.stop) for part in area)
    squares = (inverse[0, 0] * across + inverse[0, 2]) ** 2 + 1, (inverse[1, 1] * down + inverse[1, 2]) ** 2
    scale = np.float32((ground_texels(view.ground, view.camera) * view.drop) ** 4)
    fourth = np.add((scale * squares[0]).astype(np.float32), (scale * squares[1]).astype(np.float32)[:, None])
    rise2 = rise * rise
    fourth *= rise2
    rise2 *= rise2
    fourth *= rise2
    bits = fourth.view(np.int32)
    bits -= _ONE
    bits >>= 23  # the fourth power has STEPS octaves to one of the width
    return np.asarray(np.clip(bits, 0, 255, out=bits), np.uint8)


def _times(codes: Bytes, view: GroundView, shade: GroundMap, weights: Floats, area: Area) -> Bytes:
    """Codes (h, w, 4) times the light that arrives at an area.

    Args:
        weights: (3, 3) of red, green and blue: what the ambient and the directional share of ``shade`` count, and what
            arrives everywhere; the sum of each is 1 in all the light.
    """
    side = len(shade.values)
    arrives = shade.values.reshape(-1, 2) @ weights[:2].astype(np.float32) + (255 * weights[2]).astype(np.float32)
    light = np.full((side, side, 4), 255, np.uint8)
    light[..., :3] = _ROOTS.take((arrives * np.float32(16)).astype(np.uint16), mode="clip").reshape(side, side, 3)
    places, rise = [], _rise(view, area)
    for row, origin, size in zip(view.plane, shade.origin, shade.size, strict=False):
        place = _linear(row, area)
        place *= rise
        place *= np.float32(side / size)
        place -= np.float32(origin * side / size + 0.5)
        places.append(np.clip(place, 0, side - 1.001, out=place))
    spread = cv2.remap(light, places[0], places[1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(codes, spread, scale=1 / 255), np.uint8)


def _table(full: Floats) -> Bytes:
    """(1, 256, 4) sRGB of codes in all the light, (3,)."""
    table = np.zeros((1, 256, 4), np.uint8)
    table[..., :3] = np.round(255 * _shown((np.arange(256) / 255)[:, None] ** POWER * full))
    return table


def _atlas(texture: Bytes) -> _Atlas:
    known = _ATLASES.get(texture)
    if known is None:
        octaves = [halved(texture, step) for step in range(levels(texture) + 1)]
        pyramid = [level for pair in pairwise(octaves) for level in _mixed(*pair)] + octaves[-1:]
        places, top = np.zeros((len(pyramid), 4), np.float32), 0
        drawn = np.zeros((sum(len(level) + 2 for level in pyramid), texture.shape[1] + 2, 3), np.uint8)
        for k, level in enumerate(pyramid):
            h, w = level.shape[:2]
            drawn[top : top + h + 2, : w + 2] = cv2.copyMakeBorder(level, 1, 1, 1, 1, cv2.BORDER_WRAP)
            places[k] = 0.5, top + 0.5, w, h  # texels' centres lie at halves of their size
            top += h + 2
        # Half of an octave shows one of its ends, as in ``glsl/ground_fragment.glsl``.
        steps = np.arange(256)
        within = np.clip(steps % STEPS - STEPS // 4 + 1, 0, MIXED + 1)
        chosen = places[np.minimum(steps // STEPS * (MIXED + 1) + within, len(pyramid) - 1)].T
        table = np.round(255 * _linear_light(np.arange(256) / 255) ** (1 / POWER)).astype(np.uint8)
        codes = np.asarray(cv2.cvtColor(cv2.LUT(drawn, table), cv2.COLOR_RGB2RGBA), np.uint8)
        known = _Atlas(codes, np.ascontiguousarray(chosen[:2]), np.ascontiguousarray(chosen[2:]))
        _ATLASES.put(texture, known)
    return known


def _mixed(fine: Bytes, coarse: Bytes) -> list[Bytes]:
    """A level of detail, and ``MIXED`` steps from it towards the next one."""
    (h, w), (low, narrow) = fine.shape[:2], coarse.shape[:2]
    x = np.tile(((np.arange(w) + 0.5) * narrow / w - 0.5).astype(np.float32), (h, 1))
    y = np.tile(((np.arange(h) + 0.5) * low / h - 0.5).astype(np.float32)[:, None], (1, w))
    spread = cv2.remap(coarse, x, y, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    shares = [(step + 0.5) / MIXED for step in range(MIXED)]
    return [fine, *(np.asarray(cv2.addWeighted(fine, 1 - share, spread, share, 0), np.uint8) for share in shares)]


def _linear_light(code: Floats) -> Floats:
    """Of sRGB codes in [0, 1]: ``linear`` of ``glsl/colour.glsl``."""
    return np.asarray(code * (code * (code * 0.305306011 + 0.682171111) + 0.012522878))


def _shown(light: Floats) -> Floats:
    """sRGB codes in [0, 1] of linear light: ``show`` of ``glsl/colour.glsl``."""
    over = np.maximum(light - look.KNEE, 0) / (1 - look.KNEE)
    held = np.minimum(light, look.KNEE) + (1 - look.KNEE) * over / (1 + over)
    root2, root4, root8 = held**0.5, held**0.25, held**0.125
    codes = 0.662002687 * root2 + 0.684122060 * root4 - 0.323583601 * root8 - 0.0225411470 * held
    return np.asarray(np.clip(codes, 0, 1))
