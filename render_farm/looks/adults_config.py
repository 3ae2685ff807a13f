"""Config of what children and adults look like: clothes, hair, beards, shoes, skin."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ...config import Config
from ..ranges import Range, Share, Weights, check_weights
from .config import PATTERNS

TOPS = ("tshirt", "longsleeve", "shirt", "tank", "sweater")
BOTTOMS = ("trousers", "shorts", "leggings", "skirt")
OUTERS = ("none", "jacket", "open_jacket", "coat", "suit")
HAIR = ("bald", "short", "full", "long")


class AdultsConfig(Config):
    """Looks of children and adults. Whatever is drawn, cloth covers the trunk and the upper thighs.

    Outfits and heads are two pools; a person wears any outfit with any head. Even entries are women's, odd ones men's.
    """

    tops: Weights = {"tshirt": 0.42, "longsleeve": 0.18, "shirt": 0.18, "tank": 0.08, "sweater": 0.14}
    bottoms_woman: Weights = {"trousers": 0.50, "shorts": 0.12, "leggings": 0.16, "skirt": 0.22}
    bottoms_man: Weights = {"trousers": 0.72, "shorts": 0.26, "leggings": 0.02}
    outers: Weights = {"none": 0.62, "jacket": 0.12, "open_jacket": 0.14, "coat": 0.06, "suit": 0.06}
    patterns: Weights = {"plain": 0.52, "stripes": 0.13, "checks": 0.11, "heather": 0.14, "dots": 0.04, "blocks": 0.06}
    dress: Share = Field(0.4, description="share of skirts that are dresses: top and skirt of one cloth")
    emblem: Share = Field(0.35, description="share of plain tops with a print on the chest")
    neutral: Share = Field(0.45, description="share of garments in black, grey, white, navy or beige")
    lightness: Range = Field((14.0, 92.0), description="CIE L* of the other fabrics")
    chroma: Range = Field((6.0, 62.0), description="their CIE chroma")
    looseness: Range = Field((0.6, 1.0), description="how freely cloth hangs: 0 as tights, 1 straight down")
    folds: Range = Field((0.5, 1.3), description="strength of creases")
    barefoot: Share = Field(0.10, description="share of outfits without shoes and socks")
    hat: Share = Field(0.13, description="share of outfits with a cap or woollen hat")
    hair_woman: Weights = {"short": 0.12, "full": 0.25, "long": 0.63}
    hair_man: Weights = {"bald": 0.12, "short": 0.58, "full": 0.24, "long": 0.06}
    beard: Share = Field(0.32, description="share of grown men's heads with a beard, stubble or moustache")
    tone: Range = Field((2.2, 9.0), description="Monk skin tone scale, 1 lightest to 10 darkest")
    eyes_closed: Share = Field(0.04, description="share of heads with closed eyes")
    outfits: int = Field(96, ge=10, le=1024, description="outfits a job draws")
    heads: int = Field(60, ge=10, le=1024, description="heads and skins a job draws; every fifth pair is grey-haired")
    texture: Literal[256, 512, 1024] | None = Field(
        None, description="side of the body texture in texels; none: 512, above 600 pixels 1024"
    )

    @model_validator(mode="after")
    def _known(self) -> AdultsConfig:
        check_weights("adults.tops", self.tops, TOPS)
        check_weights("adults.bottoms_woman", self.bottoms_woman, BOTTOMS)
        check_weights("adults.bottoms_man", self.bottoms_man, BOTTOMS)
        check_weights("adults.outers", self.outers, OUTERS)
        check_weights("adults.patterns", self.patterns, PATTERNS)
        check_weights("adults.hair_woman", self.hair_woman, HAIR)
        check_weights("adults.hair_man", self.hair_man, HAIR)
        return self
