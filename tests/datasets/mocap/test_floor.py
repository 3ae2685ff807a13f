"""The floor of a take: its tilt is found under walking feet, and never invented under standing ones."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.datasets.mocap.floor import level_floor
from sim2pose.datasets.mocap.rotations import rotvec_to_matrix
from sim2pose.datasets.mocap.skeleton import Motion, Skeleton

SKELETON = Skeleton(("root",), (-1,), np.zeros((1, 3)))


def steps(stride: float, tilt_degrees: float, uneven: float = 0.0) -> tuple[Motion, list[np.ndarray]]:
    """Two feet at 60 Hz that stand for half a second each and swing forward between, over a floor tilted about x."""
    phase = np.arange(600) / 60
    feet = []
    for side in (0, 1):
        cycle, within = np.divmod(phase + 0.5 * side, 1.0)
        swing = np.clip((within - 0.5) / 0.5, 0, 1)
        height = 0.05 + 0.1 * np.sin(np.pi * swing) + side * uneven
        feet.append(np.stack([np.full(600, 0.2 * side), height, stride * (cycle + swing)], 1))
    turn = rotvec_to_matrix(np.radians([tilt_degrees, 0, 0]))
    feet = [foot @ turn.T for foot in feet]
    path = (feet[0] + feet[1]) / 2 + turn @ [0, 0.8, 0]
    rotations = np.broadcast_to(turn, (600, 1, 3, 3)).copy()
    return Motion(SKELETON, rotations, path, 60.0, "made up"), feet


@pytest.mark.parametrize("tilt", [-1.2, 0.5, 1.5])
def test_a_tilted_floor_becomes_level(tilt: float) -> None:
    motion, feet = steps(0.7, tilt)
    levelled, found = level_floor(motion, feet, feet)
    assert found == pytest.approx(abs(tilt), abs=0.05)
    assert np.ptp(levelled.translation[::60, 1]) < 0.01 < np.ptp(motion.translation[::60, 1])
    np.testing.assert_allclose(levelled.rotations[0, 0], np.eye(3), atol=1e-3)


def test_standing_in_place_shows_no_slope() -> None:
    """One foot 8 mm above the other is no floor of 2 degrees."""
    motion, feet = steps(0.0, 0.0, uneven=0.008)
    assert level_floor(motion, feet, feet)[1] < 0.1


def test_ramps_and_flight_are_left_alone() -> None:
    motion, feet = steps(0.7, 6.0)
    assert level_floor(motion, feet, feet) == (motion, 0.0)
    flying = [foot + np.arange(600)[:, None] * [0.1, 0, 0] for foot in feet]
    assert level_floor(motion, flying, flying) == (motion, 0.0)
