"""What adults' clothes are cut from: fabrics, the fields of tops and linings, and the cutter with an adult's proportions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..poses.angles import choose
from .adults_config import AdultsConfig
from .bodymap import BodyMap, Points, Singles
from .patterns import draw_palette
from .wardrobe import Cutter, Field, Piece

LEG = (4, 5, 7, 8, 10, 11)
SCALE_SHARE = 0.55
"""Adults' seams, hems and creases are this share of what an infant's would be at their height."""

# Lab of trousers: denims, navy, charcoal, black, khaki, olive, stone, brown.
_TROUSERS = np.array(
    [[42, -2, -22], [55, -3, -18], [30, 0, -16], [24, 4, -20], [28, 0, -2], [12, 0, 0], [54, 0, 15], [38, -4, 16],
     [66, 0, 5], [25, 5, 8]], np.float32)  # fmt: skip
NEUTRAL = np.array(
    [[9, 0, 0], [22, 0, -2], [45, 0, -1], [68, 0, 0], [94, 0, 2], [20, 4, -18], [80, 1, 10], [32, 2, -26]], np.float32
)
Fabric = tuple[str, Singles, float]


@dataclass(frozen=True)
class Garment:
    """A piece of cloth, and how freely it hangs, 0..1."""

    piece: Piece
    loose: float = 0.0


def adult_cutter(body: BodyMap) -> Cutter:
    """The cutter whose seams and hems have an adult's proportions."""
    return Cutter(body, SCALE_SHARE * body.height / 0.65)


def no_head(p: Points) -> Singles:
    """Positive off the head."""
    return np.where(p.joint == 15, -0.5, 0.5).astype(np.float32)


class Tailor:
    """Draws the garments of one outfit."""

    def __init__(self, rng: np.random.Generator, config: AdultsConfig, cutter: Cutter) -> None:
        self.rng, self.config, self.c = rng, config, cutter
        self.metre = cutter.body.height / 1.7

    def fabric(self, patterned: bool = True) -> Fabric:
        """Print, palette and span of a cloth, of no colour of skin."""
        rng, config = self.rng, self.config
        kind = choose(rng, config.patterns)
        colours = draw_palette(rng, config.lightness, config.chroma)
        if rng.random() < config.neutral:
            colours[0] = NEUTRAL[rng.integers(len(NEUTRAL))] + rng.normal(0, (3, 1, 1))
            colours[1, 0] = colours[0, 0] + (25 if colours[0, 0] < 55 else -25)
        hue, chroma = np.degrees(np.arctan2(colours[0, 2], colours[0, 1])), np.hypot(*colours[0, 1:])
        if 15 < hue < 95 and 5 < chroma < 40 and colours[0, 0] > 25:  # hues of skin would look like no clothes at all
            colours[0, 1:] *= -1 if chroma > 14 else 0.15
        span = float(rng.uniform(0.05, 0.22)) * self.metre * (2.4 if kind == "blocks" else 1.0)
        return (kind if patterned else "plain"), colours, span

    def bottom_fabric(self, bottom: str) -> Fabric:
        """Cloth of trousers, leggings, shorts or skirt."""
        rng = self.rng
        if bottom == "skirt" or rng.random() < 0.2:
            return self.fabric()
        colour = np.repeat(_TROUSERS[rng.integers(len(_TROUSERS))][None], 3, 0) + rng.normal(0, (3, 1, 2))
        colour[1] += (10, 0, 0)
        kind = "plain" if bottom == "leggings" or rng.random() < 0.35 else "heather"
        return kind, colour.astype(np.float32), 0.12 * self.metre

    def top_field(self, sleeve: float, hem: float, front: float, width: float) -> Field:
        """A garment of the upper body; ``sleeve`` below 0.1 leaves the shoulders' outside bare."""
        c, metre = self.c, self.metre

        def field(p: Points) -> Singles:
            neck = np.minimum(c.neckline(p, front, -0.012 * metre, width), no_head(p))
            return np.minimum(np.minimum(neck, c.sleeves(p, sleeve)), c.above(p, hem))

        return field

    def opened(self, field: Field, share: float, low: float) -> Field:
        """A garment with an open front: a strip that widens towards the neck, ``share`` of the shoulders at the top."""
        c = self.c
        top = c.neck

        def cut(p: Points) -> Singles:
            x, y, z = p.position.T
            height = np.clip((y - low) / max(top - low, 1e-3), 0, 1)
            half = share * c.shoulder * (0.25 + 0.75 * height)
            front = (z > c.middle) & (p.arm == -1)
            return np.minimum(field(p), np.where(front, np.abs(x) - half, 0.5)).astype(np.float32)

        return cut

    def under(self, front: float, width: float) -> Field:
        """What always covers: the trunk from the neckline down, and the upper thighs."""
        c, metre = self.c, self.metre

        def field(p: Points) -> Singles:
            neck = c.neckline(p, front + 0.03 * metre, 0.0, width)
            trunk = np.minimum(np.minimum(neck, c.sleeves(p, 0.03)), no_head(p))
            return np.minimum(trunk, c.legs(p, 0.22))

        return field

    def foot(self, start: float) -> Field:
        """Metres beyond ``start`` of the leg (1 at the ankle), on the legs alone."""
        c = self.c

        def field(p: Points) -> Singles:
            return np.where(np.isin(p.joint, LEG), (p.leg - start) * c.leg_length, -0.5).astype(np.float32)

        return field
