"""Two hosts, as network namespaces joined by a cable that is cut: once while frames are rendered, once in training.

Unlike a killed node, a host that is cut off goes on by itself for a while, on the same shared storage.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .noise_runs import NoiseRun, assert_each_frame_once

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

HEAD, OTHER = "10.77.31.1", "10.77.31.2"
FRAMES, STEPS = 640, 100
FARM = (
    "import sys\nfrom functools import partial\nfrom sim2pose.render_farm.farm.noise import NoiseFrames, noise_job\n"
    "from sim2pose.render_farm.farm.run import FarmOptions, run_farm\n"
    "job = noise_job(sys.argv[1], int(sys.argv[2]), make=partial(NoiseFrames, 7, seconds=0.03))\n"
    "run_farm(job, FarmOptions(2, sys.argv[3], progress=False))\n"
)


class Hosts:
    """Two namespaces, a Ray node of one CPU in each, and the cable between them."""

    def __init__(self, folder: Path) -> None:
        self.names = [f"s2p{os.getpid() % 10_000}{side}" for side in "ab"]
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        health = {"period_ms": "1000", "timeout_ms": "1000", "failure_threshold": "5"}
        self.env = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "OMP_NUM_THREADS": "1",
            **{f"RAY_health_check_{key}": value for key, value in health.items()},
        }

    def lay(self) -> None:
        a, b = self.names
        for name in self.names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", f"{a}0", "netns", a, "type", "veth", "peer", "name", f"{b}0", "netns", b)
        for name, address in zip(self.names, (HEAD, OTHER), strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", f"{name}0")
            ip("-n", name, "link", "set", f"{name}0", "up")

    def cable(self, state: str) -> None:
        ip("-n", self.names[0], "link", "set", f"{self.names[0]}0", state)

    def start(self, host: int, *command: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"log{len(self.started)}.txt").open("wb")
        whole = ["ip", "netns", "exec", self.names[host], *command]
        # The host's name leads to the loopback here, as on many a machine: gloo must be told its interface.
        env = {**self.env, "GLOO_SOCKET_IFNAME": f"{self.names[host]}0"}
        process = subprocess.Popen(whole, env=env, stdout=log, stderr=log, start_new_session=True)
        self.started.append(process)
        return process

    def ray(self, host: int, *how: str) -> subprocess.Popen[bytes]:
        options = ["--num-cpus", "1", "--object-store-memory", "80000000", "--block", "--disable-usage-stats"]
        address = (HEAD, OTHER)[host]
        return self.start(host, shutil.which("ray") or "ray", "start", *how, "--node-ip-address", address, *options)

    def begin(self) -> None:
        self.ray(0, "--head", "--port", "6379", "--include-dashboard", "false")
        time.sleep(5)
        self.join()

    def join(self) -> None:
        """The second host, with its cable, comes (again)."""
        self.cable("up")
        self.other = self.ray(1, "--address", f"{HEAD}:6379")
        count = "import ray; ray.init('HEAD:6379', logging_level='ERROR'); print(sum(n['Alive'] for n in ray.nodes()))"
        command = ["ip", "netns", "exec", self.names[0], sys.executable, "-c", count.replace("HEAD", HEAD)]
        for _ in range(30):
            found = subprocess.run(command, env=self.env, capture_output=True, check=False, text=True)
            if found.stdout.strip().endswith("2"):
                return
            time.sleep(1)
        raise AssertionError(found.stderr)

    def close(self) -> None:
        for process in reversed(self.started):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for name in self.names:
            left = subprocess.run(["ip", "netns", "pids", name], capture_output=True, check=False, text=True)
            for pid in left.stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    if shutil.which("ip") is None:
        pytest.skip("needs the command ip")
    made = Hosts(tmp_path)
    try:
        try:
            made.lay()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
        made.begin()
        yield made
    finally:
        made.close()


def test_a_cut_cable_while_rendering_and_while_training(hosts: Hosts, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    farm = hosts.start(0, sys.executable, "-c", FARM, str(frames), str(FRAMES), f"{HEAD}:6379")
    while len(list(frames.glob("*.parquet"))) < 4:
        assert farm.poll() is None
        time.sleep(0.05)
    hosts.cable("down")
    cut = time.monotonic()
    assert farm.wait(300) == 0
    print(f"rendered {time.monotonic() - cut:.0f} s after the cut")
    assert_each_frame_once(frames, FRAMES)

    os.killpg(hosts.other.pid, signal.SIGKILL)
    hosts.join()
    run = NoiseRun(frames, tmp_path / "runs", STEPS)
    run.launch(f"{HEAD}:6379", hosts.env, ("ip", "netns", "exec", hosts.names[0]))
    run.until(lambda: run.saved() >= 10)
    hosts.cable("down")
    cut = time.monotonic()
    run.finish(600)
    print(f"trained {time.monotonic() - cut:.0f} s after the cut")
