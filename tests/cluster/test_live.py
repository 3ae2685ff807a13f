"""Against a real head with token authentication: submitting, following, listing, stopping, and our metrics."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sim2pose.benchmarks.train import noise_frames
from sim2pose.cluster.local_head import Head, local_head
from sim2pose.render_farm.farm import gauges
from sim2pose.trainers import runfolder
from sim2pose.trainers.events import read_events

ROOT = Path(__file__).parents[2]
TINY = ["device=cpu", "threads=1", "batch=4", "log_every=1", "data.input=[64,64]", "tracking.enabled=false"]


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # at 15 they would starve beside anything else on this machine
        with local_head(cpus=2, report_ms=1000) as started:
            yield started


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A command that trains in no time: an absolute out, and noise to learn from."""
    folder = tmp_path_factory.mktemp("live")
    source = noise_frames(folder / "frames", 16, 64, 64, "synthetic")
    return ["train", "infant_source", f"data.source={source}", f"out={folder / 'runs'}", *TINY]


def sim2pose(head: Head, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sim2pose", *words]
    environ = {**os.environ, **head.env, "RAY_API_SERVER_ADDRESS": head.address, **(env or {})}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240)


def series(text: str) -> set[str]:
    """Names of our metrics in what a node tells Prometheus."""
    return {line.partition("{")[0] for line in text.splitlines() if line.startswith("ray_sim2pose")}


@pytest.fixture
def scraped(head: Head) -> Iterator[set[str]]:
    """Names of our metrics that the node's Prometheus endpoint showed while the test ran."""
    found: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.3):
            with contextlib.suppress(OSError), urllib.request.urlopen(head.metrics, timeout=10) as answer:
                found.update(series(answer.read().decode()))  # the node's agent is the last to come up

    thread = threading.Thread(target=look)
    thread.start()
    yield found
    stop.set()
    thread.join()


def test_a_training_on_ray_is_followed_to_its_end_and_measured(
    head: Head, training: list[str], scraped: set[str]
) -> None:
    done = sim2pose(head, "submit", "--", *training, "name=far", "runtime=ray", "steps=3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "needs    1 worker of 1 CPU" in done.stdout
    assert re.search(r"job train-far-\w{8} succeeded", done.stdout)
    assert "3/3 steps" in done.stdout, "the job's log was followed"
    run_dir = Path(training[3].removeprefix("out=")) / "far"
    assert runfolder.result(run_dir) is not None
    waits = [
        event["metrics"]["train/data_wait"] for event in read_events(run_dir) if "train/data_wait" in event["metrics"]
    ]
    assert len(waits) == 3 and all(0 < wait < 1 for wait in waits)
    assert {m.series for m in (gauges.RATE, gauges.STEP, gauges.WAIT, gauges.LOSS)} <= scraped


FARM = """
import sys, time
from sim2pose.render_farm.farm import noise
from sim2pose.render_farm.farm.run import FarmOptions, run_farm
class Once:  # a shard whose first attempt fails, and a frame that always does
    def __call__(self):
        import os
        try:
            os.close(os.open(sys.argv[1] + '.tried', os.O_CREAT | os.O_EXCL))
            return noise.NoiseFrames(7, poison=frozenset(range(1000)))
        except FileExistsError:
            return noise.NoiseFrames(7, poison=frozenset([5]))
run_farm(noise.noise_job(sys.argv[1], 64, make=Once(), max_quarantine=0.5), FarmOptions(workers=1, progress=False))
time.sleep(2.5)
"""


def test_the_farms_figures_reach_prometheus(head: Head, scraped: set[str], tmp_path: Path) -> None:
    script = (
        "import sys; from sim2pose.cluster import addresses, jobs\n"
        "place = addresses.find_address(None); client = addresses.connect(place)\n"
        "sys.exit(jobs.follow(client, jobs.start(client, place, ['python', '-c', *sys.argv[1:]])))"
    )
    env = {**os.environ, **head.env, "RAY_API_SERVER_ADDRESS": head.address}
    command = [sys.executable, "-c", script, FARM, str(tmp_path / "frames")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = {m.series for m in (gauges.FRAMES, gauges.SHARDS, gauges.RETRIES, gauges.QUARANTINED, gauges.QUEUE)}
    assert expected <= scraped
    with urllib.request.urlopen(head.metrics, timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if str(tmp_path / "frames") in line]
    totals = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}
    assert totals[gauges.FRAMES.series] == 63
    assert totals[gauges.QUARANTINED.series] == 1
    assert totals[gauges.RETRIES.series] == 1


def test_detached_jobs_are_listed_stopped_and_read(head: Head, training: list[str], tmp_path: Path) -> None:
    send = ("submit", "--detach", "--", *training)
    failing, lasting = (
        sim2pose(head, *send, "name=lost", "data.source=/nowhere/frames", "steps=2"),
        sim2pose(head, *send, "name=long", "steps=100000"),
    )
    assert (failing.returncode, lasting.returncode) == (0, 0), failing.stderr + lasting.stderr
    assert "needs    1 CPU" in lasting.stdout
    lost, job = (re.findall(r"^job +(\S+)$", sent.stdout, re.MULTILINE)[0] for sent in (failing, lasting))

    read = sim2pose(head, "jobs", "logs", lost, "--follow")
    assert read.returncode == 2, "a follower exits as the job did"
    assert "error: no folder of frames at /nowhere/frames" in read.stdout

    wait_until(lambda: bool(read_events(Path(training[3].removeprefix("out=")) / "long")))
    shown = sim2pose(head, "jobs", "list", "--json", str(tmp_path / "jobs.json"))
    states = {each["id"]: each["status"] for each in json.loads((tmp_path / "jobs.json").read_text())}
    assert (states[lost], states[job]) == ("FAILED", "RUNNING")
    assert "sim2pose train infant_source" in shown.stdout
    assert sim2pose(head, "jobs", "stop", job).stdout == f"{job} STOPPED\n"
    unknown = sim2pose(head, "jobs", "logs", job[:-1])
    assert unknown.returncode == 2
    assert f"has no job '{job[:-1]}': did you mean '{job}'?" in unknown.stderr


def wait_until(true: Callable[[], Any], timeout: float = 120) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


@pytest.mark.soak
def test_rays_own_submission_from_the_root_works_and_sends_the_package_once(head: Head) -> None:
    ray = [str(Path(sys.executable).parent / "ray"), "job", "submit", "--address", head.address, "--working-dir", "."]
    environ = {**os.environ, **head.env}
    environ.pop("PYTHONPATH", None)
    command = [
        *ray,
        "--",
        "python",
        "-c",
        "import os, sim2pose.models.geometry as g; print(g.__file__, sorted(os.listdir()))",
    ]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"working_dir_files/\S+/sim2pose/models/geometry\.py", done.stdout), "links are followed"
    (listing,) = re.findall(r"geometry\.py (\[.*\])", done.stdout)
    assert "sim2pose" in listing and not re.search(r"'(models|tests|docs|runs|\.git)'", listing), listing


def test_what_cannot_be_is_told_before_it_is_sent(head: Head, training: list[str], tmp_path: Path) -> None:
    many = sim2pose(head, "submit", "--", *training, "name=gpus", "runtime=ray", "workers=4", "device=cuda")
    assert many.returncode == 2
    assert "needs 4 GPUs (workers=4, device=cuda), the cluster has 2 CPUs, 0 GPUs (" in many.stderr
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    refused = sim2pose(head, "jobs", "list", env={"RAY_AUTH_TOKEN_PATH": str(wrong)})
    assert refused.returncode == 2
    assert "refuses this machine's token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH" in refused.stderr
