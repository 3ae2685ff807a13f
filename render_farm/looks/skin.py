"""Skin, face and hair, painted over the body's texture.

Tones span the Monk skin tone scale (Monk 2019, the ten published colours), interpolated in CIE Lab. Skins are a pool of
the job: entry j is a pure function of (seed, j).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bodymap import BodyMap, Points, Singles
from .config import SkinConfig
from .faces import INFANT_UNIT, Face, bump, find_face, paint_brows, paint_eyes, paint_mouth
from .patterns import Bytes, lab_to_rgb, noise, rgb_to_lab

SKIN_STREAM = 301
MONK = (
    "f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420",
)  # fmt: skip
"""The published sRGB colours of tones 1 to 10."""
# Hair: Lab of black, dark brown, brown, light brown, blond, red.
_HAIR = np.array([[10, 1, 2], [18, 4, 6], [28, 7, 12], [42, 8, 20], [66, 5, 28], [40, 20, 30]], np.float32)


@dataclass(frozen=True)
class Skin:
    """One infant's skin.

    Attributes:
        texture: (s, s, 3) uint8 sRGB of the whole body with face and hair.
        bulge: (V,) float32 metres by which hair raises each vertex.
        specular: strength of the highlight.
        colour: (3,) Lab of the tone.
        asleep: whether the eyes are closed.
    """

    texture: Bytes
    bulge: Singles
    specular: float
    colour: Singles
    asleep: bool = False


def tone(step: float) -> Singles:
    """Lab (3,) of a step 1..10 of the Monk scale."""
    table = rgb_to_lab(np.array([[int(code[k : k + 2], 16) for k in (0, 2, 4)] for code in MONK], np.float32))
    return np.array([np.interp(step, np.arange(1, 11), table[:, k]) for k in range(3)], np.float32)


def _redden(lab: Singles, red: Singles, amount: float) -> None:
    light = lab[:, 0].copy()
    lab[:, 0] -= 3.0 * amount * red * light / 70
    lab[:, 1] += 6.5 * amount * red * np.clip(light / 60, 0.25, 1)
    lab[:, 2] += 1.0 * amount * red


def _flush(lab: Singles, body: BodyMap, face: Face, amount: float) -> None:
    """Redden cheeks, nose, ears, knees, elbows, hands and feet, in place."""
    p = body.texels
    red = np.float32(0.55) * (p.arm > 1.02) + np.float32(0.5) * ((p.leg > 1.02) & np.isin(p.joint, (7, 8, 10, 11)))
    red += 0.4 * np.exp(-(((p.arm - 0.5) / 0.13) ** 2)) + 0.4 * np.exp(-(((p.leg - 0.52) / 0.09) ** 2))
    head = 0.8 * bump(face.offset(face.nose), (0.5, 0.4, 0.8))
    for eye in face.eyes:
        cheek = eye + np.array([0.3 * np.sign(eye[0]), -1.15, 0.3], np.float32) * face.unit
        head += 1.1 * bump(face.offset(cheek), (0.6, 0.5, 0.9))
    for ear in (3, 4):
        head += 0.7 * bump(face.offset(body.landmarks[ear]), (0.5, 0.8, 0.8))
    red[face.rows] += head
    _redden(lab, red.astype(np.float32), amount)


def scalp(p: Points, face: Face, line: float, length: float = 0.0) -> Singles:
    """Metres inside the hairline: above the forehead, round the ears, down to the nape; off the head negative.

    Args:
        line: higher by this many units of the face. length: long hair hangs that many units lower behind the temples.
    """
    u, eyes = face.unit, face.eyes.mean(0)
    depth = (eyes[2] - p.position[:, 2]) / u  # 0 at the eyes, about 4 at the back of the head
    heights = np.array([1.75, 1.30, 0.75, -1.15, -2.3]) - length * np.array([0, 0.25, 1, 1, 1])
    lower = np.interp(depth, [-0.5, 0.9, 2.0, 3.0, 4.2], heights).astype(np.float32) + line
    if u > INFANT_UNIT:  # the forehead of grown people is higher, and bare at the temples
        aside = np.clip(np.abs(p.position[:, 0] - eyes[0]) / u - 0.6, 0, 0.9)
        lower = lower + np.clip((1.4 - depth) / 1.6, 0, 1) * (0.3 + 0.4 * aside)
    field = (p.position[:, 1] - eyes[1]) / u - lower
    on = (p.joint == 15) | ((p.joint == 12) & (depth > 2.8))  # the skull, and the nape beneath it
    return np.where(on, field * u, -1.0).astype(np.float32)


def _at(picture: Singles, p: Points, span: float) -> Singles:
    size = picture.shape[0]
    index = np.floor(p.weave * np.float32(size / span)).astype(np.int32) % size
    return picture[index[:, 1], index[:, 0]]


def _pick_hair(rng: np.random.Generator, dark: float) -> Singles:
    weights = np.array([0.25 + 3 * dark, 0.9, 1.0, 0.8, 0.7, 0.2]) * np.where(np.arange(6) > 1, 1.02 - dark, 1)
    chosen = min(5, int(np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random())))
    return (_HAIR[chosen] + rng.normal(0, 1.5, 3)).astype(np.float32)


def _grow_hair(
    lab: Singles,
    body: BodyMap,
    face: Face,
    hair: Singles,
    density: float,
    rng: np.random.Generator,
    hanging: float = 0.0,
) -> Singles:
    """Paint hair onto the head's texels (in place) and return how far it raises each vertex, metres."""
    line, length = rng.uniform(-0.15, 0.3), rng.uniform(0.001, 0.006)
    strands, patches = noise(rng, 128, 22, aspect=7.0), noise(rng, 128, 6)
    if density < 0.12:
        return np.zeros(len(body.vertices.joint), np.float32)
    grain, patch = _at(strands, face.p, 0.12), _at(patches, face.p, 0.25)
    soft = (0.5 + 0.7 * (1 - density)) * face.unit
    edge = scalp(face.p, face, line, hanging) + np.float32(0.06 * face.unit) * grain
    amount = np.clip(edge / soft, 0, 1)
    sparse = 0.10 * (grain + patch) * (amount > 0) * (1.2 - density)
    amount = np.clip(amount * (0.45 + 0.65 * density) + sparse, 0, 1) * (face.eyeball == 0)
    coloured = hair + np.array([1.0, 0.1, 0.2], np.float32) * (3.0 * grain)[:, None]
    lab += amount[:, None] * (coloured - lab)
    covered = np.clip(scalp(body.vertices, face, line, hanging) / (0.8 * face.unit), 0, 1)
    covered[body.vertices.joint != 15] = 0  # the nape's stubble is flat
    return (covered * density * length).astype(np.float32)


def draw_skin(
    rng: np.random.Generator,
    config: SkinConfig,
    body: BodyMap,
    face: Face,
    colour: Singles | None = None,
    hanging: float = 0.0,
) -> Skin:
    """Draw one person: tone, mottling, face and hair.

    Args:
        colour: Lab of the hair; None draws it by the tone. hanging: length of long hair, see :func:`scalp`.
    """
    step, blotches = rng.uniform(*config.tone), rng.uniform(*config.blotches)
    base = tone(step) + rng.normal(0, (1.0, 1.2, 1.5)).astype(np.float32)
    # The scale's colours are of swatches; living pale skin is redder and a little darker.
    base[1] += 5.5 * np.clip((base[0] - 35) / 50, 0, 1)
    base[0] -= 4.0 * np.clip((base[0] - 60) / 30, 0, 1)
    base += np.array([5, 4, 4], np.float32) * np.clip((28 - base[0]) / 14, 0, 1)
    coarse, fine = noise(rng, 128, 5), noise(rng, 128, 12)
    lab = np.empty((len(body.inside), 3), np.float32)
    lab[:] = base
    mottle = np.float32(blotches) * (_at(coarse, body.texels, 0.30) + np.float32(0.8) * _at(fine, body.texels, 0.17))
    lab[:, 0] += 0.9 * mottle
    lab[:, 1] += np.float32(1.3 * np.clip(base[0] / 60, 0.3, 1)) * mottle
    _flush(lab, body, face, blotches)
    head = lab[face.rows]
    paint_mouth(head, face, rng)
    dark = float(np.clip((step - 3) / 5, 0, 1))
    density, hair = rng.uniform(*config.hair), _pick_hair(rng, dark)
    hair = hair if colour is None else colour
    asleep = bool(rng.random() < config.eyes_closed)
    paint_eyes(head, face, rng, asleep, dark)
    paint_brows(head, face, hair, float(rng.uniform(0.08, 0.42)))
    bulge = _grow_hair(head, body, face, hair, density, rng, hanging)
    lab[face.rows] = head
    texture = body.spread(np.round(lab_to_rgb(lab)).astype(np.uint8))
    return Skin(texture, bulge, float(rng.uniform(0.04, 0.14)), base, asleep)


class Skins:
    """The skins of one job for one body."""

    def __init__(self, config: SkinConfig, body: BodyMap, seed: int) -> None:
        self.config, self.body, self.seed = config, body, seed
        self._face = find_face(body)
        self._skins: dict[int, Skin] = {}

    def skin(self, index: int) -> Skin:
        """Entry ``index`` of the pool, drawn at first use."""
        if index not in self._skins:
            rng = np.random.default_rng([self.seed, SKIN_STREAM, index])
            self._skins[index] = draw_skin(rng, self.config, self.body, self._face)
        return self._skins[index]
