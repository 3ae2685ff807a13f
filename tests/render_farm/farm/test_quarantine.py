"""Frames that cannot be made."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.frames import Frame
from sim2pose.datasets.manifest import MANIFEST
from sim2pose.datasets.shards import FramesFolder
from sim2pose.render_farm.farm.crew import FarmError
from sim2pose.render_farm.farm.job import FarmJob
from sim2pose.render_farm.farm.ledger import QUARANTINE
from sim2pose.render_farm.farm.noise import NoiseFrames, noise_job
from sim2pose.render_farm.farm.run import FarmOptions, run_farm

HERE = FarmOptions(progress=False)
POISON = frozenset({0, 40, 41, 63, 150})


def make_job(folder: Path, frames: int = 160, maker: type[NoiseFrames] = NoiseFrames, **changes: object) -> FarmJob:
    make = partial(maker, 7, poison=POISON)
    return noise_job(folder, frames, make=make, **{"max_quarantine": 0.1, **changes})


def test_poison_is_left_out_and_recorded(tmp_path: Path) -> None:
    manifest = run_farm(make_job(tmp_path), HERE)
    assert manifest.totals.quarantined == 5
    assert [shard.rows for shard in manifest.shards] == [31, 29, 32, 32, 31]
    assert manifest.totals.counts[0][0] == "odd"
    ids = [frame.frame_id for frame in FramesFolder.open(tmp_path, verify=True).iterate(["frame_id"])]
    assert ids == [i for i in range(160) if i not in POISON]
    lines = [json.loads(line) for line in (tmp_path / QUARANTINE).read_text().splitlines()]
    assert [line["frame"] for line in lines] == sorted(POISON)
    assert lines[1] == {
        "frame": 40, "seed": 7, "kind": "noise", "cause": "ZeroDivisionError: frame 40 is poison",
    }  # fmt: skip
    assert json.loads((tmp_path / MANIFEST).read_text())["frames_quarantined"] == 5
    assert run_farm(make_job(tmp_path), HERE) == manifest, "a finished folder is found whole"


@pytest.mark.parametrize("parts_of", [0, 2])
def test_set_of_frames_is_a_function_of_the_job(tmp_path: Path, parts_of: int) -> None:
    """Interrupted and continued, in parts or not: the same files."""

    def stop(point: str, shard_id: int) -> None:
        if (point, shard_id) == ("before_publish", 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_farm(make_job(tmp_path / "a", hooks=stop, parts_of=parts_of), HERE)
    a = run_farm(make_job(tmp_path / "a", parts_of=parts_of), HERE)
    b = run_farm(make_job(tmp_path / "b"), HERE)
    assert [shard.sha256 for shard in a.shards] == [shard.sha256 for shard in b.shards]
    assert (tmp_path / "a" / QUARANTINE).read_bytes() == (tmp_path / "b" / QUARANTINE).read_bytes()


class Scenery:
    """Stands for what a sampler holds when it fails: a block of scenes."""


class Heavy(NoiseFrames):
    """Every odd frame fails while its scenery stands."""

    alive = weakref.WeakSet[Scenery]()
    most = 0

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        for index in range(start, stop):
            scenery = Scenery()
            self.alive.add(scenery)
            type(self).most = max(self.most, len(self.alive))
            if index % 2:
                raise ZeroDivisionError(f"frame {index}")
            yield from super().frames(index, index + 1)


def test_failed_frames_hold_no_memory(tmp_path: Path) -> None:
    job = noise_job(tmp_path, 64, make=partial(Heavy, 7), max_quarantine=0.6)
    assert run_farm(job, HERE).totals.quarantined == 32
    gc.collect()
    assert not Heavy.alive
    assert Heavy.most <= 4


def test_too_many_fail_the_job_with_the_first_cause(tmp_path: Path) -> None:
    with pytest.raises(
        FarmError, match=r"^4 of 64 .*max_quarantine=0.01 .* frame 0 \(seed 7\): ZeroDivisionError: frame 0"
    ):
        run_farm(make_job(tmp_path, max_quarantine=0.01), HERE)
    assert not (tmp_path / MANIFEST).exists()
    with pytest.raises(FarmError, match=r"max_quarantine=0\.005"):  # and again, without rendering anything
        run_farm(make_job(tmp_path, max_quarantine=0.005), HERE)
    assert run_farm(make_job(tmp_path), HERE).totals.quarantined == 5


def test_hopeless_job_ends_early(tmp_path: Path) -> None:
    make = partial(NoiseFrames, 7, poison=frozenset(range(0, 5000, 2)))
    with pytest.raises(FarmError, match=r"^32 of 64 frames could not be made"):
        run_farm(noise_job(tmp_path, 1_000_000, shard_frames=64, make=make), HERE)


@dataclass
class Unfit(NoiseFrames):
    """Labels that are no numbers."""

    def frame(self, index: int) -> Frame:
        frame = super().frame(index)
        if index == 9:
            frame.persons[0].bbox[2] = np.nan
        return frame


def test_labels_that_are_no_numbers_are_poison(tmp_path: Path) -> None:
    run_farm(make_job(tmp_path, maker=Unfit), HERE)
    lines = [json.loads(line) for line in (tmp_path / QUARANTINE).read_text().splitlines()]
    assert lines[1]["frame"] == 9
    assert lines[1]["cause"].startswith("UnfitFrame: frame 9")


@dataclass
class Passing(NoiseFrames):
    """A trouble that passes: frame 20 fails as often as ``times`` says."""

    times: int = 1
    failed: int = 0

    def frame(self, index: int) -> Frame:
        if index == 20 and self.failed < self.times:
            self.failed += 1
            raise RuntimeError("out of memory")
        return super().frame(index)


def test_passing_trouble_leaves_no_trace(tmp_path: Path) -> None:
    calm = run_farm(noise_job(tmp_path / "calm", 64), HERE)
    once = run_farm(noise_job(tmp_path / "a", 64, make=partial(Passing, 7)), HERE)
    assert [shard.sha256 for shard in once.shards] == [shard.sha256 for shard in calm.shards]
    # Twice in a row, but not for good: the shard is refused rather than written without the frame.
    with pytest.raises(RuntimeError, match="frame 20 failed twice and succeeded later: RuntimeError: out of memory"):
        run_farm(noise_job(tmp_path / "b", 64, make=partial(Passing, 7, times=2)), HERE)
    assert list((tmp_path / "b").glob("*.parquet")) == []


@dataclass
class Sick(NoiseFrames):
    """The process loses its graphics at frame 50 and never gets them back."""

    lost: bool = False

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        for frame in super().frames(start, stop):
            self.lost = self.lost or frame.frame_id == 50
            if self.lost:
                raise RuntimeError("context lost")
            yield frame


def test_sick_process_is_no_poison(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="context lost"):
        run_farm(noise_job(tmp_path, 160, make=partial(Sick, 7)), HERE)
    assert len(list(tmp_path.glob("*.parquet"))) == 1


def test_mistakes_of_the_user_are_no_poison(tmp_path: Path) -> None:
    @dataclass
    class Mistaken(NoiseFrames):
        def frame(self, index: int) -> Frame:
            raise UserError("no such background")

    with pytest.raises(UserError, match="no such background"):
        run_farm(make_job(tmp_path, maker=Mistaken), HERE)
