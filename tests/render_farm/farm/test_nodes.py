"""Lost nodes and dying actors together: two nodes (raylets) of one CPU each, of which one is killed and never returns."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

from sim2pose.datasets.frames import Frame
from sim2pose.datasets.shards import FramesFolder
from sim2pose.render_farm.farm.crew import Limits
from sim2pose.render_farm.farm.faults import FaultPlan
from sim2pose.render_farm.farm.noise import NoiseFrames, noise_job
from sim2pose.render_farm.farm.run import FarmOptions, run_farm

HERE = FarmOptions(progress=False)
STORE_BYTES = 80_000_000


@contextmanager
def two_nodes() -> Iterator[tuple[str, Callable[[], None]]]:
    """Address of a cluster whose head has no CPU, and a function that kills one of the two nodes that have one."""
    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE_BYTES})
    try:
        lost, _ = (cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES) for _ in range(2))
        cluster.wait_for_nodes()
        yield cluster.address, lambda: cluster.remove_node(lost, allow_graceful=False)
    finally:
        cluster.shutdown()


def run_with_a_loss(
    out: Path, frames: int, lose_at: int, faults: FaultPlan | None, parts_of: int, seconds: float = 0.002
) -> None:
    make = partial(NoiseFrames, 7, seconds=seconds)
    job = noise_job(out, frames, make=make, hooks=faults, parts_of=parts_of)
    with two_nodes() as (address, lose):

        def wait_and_lose() -> None:
            while len(list(out.rglob("*.parquet"))) < lose_at:
                time.sleep(0.05)
            lose()

        thread = threading.Thread(target=wait_and_lose)
        thread.start()
        run_farm(job, FarmOptions(2, address, progress=False, limits=Limits(deadline_s=60.0, max_attempts=9)))
        thread.join()


def labels(frame: Frame) -> tuple[object, ...]:
    people = [
        {name: value.tobytes() if isinstance(value, np.ndarray) else value for name, value in vars(person).items()}
        for person in frame.persons
    ]
    return frame.frame_id, frame.source, frame.image, people


def assert_equal_to_a_calm_run(out: Path, calm: Path, frames: int, parts_of: int) -> None:
    run_farm(noise_job(calm, frames, parts_of=parts_of), HERE)
    a, b = FramesFolder.open(out, verify=True), FramesFolder.open(calm, verify=True)
    assert sorted(frame.frame_id for frame in a.iterate(["frame_id"])) == list(range(frames))
    assert all(labels(x) == labels(y) for x, y in zip(a.iterate(), b.iterate(), strict=True))
    assert [shard.sha256 for shard in a.shards] == [shard.sha256 for shard in b.shards]
    assert not list(out.rglob("*.tmp"))


def test_lost_node_costs_no_frame_and_brings_none_twice(tmp_path: Path) -> None:
    run_with_a_loss(tmp_path / "a", 256, lose_at=2, faults=None, parts_of=8, seconds=0.02)
    assert_equal_to_a_calm_run(tmp_path / "a", tmp_path / "b", 256, parts_of=8)


@pytest.mark.soak
def test_lost_node_holds_up_nobody(tmp_path: Path) -> None:
    run_with_a_loss(tmp_path / "a", 640, lose_at=4, faults=None, parts_of=8)
    assert_equal_to_a_calm_run(tmp_path / "a", tmp_path / "b", 640, parts_of=8)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_thousand_frames_under_kills_and_a_lost_node(tmp_path: Path) -> None:
    """One task in twenty kills its actor (at any of three points of publication), and one of the two nodes is lost."""
    (tmp_path / "marks").mkdir()
    faults = FaultPlan(tmp_path / "marks", probability=0.05 / 3, seed=3)
    began = time.monotonic()
    run_with_a_loss(tmp_path / "a", 10_000, lose_at=100, faults=faults, parts_of=64)
    seconds = time.monotonic() - began
    fired = Counter(name.partition("-")[0] for name in faults.fired())
    assert len(fired) == 3 and fired.total() >= 8
    assert_equal_to_a_calm_run(tmp_path / "a", tmp_path / "b", 10_000, parts_of=64)
    print(f"{fired.total()} actors killed {dict(fired)} and a node lost: 10,000 frames, each once, in {seconds:.0f} s")
