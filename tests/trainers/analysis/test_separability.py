"""The probe and the distance that follows from it."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.trainers.analysis.separability import probe_accuracy, proxy_a_distance


@pytest.mark.parametrize(("accuracy", "distance"), [(0.5, 0.0), (1.0, 2.0), (0.75, 1.0), (0.3, 0.0)])
def test_distance_goes_from_0_to_2_and_below_chance_is_0(accuracy: float, distance: float) -> None:
    assert proxy_a_distance(accuracy) == pytest.approx(distance)


def test_people_of_one_frame_share_a_half() -> None:
    """Frames that look alike within and say nothing of the domain: only a probe that saw a frame can tell its people."""
    rng = np.random.default_rng(0)
    frames = np.repeat(np.arange(40), 6)
    source, target = (rng.normal(size=(40, 60))[frames] for _ in range(2))
    split_people = probe_accuracy(source, target)
    split_frames = probe_accuracy(source, target, frames, frames)
    assert split_people > 0.95
    assert split_frames < 0.7
