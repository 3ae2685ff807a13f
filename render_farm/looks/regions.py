"""SMPL's 24 joints as regions of any SMPL-family body, so that clothes are cut alike for 24, 52 and 55 joints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ...models.bodies.body import Body
from ...models.joints import joint_set

REGIONS = joint_set("smpl24").joints
_KNUCKLES = ("index1", "middle1", "pinky1", "ring1")


def region_of(joint: str) -> str:
    """The SMPL-24 joint that a joint of SMPL-H or SMPL-X belongs to: fingers to their hand, jaw and eyes to the head."""
    if joint in REGIONS:
        return joint
    if joint == "jaw" or joint.endswith("_eyeball"):
        return "head"
    return f"{joint.split('_')[0]}_hand"


def smpl24_regions(body: Body) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Skinning weights and rest joints of a body in terms of SMPL's 24 joints.

    Returns:
        weights (V, 24), each row summing to one as before, and joints (24, 3), metres; where a body has fingers, its hand
        joints lie amid the knuckles.

    Raises:
        UserError: for a hand, which has no such regions.
    """
    joints = body.mesh.joints.cpu().numpy().astype(np.float32)
    if body.joint_set == "smpl24":
        return body.weights, joints
    names = joint_set(body.joint_set).joints
    if "pelvis" not in names:
        raise UserError(f"body '{body.name}' is a hand; only whole bodies can be dressed")
    place = {name: k for k, name in enumerate(names)}
    weights = np.zeros((len(body.weights), len(REGIONS)), np.float32)
    for k, name in enumerate(names):
        weights[:, REGIONS.index(region_of(name))] += body.weights[:, k]
    positions = np.empty((len(REGIONS), 3), np.float32)
    for k, name in enumerate(REGIONS):
        side = name.split("_")[0]
        own = [place[name]] if name in place else [place[f"{side}_{knuckle}"] for knuckle in _KNUCKLES]
        positions[k] = joints[own].mean(0)
    return weights, positions
