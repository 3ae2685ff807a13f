"""``bench priors``: every density is measured, and each flow beside zuko's of the same size."""

from __future__ import annotations

import os

import torch

from sim2pose.benchmarks import priors
from sim2pose.benchmarks.priors import BODY, BenchConfig
from sim2pose.models.priors import PoseSpace


def test_rows_name_their_baselines() -> None:
    cores = os.sched_getaffinity(0)
    try:
        rows = priors.run(BenchConfig(poses=64, rounds=1, layers=2, hidden=8, joint_hidden=8, bins=4))
    finally:
        os.sched_setaffinity(0, cores)
    by_name = {row.name: row for row in rows}
    assert len(by_name) == 12 and all(row.value > 0 for row in rows)
    assert by_name["couplings spline sample"].baseline.startswith("zuko NICE with splines sample: ")
    assert by_name["gaussian full log_prob"].ratio is None


def test_the_counterparts_are_of_the_same_size() -> None:
    """Networks of as many parameters as ours, but for masks and what only one of the two has."""
    config = BenchConfig(layers=4, hidden=64, joint_hidden=16)
    space = PoseSpace.fit(0.3 * torch.randn(100, len(BODY), 3), BODY)
    ours, theirs = priors._densities(config, space), priors._plain(config, space)
    for name in ("couplings affine", "couplings spline"):
        count = [sum(p.numel() for p in model.parameters()) for model in (ours[name], theirs[priors._PAIRS[name]])]
        assert 0.9 < count[0] / count[1] < 1.1, (name, count)
    plain = theirs[priors._PAIRS["joint_flow"]]
    assert plain.sample((7,)).shape == (7, space.dim)
    assert plain.log_prob(torch.zeros(7, space.dim)).shape == (7,)
