"""Joint sets by name, and the maps between them. Needs numpy alone."""

from .base import JOINT_SETS, SMPL24_PARENTS, JointSet, joint_set

__all__ = ["JOINT_SETS", "SMPL24_PARENTS", "JointSet", "joint_set"]
