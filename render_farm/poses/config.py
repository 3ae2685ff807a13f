"""Config of bodies and poses: who is drawn, doing what."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from ...config import Config
from ..ranges import Range, Share, Weights, check_weights

POSTURES = ("supine", "prone", "side", "sitting", "crawling", "standing")


class ShapeConfig(Config):
    """Bodies, drawn from the body model's own population."""

    months: Range = Field((0.0, 24.0), description="age, for body models that know it (the open infant does)")
    upright_months: Range = Field((6.0, 24.0), description="age of infants who sit, crawl or stand")
    offset: tuple[float, ...] = Field((), description="added to the first betas, in standard deviations")
    limit: float = Field(2.4, gt=0.0, le=4.0, description="betas are clamped to +-limit standard deviations")


class PoseConfig(Config):
    """Postures, see poses.py for the variants of each and for the joint limits, which no setting can leave."""

    postures: Weights = {
        "supine": 0.42,
        "prone": 0.16,
        "side": 0.12,
        "sitting": 0.15,
        "crawling": 0.08,
        "standing": 0.07,
    }
    spread: float = Field(1.0, ge=0.0, le=2.0, description="factor on the standard deviation of every joint angle")
    asymmetry: Share = Field(0.75, description="share of frames in which left and right limbs do different things")
    relax: Share = Field(0.65, description="share of limbs that gravity lays onto the bed, lying postures only")
    sink: Range = Field((0.003, 0.010), description="depth to which the body presses into the surface")
    source: Path | None = Field(
        None,
        description="pose file (.npz, .parquet) or folder of them, whose poses replace drawn ones: mocap, fits, ...",
    )

    @model_validator(mode="after")
    def _known(self) -> PoseConfig:
        check_weights("poses.postures", self.postures, POSTURES)
        return self
