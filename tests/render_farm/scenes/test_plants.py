"""Plants: they stand on the ground, leaves are where the crown is, and their normals look outwards."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.render_farm.scenes.furniture import Things
from sim2pose.render_farm.scenes.plants import VARIANTS, crown_of, foliage
from sim2pose.render_farm.scenes.scene import OCCLUDER

TEXTURE = np.full((4, 4, 3), 128, np.uint8)


@pytest.mark.parametrize("kind", ["plant", "bush", "tree"])
def test_nothing_of_a_plant_floats(kind: str) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        crown = crown_of(rng, kind)
        parts = Things(0).plant(rng, crown, 1, (2.0, 0.0, -1.0), pot=kind == "plant")
        lowest = min(float(part.vertices[:, 1].min()) for part in parts)
        assert -0.001 < lowest < 0.05, "something of it stands on the ground"
        if kind != "bush":
            leaves, stem = parts[0].vertices, parts[1].vertices
            assert stem[:, 1].min() < 1e-6 and stem[:, 1].max() > crown.low, "the stem reaches into the leaves"
            assert np.hypot(*(leaves[:, [0, 2]].mean(0) - stem[:, [0, 2]].mean(0))) < 0.5 * crown.wide


@pytest.mark.parametrize("kind", ["plant", "bush", "tree"])
def test_leaves_fill_the_crown_and_face_outwards(kind: str) -> None:
    crown = crown_of(np.random.default_rng(1), kind)
    leaves = foliage(crown, 5, TEXTURE, 0.7, (2.0, 0.0, -1.0))
    away = leaves.vertices - np.array([2.0, 0.0 if crown.dome else (crown.low + crown.high) / 2, -1.0])
    assert np.hypot(away[:, 0], away[:, 2]).max() < crown.wide + 1.5 * crown.leaf + 0.1
    assert leaves.vertices[:, 1].max() < crown.high + 1.5 * crown.leaf
    assert leaves.normals is not None and leaves.shade is not None
    np.testing.assert_allclose(np.linalg.norm(leaves.normals, axis=1), 1, atol=1e-5)
    assert np.mean((away * leaves.normals).sum(1) > 0) > 0.8
    assert leaves.shade.min() > 0 and leaves.shade.max() <= 1
    assert np.all(leaves.topology.part_ids == OCCLUDER) and leaves.topology.two_sided


def test_variants_differ_and_repeat() -> None:
    crown = crown_of(np.random.default_rng(1), "bush")
    one, other, same = (foliage(crown, k, TEXTURE, 0.0, (0, 0, 0)).vertices for k in (1, 2, 1 + VARIANTS))
    assert not np.array_equal(one, other) and np.array_equal(one, same)
