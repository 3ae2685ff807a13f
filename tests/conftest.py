"""Shared fixtures: quiet libraries, and the real data that lies beside the checkout where there is any."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

ROOT = Path(__file__).parents[1]
STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Note how the session ended."""
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process without tearing native libraries down.

    Ray, EGL, Warp and torch have threads in one process here, as no user has; once, after the last test had passed, one of
    them ran into what another's destructor had freed. Everything of Python's that waits for the end is still run.
    """
    if config.stash.get(STATUS, pytest.ExitCode.USAGE_ERROR) < pytest.ExitCode.INTERRUPTED:  # others have more to say
        atexit._run_exitfuncs()
        config.get_terminal_writer().flush()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[STATUS])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real samples; tests that need it are skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder


# One request at a time, so that "is there one? then refuse" is atomic, as it is in a real store.
STORE = """
import sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
"""


@pytest.fixture(scope="session")
def object_store_url() -> Iterator[str]:
    """A local S3 on a free port, alive for the whole session."""
    pytest.importorskip("s3fs", reason="needs sim2pose[s3]")
    pytest.importorskip("moto", reason="needs moto[server]")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", STORE, str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Credentials for any store, and no client left over from another endpoint; set AWS_ENDPOINT_URL yourself."""
    s3fs = pytest.importorskip("s3fs", reason="needs sim2pose[s3]")
    for name, value in {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    yield monkeypatch
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(object_store_url: str, s3: pytest.MonkeyPatch) -> str:
    """``s3://<a new bucket>`` in the local store."""
    import s3fs

    s3.setenv("AWS_ENDPOINT_URL", object_store_url)
    name = f"bucket{time.monotonic_ns()}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"
