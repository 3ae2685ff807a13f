"""A source that grows while it is read: the same batches as from the finished folder, and what ends a wait."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.datasets import patience as patience_module
from sim2pose.datasets import storage
from sim2pose.datasets.augment import LEVELS
from sim2pose.datasets.job_file import JOB, JobFile, write_asked
from sim2pose.datasets.live import LiveFolder, so_far
from sim2pose.datasets.locks import driver_lock
from sim2pose.datasets.manifest import MANIFEST, shard_file
from sim2pose.datasets.patience import Patience, Stalled, await_folder
from sim2pose.datasets.persons import PersonDataset
from sim2pose.datasets.plan import BatchPlan
from sim2pose.datasets.shards import FramesFolder
from sim2pose.datasets.stream import Batch, make_loader
from sim2pose.datasets.streamed import StreamedPeople
from sim2pose.datasets.streamed_plan import StreamedPlan

from .conftest import MakeFolder

WH, SHARD, BATCH = (32, 32), 16, 12


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience_module, "POLL_S", 0.01)


class Farm:
    """Publishes the shards of a finished folder in another one, in whatever order, as a farm at work would."""

    def __init__(self, finished: FramesFolder, folder: Path, part_shards: int = 0) -> None:
        self.finished, self.folder, self.part_shards = finished, folder, part_shards

    def begin(self, frames: int | None = None) -> None:
        storage.make_folder(self.folder)
        job = JobFile(SHARD, self.part_shards, self.finished.info)
        storage.create(self.folder / JOB, job.to_json().encode())
        write_asked(self.folder, frames or len(self.finished))

    def publish(self, *shards: int) -> None:
        for shard in shards:
            target = self.folder / shard_file(shard, self.part_shards)
            storage.make_folder(target.parent)
            assert storage.create(target, (self.finished.path / f"shard-{shard:05d}.parquet").read_bytes())

    def finish(self) -> None:
        storage.create(self.folder / MANIFEST, (self.finished.path / MANIFEST).read_bytes())

    def work(self, *shards: int, rest_s: float = 0.03) -> threading.Thread:
        def run() -> None:
            for shard in shards:
                time.sleep(rest_s)
                self.publish(shard)
            self.finish()

        thread = threading.Thread(target=run)
        thread.start()
        return thread


@pytest.fixture
def finished(make_folder: MakeFolder) -> FramesFolder:
    """115 frames in eight shards, of which the last is short; an eighth of the frames has nobody."""

    def empty(i: int, frame: object) -> None:
        if i % 8 == 3:
            frame.persons.clear()  # type: ignore[attr-defined]

    return make_folder(frames=115, shard=SHARD, edit=empty)


@pytest.fixture
def farm(finished: FramesFolder, tmp_path: Path) -> Farm:
    return Farm(finished, tmp_path / "live")


def people(folder: Path | str, window: int = 3, timeout_s: float = 20.0) -> StreamedPeople:
    patience = Patience(folder, timeout_s)
    live = await_folder(patience)
    assert live is not None
    return StreamedPeople(live, window, domain=1, patience=patience)


def plan_of(source: StreamedPeople, seed: int = 3) -> StreamedPlan:
    return StreamedPlan.over([source], BATCH, seed, [1.0])


def batches(source: StreamedPeople, start: int = 0, stop: int = 14, world: int = 1, workers: int = 0) -> list[Batch]:
    """Global batches start..stop-1, put together again from those of all ranks."""
    plan, ranks = plan_of(source), []
    for rank in range(world):
        options = {"rank": rank, "world": world, "workers": workers, "start_step": start, "stop_step": stop}
        ranks.append(list(make_loader([source], plan, LEVELS["strong"], WH, **options)))  # type: ignore[arg-type]
    whole: list[Batch] = []
    for parts in zip(*ranks, strict=True):
        joined = {}
        for key in parts[0]:
            joined[key] = torch.empty((BATCH, *parts[0][key].shape[1:]), dtype=parts[0][key].dtype)
            for rank, part in enumerate(parts):
                joined[key][plan.slots(rank, world)] = part[key]
        whole.append(joined)
    return whole


def assert_same(a: list[Batch], b: list[Batch]) -> None:
    assert len(a) == len(b) > 0
    for x, y in zip(a, b, strict=True):
        assert x.keys() == y.keys()
        assert all(torch.equal(x[key], y[key]) for key in x)


@pytest.mark.parametrize(("world", "workers"), [(1, 0), (2, 0), (4, 0), (1, 2), (2, 2)])
def test_a_growing_folder_gives_the_batches_of_the_finished_one(
    finished: FramesFolder, farm: Farm, world: int, workers: int
) -> None:
    """Shards come in an odd order, before, while and after they are asked for; 14 steps are one pass and a half."""
    whole = batches(people(finished.path))
    farm.begin()
    farm.publish(4, 0)
    thread = farm.work(2, 1, 7, 3, 5, 6)
    grown = people(farm.folder)
    assert_same(batches(grown, world=world, workers=workers), whole)
    thread.join()
    assert grown.patience.times > 0
    assert grown.patience.seconds > 0


@pytest.mark.parametrize("start", [0, 2, 5, 9, 11])
def test_resumed_anywhere_it_goes_on_as_if_never_stopped(finished: FramesFolder, farm: Farm, start: int) -> None:
    whole = batches(people(finished.path))
    farm.begin()
    thread = farm.work(*range(8), rest_s=0.01)
    assert_same(batches(people(farm.folder), start), whole[start:])
    thread.join()


def test_the_first_pass_goes_by_windows_and_later_ones_as_ever(finished: FramesFolder) -> None:
    source = people(finished.path)
    plan = plan_of(source)
    taken = np.concatenate([plan.batch(step)[1] for step in range(30)])
    every = PersonDataset(finished, domain=1)
    count = len(every)
    np.testing.assert_array_equal(source.frame_id, every.frame_id)
    np.testing.assert_array_equal(source.blocks, every.blocks)
    assert source.groups == every.groups
    shard = np.array([source.groups[g][1] for g in source.group])[taken[:count]]
    assert (np.diff(shard // 3) >= 0).all(), "windows of three shards in order"
    assert (np.diff(shard) < 0).any(), "and shuffled within"
    np.testing.assert_array_equal(np.sort(taken[:count]), np.arange(count))
    ordinary = BatchPlan.make([every], BATCH, 3)
    np.testing.assert_array_equal(taken[count : 2 * count], ordinary.order(0, 1))
    other = plan_of(source, seed=4)
    assert not np.array_equal(plan.batch(0)[1], other.batch(0)[1])


def test_a_batch_needs_only_the_windows_that_it_draws_from(farm: Farm) -> None:
    farm.begin()
    farm.publish(0, 1, 2)
    source = people(farm.folder, timeout_s=0.05)
    plan = plan_of(source)
    steps = len(source) // BATCH
    assert [plan.lacks(step) for step in range(steps + 1)] == [False] * steps + [True]
    assert plan.passes(steps) == pytest.approx(steps * BATCH / len(source) / 3)
    for step in range(steps):
        plan.batch(step)
    with pytest.raises(Stalled):
        plan.batch(steps)


def test_passes_count_windows_first_and_persons_then(finished: FramesFolder) -> None:
    source = people(finished.path)
    plan = plan_of(source)
    passes = [plan.passes(step) for step in range(20) if plan.batch(step) is not None]
    assert passes[0] == 0
    assert all(a < b for a, b in itertools.pairwise(passes))
    assert passes[-1] == pytest.approx(19 * BATCH / len(source))


def test_what_a_dead_farm_is_told_by(farm: Farm) -> None:
    with pytest.raises(Stalled, match=r"a job of 'sim2pose render' did not come .*no farm is at work there"):
        people(farm.folder, timeout_s=0.05)
    farm.begin()
    farm.publish(0, 2)
    with pytest.raises(Stalled, match=r"live: shard 1 of 8 did not come .* 0.05 s .*no farm is at work.*--resume"):
        people(farm.folder, timeout_s=0.05)
    with driver_lock(farm.folder), pytest.raises(Stalled, match=r"the farm \(pid \d+ on .*\) holds the folder but"):
        people(farm.folder, timeout_s=0.05)


def test_a_shard_that_is_being_written_is_a_sign_of_life(farm: Farm) -> None:
    """Its temp file grows row group by row group; the shard comes long after the timeout."""
    farm.begin()
    farm.publish(1, 2)
    temp = farm.folder / ".shard-00000.parquet.1-2.tmp"

    def write() -> None:
        for size in range(12):
            temp.write_bytes(bytes(size))
            time.sleep(0.05)
        farm.publish(0)

    thread = threading.Thread(target=write)
    thread.start()
    assert people(farm.folder, timeout_s=0.3).patience.seconds > 0.4
    thread.join()


def test_loader_processes_give_up_when_their_parent_does(farm: Farm) -> None:
    farm.begin()
    farm.publish(0, 1, 2)
    source = people(farm.folder, timeout_s=0.2)
    plan = plan_of(source)
    loader = iter(make_loader([source], plan, LEVELS["none"], WH, workers=1, stop_step=14))
    next(loader)
    with pytest.raises(Stalled):
        source.wait()
    workers = loader._workers  # type: ignore[attr-defined]
    assert all(worker.is_alive() for worker in workers), "it waits, and leaves the decision to its parent"
    del loader
    for worker in workers:
        worker.join(20)
        assert not worker.is_alive()


def test_shards_of_another_job_are_refused(farm: Farm, make_folder: MakeFolder) -> None:
    farm.begin()
    farm.publish(0, 1)
    other = make_folder(frames=48, shard=SHARD, seed=9)
    shutil.copy(other.path / "shard-00002.parquet", farm.folder)
    with pytest.raises(UserError, match=r"shard-00002.* of another job .*seed is 9 there, 0 is asked"):
        people(farm.folder)


def test_a_resumed_run_finds_the_frames_that_it_has_read(
    farm: Farm, finished: FramesFolder, make_folder: MakeFolder
) -> None:
    farm.begin()
    farm.publish(*range(8))
    growing, whole = people(farm.folder), people(finished.path)
    for source in (growing, whole):
        while not source.complete:
            source.grow()
    state = growing.state()
    whole.check(state)
    assert state["digest"] == whole.state()["digest"]
    with pytest.raises(UserError, match="no longer holds the frames"):
        whole.check({**state, "windows": 2})
    longer = Farm(finished, farm.folder)
    longer.begin(len(finished) + 100)
    with pytest.raises(UserError, match="job of shards 8, the folder now has 14"):
        people(farm.folder).check(state)
    with pytest.raises(UserError, match="job of job"):
        people(make_folder(frames=48, shard=SHARD, seed=9).path).check(state)


def test_a_finished_folder_that_is_asked_to_grow_is_awaited(farm: Farm) -> None:
    farm.begin()
    farm.publish(*range(8))
    farm.finish()
    live = LiveFolder.look(farm.folder)
    assert live is not None
    assert live.manifest is not None
    write_asked(farm.folder, 300)
    live = LiveFolder.look(farm.folder)
    assert live is not None
    assert (live.shards, live.missing(0, live.shards)) == (19, 8)


def test_what_there_is_so_far(farm: Farm, finished: FramesFolder) -> None:
    with pytest.raises(UserError, match="no folder of frames"):
        so_far(farm.folder)
    farm.begin()
    with pytest.raises(UserError, match="holds no frames yet"):
        so_far(farm.folder)
    farm.publish(0, 1, 3)
    assert [frame.frame_id for frame in so_far(farm.folder).iterate()] == list(range(1000, 1032))
    assert len(so_far(finished.path)) == 115


@pytest.fixture(params=["parts", "s3"])
def other_farm(request: pytest.FixtureRequest, finished: FramesFolder, tmp_path: Path) -> Iterator[Farm]:
    if request.param == "parts":
        yield Farm(finished, tmp_path / "parted", part_shards=3)
    else:
        yield Farm(finished, storage.place(f"{request.getfixturevalue('bucket')}/live"))


def test_parts_and_object_stores(
    other_farm: Farm, finished: FramesFolder, monkeypatch: pytest.MonkeyPatch, record_property: Callable[..., None]
) -> None:
    monkeypatch.setattr(patience_module, "POLL_REMOTE_S", 0.05)
    whole = batches(people(finished.path), stop=8)
    other_farm.begin()
    other_farm.publish(0, 1, 2, 3)
    thread = threading.Thread(target=other_farm.publish, args=(5, 4, 7, 6))
    thread.start()
    assert_same(batches(people(other_farm.folder), stop=8), whole)
    thread.join()
