"""Clothes of children and adults, cut with the farm's cutter: tops, trousers, skirts, jackets, suits, shoes, hats."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..poses.angles import choose
from .adults_config import AdultsConfig
from .adults_drape import Hang
from .adults_tailor import NEUTRAL, Fabric, Garment, Tailor, adult_cutter, no_head
from .bodymap import BodyMap, Points, Singles
from .patterns import draw_colour
from .wardrobe import Field, Painted, Piece, paint_pieces

_SHOES = np.array([[10, 0, 0], [22, 0, 0], [32, 8, 14], [90, 0, 2], [60, 0, 0], [34, 2, -20], [45, 50, 28]], np.float32)
_WHITE = np.tile(np.array([93, 0, 2], np.float32), (3, 1))


@dataclass(frozen=True)
class AdultClothes:
    """A painted outfit.

    Attributes:
        painted: garments on the body. names: of top, bottom and outer garment.
        shoe, cloth: (V,) 0..1, which vertices lie in a shoe or beneath cloth.
        loose: (V,) metres by which freely hanging cloth stands off further than its thickness.
        skirt: cloth of a skirt, if one is worn.
        hat: (V,) 0..1, vertices beneath a hat.
    """

    painted: Painted
    names: tuple[str, str, str]
    shoe: Singles
    cloth: Singles
    loose: Singles
    skirt: Piece | None
    hat: Singles


def draw_clothes(
    rng: np.random.Generator, config: AdultsConfig, body: BodyMap, hang: Hang, woman: bool
) -> AdultClothes:
    """Dress a body from neck to sole; whatever is drawn, trunk and upper thighs are covered.

    Args:
        hang: of that body. woman: which of the two tables of bottoms is drawn from.
    """
    cutter = adult_cutter(body)
    tailor = Tailor(rng, config, cutter)
    names, garments, skirt = _outfit(tailor, woman)
    socks, shoes, shoe_field = _shoes(tailor)
    hat, hat_field = _hat(tailor)
    garments = [garments[0], *socks, *garments[1:], *shoes, *hat]
    pieces = [garment.piece for garment in garments]
    painted = paint_pieces(rng, config.folds, pieces, pieces[:1], cutter)
    painted.cover[pieces[0].field(body.texels) > 0] = 1.0

    vertices, width = body.vertices, 0.02 * body.height
    none = np.zeros(len(vertices.joint), np.float32)
    shoe = none if shoe_field is None else np.clip(shoe_field(vertices) / (0.01 * body.height), 0, 1)
    cloth, loose = none.copy(), none.copy()
    for garment in garments[: len(garments) - len(shoes) - len(hat)]:  # hats and shoes are stiff
        on = np.clip(garment.piece.field(vertices) / width, 0, 1)
        cloth = np.maximum(cloth, on)
        free = np.maximum(hang.trunk * (0.4 if skirt else 1.0), np.maximum(hang.legs, hang.arms))
        loose = np.maximum(loose, np.float32(garment.loose) * on * free)
    hatted = none if hat_field is None else np.clip(hat_field(vertices) / (0.006 * body.height), 0, 1)
    return AdultClothes(
        painted, names, shoe.astype(np.float32), cloth.astype(np.float32), loose.astype(np.float32), skirt,
        hatted.astype(np.float32),
    )  # fmt: skip


def _outfit(tailor: Tailor, woman: bool) -> tuple[tuple[str, str, str], list[Garment], Piece | None]:
    """Names of top, bottom and outer garment; garments from the skin outwards; the cloth of a skirt."""
    rng, config, c, metre = tailor.rng, tailor.config, tailor.c, tailor.metre
    top = choose(rng, config.tops)
    bottom = choose(rng, config.bottoms_woman if woman else config.bottoms_man)
    outer = choose(rng, config.outers)
    cloth, lower = tailor.fabric(), tailor.bottom_fabric(bottom)
    dress = bottom == "skirt" and rng.random() < config.dress
    suit = outer == "suit" and bottom in ("trousers", "skirt")
    if suit:
        lower = ("plain", np.repeat(NEUTRAL[rng.choice([0, 1, 2, 5])][None], 3, 0), 0.1)
        top, cloth = "shirt", (cloth[0], np.maximum(cloth[1], (62, -20, -25)), cloth[2])
    if dress:
        lower, outer = cloth, "none"
    sleeve = {
        "tshirt": rng.uniform(0.26, 0.44), "longsleeve": rng.uniform(0.92, 1.0), "tank": rng.uniform(-0.02, 0.06),
        "shirt": rng.uniform(0.94, 1.0) if rng.random() < 0.6 else rng.uniform(0.3, 0.42),
        "sweater": rng.uniform(0.95, 1.02),
    }[top]  # fmt: skip
    tucked = dress or suit or rng.random() < 0.2
    hem = c.pelvis + 0.03 * metre if tucked else c.hip - rng.uniform(0.0, 0.08) * metre
    front = rng.uniform(0.012, 0.05) * metre * (1.5 if top == "tank" else 1.0)
    width = rng.uniform(0.48, 0.60) * c.shoulder
    free = float(rng.uniform(*config.looseness))
    under_colour = np.repeat(cloth[1][:1], 3, 0)
    garments = [Garment(Piece(tailor.under(front, width), "plain", under_colour, 0.3, 0.0008 * metre))]
    upper = Piece(
        tailor.top_field(sleeve, hem, front, width), *cloth, (0.012 if top == "sweater" else 0.005) * metre,
        hem=(0.035 if top == "sweater" else 0.014) * metre, cuff=bool(rng.random() < 0.4), placket=top == "shirt",
    )  # fmt: skip
    over = [Garment(upper, 0.2 if top == "tank" else free)]
    if top in ("tshirt", "longsleeve", "sweater", "tank") and cloth[0] in ("plain", "heather"):
        over += _emblem(tailor, cloth, upper)
    skirt, legs = _bottom(tailor, bottom, lower)
    garments += over + legs if tucked else legs + over
    if outer != "none" and not (outer == "suit" and not suit):
        garments.append(_outer(tailor, outer, lower if suit else tailor.fabric()))
    else:
        outer = "none"
    return (("dress" if dress else top), bottom, outer), garments, skirt


def _bottom(tailor: Tailor, bottom: str, cloth: Fabric) -> tuple[Piece | None, list[Garment]]:
    """Skirt, and what covers the legs."""
    rng, c, metre = tailor.rng, tailor.c, tailor.metre
    waist = c.pelvis + rng.uniform(0.55, 0.8) * (c.chest - c.pelvis)
    end = {
        "trousers": rng.uniform(0.96, 1.0) if rng.random() < 0.85 else rng.uniform(0.72, 0.85),
        "shorts": rng.uniform(0.34, 0.58), "leggings": rng.uniform(0.8, 0.98), "skirt": 0.24,
    }[bottom]  # fmt: skip
    thick = {"trousers": 0.006, "shorts": 0.007, "leggings": 0.0015, "skirt": 0.001}[bottom] * metre
    free = float(rng.uniform(*tailor.config.looseness)) if bottom in ("trousers", "shorts") else 0.0

    def field(p: Points) -> Singles:
        return np.minimum(c.below(p, waist), c.legs(p, end))

    piece = Piece(field, *cloth, thick, hem=0.016 * metre)
    garments = [Garment(piece, free)]
    if bottom != "skirt":
        return None, garments
    if rng.random() < 0.35:  # tights
        dark = np.tile(np.array([rng.uniform(8, 40), 2, 2], np.float32), (3, 1))
        garments.insert(0, Garment(Piece(lambda p: c.legs(p, 1.6), "plain", dark, 0.1, 0.0008 * metre)))
    return piece, garments


def _emblem(tailor: Tailor, cloth: Fabric, upper: Piece) -> list[Garment]:
    """A print on the chest, or none."""
    rng, c, metre = tailor.rng, tailor.c, tailor.metre
    shown, kind = (
        rng.random() < tailor.config.emblem,
        choose(rng, {"plain": 2, "stripes": 1, "checks": 1, "stars": 1}),
    )
    width, height = rng.uniform(0.03, 0.11) * metre, rng.uniform(0.02, 0.09) * metre
    x0 = 0.0 if rng.random() < 0.75 else 0.07 * metre
    y0 = c.chest + rng.uniform(0.0, 0.14) * metre
    if not shown:
        return []

    def field(p: Points) -> Singles:
        x, y, z = p.position.T
        front = (z > c.middle) & (p.arm == -1)
        inside = np.minimum(width - np.abs(x - x0), height - np.abs(y - y0))
        return np.minimum(np.where(front, inside, -0.5), upper.field(p)).astype(np.float32)

    colours = cloth[1][[1, 2, 0]]
    return [Garment(Piece(field, kind, colours, 0.08 * metre, 0.0, hem=0.0))]


def _outer(tailor: Tailor, name: str, cloth: Fabric) -> Garment:
    """Jacket, coat or the jacket of a suit."""
    rng, c, metre = tailor.rng, tailor.c, tailor.metre
    hem = c.hip - {"coat": rng.uniform(0.2, 0.45), "suit": 0.10}.get(name, rng.uniform(-0.02, 0.08)) * metre
    front, width = rng.uniform(-0.01, 0.02) * metre, rng.uniform(0.5, 0.62) * c.shoulder

    def field(p: Points) -> Singles:
        # A coat's hem falls below the hips, where the legs are apart: there it follows each leg.
        neck = np.minimum(c.neckline(p, front, -0.02 * metre, width), no_head(p))
        return np.minimum(np.minimum(neck, c.sleeves(p, 1.0)), c.above(p, hem))

    thick = {"suit": 0.009, "coat": 0.014}.get(name, rng.uniform(0.008, 0.02)) * metre
    shape: Field = field
    if name == "open_jacket":
        shape = tailor.opened(field, rng.uniform(0.2, 0.5), hem)
    elif name == "suit":
        shape = tailor.opened(field, rng.uniform(0.28, 0.4), c.pelvis + 0.05 * metre)
    piece = Piece(shape, *cloth, thick, hem=0.012 * metre, cuff=bool(rng.random() < 0.3), placket=name == "jacket")
    if name == "suit":
        piece = replace(piece, kind="plain", cuff=False)
    return Garment(piece, float(rng.uniform(*tailor.config.looseness)))


def _shoes(tailor: Tailor) -> tuple[list[Garment], list[Garment], Field | None]:
    """Socks and shoes, or boots, or bare feet."""
    rng, metre = tailor.rng, tailor.metre
    bare, socks, boots = rng.random() < tailor.config.barefoot, rng.uniform(0.8, 0.97), rng.random() < 0.15
    colour: Singles = np.tile(_SHOES[rng.integers(len(_SHOES))], (3, 1))
    sock: Singles = _WHITE if rng.random() < 0.5 else np.tile(draw_colour(rng, (10, 60), (0, 30)), (3, 1))
    if bare:
        return [], [], None
    shaft = tailor.foot(rng.uniform(0.7, 0.9) if boots else 0.97)
    sole: Singles = np.tile(_WHITE[:1] if rng.random() < 0.4 else colour[:1] * 0.6, (3, 1))
    floor = float(tailor.c.body.vertices.position[:, 1].min())

    def rim(p: Points) -> Singles:
        return np.minimum(shaft(p), floor + 0.022 * metre - p.position[:, 1]).astype(np.float32)

    pieces = [
        Piece(shaft, "plain", colour, 0.1, 0.006 * metre),
        Piece(rim, "plain", sole, 0.1, 0.0, hem=0.0),
    ]
    worn = [Garment(Piece(tailor.foot(socks), "plain", sock, 0.1, 0.0015 * metre))]
    return worn, [Garment(piece) for piece in pieces], tailor.foot(0.97)


def _hat(tailor: Tailor) -> tuple[list[Garment], Field | None]:
    """A cap or a woollen hat, or none."""
    rng, metre = tailor.rng, tailor.metre
    worn, low, cloth = rng.random() < tailor.config.hat, rng.uniform(0.022, 0.04), tailor.fabric()
    thick, lean = rng.uniform(0.006, 0.014), rng.uniform(-0.42, -0.12)
    if not worn:
        return [], None
    marks = tailor.c.body.landmarks
    start = (marks[1] + marks[2]) / 2 + np.array([0, low * metre, 0], np.float32)
    normal = np.array([0, 1.0, lean]) / np.hypot(1.0, lean)

    def field(p: Points) -> Singles:
        return np.where(p.joint == 15, (p.position - start) @ normal, -0.5).astype(np.float32)

    return [Garment(Piece(field, *cloth, thick * metre, hem=0.02 * metre, cuff=bool(rng.random() < 0.5)))], field
