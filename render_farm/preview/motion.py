"""Watch a sequence of poses: a strip of frames, or a video that follows the person over a ground grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ...config import UserError
from ...datasets.poses import PoseSequence
from ...models.bodies.body import Body
from ...models.joints import joint_set
from .draw import draw_bodies
from .dressing import Dress, dress_plainly
from .media import MOVING, Bytes, labelled, strip, suffix_of, write_picture, write_video

Singles = NDArray[np.float32]
_TO_WORLD = np.diag([1.0, -1.0, -1.0])  # OpenCV's camera axes to Y up, looking along -Z
_LEVEL = np.array([1, 0, 1], np.float32)
_BATCH = 64
FAR_PATH = 1.5
"""Beyond this many body heights of path the camera goes along instead of seeing all of it."""


@dataclass(frozen=True)
class Posed:
    """A sequence on a body.

    Attributes:
        vertices: (T, V, 3) bare, joints: (T, J, 3); metres, world, Y up.
    """

    vertices: Singles
    joints: Singles


def pose_body(body: Body, poses: PoseSequence, frames: Sequence[int] | None = None) -> Posed:
    """Pose a body frame by frame, Y up whatever frame the poses are in.

    Joints are matched by name: what the body lacks is left out, what the sequence lacks stays at rest. Betas and
    expressions count if they were written for this body (the same name and number); else the mean shape is shown.

    Args:
        frames: indices to pose; None is all.

    Raises:
        UserError: if the poses are for a hand and the body is none, or the reverse.
    """
    chosen = np.arange(len(poses)) if frames is None else np.asarray(frames)
    names, wanted = joint_set(poses.joint_set).joints, joint_set(body.joint_set).joints
    if ("pelvis" in names) != ("pelvis" in wanted):
        raise UserError(
            f"poses are {poses.joint_set}, body '{body.name}' is {body.joint_set}: give a body of that kind"
        )
    pose = np.zeros((len(chosen), len(wanted), 3), np.float32)
    for k, name in enumerate(wanted):
        if name in names:
            pose[:, k] = poses.pose[chosen, names.index(name)]
    betas = _coefficients(poses.betas, body, poses, chosen, body.num_betas)
    expression = _coefficients(poses.expression, body, poses, chosen, body.num_expressions)
    turn = _turn_up(poses)
    vertices, joints = [], []
    for start in range(0, len(chosen), _BATCH):
        part = slice(start, start + _BATCH)
        with torch.no_grad():
            posed = body(
                *(torch.from_numpy(a) for a in (betas[part], pose[part], poses.transl[chosen[part]], expression[part]))
            )
        vertices.append(posed.vertices.numpy() @ turn.T)
        joints.append(posed.joints.numpy() @ turn.T)
    return Posed(np.concatenate(vertices), np.concatenate(joints))


def _coefficients(values: Singles | None, body: Body, poses: PoseSequence, chosen: NDArray, count: int) -> Singles:
    """(T, count) coefficients of the chosen frames; zeros where they are not for this body."""
    if values is None or poses.body != body.name or values.shape[-1] != count:
        return np.zeros((len(chosen), count), np.float32)
    return np.ascontiguousarray(values[chosen] if values.ndim == 2 else np.tile(values, (len(chosen), 1)), np.float32)


def _turn_up(poses: PoseSequence) -> Singles:
    """Rotation (3, 3) from the poses' frame to Y up."""
    turn = _TO_WORLD if poses.frame == "camera" else np.eye(3)
    if poses.up is None:
        return turn.astype(np.float32)
    up = turn @ np.asarray(poses.up, np.float64)
    up /= np.linalg.norm(up)
    cosine, axis = up[1], np.cross(up, (0, 1, 0))
    if cosine < -0.999999:
        return (np.diag([1.0, -1.0, -1.0]) @ turn).astype(np.float32)
    skew = np.cross(np.eye(3), axis)  # skew @ v = axis x v
    return ((np.eye(3) + skew + skew @ skew / (1 + cosine)) @ turn).astype(np.float32)


def suiting_view(body: Body, joints: Singles) -> tuple[float, float]:
    """Azimuth and elevation (degrees) from which a sequence of joints (T, J, 3) is seen well.

    Walkers from the side and a little from the front, who lies from above and the side, others at three quarters.
    """
    if body.format == "mano":
        return 25.0, 25.0
    names = joint_set(body.joint_set).joints
    at = {name: joints[:, names.index(name)] for name in ("pelvis", "neck", "left_hip", "right_hip")}
    trunk = at["neck"] - at["pelvis"]
    upright = float(np.mean(trunk[:, 1] / np.maximum(np.linalg.norm(trunk, axis=1), 1e-6)))
    left = (at["left_hip"] - at["right_hip"]).mean(0)
    front = np.degrees(np.arctan2(-left[2], left[0]))  # the front is the left turned by -90 degrees about Y
    if upright < 0.6:
        along = trunk.mean(0)
        side = np.degrees(np.arctan2(along[0], along[2])) + 90
        return (float(side if abs(_wrapped(side - front)) <= 90 else side + 180), 48.0)
    travel = at["pelvis"][-1] - at["pelvis"][0]
    if np.hypot(travel[0], travel[2]) > np.linalg.norm(trunk[0]):
        heading = np.degrees(np.arctan2(travel[0], travel[2]))
        return float(heading + 65), 10.0
    return float(front + 35), 10.0


def _wrapped(degrees: float) -> float:
    return (degrees + 180) % 360 - 180


def _track(posed: Posed, height: float) -> Singles | None:
    """Where the camera goes along: the pelvis on the ground plane, smoothed; None if the path is short."""
    path = posed.joints[:, 0] * _LEVEL
    if np.ptp(path, axis=0).max() < FAR_PATH * height:
        return None
    return np.asarray(gaussian_filter1d(path, 6, axis=0, mode="nearest"), np.float32)


def motion_strip(
    body: Body,
    poses: PoseSequence,
    path: Path | str | None = None,
    count: int = 8,
    *,
    size: tuple[int, int] = (240, 320),
    columns: int | None = None,
    dress: Dress | None = None,
    view: str | tuple[float, float] | None = None,
    ground: float | str = "lowest",
) -> Bytes:
    """Evenly spaced frames side by side, each with its time; written to ``path`` (.png, .jpg) if one is given.

    ``ground`` is the height of the floor in metres, or "lowest" for that of the body's lowest points.

    Raises:
        UserError: for poses that do not fit the body, or a path that cannot be written.
    """
    if count < 1:
        raise UserError(f"a strip of {count} frames shows nothing; give count=1 or more")
    chosen = np.unique(np.linspace(0, len(poses) - 1, count).round().astype(int))
    posed = pose_body(body, poses, chosen.tolist())
    view = suiting_view(body, posed.joints) if view is None else view
    follow = posed.joints[:, 0] * _LEVEL
    floor = None if body.format == "mano" else ground
    images = draw_bodies(body, posed.vertices, size, view, dress=dress, follow=follow, ground=floor)
    if poses.fps:
        texts = [f"{frame / poses.fps:.2f} s" for frame in chosen]
    else:
        texts = [poses.names[frame] if poses.names else f"frame {frame}" for frame in chosen]
    sheet = strip(labelled(list(images), texts), columns)
    if path is not None:
        write_picture(sheet, path)
    return sheet


def motion_video(
    body: Body,
    poses: PoseSequence,
    path: Path | str,
    fps: float = 30.0,
    max_seconds: float = 10.0,
    *,
    size: tuple[int, int] | None = None,
    dress: Dress | None = None,
    view: str | tuple[float, float] | None = None,
    ground: float | str = "lowest",
) -> Path:
    """Write the motion as .mp4 or .gif; frames are taken from the sequence's own, the nearest in time.

    Args:
        fps: frames a second of the video, at most; never more than the sequence has.
        max_seconds: what comes later is left out.
        ground: height of the floor, metres, or "lowest" for that of the body's lowest points.
        size: width and height in pixels; None is 480 squared, of a GIF 320 squared and at most 15 frames a second, since
            GIF files are large.

    Raises:
        UserError: for poses without fps, that do not fit the body, or a path that cannot be written.
    """
    small = suffix_of(path, MOVING) == ".gif"
    size = size or ((320, 320) if small else (480, 480))
    if not poses.fps:
        raise UserError(f"{path}: the poses have no fps, so they are no motion; draw a .png strip of them")
    if not fps > 0 or not max_seconds > 0:
        raise UserError(f"{path}: fps={fps:g} and max_seconds={max_seconds:g} must be positive")
    fps = min(fps, poses.fps, 15.0 if small else np.inf)
    seconds = min(len(poses) / poses.fps, max_seconds)
    frames = np.minimum(np.round(np.arange(0, seconds, 1 / fps) * poses.fps), len(poses) - 1).astype(int)
    posed = pose_body(body, poses, frames.tolist())
    dress = dress_plainly(body) if dress is None else dress
    view = suiting_view(body, posed.joints) if view is None else view
    follow = _track(posed, dress.height)
    floor = None if body.format == "mano" else ground
    images = draw_bodies(body, posed.vertices, size, view, dress=dress, follow=follow, ground=floor)
    return write_video(list(images), path, fps)
