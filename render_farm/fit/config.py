"""Config of a fit: recipe, camera, weights, priors, and what is free to move."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ...config import Config


class FitCameraConfig(Config):
    """The camera where a person brings none."""

    focal: float | None = Field(
        None, gt=0.0, description="pixels; unset: 1800 (smplify), else focal_share of the long side"
    )
    focal_share: float = Field(
        1.15, gt=0.0, description="expected focal length in long sides of the picture (about 47 deg)"
    )
    focal_spread: float = Field(
        0.30, ge=0.0, description="standard deviation of its logarithm; 0 holds the focal length"
    )


class FitDataConfig(Config):
    """How keypoints are believed (recipe sim2pose)."""

    sigma: float = Field(0.006, gt=0.0, description="noise of keypoints, standard deviation in diagonals of their box")
    sigma_px: float = Field(1.0, gt=0.0, description="least noise, pixels")
    rho: float = Field(12.0, gt=0.0, description="scale of the robust (Geman-McClure) loss in units of the noise")
    drop: tuple[str, ...] = Field((), description="names of keypoints to leave out")


class FitPriorConfig(Config):
    """What poses and shapes are likely. ``prior=NAME`` is short for ``prior.path=NAME``."""

    shorthand: ClassVar[str | None] = "path"

    path: Path | None = Field(
        None,
        description="pose prior: run folder, .safetensors, .npz, SMIL's pickled Mahalanobis, or open-infant, open-person; "
        "unset: the body's own",
    )
    weight: float = Field(1.0, ge=0.0, description="factor on the pose prior's squared distance")
    shape: float = Field(1.0, ge=0.0, description="factor on the squared betas")
    bending: float = Field(0.0, ge=0.0, description="weight of elbows and knees against their hinge, exp(+-angle)^2")
    spread: float = Field(
        0.35, gt=0.0, description="standard deviation, radians, of free joints that the prior does not cover"
    )


class FitInterpenetrationConfig(Config):
    """Spheres along the bones that should not enter each other."""

    weight: float = Field(0.0, ge=0.0, description="per squared centimetre of overlap; 0 switches the term off")


class FitSearchConfig(Config):
    """The orientations and poses from which fits begin (recipe sim2pose)."""

    directions: int = Field(48, ge=6, le=512, description="view directions compared in closed form")
    exemplars: int = Field(512, ge=1, le=4096, description="poses compared in closed form, from the prior")
    starts: int = Field(12, ge=1, le=64, description="best distinct orientations that are fitted coarsely")
    finalists: int = Field(5, ge=1, le=64, description="of those, fitted further")
    coarse_iterations: int = Field(5, ge=1)
    evidence: bool = Field(
        True, description="choose among solutions by evidence (loss and width) instead of loss alone"
    )
    limbs: int = Field(2, ge=0, le=8, description="other poses tried for each limb of the best solution; 0 tries none")
    limb_iterations: int = Field(4, ge=1, description="of each of those")
    coarse_sigma: float = Field(3.0, ge=1.0, description="factor on the noise in the coarse fit")


class FitConfig(Config):
    """A fit of bodies to keypoints.

    Recipe ``sim2pose`` searches orientations and poses, fits the best with a calibrated posterior and keeps the best.
    Recipe ``smplify`` has the stages and weights of SMPLify-X as used for infants; see docs/fitting.md.
    """

    recipe: Literal["sim2pose", "smplify"] = "sim2pose"
    free: tuple[Literal["body", "hands", "face"], ...] = Field(
        ("body",), description="joints that may turn, where keypoints inform them; others stay at the prior's mean"
    )
    iterations: int = Field(40, ge=1, description="Levenberg-Marquardt iterations at most, each final stage")
    tolerance: float = Field(1e-4, gt=0.0, description="relative fall of the loss that counts as converged")
    batch: int = Field(64, ge=1, description="people fitted together")
    precision: Literal["float32", "float64"] = "float64"
    least_keypoints: int = Field(4, ge=3, description="keypoints a person needs")
    limit: float = Field(
        0.25, gt=0.0, description="mean reprojection error, in box diagonals, beyond which a fit failed"
    )
    seed: int = Field(0, ge=0, description="of poses drawn from priors without exemplars")
    camera: FitCameraConfig = FitCameraConfig()
    data: FitDataConfig = FitDataConfig()
    prior: FitPriorConfig = FitPriorConfig()
    search: FitSearchConfig = FitSearchConfig()
    interpenetration: FitInterpenetrationConfig = FitInterpenetrationConfig()

    @model_validator(mode="after")
    def _consistent(self) -> FitConfig:
        if self.search.finalists > self.search.starts:
            raise ValueError(
                f"search.finalists ({self.search.finalists}) must not exceed search.starts ({self.search.starts})"
            )
        return self
