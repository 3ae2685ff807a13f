"""Config of looks: clothes, skin, face and hair."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ...config import Config
from ..ranges import Range, Share, Weights, check_weights

CUTS = (
    "diaper", "bodysuit", "sleepsuit", "shirt_diaper", "shirt_trousers", "dress", "romper", "dungarees", "sleep_sack",
)  # fmt: skip
PATTERNS = ("plain", "stripes", "dots", "checks", "stars", "hearts", "heather", "blocks")


class WardrobeConfig(Config):
    """Clothes. A diaper lies beneath every cut; nothing can switch it off."""

    cuts: Weights = {
        "diaper": 0.10,
        "bodysuit": 0.20,
        "sleepsuit": 0.20,
        "shirt_diaper": 0.07,
        "shirt_trousers": 0.14,
        "dress": 0.07,
        "romper": 0.09,
        "dungarees": 0.06,
        "sleep_sack": 0.07,
    }
    patterns: Weights = {
        "plain": 0.26,
        "stripes": 0.16,
        "dots": 0.13,
        "checks": 0.08,
        "stars": 0.10,
        "hearts": 0.08,
        "heather": 0.11,
        "blocks": 0.08,
    }
    socks: Share = Field(0.35, description="share of looks with socks, where the cut leaves the feet bare")
    hat: Share = Field(0.12, description="share of looks with a hat")
    mitts: Share = Field(0.15, description="share of sleepsuits that cover the hands")
    band: Share = Field(0.08, description="share of looks with a hospital's band round a wrist or ankle")
    loose: Range = Field((0.001, 0.009), description="how far loose garments stand off at their hems, infant of 0.65 m")
    lightness: Range = Field((30.0, 93.0), description="CIE L* of fabrics")
    chroma: Range = Field((3.0, 48.0), description="CIE chroma of fabrics")
    folds: Range = Field((0.4, 1.2), description="strength of creases (1: about 2 mm deep)")
    pool: int = Field(96, ge=1, le=1024, description="outfits a job draws; frame and light vary them further")
    texture: Literal[256, 512, 1024] = Field(
        256, description="side of the body texture in texels; 512 from 400 pixels on"
    )

    @model_validator(mode="after")
    def _known(self) -> WardrobeConfig:
        check_weights("wardrobe.cuts", self.cuts, CUTS)
        check_weights("wardrobe.patterns", self.patterns, PATTERNS)
        return self


class SkinConfig(Config):
    """Skin, face and hair."""

    tone: Range = Field((1.0, 10.0), description="Monk skin tone scale, 1 lightest to 10 darkest, interpolated in Lab")
    blotches: Range = Field((0.2, 1.0), description="strength of the mottling and of flushed cheeks, knees and hands")
    hair: Range = Field((0.0, 1.0), description="density of hair: below 0.12 bald, 1 a full cap")
    eyes_closed: Share = Field(0.15, description="share of sleeping infants")
    pool: int = Field(48, ge=1, le=1024, description="skins a job draws")
