"""The same training in every runtime: FiDIP with λ by gradient norms, BatchNorm, accumulation, two ranks or one.

Runs with the same number of ranks do the same sums. BatchNorm normalises by each rank's own samples, so one rank and two
are compared on a network without it (``test_loop.py``, ``test_deepspeed.py``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim2pose.config import dump_yaml, merge, validate
from sim2pose.trainers.events import read_events
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.runfolder import result
from sim2pose.trainers.runtimes import train

pytestmark = pytest.mark.soak

# Losses are float32. Without accumulation they come out equal in bits (test_deepspeed.py). With it, ZeRO 2 and 3 exchange
# the gradients of each micro-batch, so that four numbers are summed in another order: 2e-7 after 8 steps were measured,
# and Adam may double a difference from step to step.
TOLERANCE = 1e-5
DIVIDED = {"stage3_param_persistence_threshold": 0}

SCRIPT = (
    "import sys\nfrom sim2pose.config import load_config\nfrom sim2pose.trainers.keypoint_config import KeypointConfig\n"
    "from sim2pose.trainers.runtimes import train\ntrain(load_config(KeypointConfig, sys.argv[1]))\n"
)


def config(values: dict[str, Any], **changes: Any) -> KeypointConfig:
    base = {"steps": 8, "threads": 1, "log_every": 1, "adversarial": {"mode": "ratio"}, "optim": {"accumulate": 2}}
    return validate(KeypointConfig, merge(merge(values, base), changes))


def losses(run_dir: Path) -> list[float]:
    events = [e["metrics"] for e in read_events(run_dir)]
    found = [m[key] for key in ("train/loss_pose", "train/loss_domain") for m in events if key in m]
    assert len(found) == 8 + 10
    return found


def launch(cfg: KeypointConfig, folder: Path, ranks: int) -> list[float]:
    """Losses of a run under torchrun."""
    preset, script = folder / f"{cfg.name}.yaml", folder / "launched.py"
    preset.write_text(dump_yaml(cfg))
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, str(script), str(preset)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return losses(Path(cfg.out) / cfg.name)


@pytest.fixture
def expected(values: dict[str, Any], tmp_path: Path) -> Callable[[int], list[float]]:
    """Losses of one process, or of two under torchrun and DDP."""
    return lambda ranks: launch(config(values, name="expected"), tmp_path, ranks)


@pytest.mark.parametrize("ranks", [1, 2])
def test_torchrun_with_each_stage_of_zero(
    values: dict[str, Any], tmp_path: Path, expected: Callable[[int], list[float]], ranks: int
) -> None:
    pytest.importorskip("deepspeed", reason="needs sim2pose[deepspeed]")
    wanted = expected(ranks)
    for zero in range(4):
        options = DIVIDED if zero == 3 else {}
        cfg = config(values, name=f"zero{zero}", deepspeed={"zero": zero, "options": options})
        assert launch(cfg, tmp_path, ranks) == pytest.approx(wanted, rel=TOLERANCE, abs=0), f"ZeRO {zero}"


@pytest.mark.parametrize(("workers", "zero"), [(1, None), (2, None), ([1, 2], None), (1, 1), (2, 3)])
def test_ray(
    values: dict[str, Any], expected: Callable[[int], list[float]], workers: int | list[int], zero: int | None
) -> None:
    if zero is not None:
        pytest.importorskip("deepspeed", reason="needs sim2pose[deepspeed]")
    deepspeed = {"zero": zero, "options": DIVIDED if zero == 3 else {}}
    run = train(config(values, name="ray", runtime="ray", workers=workers, deepspeed=deepspeed))
    ranks = workers if isinstance(workers, int) else workers[1]
    assert losses(run.run_dir) == pytest.approx(expected(ranks), rel=TOLERANCE, abs=0)


def test_an_elastic_run_takes_the_ranks_there_are(
    values: dict[str, Any], expected: Callable[[int], list[float]]
) -> None:
    """On a cluster with room for one rank, ``workers=[1, 2]`` trains with one."""
    import json

    from sim2pose.render_farm.farm.ray_session import ray_session

    with ray_session(num_cpus=1):
        run = train(config(values, name="ray", runtime="ray", workers=[1, 2]))
    assert json.loads((run.run_dir / "done.json").read_text())["world"] == 1
    assert result(run.run_dir) is not None
    assert losses(run.run_dir) == pytest.approx(expected(1), rel=TOLERANCE, abs=0)
