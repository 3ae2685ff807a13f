"""Furniture, toys, leads, arms: closed meshes outwards, where they belong, functions of (seed, entry) alone."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.geometry import camera_matrix
from sim2pose.render_farm.looks.bodymap import build_body_map
from sim2pose.render_farm.scenes.arm_mesh import cut_arm
from sim2pose.render_farm.scenes.arms import Arms
from sim2pose.render_farm.scenes.cloths import HeightMap
from sim2pose.render_farm.scenes.clutter import Heaps
from sim2pose.render_farm.scenes.config import TOYS, OccluderConfig
from sim2pose.render_farm.scenes.cots import Woods, cot, mattress_edge, nest
from sim2pose.render_farm.scenes.leads import Mouths, lead
from sim2pose.render_farm.scenes.meshes import ENOUGH, box, refined, sphere
from sim2pose.render_farm.scenes.occluders import cot_rail
from sim2pose.render_farm.scenes.scene import OCCLUDER, Camera, Ground
from sim2pose.render_farm.scenes.toys import SHAPES, Toys, toy_shape

GREY = np.full((8, 8, 3), 128, np.uint8)
DOWN = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # looks straight down, world -z up in the picture


def _camera(height: float = 1.2) -> Camera:
    eye = np.array([0.0, height, 0.0])
    return Camera(camera_matrix(300.0, 256, 256), DOWN, -DOWN @ eye, 256, 256)


def _flat_body() -> HeightMap:
    """A block of 60 x 20 cm, 10 cm high, about the origin, its length along z."""
    return HeightMap(np.pad(np.full((50, 16), 0.1, np.float32), 3), -0.13, -0.33)


def _volume(points: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (points[faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("kind", TOYS)
def test_toys_are_drawn_from_outside(kind: str) -> None:
    points, topology = toy_shape(kind)
    assert _volume(points, topology.faces) > 0, "faces look outwards"
    assert np.all(topology.part_ids == OCCLUDER) and len(topology.faces) >= ENOUGH
    assert 0.5 < np.abs(points).max() < 1.8
    if kind in SHAPES:
        assert topology.uv.min() >= 0 and topology.uv.max() <= 1


def test_refining_keeps_the_surface() -> None:
    points, faces, uv = refined(box())
    assert len(faces) >= ENOUGH and len(points) == len(uv)
    assert _volume(points, faces) == pytest.approx(8.0)
    assert _volume(*sphere()[:2]) == pytest.approx(4.19, rel=0.05)


def test_the_edge_lies_round_its_ground_and_below() -> None:
    ground = Ground(GREY, 1.0, (0.4, 0.6), 0.0, (0.1, -0.2), 0.7)
    edge = mattress_edge(ground, 0.10)
    assert edge.vertices[:, 1].max() <= 1e-6 and edge.vertices[:, 1].min() == pytest.approx(-0.10)
    c, s = np.cos(0.7), np.sin(0.7)
    x, z = edge.vertices[:, 0] - 0.1, edge.vertices[:, 2] + 0.2
    across, along = x * c - z * s, x * s + z * c
    outside = np.maximum(np.abs(across) - 0.4, np.abs(along) - 0.6)
    assert outside.min() > -1e-4 and outside.max() < 0.04, "nothing reaches into the mattress's top"


def test_bars_leave_the_lens_free_and_the_side_may_be_down() -> None:
    ground = Ground(GREY, 1.0, (0.4, 0.6))
    eye = np.array([0.45, 0.3, 0.0])
    camera = Camera(camera_matrix(300.0, 64, 64), DOWN, -DOWN @ eye, 64, 64)
    texture = Woods(1).texture(0)
    near = cot(np.random.default_rng(1), OccluderConfig(cot_open=0.0), camera, ground, texture).vertices
    opened = cot(np.random.default_rng(1), OccluderConfig(cot_open=1.0), camera, ground, texture).vertices
    bars = slice(0, 28 * 52)
    shown = near[bars][near[bars, 1] > -0.5]
    assert np.hypot(shown[:, 0] - eye[0], shown[:, 2]).min() > 0.12
    side = (opened[:, 0] > 0.42) & (np.abs(opened[:, 2]) < 0.55) & (opened[:, 1] > 0.05)
    assert not side.any(), "the side towards the camera is down"
    assert (np.abs(near[:, 0]) > 0.38).sum() > 200


def test_nobody_lies_across_the_rim_of_a_nest() -> None:
    rng = np.random.default_rng(2)
    body = rng.uniform((-0.15, 0, -0.3), (0.15, 0.1, 0.3), (3000, 3)).astype(np.float32)
    for seed in range(6):
        (rim,) = nest(np.random.default_rng(seed), body, np.array([0.0, 0, 1]), GREY, basket=bool(seed % 2))
        inner = rim.vertices[rim.vertices[:, 1] < 0.08]
        angle, radius = np.arctan2(inner[:, 0], inner[:, 2]), np.hypot(inner[:, 0], inner[:, 2])
        for point in body[::50]:
            beside = np.abs(np.angle(np.exp(1j * (angle - np.arctan2(point[0], point[2]))))) < 0.1
            assert np.hypot(point[0], point[2]) < radius[beside].min() + 0.02
    assert nest(rng, body * (5, 1, 1), np.array([0.0, 0, 1]), GREY, basket=False) == []


def test_leads_lie_on_what_is_beneath() -> None:
    bumps = _flat_body()
    wire = lead(np.random.default_rng(0), bumps, np.array([0.0, 0.1]), 0.3, electrode=True)
    assert np.isfinite(wire.vertices).all()
    assert np.all(wire.vertices[:, 1] > bumps.at(wire.vertices[:, 0], wire.vertices[:, 2]) - 0.035)
    assert wire.vertices[:, 1].min() > -0.003
    far = wire.vertices[np.hypot(wire.vertices[:, 0], wire.vertices[:, 2] - 0.1) > 0.4]
    assert len(far) and far[:, 1].max() < 0.02, "beyond the body it lies on the bed"


def test_a_pacifier_sits_before_the_mouth() -> None:
    body_map = build_body_map(load_body("open-infant"), 256)
    rest = body_map.vertices.position
    soother = Mouths(body_map).pacifier(rest, GREY).vertices
    nose, eyes = body_map.landmarks[0], body_map.landmarks[1:3].mean(0)
    middle = soother.mean(0)
    assert abs(middle[0] - nose[0]) < 0.004 and eyes[1] - 0.07 < middle[1] < nose[1]
    assert middle[2] > nose[2] - 0.02 and np.ptp(soother, axis=0).max() < 0.06


def test_things_beside_find_room_or_stay_away() -> None:
    bumps, heaps = _flat_body(), Heaps(3)
    body = np.random.default_rng(0).uniform((-0.1, 0, -0.3), (0.1, 0.1, 0.3), (3000, 3))
    for seed in range(8):
        for thing in heaps.beside(np.random.default_rng(seed), bumps, body, GREY):
            assert bumps.at(thing.vertices[:, 0], thing.vertices[:, 2]).max() < 0.02
    np.testing.assert_array_equal(heaps.shape(2), Heaps(3).shape(2))
    assert not np.array_equal(heaps.shape(2), Heaps(4).shape(2))


@pytest.fixture(scope="module")
def arms() -> Arms:
    return Arms(OccluderConfig(arms=1.0, arm_pool=4, second_arm=0.0), 5)


def test_arms_touch_and_leave_the_picture(arms: Arms) -> None:
    bumps, camera, found = _flat_body(), _camera(1.0), 0
    joints = np.zeros((24, 3))
    joints[:, 2] = np.linspace(-0.25, 0.25, 24)
    for seed in range(10):
        for arm in arms.reach(np.random.default_rng(seed), camera, bumps, joints):
            found += 1
            gap = arm.vertices[:, 1] - bumps.at(arm.vertices[:, 0], arm.vertices[:, 2])
            assert gap.min() < 0.02, "it touches"
            assert np.quantile(gap, 0.02) > -0.03 and gap.min() > -0.06, (
                "and reaches in at the block's sharp edge alone"
            )
            assert np.all(arm.topology.part_ids == OCCLUDER)
            seen = arm.vertices @ camera.R.T + camera.t
            pixel = seen[:, :2] / seen[:, 2:] * 300 + 127.5
            inside = np.all((pixel > 0) & (pixel < 256), axis=1)
            assert inside.any() and not inside.all(), "hand in the picture, shoulder out of it"
    assert found >= 4


def test_arms_are_functions_of_seed_and_entry(arms: Arms) -> None:
    other = Arms(OccluderConfig(arms=1.0, arm_pool=4), 5)
    other.arm(3)
    for entry in (0, 1):
        np.testing.assert_array_equal(arms.arm(entry).vertices, other.arm(entry).vertices)
        np.testing.assert_array_equal(arms.arm(entry).texture, other.arm(entry).texture)
    reach = np.ptp(arms.arm(0).vertices, axis=0)
    assert 0.45 < np.linalg.norm(reach) < 0.95, "an adult's arm, metres"


def test_arms_need_fingers_and_toys_a_known_name() -> None:
    with pytest.raises(UserError, match="no fingers"):
        cut_arm(load_body("open-infant"))
    with pytest.raises(ValueError, match="boll"):
        OccluderConfig(toys={"boll": 1.0})
    assert Toys(1).texture(3).shape == Toys(1).texture(3).shape == (128, 128, 3)


def test_a_cots_side_stands_between_the_camera_and_the_body() -> None:
    eye, target = np.array([0.0, 0.5, 1.2]), np.array([0.05, 0.1, 0.0])
    camera = Camera(camera_matrix(300.0, 256, 256), np.eye(3), -eye, 256, 256)
    small = Ground(GREY, half_size=(0.2, 0.2))
    for ground, foot in ((None, 0.0), (Ground(GREY, half_size=(0.8, 0.8)), 0.0), (small, -0.15)):
        *bars, below, above = cot_rail(np.random.default_rng(2), camera, target, ground, GREY)
        points = np.concatenate([bar.vertices for bar in bars])
        assert len(bars) > 8 and points[:, 2].min() > 0.2 and points[:, 2].max() < 0.6, "clear of both"
        assert points[:, 1].min() == pytest.approx(foot, abs=1e-6) or points[:, 1].min() < foot < 0
        for rail, height in ((below, points[:, 1].min()), (above, points[:, 1].max())):
            assert (
                np.abs(rail.vertices[:, 1] - height).min() < 0.02
                and np.ptp(rail.vertices[:, 0]) > np.ptp(points[:, 0]) - 0.1
            )
