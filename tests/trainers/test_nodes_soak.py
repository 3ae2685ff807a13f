"""Farm and training spread over two nodes (raylets) and at work together, streaming; a node is lost in each phase."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from sim2pose.datasets.manifest import MANIFEST
from sim2pose.render_farm.farm.noise import NoiseFrames, noise_job
from sim2pose.render_farm.farm.run import FarmOptions, run_farm

from .noise_runs import NoiseRun, assert_each_frame_once

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

STORE_BYTES = 80_000_000
FRAMES = 960


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head without CPUs; nodes are added and lost by the tests."""
    ray.shutdown()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE_BYTES})
    try:
        yield made
    finally:
        made.shutdown()


def add(cluster: Cluster, cpus: int) -> Any:
    return cluster.add_node(num_cpus=cpus, object_store_memory=STORE_BYTES)


def lose(cluster: Cluster, node: Any) -> None:
    """kill -9 of the raylet: everything that ran there is gone."""
    cluster.remove_node(node, allow_graceful=False)


def test_farm_and_training_lose_a_node_in_each_phase(cluster: Cluster, tmp_path: Path) -> None:
    """Frames are rendered on both nodes while ranks train on them: one node is lost while there is still much to render,
    and one of those that are there then when all is rendered and the training goes on."""
    lost, _ = add(cluster, 2), add(cluster, 2)
    cluster.wait_for_nodes()
    frames = tmp_path / "frames"
    job = noise_job(frames, FRAMES, make=partial(NoiseFrames, 7, seconds=0.08))
    farm = threading.Thread(target=run_farm, args=(job, FarmOptions(2, cluster.address, progress=False)))
    farm.start()
    run = NoiseRun(frames, tmp_path / "runs", 200, data={"stream": {"window": 2}})
    run.launch(cluster.address)
    run.until(lambda: len(list(frames.glob("*.parquet"))) >= 6)
    lose(cluster, lost)
    there = len(list(frames.glob("*.parquet")))
    assert there < job.shards, "the first node was lost while the farm was at work"
    second = add(cluster, 2)
    run.until((frames / MANIFEST).is_file)
    before = run.saved()
    run.until(lambda: run.saved() >= before + 10)
    lose(cluster, second)
    at = run.saved()
    done = run.finish()
    farm.join()
    assert_each_frame_once(frames, FRAMES)
    print(f"nodes lost at shard {there} of {job.shards} and at step {at} of 200: {done['metrics']}")


def test_a_replacement_takes_the_lost_nodes_place(cluster: Cluster, tmp_path: Path) -> None:
    """Two ranks are asked for: the run waits for another node, and ends with the weights of an undisturbed run."""
    nodes = [add(cluster, 1) for _ in range(2)]
    cluster.wait_for_nodes()
    frames = tmp_path / "frames"
    run_farm(noise_job(frames, 256), FarmOptions(progress=False))
    calm, run = (NoiseRun(frames, tmp_path / "runs", 40, name, workers=2) for name in ("calm", "run"))
    calm.launch(cluster.address)
    calm.finish()
    run.launch(cluster.address)
    run.until(lambda: run.saved() > 0)
    lose(cluster, nodes[0])
    time.sleep(5)
    add(cluster, 1)
    assert run.finish()["world"] == 2
    assert all((calm.weights()[key] == value).all() for key, value in run.weights().items())
