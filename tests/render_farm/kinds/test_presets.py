"""What the presets of infants and hands promise about their pictures, beside photographs (docs/frames.md)."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sim2pose.datasets.frames import Frame
from sim2pose.render_farm.kinds.frames import SceneFrames
from sim2pose.render_farm.kinds.registry import load_render_config


def _frames(kind: str) -> list[Frame]:
    maker = SceneFrames(load_render_config(kind, ["seed=2", "width=96", "height=96", "parts=false"]))
    try:
        return list(maker.frames(0, 32))
    finally:
        maker.close()


@pytest.mark.parametrize("kind", ["infant", "hand"])
def test_pictures_have_the_contrast_of_photographs_and_boxes_off_the_middle(kind: str) -> None:
    frames = _frames(kind)
    pictures = [cv2.imdecode(np.frombuffer(frame.image, np.uint8), cv2.IMREAD_COLOR) for frame in frames]
    light = [cv2.cvtColor(p.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)[..., 0] for p in pictures]
    contrast = np.array([plane.std() for plane in light])
    assert 13.5 < contrast.mean() < 24 and contrast.std() > 3
    assert np.mean([np.percentile(plane, 5) for plane in light]) < 36, "no veil over the dark"
    boxes = np.array([frame.persons[0].bbox for frame in frames if frame.persons]) / 96
    middle, size = boxes[:, :2] + boxes[:, 2:] / 2, np.sqrt(boxes[:, 2] * boxes[:, 3])
    assert middle.std(0).min() > 0.05 and size.std() > 0.12 and len(boxes) > 29
