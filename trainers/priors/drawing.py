"""Poses of a prior as files and pictures: dressed bodies on a sheet, hands where a prior knows nothing but fingers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...datasets.poses import PoseSequence
from ...models.bodies import load_body
from ...models.bodies.body import Body
from ...models.joints import joint_set
from ...models.joints.hands import HAND15
from ...render_farm.preview import captioned, draw_bodies, dress_plainly, frame_points, labelled, pose_body, strip
from ...render_farm.preview.standing import posed, set_hand

Bytes = NDArray[np.uint8]
TILE, HAND_TILE = (190, 250), (150, 170)
"""Width and height of a picture of a body, of a hand."""


def is_hands(joints: Sequence[str]) -> bool:
    """Whether a prior covers fingers and nothing else."""
    fingers = {f"{side}_{finger}" for side in ("left", "right") for finger in HAND15}
    return set(joints) <= fingers


def body_sequence(
    pose: NDArray[np.floating], joints: Sequence[str], body: Body, names: Sequence[str] = (), source: str = ""
) -> PoseSequence:
    """Poses (n, C, 3) of named joints as a pose file's content for a body: other joints at rest, root at the origin."""
    wanted = joint_set(body.joint_set).joints
    full = np.zeros((len(pose), len(wanted), 3), np.float32)
    for k, name in enumerate(joints):
        if name in wanted:
            full[:, wanted.index(name)] = pose[:, k]
    transl = np.zeros((len(pose), 3), np.float32)
    return PoseSequence(full, transl, body.name, body.joint_set, names=tuple(names), source=source)


def body_sheet(body: Body, poses: PoseSequence, texts: Sequence[str], columns: int, joints: Sequence[str]) -> Bytes:
    """Bodies in poses, dressed, each standing on the floor where it is lowest.

    Args:
        poses: n of them. texts: n captions. columns: pictures a row.
        joints: those that matter; fingers beside them are drawn relaxed.
    """
    if is_hands(joints):
        return hand_sheet(poses, texts, columns)
    names = joint_set(body.joint_set).joints
    relaxed = np.zeros((len(names), 3), np.float32)
    for side in ("left", "right"):
        if f"{side}_{HAND15[0]}" in names and f"{side}_{HAND15[0]}" not in joints:
            set_hand(body, relaxed, side, "relaxed")
    shown = poses.pose
    if poses.joint_set == body.joint_set:
        shown = np.where(poses.pose.any((0, 2), keepdims=True), poses.pose, relaxed)
    posing = PoseSequence(shown, poses.transl, poses.body, poses.joint_set, frame=poses.frame, up=poses.up)
    posed_bodies = pose_body(body, posing)
    vertices = posed_bodies.vertices - posed_bodies.joints[:, :1] * np.array([1, 0, 1], np.float32)
    vertices[..., 1] -= vertices[..., 1].min(1, keepdims=True)
    images = draw_bodies(body, vertices, TILE, "three-quarter", dress=dress_plainly(body), ground=0.0)
    return strip(labelled(list(images), texts), columns)


def hand_sheet(poses: PoseSequence, texts: Sequence[str], columns: int) -> Bytes:
    """Left and right hands of poses side by side, from the palm's side, fingers up."""
    names, azimuth, elevation = joint_set(poses.joint_set).joints, 55.0, 12.0
    hands = {side: load_body(f"open-hand-{side}") for side in ("left", "right")}
    seen = []
    for side, hand in hands.items():
        fingers = [names.index(f"{side}_{finger}") for finger in HAND15]
        turn = np.array([[0, 0, np.pi / 2 if side == "left" else -np.pi / 2]], np.float32)
        zero = np.zeros(hand.num_betas, np.float32)
        seen.append(np.stack([posed(hand, zero, np.concatenate([turn, one[fingers]])) for one in poses.pose]))
    mirror, tiles = np.array([-1, 1, 1], np.float32), []
    for side, own, other in zip(hands, seen, seen[::-1], strict=True):
        both = np.concatenate([own, other * mirror])  # one distance for both, so that sizes compare
        view = (azimuth if side == "left" else -azimuth, elevation)
        camera = frame_points(both, view, *HAND_TILE, margin=0.10)
        tiles.append(draw_bodies(hands[side], own, HAND_TILE, camera, dress=dress_plainly(hands[side]), ground=None))
    pairs = [strip([left, right], gap=0) for left, right in zip(*tiles, strict=True)]
    return strip(labelled(pairs, texts), columns)


def sample_sheet(
    pose: NDArray[np.floating], joints: Sequence[str], body: Body, title: str = "", columns: int = 8
) -> Bytes:
    """A sheet of samples (n, C, 3) of a prior over ``joints``, numbered."""
    texts = [str(k) for k in range(len(pose))]
    sheet = body_sheet(body, body_sequence(pose, joints, body), texts, columns, joints)
    return captioned(sheet, title) if title else sheet
