"""Clothes of children and adults, cut with the farm's cutter: tops, trousers, skirts, jackets, suits, shoes, hats."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..poses.angles import choose
from .adults_config import AdultsConfig
from .adults_drape import Hang
from .bodymap import BodyMap, Points, Singles
from .patterns import draw_colour, draw_palette
from .wardrobe import Cutter, Field, Painted, Piece, paint_pieces

LEG = (4, 5, 7, 8, 10, 11)
SCALE_SHARE = 0.55
"""Adults' seams, hems and creases are this share of what an infant's would be at their height."""

# Lab of trousers: denims, navy, charcoal, black, khaki, olive, stone, brown.
_TROUSERS = np.array(
    [[42, -2, -22], [55, -3, -18], [30, 0, -16], [24, 4, -20], [28, 0, -2], [12, 0, 0], [58, 4, 20], [38, -4, 16],
     [70, 1, 8], [30, 8, 14]], np.float32)  # fmt: skip
_SHOES = np.array([[10, 0, 0], [22, 0, 0], [32, 8, 14], [90, 0, 2], [60, 0, 0], [34, 2, -20], [45, 50, 28]], np.float32)
_NEUTRAL = np.array(
    [[9, 0, 0], [22, 0, -2], [45, 0, -1], [68, 0, 0], [94, 0, 2], [20, 4, -18], [80, 1, 10], [32, 2, -26]], np.float32
)
_WHITE = np.tile(np.array([93, 0, 2], np.float32), (3, 1))
Fabric = tuple[str, Singles, float]


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


@dataclass(frozen=True)
class Garment:
    """A piece of cloth, and how freely it hangs, 0..1."""

    piece: Piece
    loose: float = 0.0


def adult_cutter(body: BodyMap) -> Cutter:
    """The cutter whose seams and hems have an adult's proportions."""
    return Cutter(body, SCALE_SHARE * body.height / 0.65)


def draw_clothes(
    rng: np.random.Generator, config: AdultsConfig, body: BodyMap, hang: Hang, woman: bool
) -> AdultClothes:
    """Dress a body from neck to sole; whatever is drawn, trunk and upper thighs are covered.

    Args:
        hang: of that body. woman: which of the two tables of bottoms is drawn from.
    """
    cutter = adult_cutter(body)
    tailor = _Tailor(rng, config, cutter)
    names, garments, skirt = tailor.outfit(woman)
    socks, shoes, shoe_field = tailor.shoes()
    hat, hat_field = tailor.hat()
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


def _no_head(p: Points) -> Singles:
    return np.where(p.joint == 15, -0.5, 0.5).astype(np.float32)


class _Tailor:
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
            colours[0] = _NEUTRAL[rng.integers(len(_NEUTRAL))] + rng.normal(0, (3, 1, 1))
            colours[1, 0] = colours[0, 0] + (25 if colours[0, 0] < 55 else -25)
        hue, chroma = np.degrees(np.arctan2(colours[0, 2], colours[0, 1])), np.hypot(*colours[0, 1:])
        if 15 < hue < 95 and 5 < chroma < 40 and colours[0, 0] > 25:  # hues of skin would look like no clothes at all
            colours[0, 1:] *= -1 if chroma > 14 else 0.15
        span = float(rng.uniform(0.05, 0.22)) * self.metre * (2.4 if kind == "blocks" else 1.0)
        return (kind if patterned else "plain"), colours, span

    def top_field(self, sleeve: float, hem: float, front: float, width: float) -> Field:
        """A garment of the upper body; ``sleeve`` below 0.1 leaves the shoulders' outside bare."""
        c, metre = self.c, self.metre

        def field(p: Points) -> Singles:
            neck = np.minimum(c.neckline(p, front, -0.012 * metre, width), _no_head(p))
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

    def outfit(self, woman: bool) -> tuple[tuple[str, str, str], list[Garment], Piece | None]:
        """Names of top, bottom and outer garment; garments from the skin outwards; the cloth of a skirt."""
        rng, config, c, metre = self.rng, self.config, self.c, self.metre
        top = choose(rng, config.tops)
        bottom = choose(rng, config.bottoms_woman if woman else config.bottoms_man)
        outer = choose(rng, config.outers)
        cloth, lower = self.fabric(), self.bottom_fabric(bottom)
        dress = bottom == "skirt" and rng.random() < config.dress
        suit = outer == "suit" and bottom in ("trousers", "skirt")
        if suit:
            lower = ("plain", np.repeat(_NEUTRAL[rng.choice([0, 1, 2, 5])][None], 3, 0), 0.1)
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
        garments = [Garment(Piece(self.under(front, width), "plain", under_colour, 0.3, 0.0008 * metre))]
        upper = Piece(
            self.top_field(sleeve, hem, front, width), *cloth, (0.012 if top == "sweater" else 0.005) * metre,
            hem=(0.035 if top == "sweater" else 0.014) * metre, cuff=bool(rng.random() < 0.4), placket=top == "shirt",
        )  # fmt: skip
        over = [Garment(upper, 0.2 if top == "tank" else free)]
        if top in ("tshirt", "longsleeve", "sweater", "tank") and cloth[0] in ("plain", "heather"):
            over += self.emblem(cloth, upper)
        skirt, legs = self.bottom(bottom, lower)
        garments += over + legs if tucked else legs + over
        if outer != "none" and not (outer == "suit" and not suit):
            garments.append(self.outer(outer, lower if suit else self.fabric()))
        else:
            outer = "none"
        return (("dress" if dress else top), bottom, outer), garments, skirt

    def under(self, front: float, width: float) -> Field:
        """What always covers: the trunk from the neckline down, and the upper thighs."""
        c, metre = self.c, self.metre

        def field(p: Points) -> Singles:
            neck = c.neckline(p, front + 0.03 * metre, 0.0, width)
            trunk = np.minimum(np.minimum(neck, c.sleeves(p, 0.03)), _no_head(p))
            return np.minimum(trunk, c.legs(p, 0.22))

        return field

    def bottom_fabric(self, bottom: str) -> Fabric:
        """Cloth of trousers, leggings, shorts or skirt."""
        rng = self.rng
        if bottom == "skirt" or rng.random() < 0.2:
            return self.fabric()
        colour = np.repeat(_TROUSERS[rng.integers(len(_TROUSERS))][None], 3, 0) + rng.normal(0, (3, 1, 2))
        colour[1] += (10, 0, 0)
        kind = "plain" if bottom == "leggings" or rng.random() < 0.35 else "heather"
        return kind, colour.astype(np.float32), 0.12 * self.metre

    def bottom(self, bottom: str, cloth: Fabric) -> tuple[Piece | None, list[Garment]]:
        """Skirt, and what covers the legs."""
        rng, c, metre = self.rng, self.c, self.metre
        waist = c.pelvis + rng.uniform(0.55, 0.8) * (c.chest - c.pelvis)
        end = {
            "trousers": rng.uniform(0.96, 1.0) if rng.random() < 0.85 else rng.uniform(0.72, 0.85),
            "shorts": rng.uniform(0.34, 0.58), "leggings": rng.uniform(0.8, 0.98), "skirt": 0.24,
        }[bottom]  # fmt: skip
        thick = {"trousers": 0.006, "shorts": 0.007, "leggings": 0.0015, "skirt": 0.001}[bottom] * metre
        free = float(rng.uniform(*self.config.looseness)) if bottom in ("trousers", "shorts") else 0.0

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

    def emblem(self, cloth: Fabric, upper: Piece) -> list[Garment]:
        """A print on the chest, or none."""
        rng, c, metre = self.rng, self.c, self.metre
        shown, kind = (
            rng.random() < self.config.emblem,
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

    def outer(self, name: str, cloth: Fabric) -> Garment:
        """Jacket, coat or the jacket of a suit."""
        rng, c, metre = self.rng, self.c, self.metre
        hem = c.hip - {"coat": rng.uniform(0.2, 0.45), "suit": 0.10}.get(name, rng.uniform(-0.02, 0.08)) * metre
        front, width = rng.uniform(-0.01, 0.02) * metre, rng.uniform(0.5, 0.62) * c.shoulder

        def field(p: Points) -> Singles:
            # A coat's hem falls below the hips, where the legs are apart: there it follows each leg.
            neck = np.minimum(c.neckline(p, front, -0.02 * metre, width), _no_head(p))
            return np.minimum(np.minimum(neck, c.sleeves(p, 1.0)), c.above(p, hem))

        thick = {"suit": 0.009, "coat": 0.014}.get(name, rng.uniform(0.008, 0.02)) * metre
        shape: Field = field
        if name == "open_jacket":
            shape = self.opened(field, rng.uniform(0.2, 0.5), hem)
        elif name == "suit":
            shape = self.opened(field, rng.uniform(0.28, 0.4), c.pelvis + 0.05 * metre)
        piece = Piece(shape, *cloth, thick, hem=0.012 * metre, cuff=bool(rng.random() < 0.3), placket=name == "jacket")
        if name == "suit":
            piece = replace(piece, kind="plain", cuff=False)
        return Garment(piece, float(rng.uniform(*self.config.looseness)))

    def foot(self, start: float) -> Field:
        """Metres beyond ``start`` of the leg (1 at the ankle), on the legs alone."""
        c = self.c

        def field(p: Points) -> Singles:
            return np.where(np.isin(p.joint, LEG), (p.leg - start) * c.leg_length, -0.5).astype(np.float32)

        return field

    def shoes(self) -> tuple[list[Garment], list[Garment], Field | None]:
        """Socks and shoes, or boots, or bare feet."""
        rng, metre = self.rng, self.metre
        bare, socks, boots = rng.random() < self.config.barefoot, rng.uniform(0.8, 0.97), rng.random() < 0.15
        colour: Singles = np.tile(_SHOES[rng.integers(len(_SHOES))], (3, 1))
        sock: Singles = _WHITE if rng.random() < 0.5 else np.tile(draw_colour(rng, (10, 60), (0, 30)), (3, 1))
        if bare:
            return [], [], None
        shaft = self.foot(rng.uniform(0.7, 0.9) if boots else 0.97)
        sole: Singles = np.tile(_WHITE[:1] if rng.random() < 0.4 else colour[:1] * 0.6, (3, 1))
        floor = float(self.c.body.vertices.position[:, 1].min())

        def rim(p: Points) -> Singles:
            return np.minimum(shaft(p), floor + 0.022 * metre - p.position[:, 1]).astype(np.float32)

        pieces = [
            Piece(shaft, "plain", colour, 0.1, 0.006 * metre),
            Piece(rim, "plain", sole, 0.1, 0.0, hem=0.0),
        ]
        worn = [Garment(Piece(self.foot(socks), "plain", sock, 0.1, 0.0015 * metre))]
        return worn, [Garment(piece) for piece in pieces], self.foot(0.97)

    def hat(self) -> tuple[list[Garment], Field | None]:
        """A cap or a woollen hat, or none."""
        rng, metre = self.rng, self.metre
        worn, low, cloth = rng.random() < self.config.hat, rng.uniform(0.022, 0.04), self.fabric()
        thick, lean = rng.uniform(0.006, 0.014), rng.uniform(-0.42, -0.12)
        if not worn:
            return [], None
        marks = self.c.body.landmarks
        start = (marks[1] + marks[2]) / 2 + np.array([0, low * metre, 0], np.float32)
        normal = np.array([0, 1.0, lean]) / np.hypot(1.0, lean)

        def field(p: Points) -> Singles:
            return np.where(p.joint == 15, (p.position - start) @ normal, -0.5).astype(np.float32)

        return [Garment(Piece(field, *cloth, thick * metre, hem=0.02 * metre, cuff=bool(rng.random() < 0.5)))], field
