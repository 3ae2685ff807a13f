"""``bench train`` runs and compares like with like."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from sim2pose.benchmarks.bare_loop import bare_loop
from sim2pose.benchmarks.train import BenchConfig, Loop, noise_frames, run


def test_rows_hold_ratios_of_one_run() -> None:
    threads = torch.get_num_threads()
    rows = run(BenchConfig(input=(32, 32), batch=4, steps=2, rounds=1))
    torch.set_num_threads(threads)
    assert [row.unit for row in rows] == ["images/s", "images/s"]
    assert all(row.value > 0 and row.ratio is not None and row.ratio > 0 for row in rows)


def test_both_loops_do_the_same_work(tmp_path: Path) -> None:
    """The bare loop ends in the weights of the real one: same batches, loss and optimiser, but for the weight decay groups."""
    config = BenchConfig(input=(32, 32), batch=4, steps=3)
    source = noise_frames(tmp_path / "noise", 16, 32, 32, "synthetic")
    one = Loop(config, tmp_path, str(source), "none")
    network = copy.deepcopy(one.start)
    bare_loop(network, one.ready, 3, (32, 32), 1.5, one.cfg.optim.lr)
    one.turn()
    from sim2pose.trainers import checkpoints

    found = checkpoints.newest(tmp_path / "none_1" / "checkpoints")
    assert found is not None
    start = dict(one.start.named_parameters())
    for name, value in network.named_parameters():
        moved = (value - start[name]).norm()
        apart = (value - found.modules["pose"][name]).norm()
        assert apart <= 0.05 * moved + 1e-6, name
