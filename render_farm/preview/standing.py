"""Poses for showing a body: standing at ease, hands in gestures. Named joints, so any SMPL-family body will do."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.bodies.body import Body
from ...models.bodies.gestures import gesture
from ...models.joints import joint_set
from ...models.joints.hands import HAND15

Singles = NDArray[np.float32]
_AT_EASE = {  # axis-angle in radians of the left side; the right one mirrors it
    "left_collar": (0.0, 0.0, -0.08),
    "left_shoulder": (0.10, 0.05, -1.10),
    "left_elbow": (0.0, -0.28, -0.06),
    "left_hip": (0.0, 0.0, -0.06),
    "left_ankle": (0.0, 0.0, 0.05),
}


def at_ease(body: Body, hands: str | None = "relaxed") -> Singles:
    """Pose (J, 3) of someone who stands with the arms down; ``hands``: a gesture, where the body has fingers."""
    names = joint_set(body.joint_set).joints
    pose = np.zeros((len(names), 3), np.float32)
    for name, turn in _AT_EASE.items():
        pose[names.index(name)] = turn
        pose[names.index(name.replace("left", "right"))] = np.array(turn) * (1, -1, -1)
    if hands is not None and f"left_{HAND15[0]}" in names:
        for side in ("left", "right"):
            set_hand(body, pose, side, hands)
    return pose


def set_hand(body: Body, pose: Singles, side: str, name: str) -> None:
    """Write a gesture into one hand of a pose (J, 3), in place."""
    names = joint_set(body.joint_set).joints
    fingers = [names.index(f"{side}_{finger}") for finger in HAND15]
    rest = body.mesh.joints.cpu().numpy().astype(np.float64)
    joints = rest[[names.index(f"{side}_wrist"), *fingers]]
    pose[fingers] = gesture(name, side, joints - joints[0]).reshape(15, 3)


def turned(points: NDArray[np.floating], degrees: float) -> Singles:
    """Points (..., 3) turned about +Y; 90 lets who faces +Z face +X."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(points @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]), np.float32)


def posed(body: Body, betas: Singles, pose: Singles, expression: Singles | None = None) -> Singles:
    """Vertices (V, 3) of one body."""
    shape, turns, place = (torch.from_numpy(np.asarray(a, np.float32)[None]) for a in (betas, pose, np.zeros(3)))
    mimic = None if expression is None else torch.from_numpy(np.asarray(expression, np.float32)[None])
    with torch.no_grad():
        return body(shape, turns, place, mimic).vertices[0].numpy()
