"""The sweep benchmark trains the same trials on both sides."""

from __future__ import annotations

import pytest

from sim2pose.benchmarks.sweep import BenchConfig, run


@pytest.mark.soak
def test_both_sides_train() -> None:
    (row,) = run(BenchConfig(settings=1, seeds=1, slots=1, steps=2))
    assert row.value > 0
    assert row.ratio > 0
    assert "1 trials" in row.name
