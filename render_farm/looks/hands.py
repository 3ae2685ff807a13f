"""Skin of hands and forearms: tone, paler palms, mottling, creases, knuckles, veins and nails.

Skins are a pool of the job: entry j is a pure function of (seed, j), and one for both hands of a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .bodymap import Singles
from .hands_map import ARM_TEXELS, HandMap
from .patterns import Bytes, draw_colour, lab_to_rgb
from .skin import tone

HAND_SKIN_STREAM = 311
_LATTICE, _LATTICE_SEED = 24, 20_240_311
_WAVES = (0.0022, 0.006, 0.017, 0.045)
"""Sizes in metres of the noise: speckle, mottling, blotches, slow change."""
_TWINS = 3


@dataclass(frozen=True)
class HandSkin:
    """One person's skin.

    Attributes:
        textures: (s, s, 3) uint8 sRGB by side ("left", "right"). arm: (128, 128, 3) of the forearm.
        specular: strength of the highlight.
    """

    textures: dict[str, Bytes]
    arm: Bytes
    specular: float


@dataclass(frozen=True)
class Marks:
    """What a skin is drawn with: see ``HandSkinConfig`` (kinds/hand/config.py) for the ranges."""

    tone: tuple[float, float]
    blotches: tuple[float, float]
    veins: tuple[float, float]
    creases: tuple[float, float]
    polish: float


@lru_cache(maxsize=1)
def _lattices() -> NDArray[np.float32]:
    return np.random.default_rng(_LATTICE_SEED).standard_normal((_TWINS, *(_LATTICE,) * 3)).astype(np.float32)


def noise_at(points: Singles, wave: float, twin: int) -> Singles:
    """Smooth noise (P,) of unit variance, about, at points (P, 3): a periodic lattice of random values, interpolated."""
    at = points / np.float32(wave) + np.float32(7.3)
    low = np.floor(at).astype(np.int32)
    share = at - low
    share = share * share * (3 - 2 * share)
    lattice, total = _lattices()[twin], np.zeros(len(points), np.float32)
    for corner in range(8):
        step = np.array([corner & 1, corner >> 1 & 1, corner >> 2])
        weight = np.where(step, share, 1 - share).prod(1)
        i, j, k = ((low + step) % _LATTICE).T
        total += weight * lattice[i, j, k]
    return total * np.float32(1.7)


class HandSkins:
    """The skins of one job for both hands.

    Args:
        marks: the ranges. maps: by side. seed: of the job. twins: whether the left hand's texture is the right one's mirror
            image (the open hands' is), so that only one need be drawn.
    """

    def __init__(self, marks: Marks, maps: dict[str, HandMap], seed: int, twins: bool = False) -> None:
        maps = {"right": maps["right"]} if twins else maps
        self.marks, self.maps, self.seed = marks, maps, seed
        self._skins: dict[int, HandSkin] = {}
        places = {side: each.position for side, each in maps.items()} | {"arm": next(iter(maps.values())).arm}
        self._noise = {
            name: np.stack([[noise_at(points, wave, twin) for twin in range(_TWINS)] for wave in _WAVES])
            for name, points in places.items()
        }

    def skin(self, index: int) -> HandSkin:
        """Entry ``index`` of the pool, drawn at first use."""
        if index not in self._skins:
            self._skins[index] = self._draw(np.random.default_rng([self.seed, HAND_SKIN_STREAM, index]))
        return self._skins[index]

    def _draw(self, rng: np.random.Generator) -> HandSkin:
        marks = self.marks
        step = rng.uniform(*marks.tone)
        base = tone(step) + rng.normal(0, (1.5, 1.0, 1.3)).astype(np.float32)
        # The scale's colours are of swatches; living pale skin is redder and a little darker.
        base[1] += 6.0 * np.clip((base[0] - 35) / 50, 0, 1)
        base[0] -= 7.0 * np.clip((base[0] - 55) / 30, 0, 1)
        base += np.array([5, 4, 4], np.float32) * np.clip((28 - base[0]) / 14, 0, 1)
        dark = float(np.clip((step - 4) / 5, 0, 1))
        mixture = _mixture(rng)
        amounts = {name: float(rng.uniform(*getattr(marks, name))) for name in ("blotches", "veins", "creases")}
        spots = (
            float(rng.uniform(1.7, 2.6)),
            float(max(0.0, rng.uniform(-1.0, 1.0))),
        )  # threshold and strength of freckles
        polish = draw_colour(rng, (15, 85), (20, 75)) if rng.random() < marks.polish else None
        pad, specular = float(rng.uniform(0.6, 1.0)), float(rng.uniform(0.03, 0.12))
        textures = {}
        for side, each in self.maps.items():
            lab = _mottled(base, mixture, self._noise[side], amounts, spots, each.palm)
            _mark(lab, each, self._noise[side], amounts, dark, pad)
            _nails(lab, each, dark, polish)
            textures[side] = np.round(lab_to_rgb(lab)).astype(np.uint8)[each.nearest].reshape(each.size, each.size, 3)
        if "left" not in textures:
            textures["left"] = np.ascontiguousarray(textures["right"][:, ::-1])
        arm = _mottled(base, mixture, self._noise["arm"], amounts, spots, np.zeros(ARM_TEXELS**2, np.float32))
        picture = np.round(lab_to_rgb(arm)).astype(np.uint8).reshape(ARM_TEXELS, ARM_TEXELS, 3)
        return HandSkin(textures, picture, specular)


def _mixture(rng: np.random.Generator) -> Singles:
    """Weights (waves, twins) of unit length for each wave, so that skins of one lattice differ."""
    weights = rng.standard_normal((len(_WAVES), _TWINS)).astype(np.float32)
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


def _mottled(
    base: Singles,
    mixture: Singles,
    noise: Singles,
    amounts: dict[str, float],
    spots: tuple[float, float],
    palm: Singles,
) -> Singles:
    """Lab (T, 3) of bare skin without marks."""
    fine, small, large, slow = (weights @ field for weights, field in zip(mixture, noise, strict=True))
    lab = np.empty((len(palm), 3), np.float32)
    lab[:] = base
    blotches, light = np.float32(amounts["blotches"]), np.float32(np.clip(base[0] / 60, 0.3, 1))
    lab[:, 0] += np.float32(0.8) * fine + blotches * (np.float32(0.8) * small + np.float32(1.1) * large) + slow
    lab[:, 1] += light * (blotches * (np.float32(0.9) * small + np.float32(1.6) * large) + np.float32(0.3) * fine)
    lab[:, 2] += np.float32(0.6) * slow
    freckles = (
        np.clip((0.8 * noise[0, 1] + 0.6 * noise[1, 0] - np.float32(spots[0])) * 1.5, 0, 1)
        * (1 - palm)
        * np.float32(spots[1])
    )
    lab[:, 0] -= freckles * np.float32(0.10) * base[0]
    lab[:, 2] += freckles * 2
    return lab


def _mark(lab: Singles, places: HandMap, noise: Singles, amounts: dict[str, float], dark: float, pad: float) -> None:
    """Palm, reddened tips and knuckles, creases and veins, in place."""
    palm, light = places.palm, lab[:, 0].copy()
    pale = np.array([62.0, 13.0, 17.0], np.float32) + np.float32(3) * noise[2, :1].T * (0.3, 0.5, 0)
    lab += (palm * np.float32(pad * 0.75 * dark))[:, None] * (pale - lab)  # palms of dark skin are pale
    lab[:, 1] += palm * np.float32((1 - dark) * 3.0)
    lab[:, 0] += palm * np.float32((1 - dark) * 1.5)
    red = 0.8 * places.tip + (1 - dark) * 0.55 * places.knuckle
    lab[:, 1] += np.float32(6.0) * red * np.clip(light / 60, 0.25, 1)
    lab[:, 0] -= np.float32(2.0) * red + places.knuckle * np.float32(3.5 * dark)
    creases = np.float32(amounts["creases"])
    deep = np.clip(places.crease * (1 + 0.25 * noise[1, 2]), 0, 1.2) * creases
    lab[:, 0] *= 1 - np.float32(0.20 + 0.15 * dark) * deep
    lab[:, 1] += np.float32(4.5) * deep * np.clip(light / 60, 0.3, 1)
    lab[:, 0] *= 1 - np.float32(0.16) * places.wrinkle * creases * np.clip(0.7 + 0.5 * noise[1, 0], 0, 1.3)
    ridge = np.exp(-((noise[2, 1] / 0.13) ** 2)) * (noise[3, 1] > -0.3)
    vein = np.float32(amounts["veins"]) * ridge * (1 - palm) * _on_back(places) * np.float32(1 - 0.6 * dark)
    lab += vein[:, None] * np.array([-3.0, -3.0, -5.0], np.float32)


def _on_back(places: HandMap) -> Singles:
    x = -places.position[:, 0]
    return (
        np.clip(x / 0.02, 0, 1) * np.clip((0.092 - x) / 0.02, 0, 1) * np.clip(places.normal[:, 1] * 1.6, 0, 1)
    ).astype(np.float32)


def _nails(lab: Singles, places: HandMap, dark: float, polish: Singles | None) -> None:
    """Nails over the skin, in place: its colour, pinker and paler, or polish."""
    lab[:, 0] *= 1 - np.float32(0.16) * places.rim
    bed = np.array([72.0 - 14 * dark, 14.0, 13.0], np.float32)
    bed = bed + np.float32(0.35) * (lab.mean(0) - bed)
    moon = bed + np.array([9.0, -6.0, 1.0], np.float32)
    nail = bed + places.moon[:, None] * (moon - bed) if polish is None else np.broadcast_to(polish, lab.shape)
    lab += (places.nail * np.float32(0.92))[:, None] * (nail - lab)
