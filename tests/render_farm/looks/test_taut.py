"""Taut cloth: toes and fingers in one, hollows filled, nothing pushed inwards."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.models.bodies import load_body
from sim2pose.render_farm.looks.bodymap import BodyMap, build_body_map
from sim2pose.render_farm.looks.config import WardrobeConfig
from sim2pose.render_farm.looks.wardrobe import Wardrobe


@pytest.fixture(scope="module")
def body_map() -> BodyMap:
    return build_body_map(load_body("open-infant"), 256)


def test_cloth_is_never_pulled_into_trunk_and_limbs(body_map: BodyMap) -> None:
    p = body_map.vertices
    rest = ~np.isin(p.joint, (7, 8, 10, 11, 20, 21, 22, 23))
    outwards = (body_map.hull * p.normal).sum(1)
    assert np.all(outwards[rest] >= 0) and outwards[rest].max() < 0.011 * body_map.height
    assert outwards[rest].max() > 0.0005, "some hollows are bridged"


def test_a_sock_has_no_toes(body_map: BodyMap) -> None:
    """Gaps between toes show as vertices whose normals look sideways, deep beneath the foot's hull."""
    p = body_map.vertices
    toes = np.flatnonzero((p.joint == 10) & (p.leg > 1.0))
    taut = (p.position + body_map.hull)[toes]
    moved = np.linalg.norm(body_map.hull[toes], axis=1)
    assert moved.max() > 0.003, "what lies between the toes comes out"
    low, high = taut.min(0), taut.max(0)
    skin_low, skin_high = p.position[toes].min(0), p.position[toes].max(0)
    np.testing.assert_allclose([low, high], [skin_low, skin_high], atol=0.004)


def test_socks_drape_and_bare_feet_do_not(body_map: BodyMap) -> None:
    feet = np.isin(body_map.vertices.joint, (10, 11))
    bare = Wardrobe(WardrobeConfig(cuts={"bodysuit": 1}, socks=0.0, band=0.0), body_map, 1).outfit(0)
    socks = Wardrobe(WardrobeConfig(cuts={"bodysuit": 1}, socks=1.0), body_map, 1).outfit(0)
    assert bare.drape is not None and socks.drape is not None
    assert np.all(bare.drape[feet] == 0)
    assert np.linalg.norm(socks.drape[feet], axis=1).max() > 0.003
