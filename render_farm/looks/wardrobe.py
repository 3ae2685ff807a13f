"""Clothes, painted over the body's texture and raised from its surface by their thickness.

Garments are cut along smooth fields (:mod:`.cutting`), put together as cuts (:mod:`.cuts`) and painted
(:mod:`.painting`). **A diaper lies beneath every outfit**; what it covers never shows skin
(:func:`diaper_field`, enforced in :func:`draw_outfit`).

Outfits are a pool of the job: entry j is a pure function of (seed, j).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..poses.angles import choose
from .bodymap import BodyMap, Singles
from .config import WardrobeConfig
from .cuts import cut_pieces
from .cutting import Cutter, Field, Piece, diaper_field, smooth_step
from .painting import Painted, as_textures, paint_pieces
from .patterns import Bytes

__all__ = ["Cutter", "Field", "Outfit", "Painted", "Piece", "Wardrobe", "as_textures", "diaper_field", "draw_outfit",
           "dress", "paint_pieces"]  # fmt: skip

OUTFIT_STREAM = 201


@dataclass(frozen=True)
class Outfit:
    """A complete set of clothes for one body.

    Attributes:
        cut: its name.
        cloth: (s, s, 3) uint8 sRGB, black where nothing covers (premultiplied).
        keep: (s, s, 3) uint8, share of the skin that shows times 255: 0 beneath cloth, below 255 beside its edge.
        bulge: (V,) float32 metres by which the garments raise each vertex along its rest normal.
        colour: (3,) Lab, mean of the cloth.
        skirt: the cloth of a skirt, where the cut has one. sack: that of a bag round both legs, where the cut has one.
        drape: (V, 3) metres by which cloth bridges hollows (toes, fingers, the navel), before ``bulge``; None: nowhere.
    """

    cut: str
    cloth: Bytes
    keep: Bytes
    bulge: Singles
    colour: Singles
    skirt: Piece | None = None
    sack: Piece | None = None
    drape: Singles | None = None


def draw_outfit(rng: np.random.Generator, config: WardrobeConfig, cutter: Cutter) -> Outfit:
    """Draw and paint one outfit.

    Returns:
        the outfit; texels of :func:`diaper_field` > 0 have ``keep`` 0 whatever was drawn.
    """
    body, scale = cutter.body, cutter.scale
    cut = choose(rng, config.cuts)
    pieces = cut_pieces(rng, config, cut, cutter)
    hidden = [] if cut in ("diaper", "shirt_diaper") else pieces[:1]
    painted = paint_pieces(rng, config.folds, pieces, hidden, cutter)
    puff = smooth_step(diaper_field(cutter, body.vertices), 0.035 * scale)
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
        sack=pieces[2] if cut == "sleep_sack" else None,
        drape=painted.bridge[:, None] * body.hull,
    )


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
