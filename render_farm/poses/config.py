"""Config of bodies and poses: who is drawn, doing what."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from ...config import Config
from ..ranges import Range, Share, Weights, check_weights

PROCEDURAL, PRIOR = "procedural", "prior:"
POSTURES = ("supine", "prone", "side", "sitting", "crawling", "standing")


class ShapeConfig(Config):
    """Bodies, drawn from the body model's own population."""

    months: Range = Field((0.0, 24.0), description="age, for body models that know it (the open infant does)")
    upright_months: Range = Field((6.0, 24.0), description="age of infants who sit, crawl or stand")
    offset: tuple[float, ...] = Field((), description="added to the first betas, in standard deviations")
    limit: float = Field(2.4, gt=0.0, le=4.0, description="betas are clamped to +-limit standard deviations")


class PlausibilityConfig(Config):
    """What a pose may not do; ``null`` switches a check off. See plausibility.py for how each is measured."""

    penetration: float | None = Field(0.8, gt=0.0, description="overlap of two parts, in radii of the thinner one")
    joints: float | None = Field(1.0, gt=0.0, description="factor on the limits of all joints")
    ground: float | None = Field(0.04, gt=0.0, description="depth in the ground, in body heights")
    balance: float | None = Field(0.06, gt=0.0, description="centre of mass outside of the support, in body heights")
    redraws: int = Field(
        3, ge=0, le=32, description="draws of a frame after the first; then the least bad one is taken"
    )


class PoseConfig(Config):
    """Postures, see postures.py for the variants of each and for the joint limits, which no setting can leave."""

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
    sources: Weights = Field(
        {}, description="shares of sources: 'procedural', pose files or folders, 'prior:NAME'; empty: see 'source'"
    )
    plausibility: PlausibilityConfig = PlausibilityConfig()

    @model_validator(mode="after")
    def _known(self) -> PoseConfig:
        check_weights("poses.postures", self.postures, POSTURES)
        if self.sources:
            if self.source is not None:
                raise ValueError("poses.source and poses.sources are given: name all sources in poses.sources")
            check_weights("poses.sources", self.sources, tuple(self.sources))
        return self

    @property
    def mix(self) -> Weights:
        """Weights of all sources, "procedural" where none is named."""
        return self.sources or {PROCEDURAL if self.source is None else str(self.source): 1.0}
