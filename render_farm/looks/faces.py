"""Faces: where eyes, nose and mouth of a body are, and how they are painted over its texture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bodymap import BodyMap, Points, Singles

# Iris: Lab of dark brown, brown, hazel, green, blue, slate (the newborn's).
_IRIS = np.array([[14, 6, 8], [24, 10, 16], [36, 4, 22], [44, -8, 14], [48, -4, -18], [38, -1, -10]], np.float32)
_SCLERA = 76.0  # its lightness: eyes lie in the shade of brows and lids
INFANT_UNIT = 0.0245  # half eye distance, metres, up to which a face is an infant's
_GROWN_IRIS = 0.0072  # radius of other irises, metres: true ones have 0.006, which vanish in coarse texels


@dataclass(frozen=True)
class Face:
    """A face to paint: its places and measures.

    Attributes:
        rows: (H,) rows of the head's texels among the body's. p: their measures.
        eyeball: (H,) 1 left, 2 right eyeball, 0 elsewhere.
        eyes: (2, 3) left and right eye: centre of the eyeball, or the landmark on the skin where there is none.
        nose, mouth: (3,).
        unit: half the distance of the eyes, which scales all that is painted.
    """

    rows: NDArray[np.int64]
    p: Points
    eyeball: NDArray[np.uint8]
    eyes: Singles
    nose: Singles
    mouth: Singles
    unit: float

    def offset(self, centre: Singles) -> tuple[Singles, Singles, Singles]:
        """Distances from a point along x, y and z in units of the face."""
        return tuple((self.p.position - centre).T / np.float32(self.unit))  # type: ignore[return-value]


def find_face(body: BodyMap) -> Face:
    """Read the face off the landmarks; the mouth lies 1.18 units beneath the nose's landmark (measured on the open body)."""
    nose, left, right = (body.landmarks[k] for k in (0, 1, 2))
    unit = float(np.linalg.norm(left - right)) / 2
    rows = np.flatnonzero(np.isin(body.texels.joint, (12, 15)))
    p, eyeball = body.texels.at(rows), body.eyeball[rows]
    eyes = [p.position[eyeball == k].mean(0) if np.any(eyeball == k) else mark for k, mark in ((1, left), (2, right))]
    mouth = nose + np.array([0, -1.18 * unit, -0.05 * unit], np.float32)
    return Face(rows, p, eyeball, np.stack(eyes), nose, mouth, unit)


def bump(offset: tuple[Singles, Singles, Singles], radii: tuple[float, float, float]) -> Singles:
    """A soft spot, 1 at its middle; radii in units of the face."""
    return np.exp(-0.5 * sum((d / r) ** 2 for d, r in zip(offset, radii, strict=True)))


def paint_mouth(lab: Singles, face: Face, rng: np.random.Generator) -> None:
    """Lips and the line between them, into ``lab`` (H, 3) of the head's texels."""
    dx, dy, dz = face.offset(face.mouth)
    front = (dz > -0.8) & (np.abs(dx) < 1) & (np.abs(dy) < 1)
    curve = dy + 0.10 * dx**2
    lips = np.clip((1 - (dx / 0.66) ** 2 - (curve / 0.33) ** 2) * 2.0, 0, 1) * front
    line = np.exp(-((curve / 0.055) ** 2)) * (np.abs(dx) < 0.62) * front
    lab[:, 1] += lips * rng.uniform(7, 14) * np.clip(lab[:, 0] / 60, 0.35, 1)
    lab[:, 0] -= lips * 0.08 * lab[:, 0] + line * 0.38 * lab[:, 0]


def paint_eyes(lab: Singles, face: Face, rng: np.random.Generator, closed: bool, dark: float) -> None:
    """Sclera, iris, pupil, glint and lashes, or closed lids; ``dark``: 0 pale, 1 dark skin."""
    weights = np.array([dark * 3 + 0.6, dark + 0.8, 0.5, 0.3, 0.9, 1.0]) * np.where(np.arange(6) > 1, 1.05 - dark, 1)
    iris = _IRIS[min(5, int(np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random())))]
    gaze = rng.normal(0, 0.07, 2)
    balls = bool(np.any(face.eyeball))
    iris_size = 1.15 if face.unit <= INFANT_UNIT else _GROWN_IRIS / (0.29 * face.unit)
    # Eyeballs of radius 0.6 have few texels: edges as soft as those are wide, or irises would fall between them.
    texels = np.count_nonzero(face.eyeball) / 2 if balls else 1e4
    grain = float(np.clip(np.sqrt(4 * np.pi * 0.6**2 / texels), 0.02, 0.5))
    for number, eye in enumerate(face.eyes, start=1):
        dx, dy, dz = face.offset(eye)
        lash = np.exp(-(((dy - (0.30 if balls else 0.24) + 0.55 * dx**2 + 0.45 * closed) / 0.05) ** 2)) * (
            np.abs(dx) < 0.5
        )
        lash = lash * (dz > 0.1 * balls) * (face.eyeball == 0) * (np.abs(dz) < 1.2)
        lab[:, 0] -= (0.35 if balls else 0.5) * lash * lab[:, 0]
        opening = face.eyeball == number if balls else (dx / 0.44) ** 2 + (dy / 0.235) ** 2 < 1
        opening = opening & (dz > -0.9)
        if closed:
            lab[opening, 0] *= 0.93
            continue
        radius = np.hypot(dx - gaze[0], dy - gaze[1]) / iris_size
        lab[opening] = (_SCLERA - 8 * dark, 1, 2)
        shade = 0.30 * np.exp(-((np.maximum(0.26 - dy, 0) / 0.16) ** 2)) + 0.25 * np.clip(np.abs(dx) / 0.45, 0, 1) ** 2
        lab[opening, 0] *= 1 - shade[opening]  # by the upper lid and in the corners
        for size, colour in ((0.29, iris * (0.6, 1, 1)), (0.24, iris), (0.13, np.array([5.0, 0, 0]))):
            inside = np.clip((size - radius) / grain + 0.5, 0, 1) * opening
            lab += (inside[:, None] * (colour - lab)).astype(np.float32)
        glint = np.hypot(dx - gaze[0] + 0.08 * iris_size, dy - gaze[1] - 0.10 * iris_size)
        lab[opening & (glint < 0.05 * iris_size)] = (96, 0, 0)


def paint_brows(lab: Singles, face: Face, hair: Singles, strength: float) -> None:
    """Eyebrows of the hair's colour (3,)."""
    for eye in face.eyes:
        dx, dy, dz = face.offset(eye)
        dx = dx * np.sign(eye[0])  # outwards
        arch = 0.66 - 0.12 * (dx - 0.1) ** 2 / 0.36
        ends = np.clip((0.72 - np.abs(dx)) / 0.2, 0, 1)
        brow = np.exp(-(((dy - arch) / 0.075) ** 2)) * ends * (dz > 0) * strength
        lab += brow[:, None] * (hair - lab)
