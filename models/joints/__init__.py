"""Joint sets by name, and the maps between them. Needs numpy alone."""

from __future__ import annotations

from ...config import UserError, nearest
from .base import JointSet
from .coco import COCO17
from .smpl_family import PARENTS, SMPL_SETS

__all__ = ["JOINT_SETS", "PARENTS", "SMPL24_PARENTS", "JointSet", "joint_set"]

SMPL24_PARENTS = PARENTS["smpl24"]

JOINT_SETS: dict[str, JointSet] = {"coco17": COCO17, **SMPL_SETS}
"""All joint sets by name."""


def joint_set(name: str) -> JointSet:
    """Look a joint set up by name.

    Raises:
        UserError: for an unknown name; names the nearest.
    """
    if name not in JOINT_SETS:
        raise UserError(f"unknown joint set '{name}': {nearest(name, JOINT_SETS)}")
    return JOINT_SETS[name]
