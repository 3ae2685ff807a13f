"""A target to retarget onto, small texts of each format, and a skeleton of another convention."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim2pose.datasets.mocap.export import motion_from_poses
from sim2pose.datasets.mocap.skeleton import Motion
from sim2pose.datasets.mocap.target import Target, body_target
from sim2pose.datasets.poses import PoseSequence

BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT Knee
  {
    OFFSET 0 -2 0
    CHANNELS 1 Xrotation
    End Site
    {
      OFFSET 0 -1 0
    }
  }
}
MOTION
Frames: 2
Frame Time: .0083333
0 5 0 0 0 0 0
1 5 0 90 0 0 90
"""

ASF = """:version 1.10
:units
  mass 1.0
  length 0.45
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name femur
    direction 0 -1 0
    length 7
    axis 0 0 20 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
    id 2
    name tibia
    direction 0 -1 0
    length 3
    axis 0 0 0 XYZ
    dof rx
    limits (-10.0 170.0)
  end
:hierarchy
  begin
    root femur
    femur tibia
  end
"""

AMC = """#!OML:ASF x.asf
:FULLY-SPECIFIED
:DEGREES
1
root 0 10 0 0 0 0
femur 0 0 0
tibia 0
2
root 0 10 0 0 90 0
femur 0 0 0
tibia 90
"""

HUMANIK = {
    "pelvis": "Hips",
    **{f"spine{k}": f"Spine{k - 1 or ''}" for k in (1, 2, 3)},
    "neck": "Neck",
    "head": "Head",
    **{
        f"{side}_{ours}": f"{side.title()}{theirs}"
        for side in ("left", "right")
        for ours, theirs in (
            *(("hip", "UpLeg"), ("knee", "Leg"), ("ankle", "Foot"), ("foot", "ToeBase"), ("collar", "Shoulder")),
            *(("shoulder", "Arm"), ("elbow", "ForeArm"), ("wrist", "Hand"), ("hand", "HandEnd")),
        )
    },
}


@pytest.fixture(scope="session")
def infant() -> Target:
    from sim2pose.models.bodies import load_body

    return body_target(load_body("open-infant"))


def poses_of(target: Target, frames: int = 40, size: float = 0.3) -> PoseSequence:
    """A smooth random motion that stays upright, walks along x, and bends knees and elbows."""
    rng = np.random.default_rng(1)
    time = np.linspace(0, 2 * np.pi, frames)[:, None, None]
    amplitude, phase = rng.normal(size=(2, target.joint_set.count, 3))
    pose = size * amplitude * np.sin(time + 3 * phase)
    for side, sign in (("left", -1), ("right", 1)):
        pose[:, target.index(f"{side}_knee")] = [0.6, 0, 0] + 0.4 * np.sin(time[:, 0] + sign) * [1, 0, 0]
        pose[:, target.index(f"{side}_elbow")] = [0, sign * 0.8, 0] + 0.4 * np.cos(time[:, 0]) * [0, 1, 0]
    path = np.linspace(0, 1, frames)[:, None] * [0.5, 0, 0.1]
    return PoseSequence(pose, path, target.body, target.joint_set.name, fps=30.0, source="made up")


def renamed(motion: Motion, names: dict[str, str]) -> Motion:
    """The same motion under another convention's joint names."""
    skeleton = motion.skeleton
    return replace(motion, skeleton=replace(skeleton, names=tuple(names[name] for name in skeleton.names)))


@pytest.fixture(scope="session")
def humanik(infant: Target) -> tuple[Motion, PoseSequence]:
    """The infant as a HumanIK skeleton in motion, and the poses it was made of."""
    poses = poses_of(infant)
    return renamed(motion_from_poses(poses, infant), HUMANIK), poses
