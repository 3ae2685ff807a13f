"""What a job will cost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from sim2pose.config import UserError
from sim2pose.datasets import storage
from sim2pose.render_farm.farm.estimate import estimate
from sim2pose.render_farm.farm.noise import NoiseFrames, noise_job
from sim2pose.render_farm.farm.run import FarmOptions, run_farm


def test_size_is_that_of_the_run(tmp_path: Path) -> None:
    job = noise_job(tmp_path / "a", 2000, shard_mb=0.2)
    cost = estimate(job, workers=4)
    assert not (tmp_path / "a").exists(), "nothing is written"
    manifest = run_farm(job, FarmOptions(progress=False))
    assert cost.total_bytes == pytest.approx(manifest.totals.bytes, rel=0.1)
    assert cost.job.shard_frames == pytest.approx(manifest.shards[0].rows, abs=32)
    assert cost.free == pytest.approx(storage.free_bytes(tmp_path), rel=0.1)


def test_speed_counts_what_a_frame_takes(tmp_path: Path) -> None:
    job = noise_job(tmp_path, 100_000, make=partial(NoiseFrames, 7, seconds=0.01))
    cost = estimate(job, workers=10)
    assert cost.fps < 100  # no frame can be faster than its sleep
    assert cost.hours == pytest.approx((100_000 / cost.fps / 10 + cost.start_s) / 3600)


def test_lines_name_what_matters(tmp_path: Path) -> None:
    cost = estimate(noise_job(tmp_path, 10_000_000, shard_frames=256), workers=1000)
    text = "\n".join(replace(cost, fps=100.0, frame_bytes=20_000.0, free=int(5e9), start_s=2.0).lines())
    assert "100.0 frames/s for one worker" in text and "100000 frames/s for 1000" in text
    assert "1.7 min for 10,000,000 frames" in text
    assert "20.0 kB a frame, 200.0 GB in all: 39,063 shards of 256 frames (5.1 MB) in 306 parts" in text
    assert "5.0 GB at" in text and "NOT ENOUGH" in text
    assert "1000 workers need a cluster" in text
    assert "deadline_s" not in text
    slow = replace(cost, fps=4.0)
    assert any("a shard takes a worker 64 s: raise deadline_s=120 to 400" in line for line in slow.lines())
    remote = replace(cost, job=replace(cost.job, folder=Path("s3://bucket/x")), free=None)
    assert any(line.startswith("store   s3://bucket/x: about 79,") for line in remote.lines())


def test_frames_that_cannot_be_made(tmp_path: Path) -> None:
    job = noise_job(tmp_path, 64, make=partial(NoiseFrames, 7, poison=frozenset({40})))
    with pytest.raises(UserError, match="cannot be made: ZeroDivisionError: frame 40 is poison"):
        estimate(job, 1)
