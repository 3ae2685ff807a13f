"""All joint sets by name."""

from __future__ import annotations

from ...config import UserError, nearest
from .base import JointSet
from .coco import COCO17, COCO_WHOLEBODY133
from .hands import FREIHAND21
from .human36m import H36M17
from .openpose import FIDIP19, OPENPOSE25
from .smpl_family import SMPL_SETS

JOINT_SETS: dict[str, JointSet] = {
    "coco17": COCO17,
    "coco_wholebody133": COCO_WHOLEBODY133,
    "openpose25": OPENPOSE25,
    "fidip19": FIDIP19,
    "h36m17": H36M17,
    **SMPL_SETS,
    "freihand21": FREIHAND21,
}
"""All joint sets by name."""


def joint_set(name: str) -> JointSet:
    """Look a joint set up by name.

    Raises:
        UserError: for an unknown name; names the nearest.
    """
    if name not in JOINT_SETS:
        raise UserError(f"unknown joint set '{name}': {nearest(name, JOINT_SETS)}")
    return JOINT_SETS[name]
