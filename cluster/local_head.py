"""A Ray head on this machine with token authentication, for measuring and for tests: a cluster of one node."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..config import UserError
from .addresses import find_address

START_S = 120.0
STOP_S = 60.0


@dataclass(frozen=True)
class Head:
    """A head that runs.

    Attributes:
        address: of its job server.
        env: variables that a process needs to reach it: token, and ``python`` of this environment first on the path.
        metrics: where it serves metrics to Prometheus.
    """

    address: str
    env: dict[str, str]
    metrics: str


@contextmanager
def local_head(cpus: int = 2, gpus: int = 0, report_ms: int = 10_000) -> Iterator[Head]:
    """Start a head and end it by its process id; other Rays on this machine are left alone.

    Args:
        cpus: logical CPUs that it offers.
        gpus: logical GPUs.
        report_ms: how often processes give their metrics to the node.

    Raises:
        RuntimeError: if it does not come up, with its log.
    """
    # Unix sockets lie below the folder, and their paths end at 107 bytes
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
        env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        port, dashboard, agent, client, metrics = _free_ports(5)
        words = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", "--disable-usage-stats"]
        words += [f"--num-cpus={cpus}", f"--num-gpus={gpus}", "--object-store-memory=100000000", f"--port={port}"]
        words += [f"--temp-dir={folder}", f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
        words += [
            f"--ray-client-server-port={client}",
            f"--metrics-export-port={metrics}",
            "--node-ip-address=127.0.0.1",
        ]
        log = folder / "head.log"
        # its own setting of the report interval is sent to whoever joins
        started = {**os.environ, **env, "RAY_metrics_report_interval_ms": str(report_ms)}
        for inherited in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
            started.pop(inherited, None)
        with log.open("w") as file:
            process = subprocess.Popen(words, env=started, stdout=file, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{dashboard}"
            _wait(process, address, log)
            yield Head(address, env, f"http://127.0.0.1:{metrics}/metrics")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            find_address(address)
            return
        except UserError:
            time.sleep(0.2)
    raise RuntimeError(f"the Ray head did not come up: {log.read_text(errors='replace')[-2000:]}")


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, held together while they are chosen so that none comes twice."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
