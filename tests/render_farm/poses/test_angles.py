"""Poses: joint limits, the meaning of the angles, and bodies that rest on their surface."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.config import UserError, load_config
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.skinning import joint_transforms
from sim2pose.models.geometry import axis_angle_to_matrix
from sim2pose.render_farm.kinds.infant.config import InfantConfig
from sim2pose.render_farm.poses.angles import (
    COLUMN,
    HIGH,
    LOW,
    angles_to_pose,
    draw_angles,
    draw_plan,
    truncated_normal,
)
from sim2pose.render_farm.poses.config import POSTURES, PoseConfig
from sim2pose.render_farm.poses.postures import ARMS, DEFAULTS, LEGS, NAMES, POSTURE_TABLE, TRUNKS
from sim2pose.render_farm.poses.resting import build_proxy, pick_candidates
from sim2pose.render_farm.poses.settling import settle


@pytest.fixture(scope="module")
def body():
    return load_body("open-infant")


def _joints(body, **angles: float) -> np.ndarray:
    """Joints (24, 3) of the mean body with the named angles, everything else at the anatomical position of SMPL's arms down."""
    row = np.zeros(len(NAMES))
    for name, value in angles.items():
        row[COLUMN[name]] = value
    rotations = axis_angle_to_matrix(angles_to_pose(row[None]))
    return joint_transforms(rotations, body.mesh.joints[None], body.parents)[1][0].numpy()


@pytest.mark.parametrize("posture", POSTURES)
@pytest.mark.parametrize("spread", [1.0, 2.0])
def test_no_setting_leaves_the_joint_limits(posture: str, spread: float) -> None:
    config = PoseConfig(postures={posture: 1.0}, spread=spread)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        plan = draw_plan(rng, config)
        angles = draw_angles(rng.random((1, 4, len(NAMES))), [plan])[0]
        assert np.all(angles >= LOW) and np.all(angles <= HIGH)


def test_every_mode_names_known_angles_within_the_limits() -> None:
    known = {name.removeprefix("l_").removeprefix("r_") for name in NAMES}
    for table in (ARMS, LEGS, TRUNKS, {"default": DEFAULTS}):
        for mode, angles in table.items():
            assert set(angles) <= known, mode
            for name, (mean, _) in angles.items():
                column = COLUMN[name if name in COLUMN else "l_" + name]
                assert LOW[column] <= mean <= HIGH[column], f"{mode}.{name}"
    for posture in POSTURE_TABLE.values():
        assert set(posture.arms) <= set(ARMS) and set(posture.legs) <= set(LEGS) and set(posture.trunks) <= set(TRUNKS)


def test_truncated_normal_has_the_right_median_and_bounds() -> None:
    uniform = np.linspace(0.0005, 0.9995, 1000)
    values = truncated_normal(uniform, np.array(10.0), np.array(20.0), np.array(0.0), np.array(30.0))
    assert values.min() >= 0 and values.max() <= 30
    # Median of N(10, 20) cut to [0, 30]: ndtri((ndtr(-0.5) + ndtr(1)) / 2) = 0.1866.
    assert np.median(values) == pytest.approx(10 + 20 * 0.1866, abs=0.1)
    assert truncated_normal(np.array(0.3), np.array(5.0), np.array(0.0), np.array(0.0), np.array(9.0)) == pytest.approx(
        5
    )


def test_angles_move_the_joints_they_name(body) -> None:
    rest = body.mesh.joints.numpy()
    arm, leg = rest[20, 0] - rest[16, 0], np.linalg.norm(rest[4] - rest[1])
    hang = _joints(body)
    assert hang[20, 1] - hang[16, 1] == pytest.approx(-arm, abs=0.02), "arms hang at zero"
    assert _joints(body, l_shoulder_elev=90)[20, 0] - hang[16, 0] == pytest.approx(arm, abs=0.02), (
        "abducted: to the left"
    )
    forward = _joints(body, l_shoulder_plane=90, l_shoulder_elev=90)
    assert forward[20, 2] - forward[16, 2] == pytest.approx(arm, abs=0.02)
    bent = _joints(body, l_elbow=90)
    assert bent[20, 2] - bent[18, 2] == pytest.approx(rest[20, 0] - rest[18, 0], abs=0.02), "the elbow bends forward"
    flexed = _joints(body, l_hip_flex=90)
    assert flexed[4, 2] - flexed[1, 2] == pytest.approx(leg, abs=0.02)
    assert _joints(body, l_hip_flex=90, l_knee=90)[7, 1] < flexed[4, 1] - 0.1, "the shin hangs from a flexed hip"
    assert _joints(body, l_hip_abd=60)[4, 0] > rest[4, 0] + 0.1
    assert _joints(body, neck_turn=60, spine_turn=30)[15, 1] == pytest.approx(rest[15, 1], abs=0.01)
    assert _joints(body, spine_flex=60)[15, 2] > rest[15, 2] + 0.1, "flexion bends forward"
    assert _joints(body, spine_side=30)[15, 0] > 0.03, "to the left"


def test_left_and_right_are_mirror_images(body) -> None:
    rng = np.random.default_rng(3)
    left = {name: k for name, k in COLUMN.items() if name.startswith("l_")}
    values = {name[2:]: float(LOW[k] + rng.uniform(0.3, 0.7) * (HIGH[k] - LOW[k])) for name, k in left.items()}
    one = _joints(body, **{"l_" + n: v for n, v in values.items()})
    other = _joints(body, **{"r_" + n: v for n, v in values.items()})
    for a, b in ((4, 5), (7, 8), (10, 11), (18, 19), (20, 21), (22, 23)):
        np.testing.assert_allclose(one[a] * (-1, 1, 1), other[b], atol=2e-3)


@pytest.mark.parametrize(("tilt", "thick"), [(10, 2.0), (35, 2.0), (60, 1.0), (80, 1.0)])
def test_a_box_settles_on_the_side_its_weight_is_over(tilt: float, thick: float) -> None:
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-1, 1) for z in (-1.5, 1.5)], np.float64)
    corners += 1e-4 * np.random.default_rng(0).normal(size=corners.shape)  # facets of a hull are triangles
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    points = corners @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T
    rested = points @ settle(points, np.full(8, 1 / 8), 180).T
    assert np.ptp(rested[:, 1]) == pytest.approx(thick, abs=0.01)
    assert np.sort(rested[:, 1])[3] - rested[:, 1].min() < 0.01, "four corners touch"


def test_settling_stops_at_its_limit() -> None:
    leaning = np.array([[x + 0.5 * y, y, z] for x in (-0.05, 0.05) for y in (0, 1) for z in (-0.04, 0.04)], np.float64)
    mass = np.full(8, 1 / 8)
    assert np.ptp((leaning @ settle(leaning, mass, 120).T)[:, 1]) < 0.2, "falls over"
    assert np.ptp((leaning @ settle(leaning, mass, 25).T)[:, 1]) == pytest.approx(1.0, abs=0.01), "is held upright"


def test_candidates_keep_hands_out_of_head_and_trunk(body) -> None:
    proxy = build_proxy(body)
    inside = np.zeros((1, 2, len(NAMES)))
    inside[0, 0, COLUMN["l_shoulder_plane"]], inside[0, 0, COLUMN["l_shoulder_elev"]] = 100, 30
    inside[0, 0, COLUMN["l_elbow"]], inside[0, 0, COLUMN["l_shoulder_rot"]] = 100, -70  # a hand through the belly
    inside[0, 1, COLUMN["l_shoulder_elev"]] = 80
    chosen = pick_candidates(proxy, torch.zeros(1, body.num_betas), inside)
    assert chosen[0, COLUMN["l_shoulder_elev"]] == 80


def test_unknown_posture_names_the_nearest() -> None:
    with pytest.raises(UserError, match="supine"):
        load_config(InfantConfig, None, ["scene.poses.postures={supin: 1}"])
