"""Jobs whose shards go to an object store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sim2pose.config import UserError
from sim2pose.datasets import storage
from sim2pose.datasets.manifest import MANIFEST, Manifest, read_manifest
from sim2pose.datasets.remote import Unreachable
from sim2pose.datasets.shards import FramesFolder
from sim2pose.render_farm.farm.crew import FarmError, Limits
from sim2pose.render_farm.farm.faults import FaultPlan
from sim2pose.render_farm.farm.noise import noise_job
from sim2pose.render_farm.farm.ray_session import ray_session
from sim2pose.render_farm.farm.run import FarmOptions, run_farm

HERE = FarmOptions(progress=False)


@pytest.fixture(scope="module")
def cluster(object_store_url: str) -> Iterator[None]:
    """Workers have the store's address and credentials from their own environment."""
    keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    with ray_session(num_cpus=2, env_vars={**keys, "AWS_ENDPOINT_URL": object_store_url}):
        yield


def hashes(manifest: Manifest) -> list[tuple[str, str]]:
    return [(shard.file, shard.sha256) for shard in manifest.shards]


@pytest.mark.parametrize("parts_of", [0, 2])
def test_interrupted_job_is_continued_in_a_store(bucket: str, tmp_path: Path, parts_of: int) -> None:
    def stop(point: str, shard_id: int) -> None:
        if (point, shard_id) == ("before_publish", 3):
            raise KeyboardInterrupt

    out = f"{bucket}/frames"
    job = noise_job(out, 160, parts_of=parts_of)
    with pytest.raises(KeyboardInterrupt):
        run_farm(replace(job, hooks=stop), HERE)
    with pytest.raises(UserError, match="half written"):
        FramesFolder.open(out)
    manifest = run_farm(job, HERE)
    local = run_farm(noise_job(tmp_path, 160, parts_of=parts_of), HERE)
    assert hashes(manifest) == hashes(local)
    assert storage.read_bytes(storage.place(out) / MANIFEST) == (tmp_path / MANIFEST).read_bytes()
    frames = FramesFolder.open(out, verify=True)
    assert [frame.frame_id for frame in frames.iterate(["frame_id"])] == list(range(160))
    assert not any(name.startswith("_lease") for name in storage.sizes(storage.place(out)))
    assert run_farm(job, HERE) == manifest
    with pytest.raises(UserError, match=rf"{out} was made otherwise: seed is 7 there, 8 is asked"):
        run_farm(noise_job(out, 160, seed=8, parts_of=parts_of), HERE)
    with pytest.raises(UserError, match=rf"{out} already holds frames"):
        run_farm(job, replace(HERE, resume=False))


def test_killed_workers_publish_once_in_a_store(bucket: str, tmp_path: Path, cluster: None) -> None:
    (tmp_path / "marks").mkdir()
    plan = FaultPlan(tmp_path / "marks", {("before_publish", 1): 1, ("after_publish", 2): 1})
    job = noise_job(f"{bucket}/frames", 128, hooks=plan)
    run_farm(job, replace(HERE, workers=2, limits=Limits(deadline_s=60)))
    assert plan.fired() == ["after_publish-2-0", "before_publish-1-0"]
    local = run_farm(noise_job(tmp_path / "local", 128), HERE)
    assert hashes(read_manifest(f"{bucket}/frames")) == hashes(local)


def test_store_that_stays_away_is_one_sentence(s3: pytest.MonkeyPatch) -> None:
    s3.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"^the store of s3://b/frames/?.* cannot be reached"):
        run_farm(noise_job("s3://b/frames", 64), HERE)


def test_store_that_goes_away_costs_attempts_only(bucket: str, cluster: None) -> None:
    def lose(point: str, shard_id: int) -> None:
        if point == "before_publish":
            raise Unreachable("the store of s3://b cannot be reached")

    job = noise_job(f"{bucket}/frames", 64, hooks=lose)
    with pytest.raises(FarmError, match=r"failed 2 times.*cannot be reached.*finished shards are kept"):
        run_farm(job, replace(HERE, workers=1, limits=Limits(max_attempts=2)))
    assert run_farm(replace(job, hooks=None), HERE).num_frames == 64
