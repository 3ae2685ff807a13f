"""What surrounds people: things within the walls, grounds, and what stands round a square."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.render_farm.kinds.person.config import INDOOR, OUTDOOR, ThingsConfig
from sim2pose.render_farm.kinds.person.grounds import draw_ground
from sim2pose.render_farm.kinds.person.placing import Footprint
from sim2pose.render_farm.kinds.person.props import about, on_ground
from sim2pose.render_farm.kinds.person.walls import draw_outside
from sim2pose.render_farm.scenes.furniture import Things
from sim2pose.render_farm.scenes.scene import Camera, Ground


def test_things_stand_within_the_walls_and_not_on_photographs() -> None:
    ground = Ground(np.full((4, 4, 3), 128, np.uint8), 1.0, (2.5, 1.8), 0.0, (0.4, -0.3), 0.6)
    camera, taken = Camera(np.diag([100.0, 100.0, 1.0]), np.eye(3), np.array([0.0, 1.5, 30.0]), 64, 64), Footprint()
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        config = ThingsConfig(clutter=(4, 4), pool=3)
        found += about(rng, Things(0), config, True, taken, camera, 0.5, ground)
        assert about(np.random.default_rng(seed), Things(0), config, True, taken, camera, 0.5, None) == []
    assert len(found) > 12
    c, s = np.cos(0.6), np.sin(0.6)
    for surface in found:
        x, z = surface.vertices[:, 0] - 0.4, surface.vertices[:, 2] + 0.3
        assert np.abs(c * x - s * z).max() < 2.5 and np.abs(s * x + c * z).max() < 1.8
    assert not on_ground(ground, np.array([[9.0, 0.0, 0.0]])) and on_ground(ground, np.zeros((1, 3)))


@pytest.mark.parametrize("kind", [*INDOOR, *OUTDOOR])
def test_grounds_are_pictures_without_seams(kind: str) -> None:
    look = draw_ground(np.random.default_rng(2), kind, 128)
    assert look.texture.shape[:2] == (128, 128) and look.texture.dtype == np.uint8 and look.tile > 0.3


def test_what_stands_round_a_square_covers_what_lies_below_its_outline() -> None:
    for seed in range(10):
        picture, cover = draw_outside(np.random.default_rng(seed))
        assert picture.shape[:2] == cover.shape and 0.1 < cover.mean() / 255 < 1.0
        assert cover[-6:].mean() > 0.2 * 255 and cover[0].mean() <= cover[-6:].mean()
