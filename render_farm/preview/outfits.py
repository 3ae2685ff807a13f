"""Plain clothes for children and adults: a top, trousers or shorts, shoes and socks, cut with the farm's cutter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..looks.bodymap import BodyMap, Points, Singles
from ..looks.patterns import draw_colour
from ..looks.wardrobe import Cutter, Painted, Piece, paint_pieces
from ..poses.angles import choose

LEG = (4, 5, 7, 8, 10, 11)
SCALE_SHARE = 0.55
"""Adults' seams, hems and creases are this share of what an infant's would be at their height."""

# Lab of trousers: denim, navy, charcoal, khaki, olive, stone.
_TROUSERS = np.array([[42, -2, -22], [24, 4, -20], [28, 0, -2], [58, 4, 20], [38, -4, 16], [70, 1, 8]], np.float32)
_SHOES = np.array([[22, 0, 0], [32, 8, 14], [90, 0, 2], [34, 2, -20]], np.float32)


@dataclass(frozen=True)
class PlainClothes:
    """Painted garments, and which vertices lie in a shoe or beneath cloth, 0..1 (V,)."""

    painted: Painted
    shoe: Singles
    cloth: Singles


def plain_clothes(rng: np.random.Generator, body: BodyMap) -> PlainClothes:
    """Dress a body from neck to sole; whatever is drawn, trunk and hips are covered."""
    cutter = Cutter(body, SCALE_SHARE * body.height / 0.65)
    pieces, under = _pieces(rng, cutter)
    painted = paint_pieces(rng, (0.5, 0.9), pieces, pieces[:1], cutter)
    painted.cover[under.field(body.texels) > 0] = 1.0
    shoe = np.clip(_foot(cutter, body.vertices, 0.99) / (0.01 * body.height), 0, 1)
    cloth = np.zeros_like(shoe)
    for piece in pieces:
        cloth = np.maximum(cloth, np.clip(piece.field(body.vertices) / (0.02 * body.height), 0, 1))
    return PlainClothes(painted, shoe.astype(np.float32), cloth.astype(np.float32))


def _foot(cutter: Cutter, p: Points, start: float) -> Singles:
    """Metres beyond ``start`` of the leg (1 at the ankle), on the legs alone."""
    return np.where(np.isin(p.joint, LEG), (p.leg - start) * cutter.leg_length, -0.5).astype(np.float32)


def _pieces(rng: np.random.Generator, cutter: Cutter) -> tuple[list[Piece], Piece]:
    """Garments from the skin outwards, and what always covers."""
    c, metre = cutter, cutter.body.height / 1.7
    waist = c.pelvis + 0.75 * (c.chest - c.pelvis)
    front, width = rng.uniform(0.015, 0.045) * metre, rng.uniform(0.50, 0.56) * c.shoulder
    sleeve = choose(rng, {"short": 0.65, "long": 0.35})
    sleeve_end = rng.uniform(0.30, 0.42) if sleeve == "short" else rng.uniform(0.96, 1.0)
    leg = rng.uniform(0.52, 0.60) if sleeve == "short" and rng.random() < 0.2 else rng.uniform(0.97, 1.0)
    hem = c.hip - rng.uniform(0.02, 0.06) * metre
    top = np.stack([draw_colour(rng, (32, 88), (8, 42)) for _ in range(3)])
    if 15 < np.degrees(np.arctan2(top[0, 2], top[0, 1])) < 95:  # hues of skin would look like no clothes at all
        top[0, 1:] *= -1
    top[1] = top[0] + (14 if top[0, 0] < 60 else -14, 0, 0)
    top[2] = top[0] + (-9, 0, 0)
    kind = choose(rng, {"plain": 0.6, "stripes": 0.25, "heather": 0.15})
    bottom = np.repeat(_TROUSERS[rng.integers(len(_TROUSERS))][None], 3, 0)
    bottom[1] += (10, 0, 0)
    shoes = _SHOES[rng.integers(len(_SHOES))]

    def under(p: Points) -> Singles:
        trunk = np.minimum(np.minimum(c.neckline(p, front + 0.03 * metre, 0.0, width), c.sleeves(p, 0.05)), _no_head(p))
        return np.minimum(trunk, c.legs(p, 0.22))

    def shirt(p: Points) -> Singles:
        body = np.minimum(
            np.minimum(c.neckline(p, front, -0.012 * metre, width), c.sleeves(p, sleeve_end)), _no_head(p)
        )
        return np.minimum(body, c.above(p, hem))

    def trousers(p: Points) -> Singles:
        return np.minimum(c.below(p, waist), c.legs(p, leg))

    first = Piece(under, "plain", np.repeat(top[:1], 3, 0), 0.3, 0.0008 * metre)
    return [
        first,
        Piece(
            lambda p: _foot(c, p, 0.90), "plain", np.tile(np.array([84, 0, 2], np.float32), (3, 1)), 0.1, 0.0015 * metre
        ),
        Piece(trousers, "heather" if rng.random() < 0.7 else "plain", bottom, 0.12, 0.005 * metre, hem=0.02 * metre),
        Piece(shirt, kind, top, 0.16 * metre, 0.005 * metre, hem=0.016 * metre, cuff=True),
        Piece(lambda p: _foot(c, p, 0.99), "plain", np.tile(shoes, (3, 1)), 0.1, 0.006 * metre),
    ], first


def _no_head(p: Points) -> Singles:
    return np.where(p.joint == 15, -0.5, 0.5).astype(np.float32)
