"""Camera trajectories: rigid, smooth, bounded, and the subject in view."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from sim2pose.models.geometry import focal_from_fov
from sim2pose.render_farm.scenes.smooth import Floats
from sim2pose.render_farm.scenes.trajectories import (
    IN_VIEW,
    KINDS,
    Subject,
    TrajectoryConfig,
    sample_trajectory,
    turn_rates,
)

FPS, COUNT = 30.0, 96


def walker(speed: float) -> Subject:
    times = np.arange(COUNT) / FPS
    curve = np.stack([speed * times - 2, 0.9 + 0.02 * np.sin(12 * times), 0.6 * np.sin(times)], 1)
    return Subject(curve, 1.7)


def only(kind: str, **more: object) -> TrajectoryConfig:
    return TrajectoryConfig.model_validate({"kinds": {name: float(name == kind) for name in KINDS}, **more})


def in_view(K: Floats, R: Floats, t: Floats, points: Floats, side: int) -> float:
    seen = np.einsum("tij,tj->ti", R, points) + t
    pixels = np.einsum("tij,tj->ti", K, seen)[:, :2] / seen[:, 2:]
    return float(np.mean((seen[:, 2] > 0) & ((pixels > 0) & (pixels < side)).all(1)))


@pytest.mark.parametrize("kind", KINDS)
def test_rigid_smooth_and_in_view(kind: str) -> None:
    config = only(kind)
    for seed, speed in enumerate((0.0, 0.0, 0.7, 1.2, 1.5, 1.5)):
        subject = walker(speed)
        made = sample_trajectory(np.random.default_rng(seed), config, subject, FPS, 256, 256)
        assert made.kind == kind
        np.testing.assert_allclose(made.R @ np.swapaxes(made.R, 1, 2), np.tile(np.eye(3), (COUNT, 1, 1)), atol=1e-9)
        np.testing.assert_allclose(np.linalg.det(made.R), 1, atol=1e-9)
        speeds, changes = turn_rates(made.R, FPS)
        assert speeds.max() <= config.turn_speed and changes.max() <= config.turn_acceleration
        assert in_view(made.K, made.R, made.t, subject.centre, 256) >= IN_VIEW
        places = made.positions
        assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() * FPS < 4.0, "metres a second"
        assert np.linalg.norm(np.diff(places, 2, axis=0), axis=1).max() * FPS**2 < 12.0, "metres a second squared"
        assert (places[:, 1] > 0.2).all() and (made.R[:, 1, 1] < 0).all(), "above the ground, upright"


def test_each_kind_moves_as_its_name_says() -> None:
    still = walker(0.0)

    def draw(kind: str, subject: Subject = still) -> tuple[Floats, Floats, Floats]:
        made = sample_trajectory(np.random.default_rng(4), only(kind, steady=1.0), subject, FPS, 256, 256)
        return made.K[:, 0, 0], made.R, made.positions

    focal, R, places = draw("static", walker(1.0))
    assert np.ptp(focal) == 0 and np.abs(R - R[0]).max() < 1e-12 and np.ptp(places, axis=0).max() < 1e-12
    focal, R, places = draw("pan", walker(1.0))
    assert np.ptp(places, axis=0).max() < 1e-12 and np.abs(R - R[0]).max() > 0.05
    focal, R, places = draw("zoom")
    assert focal.max() / focal.min() > 1.1 and np.ptp(places, axis=0).max() < 1e-12
    assert np.ptp(draw("dolly")[2], axis=0).max() > 0.25 * 1.7
    orbit = draw("orbit")[2] - still.centre
    swept = np.degrees(np.ptp(np.unwrap(np.arctan2(orbit[:, 0], orbit[:, 2]))))
    assert 15 < swept < 101
    focal, R, places = draw("handheld")
    assert 0.05 < turn_rates(R, FPS)[0].mean() < 60 and np.ptp(places, axis=0).max() > 0.002


def test_bounds_hold_for_a_subject_that_rushes_past() -> None:
    config = TrajectoryConfig(turn_speed=40.0, turn_acceleration=200.0)
    for seed in range(6):
        made = sample_trajectory(np.random.default_rng(seed), config, walker(3.0), FPS, 128, 128)
        speeds, changes = turn_rates(made.R, FPS)
        assert speeds.max() <= 40 and changes.max() <= 200


def test_fields_of_view_keep_their_range_and_draws_repeat() -> None:
    config = TrajectoryConfig(fov=(40.0, 50.0))
    one, two = (sample_trajectory(np.random.default_rng(3), config, walker(1.0), FPS, 320, 240) for _ in range(2))
    assert np.array_equal(one.R, two.R) and np.array_equal(one.t, two.t) and np.array_equal(one.K, two.K)
    assert one.K[:, 0, 0].min() >= focal_from_fov(50.0, 320) - 1e-6
    assert one.K[:, 0, 0].max() <= focal_from_fov(40.0, 320) + 1e-6


@pytest.mark.parametrize(
    "values", [{"kinds": {"drone": 1.0}}, {"zoom": (0.5, 2.0)}, {"distance": (0.2, 3.0)}, {"sweep": (90.0, 20.0)}]
)
def test_senseless_ranges_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrajectoryConfig.model_validate(values)
