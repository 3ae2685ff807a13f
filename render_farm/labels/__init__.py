"""Labels from what was drawn: boxes and masks of visible pixels, keypoints with visibility by depth test, bodies in the
camera frame, and pictures of part ids, depth and normals as PNG."""

from __future__ import annotations

from .flesh import own_parts
from .persons import camera_frame_pose, label_keypoints, label_person, skin_distance, visible_box
from .pictures import decode_png, encode_depth, encode_normals, encode_parts

__all__ = [
    "camera_frame_pose",
    "decode_png",
    "encode_depth",
    "encode_normals",
    "encode_parts",
    "label_keypoints",
    "label_person",
    "own_parts",
    "skin_distance",
    "visible_box",
]
