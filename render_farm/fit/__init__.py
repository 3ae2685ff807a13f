"""Fit bodies to 2D keypoints: pose, shape and camera of many people at once. See :func:`fit_people`."""

from __future__ import annotations

from .config import FitConfig
from .people import fit_people
from .result import FitResult

__all__ = ["FitConfig", "FitResult", "fit_people"]
