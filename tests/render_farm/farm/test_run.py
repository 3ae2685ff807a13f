from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import ray
from ray import cloudpickle

from sim2pose.config import UserError
from sim2pose.datasets.frames import Frame
from sim2pose.datasets.locks import LOCK, driver_lock
from sim2pose.datasets.manifest import MANIFEST, read_manifest
from sim2pose.datasets.publish import Hooks
from sim2pose.datasets.shards import FramesFolder
from sim2pose.render_farm.farm.crew import FarmError, Limits
from sim2pose.render_farm.farm.faults import FaultPlan
from sim2pose.render_farm.farm.job import FarmJob
from sim2pose.render_farm.farm.noise import NoiseFrames, noise_job
from sim2pose.render_farm.farm.ray_session import ray_session
from sim2pose.render_farm.farm.run import FarmOptions, run_farm

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test module


@dataclass
class FailingFrames(NoiseFrames):
    """All frames of one shard fail, or take their process along."""

    fail_shard: int = -1
    error: str = ""

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        if start // 32 == self.fail_shard:
            if self.error == "exit":
                os._exit(3)
            if self.error == "full disk":
                raise OSError(errno.ENOSPC, "No space left on device")
            raise RuntimeError("shader lost")
        yield from super().frames(start, stop)


def make_job(folder: Path, frames: int = 160, seed: int = 7, hooks: Hooks | None = None, **maker: object) -> FarmJob:
    return noise_job(folder, frames, seed, make=partial(FailingFrames, seed, **maker), hooks=hooks)


HERE = FarmOptions(progress=False)
TWO = FarmOptions(workers=2, progress=False, limits=Limits(deadline_s=60.0))


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with ray_session(num_cpus=2):
        yield


def hashes(folder: Path) -> dict[str, str]:
    return {entry.file: entry.sha256 for entry in read_manifest(folder).shards}


def left_over(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.endswith(".tmp"))


def test_in_process_run_is_whole(tmp_path: Path) -> None:
    manifest = run_farm(make_job(tmp_path / "a", frames=100), HERE)
    assert [entry.rows for entry in manifest.shards] == [32, 32, 32, 4]
    assert manifest.num_empty == 20
    folder = FramesFolder.open(tmp_path / "a", verify=True)
    assert [frame.frame_id for frame in folder.iterate(["frame_id"])] == list(range(100))
    written = json.loads((tmp_path / "a" / MANIFEST).read_text())
    assert (written["frames"], written["frames_without_person"]) == (100, 20)


def test_content_depends_on_seed_and_index_alone(tmp_path: Path) -> None:
    run_farm(make_job(tmp_path / "a"), HERE)
    run_farm(make_job(tmp_path / "b"), HERE)
    run_farm(make_job(tmp_path / "c", seed=8), HERE)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert not set(hashes(tmp_path / "a").values()) & set(hashes(tmp_path / "c").values())


def test_actors_killed_at_every_point_lose_and_repeat_nothing(tmp_path: Path, cluster: None) -> None:
    (tmp_path / "marks").mkdir()
    at = {("before_write", 0): 1, ("before_publish", 1): 1, ("after_publish", 2): 1}
    plan = FaultPlan(tmp_path / "marks", at)
    # The third worker finds no CPU: it must hold up nobody.
    manifest = run_farm(make_job(tmp_path / "a", hooks=plan), replace(TWO, workers=3))
    assert plan.fired() == ["after_publish-2-0", "before_publish-1-0", "before_write-0-0"]
    run_farm(make_job(tmp_path / "b"), HERE)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    ids = [f.frame_id for f in FramesFolder.open(tmp_path / "a", verify=True).iterate(["frame_id"])]
    assert ids == list(range(160))
    assert manifest.num_frames == 160
    assert left_over(tmp_path / "a") == []


def test_poison_is_the_same_everywhere(tmp_path: Path, cluster: None) -> None:
    make = partial(NoiseFrames, 7, poison=frozenset({0, 40, 41, 150}))
    for name, options in {"a": TWO, "b": HERE}.items():
        job = noise_job(tmp_path / name, 160, make=make, max_quarantine=0.1)
        assert run_farm(job, options).totals.quarantined == 4
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


def test_stuck_actor_is_killed_at_the_deadline(tmp_path: Path, cluster: None) -> None:
    (tmp_path / "marks").mkdir()
    plan = FaultPlan(tmp_path / "marks", {("before_publish", 1): 1}, action="hang")
    options = replace(TWO, limits=Limits(deadline_s=3.0, max_attempts=9))
    run_farm(make_job(tmp_path / "a", frames=96, hooks=plan), options)
    assert plan.fired() == ["before_publish-1-0"]
    assert FramesFolder.open(tmp_path / "a").num_frames == 96


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ("raise", FarmError, "shard 1 failed 2 times.*RuntimeError: shader lost"),
        ("exit", FarmError, "shard 1 failed 2 times.*worker died"),
        ("full disk", UserError, "no space left.*finished shards are kept"),
    ],
)
def test_poison_shard_ends_with_its_cause(tmp_path: Path, cluster: None, error: str, kind: type, words: str) -> None:
    options = replace(TWO, workers=1, limits=Limits(deadline_s=30.0, max_attempts=2))
    with pytest.raises(kind, match=words):
        run_farm(make_job(tmp_path / "a", frames=96, fail_shard=1, error=error), options)
    assert not (tmp_path / "a" / MANIFEST).exists()
    with pytest.raises(UserError, match=r"half written|holds no _manifest"):
        FramesFolder.open(tmp_path / "a")
    run_farm(make_job(tmp_path / "a", frames=96), HERE)  # the cause is mended
    assert FramesFolder.open(tmp_path / "a", verify=True).num_frames == 96


def test_workers_that_cannot_start_end_with_the_cause(tmp_path: Path, cluster: None) -> None:
    def make() -> NoiseFrames:
        raise RuntimeError("no EGL")

    options = replace(TWO, workers=1, limits=Limits(max_attempts=2))
    with pytest.raises(FarmError, match=r"failed to start.*no EGL"):
        run_farm(replace(make_job(tmp_path / "a"), make=make), options)


def test_no_free_cpu_is_said(tmp_path: Path, cluster: None) -> None:
    @ray.remote(num_cpus=2)
    class Hog:
        def ping(self) -> None:
            pass

    hog = Hog.remote()
    ray.get(hog.ping.remote())
    with pytest.raises(FarmError, match="no worker has been ready for 1 s"):
        run_farm(make_job(tmp_path / "a"), replace(TWO, limits=Limits(silence_s=1.0)))
    ray.kill(hog)


def test_gpus_that_are_not_there_are_said(tmp_path: Path, cluster: None) -> None:
    with pytest.raises(UserError, match=r"gpus_per_worker=0.5 asked, this machine offers 0"):
        run_farm(make_job(tmp_path / "a"), replace(TWO, gpus_per_worker=0.5))


def test_resume_renders_only_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "a"
    with pytest.raises(RuntimeError, match="shader lost"):
        run_farm(make_job(out, fail_shard=3, error="raise"), HERE)
    before = {p.name: p.stat().st_mtime_ns for p in out.glob("*.parquet")}
    assert len(before) == 3
    (out / ".shard-00003.parquet.1-abc.tmp").write_bytes(b"half")
    run_farm(make_job(out), HERE)
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    assert left_over(out) == []
    run_farm(make_job(tmp_path / "b"), HERE)
    assert hashes(out) == hashes(tmp_path / "b")


def test_finished_folder_is_kept_and_may_grow(tmp_path: Path) -> None:
    out = tmp_path / "a"
    run_farm(make_job(out, frames=64), HERE)
    stamp = (out / "shard-00001.parquet").stat().st_mtime_ns
    assert run_farm(make_job(out, frames=64), HERE).num_frames == 64
    assert run_farm(make_job(out, frames=100), HERE).num_frames == 100
    assert (out / "shard-00001.parquet").stat().st_mtime_ns == stamp
    with pytest.raises(UserError, match="has 4 frames, 32 belong there"):
        run_farm(make_job(out, frames=200), HERE)
    with pytest.raises(UserError, match="more than the 64 frames asked"):
        run_farm(make_job(out, frames=64), HERE)
    with pytest.raises(UserError, match="already holds frames"):
        run_farm(make_job(out, frames=100), replace(HERE, resume=False))
    assert FramesFolder.open(out).num_frames == 100


def test_another_config_is_refused_by_key(tmp_path: Path) -> None:
    run_farm(make_job(tmp_path, frames=64), HERE)
    with pytest.raises(UserError, match="seed is 7 there, 8 is asked"):
        run_farm(make_job(tmp_path, frames=64, seed=8), HERE)


@pytest.mark.parametrize("with_manifest", [True, False])
def test_damaged_shard_is_refused_on_resume(tmp_path: Path, with_manifest: bool) -> None:
    run_farm(make_job(tmp_path, frames=64), HERE)
    path = tmp_path / "shard-00001.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF  # within the pictures
    path.write_bytes(data)
    if not with_manifest:
        (tmp_path / MANIFEST).unlink()
    with pytest.raises(UserError, match=r"shard-00001.parquet is damaged"):
        run_farm(make_job(tmp_path, frames=64), HERE)
    path.unlink()
    run_farm(make_job(tmp_path, frames=64), HERE)
    assert FramesFolder.open(tmp_path, verify=True).num_frames == 64


def test_second_driver_is_told_who_has_the_folder(tmp_path: Path) -> None:
    code = f"""
        import sys, time
        from pathlib import Path
        from sim2pose.datasets.locks import driver_lock
        with driver_lock(Path({str(tmp_path)!r})):
            print("held", flush=True)
            time.sleep(60)
    """
    other = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"in use by pid {other.pid} on"):
            run_farm(make_job(tmp_path), HERE)
        other.kill()
        other.wait()
        with driver_lock(tmp_path):  # the kernel has freed it
            assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    finally:
        other.kill()


def test_driver_killed_at_publishing_is_continued(tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    job = make_job(tmp_path / "a", hooks=FaultPlan(tmp_path / "marks", {("before_publish", 2): 1}))
    (tmp_path / "job").write_bytes(cloudpickle.dumps((job, HERE)))
    # A process of its own: a fork of this one would inherit the locks of its threads (Ray's, Arrow's) as they stand.
    code = f"""
        from pathlib import Path
        from ray import cloudpickle
        from sim2pose.render_farm.farm.run import run_farm
        run_farm(*cloudpickle.loads(Path({str(tmp_path / "job")!r}).read_bytes()))
    """
    driver = subprocess.run([sys.executable, "-c", textwrap.dedent(code)])
    assert driver.returncode == -signal.SIGKILL
    assert len(left_over(tmp_path / "a")) == 1
    with pytest.raises(UserError, match="half written: 2 shards"):
        FramesFolder.open(tmp_path / "a")
    run_farm(job, HERE)
    assert left_over(tmp_path / "a") == []
    run_farm(make_job(tmp_path / "b"), HERE)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


@pytest.mark.parametrize(("point", "finished"), [("before_write", 1), ("before_publish", 1), ("after_publish", 2)])
def test_interrupt_leaves_whole_shards_only(tmp_path: Path, point: str, finished: int) -> None:
    out = tmp_path / "a"

    def interrupt(*where: object) -> None:
        if where == (point, 1):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_farm(make_job(out, hooks=interrupt), HERE)
    assert len(list(out.glob("*.parquet"))) == finished
    assert left_over(out) == []
    assert not (out / MANIFEST).exists()
    run_farm(make_job(out), HERE)
    assert FramesFolder.open(out, verify=True).num_frames == 160


def test_unwritable_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        run_farm(make_job(tmp_path / "file" / "a"), HERE)
