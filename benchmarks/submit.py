"""``sim2pose bench submit``: seconds from the command to the first step, on a warm cluster of one node of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pydantic import Field

from ..cluster.local_head import Head, local_head
from ..config import Config
from ..trainers.events import read_events
from .rows import Row
from .train import noise_frames

WANTED_S = 30.0
POLL_S = 0.05


class BenchConfig(Config):
    """How much to measure."""

    runtimes: tuple[str, ...] = Field(("local", "ray"), description="who starts the rank of the training")
    rounds: int = Field(2, ge=1, description="after a first one that is not counted: the cluster is to be warm")
    cpus: int = Field(2, ge=1, description="that the cluster offers")


def run(config: BenchConfig) -> list[Row]:
    """The best of the rounds for each runtime; the baseline is the same training without a cluster, ``sim2pose train``."""
    rows = []
    with tempfile.TemporaryDirectory() as name, local_head(cpus=config.cpus) as head:
        folder = Path(name)
        noise_frames(folder / "frames", 32, 64, 64, "synthetic")
        for runtime in config.runtimes:
            alone = min(_first_step(folder, f"alone-{runtime}-{i}", runtime, None) for i in range(config.rounds))
            there = [_first_step(folder, f"sent-{runtime}-{i}", runtime, head) for i in range(config.rounds + 1)]
            title = f"submit to first step, runtime={runtime} (wanted: below {WANTED_S:g})"
            best = min(there[1:])
            rows.append(Row(title, best, "s", f"without a cluster: {alone:.1f}", best / alone))
    return rows


def _first_step(folder: Path, name: str, runtime: str, head: Head | None) -> float:
    """Seconds from starting the command to the log line of step 1; then waits for its end."""
    words = ["train", "infant_source", f"data.source={folder / 'frames'}", f"out={folder / 'runs'}"]
    words += [f"name={name}", f"runtime={runtime}", "device=cpu", "threads=1", "steps=2", "batch=4"]
    words += ["log_every=1", "data.input=[64,64]", "model.network=hrnet_nano", "tracking.enabled=false"]
    command = [sys.executable, "-m", "sim2pose"]
    if head is not None:
        command += ["submit", "--address", head.address, "--"]
    began = time.perf_counter()
    env = {**os.environ, **(head.env if head else {})}
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen([*command, *words], env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        while not any(event["step"] >= 1 for event in read_events(folder / "runs" / name)):
            if process.poll() not in (None, 0):
                raise RuntimeError(f"the training failed: {(folder / f'{name}.log').read_text()[-2000:]}")
            time.sleep(POLL_S)
        return time.perf_counter() - began
    finally:
        process.wait()
