"""``bench train`` runs and compares like with like."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from sim2pose.benchmarks.bare_loop import bare_fidip_loop, bare_loop
from sim2pose.benchmarks.train import BenchConfig, Loop, noise_frames, run
from sim2pose.models.keypoints.base import HeatmapNetwork
from sim2pose.trainers import checkpoints


def test_rows_hold_ratios_of_one_run() -> None:
    threads = torch.get_num_threads()
    rows = run(BenchConfig(input=(32, 32), batch=4, steps=2, rounds=1))
    torch.set_num_threads(threads)
    assert [row.unit for row in rows] == ["images/s"] * 3
    assert all(row.value > 0 and row.ratio is not None and row.ratio > 0 for row in rows)


@pytest.mark.parametrize("method", ["none", "fidip"])
def test_both_loops_do_the_same_work(tmp_path: Path, method: str) -> None:
    """The bare loop ends in the weights of the real one: same batches, loss and optimiser, but for the weight decay groups."""
    config = BenchConfig(input=(32, 32), batch=4, steps=3)
    source = noise_frames(tmp_path / "noise", 16, 32, 32, "synthetic")
    one = Loop(config, tmp_path, str(source), method)
    modules = copy.deepcopy(one.start)
    network = modules["pose"]
    assert isinstance(network, HeatmapNetwork)
    cfg, size = one.cfg, ((32, 32), 1.5)
    if method == "fidip":
        rates = (cfg.optim.lr, cfg.adversarial.lr)
        bare_fidip_loop(network, modules["domain"], one.ready, 3, *size, rates, cfg.adversarial.weight)
    else:
        bare_loop(network, one.ready, 3, *size, cfg.optim.lr)
    one.turn()
    found = checkpoints.newest(tmp_path / f"{method}_1" / "checkpoints")
    assert found is not None
    for key, module in modules.items():
        start = dict(one.start[key].named_parameters())
        for name, value in module.named_parameters():
            moved = (value - start[name]).norm()
            apart = (value - found.modules[key][name]).norm()
            assert apart <= 0.05 * moved + 1e-6, (key, name)
