"""Watch a clip of a folder of frames: a video or a strip of its pictures with keypoints, or its motion as a pose file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import simplejpeg

from ...config import UserError
from ...datasets.clips import ClipFolder
from ...datasets.draw import draw_keypoints
from ...datasets.frames import Frame
from ...datasets.poses import save_poses
from ...models.joints import JointSet, joint_set
from .media import MOVING, Bytes, labelled, strip, write_picture, write_video

STRIP = 8
"""Frames of a strip."""


def show_clip(folder: ClipFolder, number: int, path: Path | str, keypoints: bool = True) -> Path:
    """Write a clip as a video (.gif, .mp4), a strip (.png, .jpg), or the first person's world motion (.npz, .parquet).

    Args:
        number: of the clip. keypoints: draw those of the folder's first joint set.

    Raises:
        UserError: for an unknown clip or suffix, a person who is out of sight in some frames (motion), a file that cannot
            be written.
    """
    path = Path(path)
    if path.suffix in (".npz", ".parquet"):
        return save_poses(path, folder.clip(number).poses())
    if path.suffix not in (*MOVING, ".png", ".jpg"):
        raise UserError(f"{path}: a clip is shown as .gif, .mp4, .png or .jpg, its motion written as .npz or .parquet")
    frames = folder.read(number, images=True)
    joints = joint_set(folder.info.joint_set) if keypoints else None
    if path.suffix in MOVING:
        times = [frame.time for frame in frames if frame.time is not None]
        rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 1.0
        return write_video([draw_frame(frame, joints) for frame in frames], path, rate)
    return write_picture(clip_strip(frames, joints), path)


def draw_frame(frame: Frame, joints: JointSet | None) -> Bytes:
    """A frame's picture (H, W, 3), with the keypoints of its people where a joint set is given.

    Raises:
        UserError: if the picture is no JPEG.
    """
    if not simplejpeg.is_jpeg(frame.image):
        raise UserError(f"frame {frame.frame_id} is no JPEG: clips are shown as they were rendered")
    picture = np.asarray(simplejpeg.decode_jpeg(frame.image), np.uint8)
    for person in frame.persons if joints is not None else ():
        assert joints is not None
        picture = np.asarray(draw_keypoints(picture, person.keypoints, joints), np.uint8)
    return picture


def clip_strip(frames: list[Frame], joints: JointSet | None = None, count: int = STRIP) -> Bytes:
    """``count`` frames of a clip, evenly spaced, side by side with their times."""
    chosen = [frames[k] for k in np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))]
    pictures = [draw_frame(frame, joints) for frame in chosen]
    return strip(labelled(pictures, [f"{frame.time or 0.0:.2f} s" for frame in chosen]))
