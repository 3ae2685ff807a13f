"""Pose priors: what poses are likely, for fits and samplers."""

from __future__ import annotations

from .energy import PosePrior, PriorEnergy, complete
from .gaussian import GaussianPrior, Part
from .mixture import PartMixture

__all__ = ["GaussianPrior", "Part", "PartMixture", "PosePrior", "PriorEnergy", "complete"]
