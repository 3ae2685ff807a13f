"""All joint sets by name."""

from __future__ import annotations

from ...config import UserError, nearest
from .base import JointSet
from .coco import COCO17, COCO_WHOLEBODY133
from .files import ENDINGS, read_joint_set
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
"""The joint sets that are built in, by name."""

_ADDED: dict[str, JointSet] = {}


def joint_set(name: str) -> JointSet:
    """Look a joint set up by name, or read it from a file (``my.yaml``, see :func:`files.read_joint_set`).

    Raises:
        UserError: for an unknown name (nearest named), or a file that holds no joint set or takes another one's name.
    """
    if name.endswith(ENDINGS):
        given = read_joint_set(name)
        add_joint_set(given)
        return given  # the file's sigmas, whatever sigmas a data set of these joints was written with
    known = JOINT_SETS | _ADDED
    if name not in known:
        raise UserError(f"unknown joint set '{name}': {nearest(name, known)}")
    return known[name]


def add_joint_set(joints: JointSet) -> None:
    """Make a joint set known by its name to :func:`joint_set`, for as long as the process lives. The first one stays.

    Raises:
        UserError: if the name stands for other joints or mirror pairs.
    """
    known = JOINT_SETS.get(joints.name) or _ADDED.setdefault(joints.name, joints)
    for part in ("joints", "flip_pairs"):
        if getattr(known, part) != getattr(joints, part):
            raise UserError(f"joint set '{joints.name}' is known with other {part}: give yours another name")
