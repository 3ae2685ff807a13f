"""Furniture of clips: tall things stand clear of camera and lines of sight; second people, too."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.render_farm.kinds.clip.config import PropsConfig
from sim2pose.render_farm.kinds.clip.props import OFF, TALL, furnish, sight, stool
from sim2pose.render_farm.scenes.furniture import Things

PATH = np.stack([np.linspace(-0.5, 0.5, 20), np.full(20, 0.9), np.zeros(20)], 1)
EYES = np.tile([0.0, 1.5, 4.0], (20, 1))


@pytest.mark.parametrize("indoor", [True, False])
@pytest.mark.parametrize("height", [0.7, 1.7])
def test_tall_things_hide_nobody(indoor: bool, height: float) -> None:
    path, eyes = PATH * height / 1.7, EYES * height / 1.7
    for seed in range(8):
        rng = np.random.default_rng(seed)
        config = PropsConfig(count=(8, 8), between=1.0)
        surfaces = furnish(rng, config, Things(0), indoor, [path], eyes, height)
        assert surfaces
        for surface in surfaces:
            flat = surface.vertices[:, [0, 2]]
            assert np.linalg.norm(flat[:, None] - path[None, :, [0, 2]], axis=-1).min() > 0.4 * height
            if surface.vertices[:, 1].max() > TALL * height:
                assert np.linalg.norm(flat[:, None] - eyes[None, :1, [0, 2]], axis=-1).min() > OFF * height
                assert sight(flat.mean(0), path[:, [0, 2]], eyes[:, [0, 2]]).min() > 0.1 * height


def test_distance_from_the_line_of_sight() -> None:
    eyes, subject = np.array([[0.0, 4.0]]), np.array([[0.0, 0.0]])
    assert sight(np.array([0.5, 2.0]), subject, eyes)[0] == pytest.approx(0.5)
    assert sight(np.array([0.0, -1.0]), subject, eyes)[0] == pytest.approx(1.0), "behind the subject"


def test_stools_are_as_high_as_the_seat() -> None:
    made = stool((0.3, 0.45, -0.2, 0.5), np.zeros((4, 4, 3), np.uint8), 1.7)
    assert made.vertices[:, 1].max() == pytest.approx(0.45) and made.vertices[:, 1].min() == pytest.approx(0)
    np.testing.assert_allclose(made.vertices[:, [0, 2]].mean(0), (0.3, -0.2), atol=1e-6)
