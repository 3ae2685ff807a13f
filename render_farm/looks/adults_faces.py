"""Heads of grown people: how far hair stands out, beards, and the dark inside of the mouth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bodymap import BodyMap
from .faces import Face
from .patterns import lab_to_rgb, noise, rgb_to_lab
from .skin import scalp

Singles = NDArray[np.float32]
_LOOKS = 36  # directions from which the inside of the mouth is sought
_CELL, _THICK = 0.25, 0.15  # side and depth of what hides it, in half eye distances
_MOUTH = np.array([92, 38, 36], np.uint8)


def dark_mouth(mapped: BodyMap, face: Face, texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The texture with the inside of the mouth, where the mesh has one, in the dark red that an open jaw shows."""
    places = np.stack(face.offset(face.mouth), 1)
    near = (np.abs(places[:, 0]) < 1.6) & (places[:, 1] < 0.45) & (places[:, 1] > -1.25) & (places[:, 2] > -4.8)
    within = near.copy()
    within[near] = ~_seen(places[near], places[::4])
    covered = np.zeros(len(mapped.inside), bool)
    covered[face.rows[within]] = True
    return np.where(mapped.spread(covered)[..., None], _MOUTH, texture)


def _seen(places: Singles, surface: Singles) -> NDArray[np.bool_]:
    """Which of some points (N, 3) are seen from outside past a surface (P, 3) at some angle; half eye distances."""
    golden, seen = np.pi * (3 - np.sqrt(5)), np.zeros(len(places), bool)
    for k in range(_LOOKS):  # a spiral over the sphere, less its lower part, from where one looks into the neck
        up = 1 - 1.45 * (k + 0.5) / _LOOKS
        flat, angle = np.sqrt(1 - up * up), golden * k
        towards = np.array([flat * np.cos(angle), up, flat * np.sin(angle)])
        across = np.linalg.svd(towards[None])[2][1:]
        flat_surface, flat_places = surface @ across.T / _CELL, places @ across.T / _CELL
        low = flat_surface.min(0) - 1
        cells, own = (flat_surface - low).astype(int), (flat_places - low).astype(int)
        top = np.full(np.maximum(cells.max(0), own.max(0)) + 1, -np.inf)
        np.maximum.at(top, tuple(cells.T), surface @ towards)
        seen |= places @ towards > top[tuple(own.T)] - _THICK
    return seen


def hair_volume(mapped: BodyMap, face: Face, amount: float, length: float) -> Singles:
    """Metres (V,) by which hair stands out from the scalp, of short hair most at the crown."""
    points = mapped.vertices
    inside = scalp(points, face, 0.1, length) / face.unit  # in half eye distances
    crown = np.clip((points.position[:, 1] - face.eyes[:, 1].mean()) / (4 * face.unit), 0.9 if length else 0.35, 1)
    return (amount * 0.42 * face.unit * np.clip(inside / 1.1, 0, 1) ** 0.7 * crown).astype(np.float32)


def grow_beard(
    rng: np.random.Generator, mapped: BodyMap, face: Face, texture: NDArray[np.uint8], hair: Singles, kind: str
) -> NDArray[np.uint8]:
    """The texture with a beard of the colour ``hair`` (Lab); ``kind``: stubble, full, goatee or moustache."""
    dx, dy, _ = face.offset(face.mouth)
    eyes = face.offset(face.eyes.mean(0))
    depth = -eyes[2]  # half eye distances behind the eyes
    upper = np.interp(
        np.abs(dx), [0, 0.6, 1.3, 2.0], [0.42, 0.30, 0.15, 0.75]
    )  # above the lip, down the cheek, to the ear
    chin = np.clip((upper - dy) / 0.25, 0, 1) * np.clip((dy + 2.3) / 0.4, 0, 1) * np.clip((2.4 - depth) / 0.5, 0, 1)
    if kind == "goatee":
        chin = chin * np.clip((0.95 - np.abs(dx)) / 0.25, 0, 1)
    if kind == "moustache":
        chin = chin * np.clip((0.85 - np.abs(dx)) / 0.25, 0, 1) * np.clip((dy - 0.0) / 0.1, 0, 1)
    lips = np.clip((1 - (dx / 0.62) ** 2 - ((dy + 0.02) / 0.30) ** 2) * 2.5, 0, 1)
    amount = chin * (1 - lips) * (face.eyeball == 0) * (0.35 if kind == "stubble" else 0.9)
    grain = noise(rng, 128, 30)
    index = (np.floor(face.p.position[:, :2] / (0.10 / 128)).astype(int) % 128).T
    amount = np.clip(amount * (1 + 0.25 * grain[index[1], index[0]]), 0, 1)[:, None]
    values = texture.reshape(-1, 3)[mapped.inside]
    lab = rgb_to_lab(values[face.rows].astype(np.float32))
    values[face.rows] = np.round(lab_to_rgb(lab + amount * (hair - lab))).astype(np.uint8)
    return mapped.spread(values)
