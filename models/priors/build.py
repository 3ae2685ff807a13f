"""All pose densities by kind."""

from __future__ import annotations

from typing import Any

from ...config import UserError, nearest
from .density import PoseDensity
from .gaussian_density import GaussianDensity
from .global_flow import GlobalFlow
from .hand_vae import HandVAE
from .hand_vae_so3 import HandVAESO3
from .joint_flow import JointFlow
from .space import PoseSpace

DENSITIES: dict[str, type[PoseDensity]] = {
    "gaussian": GaussianDensity,
    "joint_flow": JointFlow,
    "global_flow": GlobalFlow,
    "hand_vae": HandVAE,
    "hand_vae_so3": HandVAESO3,
}
"""Classes by kind; each is built from a space and its own arguments."""


def build_density(kind: str, space: PoseSpace, **args: Any) -> PoseDensity:
    """A density of a kind, not trained.

    Raises:
        UserError: for an unknown kind (nearest named), or arguments that it does not take.
    """
    if kind not in DENSITIES:
        raise UserError(f"unknown kind of prior '{kind}': {nearest(kind, DENSITIES)}")
    try:
        return DENSITIES[kind](space, **args)
    except TypeError as error:
        raise UserError(f"prior '{kind}': {error}") from error
