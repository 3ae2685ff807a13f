"""Furniture: closed and turned outwards, as high as asked, textures functions of (seed, entry)."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.render_farm.scenes.furniture import Things, build, seat_blocks, table_blocks
from sim2pose.render_farm.scenes.scene import OCCLUDER

TEXTURE = np.full((4, 4, 3), 128, np.uint8)


@pytest.mark.parametrize(("shape", "volume"), [("box", 8.0), ("tube", 6.0), ("ball", 3.9)])
def test_blocks_are_closed_and_face_outwards(shape: str, volume: float) -> None:
    surface = build([((0, 0, 0), (1, 1, 1)), ((5, 0, 0), (1, 1, 1))], TEXTURE, 0.7, (1, 2, 3), shape)
    a, b, c = (surface.vertices[surface.topology.faces[:, k]].astype(float) - (1, 2, 3) for k in range(3))
    found = float(np.einsum("nk,nk->n", a, np.cross(b, c)).sum() / 6)
    assert found == pytest.approx(2 * volume, rel=0.12)
    assert np.all(surface.topology.part_ids == OCCLUDER)


@pytest.mark.parametrize("kind", ["stool", "chair", "bench", "sofa", "wall"])
def test_seats_are_as_high_as_asked(kind: str) -> None:
    blocks = seat_blocks(np.random.default_rng(0), kind, 0.45, 0.4, 0.5)
    seat = build(blocks, TEXTURE).vertices
    assert seat[:, 1].min() == pytest.approx(0, abs=0.03)
    assert np.any(np.isclose(seat[:, 1], 0.45, atol=1e-5)), "a top to sit on"
    front = seat[seat[:, 2] > 0.0]
    assert front[:, 1].max() <= (0.75 if kind == "sofa" else 0.4501), "and nothing before the sitter"


def test_tables_stand_on_the_ground() -> None:
    rng = np.random.default_rng(1)
    table = build(table_blocks(rng, 0.7, 1.2, 0.8), TEXTURE).vertices
    assert table[:, 1].max() == pytest.approx(0.7) and table[:, 1].min() == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("indoor", [True, False])
def test_clutter_stands_where_it_is_put(indoor: bool) -> None:
    things = Things(3)
    for k in range(20):
        surfaces = things.clutter(np.random.default_rng(k), indoor, 3, (2.0, -1.0))
        points = np.concatenate([surface.vertices for surface in surfaces])
        assert np.isfinite(points).all() and -0.5 < points[:, 1].min() < 0.05
        assert np.hypot(points[:, 0].mean() - 2, points[:, 2].mean() + 1) < 0.8
    np.testing.assert_array_equal(things.texture(2), Things(3).texture(2))
    assert not np.array_equal(things.texture(2), Things(4).texture(2))


def test_cars_have_wheels_on_the_ground_and_glass_beneath_a_roof() -> None:
    body, glass, wheels = Things(3).car(np.random.default_rng(2), 1, 0.3, (4.0, 0.0, 1.0))
    assert wheels.vertices[:, 1].min() == pytest.approx(0, abs=1e-6)
    assert body.vertices[:, 1].max() > glass.vertices[:, 1].max() - 0.01 > 1.2
    assert glass.texture.mean() < 60
