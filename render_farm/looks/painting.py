"""Painting garments: prints, creases, hems and seams on the texels they cover, and how far they raise the skin."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .bodymap import BodyMap, Points, Singles
from .cutting import Cutter, Piece, smooth_step
from .patterns import Bytes, creases, lab_to_rgb, tile

_TILE = 256


def _print(piece: Piece, rng: np.random.Generator, weave: Singles, texel: float) -> Singles:
    """Lab colour (N, 3) of a piece's cloth at weave coordinates (N, 2), metres; ``texel`` metres wide, so edges are soft."""
    picture = tile(rng, piece.kind, piece.colours, _TILE)
    side = int(np.clip(1.2 * piece.span / texel, 12, _TILE))
    return blend_tile(np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)), weave, piece.span)


def texel_size(body: BodyMap) -> float:
    """Metres that a texel of a body's map spans on average: the skin of slender people is 0.6 height^2."""
    return float(np.sqrt(0.6 * body.height**2 / max(len(body.inside), 1)))


def blend_tile(picture: Singles, weave: Singles, span: float) -> Singles:
    """As :func:`sample_tile`, but blended between the four nearest values (bilinear)."""
    size = picture.shape[0]
    place = weave * np.float32(size / span) - np.float32(0.5)
    low = np.floor(place).astype(np.int64)
    across, down = (place - low).T[..., None]
    x, y = low.T % size
    right, below = (x + 1) % size, (y + 1) % size
    upper = picture[y, x] * (1 - across) + picture[y, right] * across
    return upper * (1 - down) + (picture[below, x] * (1 - across) + picture[below, right] * across) * down


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
        bulge: (V,) metres along the normals. bridge: (V,) 0..1, share of the way to the hull (see BodyMap.hull).
    """

    colour: Singles
    cover: Singles
    shade: Singles
    bulge: Singles
    bridge: Singles


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
    bulge, bridge = np.zeros(len(vertices.joint), np.float32), np.zeros(len(vertices.joint), np.float32)
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
        covered = smooth_step(
            piece.field(vertices), (0.035 if any(piece is other for other in hidden) else 0.005) * scale
        )
        slack = piece.slack(vertices) if piece.slack is not None else np.float32(0)
        depth = 0.0009 * scale + 0.22 * slack  # looser cloth falls into deeper folds
        bulge += covered * (piece.thickness + slack + depth * strength * vertex_folds)
        bridge = np.maximum(bridge, covered * np.float32(piece.bridge))
    return Painted(colour, cover, shade, bulge, bridge)


def as_textures(painted: Painted, body: BodyMap) -> tuple[Bytes, Bytes]:
    """Cloth and keep of an :class:`Outfit`."""
    keep = np.round(255 * (1 - painted.cover) * painted.shade).astype(np.uint8)
    cloth = np.round(lab_to_rgb(painted.colour) * (painted.cover * painted.shade)[:, None]).astype(np.uint8)
    return body.spread(cloth), np.repeat(body.spread(keep)[..., None], 3, 2)


def _paint(
    piece: Piece, rng: np.random.Generator, p: Points, inside: Singles, folds: Singles, cutter: Cutter
) -> Singles:
    """Lab colour (N, 3) of a piece where it covers: print, creases, hems with their stitching, snaps."""
    lab = _print(piece, rng, p.weave, texel_size(cutter.body)).astype(np.float32)
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
