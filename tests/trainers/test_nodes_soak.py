"""Farm and training spread over two nodes (raylets) and at work together, streaming; a node is lost in each phase."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from sim2pose.config import merge, validate
from sim2pose.datasets.manifest import MANIFEST
from sim2pose.datasets.shards import FramesFolder
from sim2pose.render_farm.farm.noise import NoiseFrames, noise_job
from sim2pose.render_farm.farm.run import FarmOptions, run_farm
from sim2pose.trainers import checkpoints
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.runtimes import train
from sim2pose.trainers.tracking import read_events

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

STORE_BYTES = 80_000_000
FRAMES, STEPS = 960, 60


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head without CPUs, which this process joins; nodes are added and lost by the tests."""
    ray.shutdown()
    for name, value in {"HEALTH_CHECK_INTERVAL_S": "0.2", "ENABLE_PREEMPTION_WATCHER": "0"}.items():
        monkeypatch.setenv(f"RAY_TRAIN_{name}", value)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE_BYTES})
    ray.init(address=made.address, runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}}, log_to_driver=False)
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def node(cluster: Cluster) -> Any:
    return cluster.add_node(num_cpus=2, object_store_memory=STORE_BYTES)


def lose(cluster: Cluster, which: Any) -> None:
    """kill -9 of the raylet: everything that ran there is gone."""
    cluster.remove_node(which, allow_graceful=False)


def config(source: Path, out: Path, **changes: Any) -> KeypointConfig:
    values = {
        "name": "run",
        "out": str(out),
        "steps": STEPS,
        "batch": 8,
        "device": "cpu",
        "threads": 1,
        "log_every": 1,
        "validate_every": 1000,
        "stop_on_collapse": False,
        "data": {"source": str(source), "input": [64, 64], "sigma": 1.5, "stream": {"window": 2}},
        "model": {"network": "hrnet_nano"},
        "checkpoint": {"every": 5, "keep": 100},
        "tracking": {"enabled": False},
        "runtime": "ray",
        "workers": [1, 2],
    }
    return validate(KeypointConfig, merge(values, changes))


def until(what: Callable[[], bool], seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def saved(run_dir: Path) -> int:
    return len(checkpoints.folders(run_dir / "checkpoints"))


def test_farm_and_training_lose_a_node_in_each_phase(cluster: Cluster, tmp_path: Path) -> None:
    """Frames are rendered on both nodes while two ranks train on them: one node is lost while there is still much to
    render, one of those that are left then when all is rendered and the training goes on."""
    lost, _ = node(cluster), node(cluster)
    cluster.wait_for_nodes()
    frames, run_dir = tmp_path / "frames", tmp_path / "runs" / "run"
    job = noise_job(frames, FRAMES, make=partial(NoiseFrames, 7, seconds=0.05))
    farm = threading.Thread(target=run_farm, args=(job, FarmOptions(2, progress=False)))
    seen: dict[str, Any] = {}

    def lose_twice() -> None:
        until(lambda: saved(run_dir) >= 1 or (frames / MANIFEST).is_file())
        seen["shards"], seen["first"] = len(list(frames.glob("*.parquet"))), saved(run_dir)
        lose(cluster, lost)
        second = node(cluster)
        until((frames / MANIFEST).is_file)
        before = saved(run_dir)
        until(lambda: saved(run_dir) >= before + 2)
        seen["second"] = saved(run_dir)
        lose(cluster, second)

    killer = threading.Thread(target=lose_twice)
    farm.start()
    killer.start()
    result = train(config(frames, tmp_path / "runs"))
    for thread in (farm, killer):
        thread.join()
    assert 0 < seen["shards"] < job.shards, "the first node was lost while the farm was at work"
    assert seen["second"] * 5 < STEPS, "and the second while the training was"
    whole = FramesFolder.open(frames, verify=True)
    assert sorted(frame.frame_id for frame in whole.iterate(["frame_id"])) == list(range(FRAMES))
    done = json.loads((result.run_dir / "done.json").read_text())
    assert done["step"] == STEPS
    steps = [event["step"] for event in read_events(run_dir) if "train/loss_pose" in event["metrics"]]
    assert steps == list(range(1, STEPS + 1)), "no step is missing, none is there twice"
    print(seen, done["metrics"])


def test_a_replacement_takes_the_lost_nodes_place(cluster: Cluster, tmp_path: Path) -> None:
    """Two ranks are asked for: the run waits for another node, and ends with the weights of an undisturbed run."""
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES) for _ in range(2)]
    cluster.wait_for_nodes()
    frames, runs = tmp_path / "frames", tmp_path / "runs"
    run_farm(noise_job(frames, 256), FarmOptions(progress=False))
    calm = train(config(frames, runs, name="calm", workers=2, steps=20))

    def replace() -> None:
        until(lambda: saved(runs / "run") >= 1)
        lose(cluster, nodes[0])
        time.sleep(5)
        cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)

    killer = threading.Thread(target=replace)
    killer.start()
    result = train(config(frames, runs, workers=2, steps=20))
    killer.join()
    a, b = (checkpoints.newest(run.run_dir / "checkpoints") for run in (calm, result))
    assert a is not None
    assert b is not None
    assert (a.step, b.step) == (20, 20)
    assert all((a.modules["pose"][key] == value).all() for key, value in b.modules["pose"].items())
    assert json.loads((result.run_dir / "done.json").read_text())["world"] == 2
