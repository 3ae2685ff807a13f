"""Small trainings on frames of noise, in a process of their own on a Ray cluster; for tests that lose nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sim2pose.config import dump_yaml, merge, validate
from sim2pose.datasets.shards import FramesFolder
from sim2pose.trainers import checkpoints
from sim2pose.trainers.events import read_events
from sim2pose.trainers.keypoint_config import KeypointConfig

EVERY = 5
SCRIPT = (
    "import sys\nfrom sim2pose.config import load_config\nfrom sim2pose.trainers.keypoint_config import KeypointConfig\n"
    "from sim2pose.trainers.runtimes import train\ntrain(load_config(KeypointConfig, sys.argv[1]))\n"
)


class NoiseRun:
    """One training with a checkpoint every five steps, and what it left."""

    def __init__(self, frames: Path, out: Path, steps: int, name: str = "run", **changes: Any) -> None:
        values = {
            "name": name, "out": str(out), "steps": steps, "batch": 8, "device": "cpu", "threads": 1, "log_every": 1,
            "validate_every": 100_000, "stop_on_collapse": False, "runtime": "ray", "workers": [1, 2],
            "data": {"source": str(frames), "input": [64, 64], "sigma": 1.5}, "model": {"network": "hrnet_nano"},
            "checkpoint": {"every": EVERY, "keep": 1000}, "tracking": {"enabled": False},
        }  # fmt: skip
        self.config = validate(KeypointConfig, merge(values, changes))
        self.folder = out / name

    def launch(self, address: str, env: Mapping[str, str] = os.environ, prefix: Sequence[str] = ()) -> None:
        """Start it on the cluster at ``address``; ``prefix`` comes before the command."""
        preset = self.folder.with_suffix(".yaml")
        preset.parent.mkdir(parents=True, exist_ok=True)
        preset.write_text(dump_yaml(self.config))
        command = [*prefix, sys.executable, "-c", SCRIPT, str(preset)]
        with preset.with_suffix(".txt").open("wb") as log:
            said = {"stdout": log, "stderr": log}
            self.process = subprocess.Popen(
                command, env={**env, "RAY_ADDRESS": address, "OMP_NUM_THREADS": "1"}, **said
            )  # type: ignore[call-overload]

    def saved(self) -> int:
        """Steps of the newest checkpoint."""
        found = checkpoints.folders(self.folder / "checkpoints")
        return int(found[-1].name.removeprefix("step_")) if found else 0

    def until(self, what: Callable[[], bool], seconds: float = 400) -> None:
        """Wait for something that comes before the training ends."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline
            assert self.process.poll() is None, "the training ended too early"
            time.sleep(0.05)

    def finish(self, seconds: float = 400) -> dict[str, Any]:
        """``done.json``, when all steps are done, each once."""
        assert self.process.wait(seconds) == 0, self.folder.with_suffix(".txt").read_text()
        done: dict[str, Any] = json.loads((self.folder / "done.json").read_text())
        steps = [event["step"] for event in read_events(self.folder) if "train/loss_pose" in event["metrics"]]
        assert steps == list(range(1, done["step"] + 1)), "no step is missing, none is there twice"
        assert done["step"] == self.config.steps
        return done

    def weights(self) -> dict[str, Any]:
        """Of the pose network, in the newest checkpoint."""
        found = checkpoints.newest(self.folder / "checkpoints")
        assert found is not None
        return found.modules["pose"]


def assert_each_frame_once(frames: Path, count: int) -> None:
    """All frames of a job are there, in whole files."""
    whole = FramesFolder.open(frames, verify=True)
    assert sorted(frame.frame_id for frame in whole.iterate(["frame_id"])) == list(range(count))
