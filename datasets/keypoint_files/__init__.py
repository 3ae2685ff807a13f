"""Keypoint files that bodies are fitted to: FiDIP, OpenPose and COCO JSON. See :func:`read_keypoints`."""

from __future__ import annotations

from .person import PersonKeypoints
from .read import FORMATS, KeypointFiles, read_keypoints

__all__ = ["FORMATS", "KeypointFiles", "PersonKeypoints", "read_keypoints"]
