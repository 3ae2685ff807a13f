"""Training while the source is still being rendered: the weights of a training on the finished folder, bit by bit."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sim2pose.config import UserError, merge, validate
from sim2pose.datasets import patience, storage
from sim2pose.datasets.job_file import JOB, JobFile, write_asked
from sim2pose.datasets.patience import Stalled
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.datasets.shards import FramesFolder
from sim2pose.trainers import checkpoints
from sim2pose.trainers.context import Context
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.keypoint_stream import open_stream
from sim2pose.trainers.keypoints import KeypointTask
from sim2pose.trainers.runtimes import train

SHARD, SHARDS = 8, 5


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "POLL_S", 0.01)


class Farm:
    """Fills a folder with the frames of another one, shard by shard."""

    def __init__(self, frames: str, folder: Path) -> None:
        source = FramesFolder.open(frames)
        self.frames, self.info, self.folder = list(source.iterate()), source.info, folder
        folder.mkdir()
        storage.create(folder / JOB, JobFile(SHARD, 0, self.info).to_json().encode())
        write_asked(folder, len(self.frames))

    def publish(self, *shards: int) -> None:
        self.entries = [
            publish_shard(self.folder, shard, self.frames[shard * SHARD : (shard + 1) * SHARD], self.info)
            for shard in shards
        ]

    def finish(self) -> None:
        self.publish(*range(SHARDS))
        write_manifest(self.folder, self.entries, self.info)

    def work(self) -> threading.Thread:
        def run() -> None:
            for shard in (1, 0, 3, 2, 4):
                time.sleep(0.2)
                self.publish(shard)

        thread = threading.Thread(target=run)
        thread.start()
        return thread


@pytest.fixture
def farm(frames: dict[str, str], tmp_path: Path) -> Farm:
    return Farm(frames["source"], tmp_path / "live")


@pytest.fixture
def run_on(values: dict[str, Any]) -> Callable[..., KeypointConfig]:
    """A run that streams from a folder: 14 steps of four source people, of whom there are 40 in windows of 16."""

    def make(folder: Path, name: str, timeout: float = 30.0, **changes: Any) -> KeypointConfig:
        data = {"source": str(folder), "stream": {"window": 2, "timeout": timeout}}
        return validate(KeypointConfig, merge({**values, "name": name, "steps": 12}, merge({"data": data}, changes)))

    return make


def weights(cfg: KeypointConfig) -> dict[str, torch.Tensor]:
    found = checkpoints.newest(Path(cfg.out) / cfg.name / "checkpoints")
    assert found is not None
    assert found.step == 14
    return {f"{n}.{k}": v for n, module in found.modules.items() for k, v in module.items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_streamed_killed_and_resumed_it_learns_what_it_does_from_the_finished_folder(
    farm: Farm, run_on: Callable[..., KeypointConfig], tmp_path: Path, frames: dict[str, str]
) -> None:
    thread = farm.work()
    streamed = run_on(farm.folder, "streamed")
    result = train(streamed)
    thread.join()
    done = json.loads((result.run_dir / "done.json").read_text())
    assert done["metrics"]["stream/waits"] >= 1
    assert done["metrics"]["stream/wait_seconds"] > 0

    dead = Farm(frames["source"], tmp_path / "dead")
    dead.publish(0, 1)
    stopped = run_on(dead.folder, "stopped", timeout=0.1, data={"loader_workers": 1})
    with pytest.raises(Stalled, match=r"shard 2 of 5 did not come.*no farm is at work there.*--resume"):
        train(stopped)
    assert [c.name for c in checkpoints.folders(tmp_path / "runs" / "stopped" / "checkpoints")] == ["step_00000004"]
    dead.finish()
    train(run_on(dead.folder, "stopped", timeout=0.2), resume=True)

    finished = run_on(dead.folder, "finished")
    train(finished)
    assert same(weights(streamed), weights(finished))
    assert same(weights(stopped), weights(finished))


def test_a_run_goes_on_with_its_own_frames_only(
    farm: Farm, run_on: Callable[..., KeypointConfig], frames: dict[str, str], tmp_path: Path
) -> None:
    farm.finish()
    state = KeypointTask(run_on(farm.folder, "a"), Context()).state_dict()
    other = Farm(frames["source_val"], tmp_path / "other")
    other.publish(0, 1)
    task = KeypointTask(run_on(other.folder, "b"), Context())
    with pytest.raises(UserError, match=r"other: this run began on a job of job .*start the run anew"):
        task.load_state_dict(state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": None, "epochs": 2}, r"cannot go with epochs.*give steps"),
        ({"adversarial": {"pre_steps": None}}, r"adversarial.pre_epochs.*give adversarial.pre_steps"),
        ({"data": {"source_frames": 8}}, "data.source_frames"),
        ({"data": {"source": ["a", "b"]}}, "one folder as data.source"),
        ({"adversarial": {"method": "finetune"}}, "one folder as data.source"),
        ({"prior": {"weight": 0.1}}, "prior.weight.*finished folder"),
    ],
)
def test_what_needs_the_whole_source_is_refused(
    run_on: Callable[..., KeypointConfig], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run_on(Path("x"), "refused", **changes)


class Rank(Context):
    """A rank that hears from rank 0 through a queue."""

    heard: queue.Queue[Any] = queue.Queue()

    def broadcast(self, value: Any) -> Any:
        if self.first:
            self.heard.put(value)
            return value
        return self.heard.get(timeout=20)


def test_ranks_give_up_together(farm: Farm) -> None:
    ended: list[str] = []
    farm.publish(0)

    def rank(number: int) -> None:
        try:
            open_stream(farm.folder, 2, 0.3, 1, Rank(number, 2))
        except Stalled as error:
            ended.append(str(error))

    threads = [threading.Thread(target=rank, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(ended) == 2
    assert ended[0] == ended[1]
    assert "shard 1 of 5 did not come" in ended[0]
