"""Clothes, painted over the body's texture and raised from its surface by their thickness.

A garment is a smooth *field* over the body, in metres, positive where it covers: sleeves end at a share of the arm, legs
at a share of the leg, necklines and hems at heights measured from the joints. Print, creases, hems, seams and the shade
beside an edge follow from the field. **A diaper lies beneath every outfit**; what it covers never shows skin
(:func:`diaper_field`, enforced in :func:`draw_outfit`).

Outfits are a pool of the job: entry j is a pure function of (seed, j).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..poses.angles import choose
from .bodymap import BodyMap, Points, Singles
from .config import WardrobeConfig
from .patterns import Bytes, creases, draw_palette, lab_to_rgb, tile

OUTFIT_STREAM = 201
_ARM_JOINTS = (16, 17, 18, 19, 20, 21, 22, 23)
_LEG_JOINTS = (1, 2, 4, 5, 7, 8, 10, 11)
_HEAD_JOINTS = (12, 15)
_FAR = np.float32(0.5)
_TILE = 256
Field = Callable[[Points], Singles]


@dataclass(frozen=True)
class Piece:
    """One garment.

    Attributes:
        field: metres over any places of the body, positive where it covers.
        kind: its print. colours: (3, 3) Lab. span: metres one repetition of the print spans.
        thickness: metres. hem: width of hems and cuffs, metres. cuff: hems in the accent colour.
        placket: a row of snaps down the front.
    """

    field: Field
    kind: str
    colours: Singles
    span: float
    thickness: float
    hem: float = 0.012
    cuff: bool = False
    placket: bool = False


@dataclass(frozen=True)
class Outfit:
    """A complete set of clothes for one body.

    Attributes:
        cut: its name.
        cloth: (s, s, 3) uint8 sRGB, black where nothing covers (premultiplied).
        keep: (s, s, 3) uint8, share of the skin that shows times 255: 0 beneath cloth, below 255 beside its edge.
        bulge: (V,) float32 metres by which the garments raise each vertex along its rest normal.
        colour: (3,) Lab, mean of the cloth.
        skirt: Lab colours, print kind and span of a skirt, where the cut has one.
    """

    cut: str
    cloth: Bytes
    keep: Bytes
    bulge: Singles
    colour: Singles
    skirt: Piece | None = None


def _smooth(value: Singles, width: float) -> Singles:
    """0 below zero, 1 above ``width``, smooth between."""
    t = np.clip(value / width, 0, 1)
    return t * t * (3 - 2 * t)


class Cutter:
    """The smooth surfaces along which garments of one body are cut."""

    def __init__(self, body: BodyMap, scale: float | None = None) -> None:
        """``scale`` multiplies all that is given in metres for an infant of 0.65 m; None: by the body's height."""
        joints, vertices = body.joints, body.vertices
        self.body = body
        self.scale = body.height / 0.65 if scale is None else scale
        self.pelvis, self.chest, self.neck = (float(joints[k, 1]) for k in (0, 6, 12))
        self.hip, self.ankle = float(joints[[1, 2], 1].mean()), float(joints[[7, 8], 1].mean())
        self.leg_length = self.hip - self.ankle
        self.arm_length = float(np.abs(joints[[20, 21], 0]).mean() - np.abs(joints[[16, 17], 0]).mean())
        near = np.isin(vertices.joint, (0, 1, 2)) & (np.abs(vertices.position[:, 1] - self.hip) < 0.03 * self.scale)
        self.half_width = float(np.abs(vertices.position[near, 0]).max())
        self.shoulder = float(np.abs(joints[[16, 17], 0]).mean())
        self.middle = float(joints[9, 2])

    def leg_opening(self, p: Points, drop: float) -> Singles:
        """Above the line from the crotch to the hip bone; ``drop`` metres lower for a longer leg."""
        low = self.body.crotch - 0.016 * self.scale
        rise = (self.hip - 0.042 * self.scale - low) / self.half_width
        field = p.position[:, 1] - (low + rise * np.abs(p.position[:, 0])) + drop
        return np.where(np.isin(p.joint, _ARM_JOINTS), -_FAR, field).astype(np.float32)

    def below(self, p: Points, height: float) -> Singles:
        """Below a height, off the arms and the head."""
        off = np.isin(p.joint, (*_ARM_JOINTS, *_HEAD_JOINTS))
        return np.where(off, -_FAR, height - p.position[:, 1]).astype(np.float32)

    def above(self, p: Points, height: float) -> Singles:
        """Above a height, or on the arms."""
        return np.where(np.isin(p.joint, _ARM_JOINTS), _FAR, p.position[:, 1] - height).astype(np.float32)

    def sleeves(self, p: Points, end: float) -> Singles:
        """Up to ``end`` of the arm (0 shoulder, 1 wrist, beyond 1.4 the whole hand)."""
        return np.where(p.arm > -1, (end - p.arm) * self.arm_length, _FAR).astype(np.float32)

    def legs(self, p: Points, end: float) -> Singles:
        """Up to ``end`` of the leg (0 hip, 1 ankle, beyond 1.3 the whole foot)."""
        return np.where(p.leg > 0, (end - p.leg) * self.leg_length, _FAR).astype(np.float32)

    def neckline(self, p: Points, front: float, back: float, width: float) -> Singles:
        """Below a scooped line round the neck: ``front`` and ``back`` metres beneath the neck joint, ``width`` its half."""
        x, y, z = p.position.T
        forward = np.clip((z - self.middle) / (0.05 * self.scale) * 0.5 + 0.5, 0, 1)
        scoop = back + (front - back) * forward
        line = self.neck - scoop + (scoop + 0.02 * self.scale) * np.minimum((x / width) ** 2, 1.6)
        return np.where(p.joint == 15, -_FAR, line - y).astype(np.float32)


def diaper_field(cutter: Cutter, p: Points, rise: float = 0.0, drop: float = 0.0) -> Singles:
    """The diaper: below the navel, above the leg openings. ``rise`` and ``drop`` only make it larger."""
    waist = cutter.pelvis + 0.62 * (cutter.chest - cutter.pelvis) + rise
    return np.minimum(cutter.below(p, waist), cutter.leg_opening(p, drop))


def _sock_field(cutter: Cutter, p: Points, start: float) -> Singles:
    on_leg = np.isin(p.joint, _LEG_JOINTS)
    return np.where(on_leg, (p.leg - start) * cutter.leg_length, -_FAR).astype(np.float32)


def _hat_field(cutter: Cutter, p: Points, low: float) -> Singles:
    """Above a plane from the forehead down to the nape."""
    marks = cutter.body.landmarks
    eyes = (marks[1] + marks[2]) / 2
    start = eyes + np.array([0, (0.030 + low) * cutter.scale, 0], np.float32)
    normal = np.array([0, 0.93, -0.37])
    field = (p.position - start) @ normal
    return np.where(p.joint == 15, field, -_FAR).astype(np.float32)


def _fabric(rng: np.random.Generator, config: WardrobeConfig, patterned: bool = True) -> tuple[str, Singles, float]:
    """Print, palette and span of a cloth."""
    kind = choose(rng, config.patterns)
    colours = draw_palette(rng, config.lightness, config.chroma)
    hue, chroma = np.degrees(np.arctan2(colours[0, 2], colours[0, 1])), np.hypot(colours[0, 1], colours[0, 2])
    if 15 < hue < 95 and chroma > 5 and colours[0, 0] > 25:  # hues of skin would look like no clothes at all
        colours[0, 1:] *= -1 if chroma > 14 else 0.15
    span = float(rng.uniform(0.07, 0.16)) * (2.2 if kind == "blocks" else 1.0)
    return (kind if patterned else "plain"), colours, span


def _pieces(rng: np.random.Generator, config: WardrobeConfig, cut: str, cutter: Cutter) -> list[Piece]:
    """The garments of a cut from the skin outwards; the diaper first, always."""
    c, s = cutter, cutter.scale
    light = np.array(
        [[rng.uniform(86, 97), *rng.normal(0, 2, 2)], [70, *rng.normal(0, 22, 2)], [60, *rng.normal(0, 25, 2)]]
    )
    rise, drop = rng.uniform(0, 0.012) * s, rng.uniform(0, 0.006) * s
    printed = "plain" if rng.random() < 0.5 else choose(rng, {"dots": 1, "stars": 1, "hearts": 1, "stripes": 0.5})
    diaper = Piece(
        lambda p: diaper_field(c, p, rise, drop),
        printed,
        light.astype(np.float32),
        span=0.06,
        thickness=0.006 * s,
        hem=0.005 * s,
        cuff=printed == "plain",
    )
    front, back, width = rng.uniform(0.008, 0.030) * s, rng.uniform(-0.008, 0.004) * s, rng.uniform(0.042, 0.062) * s
    short = float(choose(rng, {"-0.18": 0.25, "0.3": 0.45, "0.95": 0.3}))
    sleeve = short + rng.uniform(-0.04, 0.08) if short > 0 else short
    top, bottom = _fabric(rng, config), _fabric(rng, config, rng.random() < 0.35)
    hem = c.hip - rng.uniform(-0.02, 0.035) * s
    waist = c.pelvis + rng.uniform(0.35, 0.7) * (c.chest - c.pelvis)
    leg = rng.uniform(0.28, 0.5) if rng.random() < 0.4 else rng.uniform(0.8, 0.98)
    footed, mitts, cuff = rng.random() < 0.6, rng.random() < 0.15, rng.random() < 0.4
    thick = 0.0022 * s

    def shirt(p: Points, hem: float = hem, sleeve: float = sleeve) -> Singles:
        return np.minimum(np.minimum(c.neckline(p, front, back, width), c.sleeves(p, sleeve)), c.above(p, hem))

    def bodysuit(p: Points) -> Singles:
        upper = np.minimum(c.neckline(p, front, back, width), c.sleeves(p, sleeve))
        return np.minimum(upper, np.where(p.arm > -1, _FAR, c.leg_opening(p, drop + 0.002 * s)))

    def suit(p: Points) -> Singles:
        arms, legs = c.sleeves(p, 2.5 if mitts else 0.98), c.legs(p, 3.0 if footed else 0.99)
        return np.minimum(np.minimum(c.neckline(p, 0.6 * front, back, width), arms), legs)

    def trousers(p: Points) -> Singles:
        return np.minimum(c.below(p, waist), c.legs(p, leg))

    def skirt_top(p: Points) -> Singles:
        return shirt(p, c.hip - 0.01 * s, min(sleeve, 0.4))

    upper = Piece(shirt, *top, 1.4 * thick, cuff=cuff)
    cuts: dict[str, list[Piece]] = {
        "diaper": [],
        "bodysuit": [Piece(bodysuit, *top, thick, cuff=cuff)],
        "sleepsuit": [Piece(suit, *top, 1.5 * thick, cuff=cuff, placket=bool(rng.random() < 0.6))],
        "shirt_diaper": [upper],
        "shirt_trousers": [Piece(trousers, *bottom, 1.4 * thick), upper],
        "dress": [Piece(skirt_top, *top, 1.2 * thick)],
    }
    pieces = [diaper, *cuts[cut]]
    sock, start = _fabric(rng, config, False), rng.uniform(0.66, 0.86)
    if rng.random() < config.socks and not (cut == "sleepsuit" and footed):
        pieces.append(Piece(lambda p: _sock_field(c, p, start), *sock, 1.2 * thick))
    hat, low = _fabric(rng, config), rng.uniform(-0.004, 0.010)
    if rng.random() < config.hat:
        pieces.append(Piece(lambda p: _hat_field(c, p, low), *hat, 2.5 * thick, hem=0.02 * s, cuff=cuff))
    return pieces


def _print(piece: Piece, rng: np.random.Generator, weave: Singles) -> Singles:
    """Lab colour (N, 3) of a piece's cloth at weave coordinates (N, 2), metres."""
    picture = tile(rng, piece.kind, piece.colours, _TILE)
    return sample_tile(picture, weave, piece.span)


def sample_tile(picture: Singles, weave: Singles, span: float) -> Singles:
    """Nearest values of a seamless tile (n, n, ...) that repeats every ``span`` metres, at (N, 2) metres."""
    size = picture.shape[0]
    index = np.floor(weave * (size / span)).astype(np.int64) % size
    return picture[index[:, 1], index[:, 0]]


def _wrinkles(p: Points, height: Singles, scale: float) -> Singles:
    """Height of cloth's creases, about -1..1, at places of the body: folds everywhere, more across bent joints."""
    folds = sample_tile(height, p.weave, 0.22 * scale)
    along = p.weave[:, 1]
    bent = (
        np.exp(-(((p.arm - 0.5) / 0.13) ** 2)) + np.exp(-(((p.leg - 0.5) / 0.10) ** 2)) + np.exp(-((p.leg / 0.10) ** 2))
    )
    ripples = np.sin(2 * np.pi * (along / (0.017 * scale)) + 3 * folds)
    return folds + 0.55 * np.minimum(bent, 1) * ripples


@dataclass(frozen=True)
class Painted:
    """Garments on a body, before they become a texture.

    Attributes:
        colour: (T, 3) Lab, cover: (T,) 0..1 and shade: (T,) factor beside edges, of the map's texels.
        bulge: (V,) metres.
    """

    colour: Singles
    cover: Singles
    shade: Singles
    bulge: Singles


def paint_pieces(
    rng: np.random.Generator, folds: tuple[float, float], pieces: list[Piece], hidden: list[Piece], cutter: Cutter
) -> Painted:
    """Paint garments from the skin outwards.

    Args:
        folds: range of the strength of creases. hidden: pieces beneath others, whose edges shall not show through.
    """
    body, scale = cutter.body, cutter.scale
    height = creases(rng, _TILE, rng.uniform(2.0, 3.5), aspect=rng.uniform(0.6, 1.6))
    strength = rng.uniform(*folds)
    slope = np.roll(height, -2, 0) - np.roll(height, 2, 0) + 0.6 * (np.roll(height, -2, 1) - np.roll(height, 2, 1))
    slope = np.tanh(slope / max(float(slope.std()), 1e-6) * 0.6)

    texels, vertices = body.texels, body.vertices
    count = len(texels.joint)
    colour, cover, shade = np.zeros((count, 3), np.float32), np.zeros(count, np.float32), np.ones(count, np.float32)
    bulge = np.zeros(len(vertices.joint), np.float32)
    texel_folds = sample_tile(slope, texels.weave, 0.22 * scale)
    vertex_folds = _wrinkles(vertices, height, scale)
    edge = 0.0022 * scale
    for piece in pieces:
        inside = piece.field(texels)
        alpha = np.clip(inside / edge + 0.5, 0, 1)
        beside = (inside < 0) & (inside > -0.006 * scale)
        shade[beside] *= 1 - 0.28 * (1 + inside[beside] / (0.006 * scale))
        on = np.flatnonzero(alpha > 0)
        cloth = _paint(piece, rng, texels.at(on), inside[on], texel_folds[on] * strength, cutter)
        a = alpha[on, None]
        colour[on] = colour[on] * (1 - a) + cloth * a
        shade[on] = shade[on] * (1 - alpha[on]) + alpha[on]
        cover = np.maximum(cover, alpha)
        covered = _smooth(piece.field(vertices), (0.035 if any(piece is other for other in hidden) else 0.005) * scale)
        bulge += covered * (piece.thickness + 0.0009 * scale * strength * vertex_folds)
    return Painted(colour, cover, shade, bulge)


def as_textures(painted: Painted, body: BodyMap) -> tuple[Bytes, Bytes]:
    """Cloth and keep of an :class:`Outfit`."""
    keep = np.round(255 * (1 - painted.cover) * painted.shade).astype(np.uint8)
    cloth = np.round(lab_to_rgb(painted.colour) * (painted.cover * painted.shade)[:, None]).astype(np.uint8)
    return body.spread(cloth), np.repeat(body.spread(keep)[..., None], 3, 2)


def draw_outfit(rng: np.random.Generator, config: WardrobeConfig, cutter: Cutter) -> Outfit:
    """Draw and paint one outfit.

    Returns:
        the outfit; texels of :func:`diaper_field` > 0 have ``keep`` 0 whatever was drawn.
    """
    body, scale = cutter.body, cutter.scale
    cut = choose(rng, config.cuts)
    pieces = _pieces(rng, config, cut, cutter)
    hidden = [] if cut in ("diaper", "shirt_diaper") else pieces[:1]
    painted = paint_pieces(rng, config.folds, pieces, hidden, cutter)
    puff = _smooth(diaper_field(cutter, body.vertices), 0.035 * scale)
    bulge = painted.bulge + (0.002 + 0.004 * rng.random()) * scale * puff
    painted.cover[diaper_field(cutter, body.texels) > 0] = 1.0
    cloth, keep = as_textures(painted, body)
    return Outfit(
        cut=cut,
        cloth=cloth,
        keep=keep,
        bulge=np.maximum(bulge, 0),
        colour=painted.colour[painted.cover >= 1].mean(0),
        skirt=pieces[1] if cut == "dress" else None,
    )


def _paint(
    piece: Piece, rng: np.random.Generator, p: Points, inside: Singles, folds: Singles, cutter: Cutter
) -> Singles:
    """Lab colour (N, 3) of a piece where it covers: print, creases, hems with their stitching, snaps."""
    lab = _print(piece, rng, p.weave).astype(np.float32)
    hem = inside < piece.hem
    if piece.cuff:
        lab[hem] = piece.colours[2]
    factor = 1 + 0.085 * folds
    factor *= np.where(np.abs(inside - piece.hem) < 0.0012 * cutter.scale, 0.90, 1.0)
    factor *= 1 - 0.10 * np.exp(-np.maximum(inside, 0) / (0.002 * cutter.scale))
    if piece.placket:
        x, y, z = p.position.T
        front = (
            (z > cutter.middle)
            & (np.abs(x) < 0.009 * cutter.scale)
            & (p.arm == -1)
            & (y > cutter.hip - 0.04 * cutter.scale)
        )
        factor = np.where(
            front & (np.abs(np.abs(x) - 0.008 * cutter.scale) < 0.0012 * cutter.scale), 0.86 * factor, factor
        )
        pitch = 0.030 * cutter.scale
        snap = front & (((y % pitch) - pitch / 2) ** 2 + x**2 < (0.0042 * cutter.scale) ** 2)
        lab[snap] = (88.0, 0.0, 2.0) if piece.colours[0, 0] < 75 else (48.0, 0.0, 0.0)
    lab[:, 0] = np.clip((lab[:, 0] + 16) * np.cbrt(np.maximum(factor, 0.05) ** 1.0) ** 1.6 - 16, 2, 99)
    return lab


class Wardrobe:
    """The outfits of one job for one body."""

    def __init__(self, config: WardrobeConfig, body: BodyMap, seed: int) -> None:
        self.config, self.cutter, self.seed = config, Cutter(body), seed
        self._outfits: dict[int, Outfit] = {}

    def outfit(self, index: int) -> Outfit:
        """Entry ``index`` of the pool, drawn at first use."""
        if index not in self._outfits:
            rng = np.random.default_rng([self.seed, OUTFIT_STREAM, index])
            self._outfits[index] = draw_outfit(rng, self.config, self.cutter)
        return self._outfits[index]


def dress(skin: Bytes, outfit: Outfit) -> NDArray[np.uint8]:
    """The body's texture (s, s, 3): skin where the outfit lets it show, cloth elsewhere."""
    return np.asarray(cv2.add(cv2.multiply(skin, outfit.keep, scale=1 / 255), outfit.cloth), np.uint8)
