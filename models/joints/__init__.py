"""Joint sets by name, and the maps between them. Needs numpy alone.

One file a family: :mod:`.coco`, :mod:`.openpose`, :mod:`.human36m`, :mod:`.smpl_family` and :mod:`.hands`, with the face's
landmarks in :mod:`.face`; the maps are in :mod:`.maps`; :mod:`.files` reads one's own. ``docs/joint_sets.md`` shows them all.
"""

from __future__ import annotations

from .base import JointSet
from .maps import Conversion, conversion, convert
from .sets import JOINT_SETS, add_joint_set, joint_set
from .smpl_family import PARENTS

__all__ = [
    "JOINT_SETS",
    "PARENTS",
    "SMPL24_PARENTS",
    "Conversion",
    "JointSet",
    "add_joint_set",
    "conversion",
    "convert",
    "joint_set",
]

SMPL24_PARENTS = PARENTS["smpl24"]
