"""How many settings Ray Tune keeps in training."""

import itertools
from collections import Counter

import pytest

from sim2pose.tune.config import SweepConfig, load_sweep
from sim2pose.tune.drive import settings_at_a_time

SETTINGS = 6


def load(concurrent: int, seeds: int) -> SweepConfig:
    return load_sweep("lambda", [f"concurrent={concurrent}", f"seeds={list(range(seeds))}"])


@pytest.mark.parametrize(("concurrent", "seeds"), itertools.product(range(1, 8), (1, 2, 3, 5)))
def test_no_slot_is_idle_while_runs_are_left(concurrent: int, seeds: int) -> None:
    """Runs of equal length, first come first served; a setting makes room for the next when its last seed is done."""
    admitted = settings_at_a_time(load(concurrent, seeds))
    queue: list[int] = []
    running: list[int] = []
    left = Counter[int]()
    begun = 0
    while begun < SETTINGS or left:
        while begun < SETTINGS and len(left) < admitted:
            left[begun] = seeds
            queue += [begun] * seeds
            begun += 1
        while queue and len(running) < concurrent:
            running.append(queue.pop(0))
        ahead = left.total() + seeds * (SETTINGS - begun)
        assert len(running) == min(concurrent, ahead)
        done = running.pop(0)
        left[done] -= 1
        left = +left


@pytest.mark.parametrize(("concurrent", "seeds", "settings"), [(2, 3, 2), (1, 3, 1), (8, 3, 4), (4, 1, 4)])
def test_no_more_settings_are_begun_than_that_takes(concurrent: int, seeds: int, settings: int) -> None:
    """A search learns from settings that have ended."""
    assert settings_at_a_time(load(concurrent, seeds)) == settings
