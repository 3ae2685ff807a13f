"""Pose priors: what poses are likely, for fits and samplers.

Densities (:class:`PoseDensity`, by kind in :mod:`.build`, read by :func:`load_density`) are stated on a :class:`PoseSpace`;
what fits take (:class:`PosePrior`) are mixtures over axis-angle, which every density can hand out.
"""

from __future__ import annotations

from .build import DENSITIES, build_density
from .density import PoseDensity
from .energy import PosePrior, PriorEnergy, complete
from .files import load_density
from .gaussian import GaussianPrior, Part
from .gaussian_density import GaussianDensity
from .mixture import PartMixture
from .space import PoseSpace

__all__ = [
    "DENSITIES",
    "GaussianDensity",
    "GaussianPrior",
    "Part",
    "PartMixture",
    "PoseDensity",
    "PosePrior",
    "PoseSpace",
    "PriorEnergy",
    "build_density",
    "complete",
    "load_density",
]
