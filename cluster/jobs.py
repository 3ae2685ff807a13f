"""Running a command on a Ray cluster elsewhere: ``ray job submit`` with this package shipped along.

The cluster's nodes need sim2pose's dependencies, not sim2pose itself: the package folder travels as a ``py_module``.
The job runs in a folder of its own on the head node, so whatever it reads and writes is named by absolute paths on
storage that every node sees. The job joins the cluster by itself (Ray sets ``RAY_ADDRESS`` for it).
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..config import UserError, parse_overrides

PACKAGE = Path(__file__).parents[1]  # sim2pose/ with its six links, or the installed package
EXCLUDES = ["**/__pycache__/**", "**/*.pyc"]  # they would change the package's hash, and so ship it anew each time
# PYTHONUNBUFFERED: lines appear in the log as they are printed. The override lets ray_session set worker variables that
# the job was given too (Ray refuses the clash otherwise).
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONUNBUFFERED": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
WRITES = ("render", "train", "tune", "demo")  # commands whose `out` would be lost with the job's folder
# They set themselves to INFO and tell of every package and closed socket.
TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
ADDRESS = "RAY_API_SERVER_ADDRESS"
PORT = 8265
CONNECT_S = 5.0
REATTACH = 5  # times in a row that the log stream may break
SETTLE_S = 30.0  # between the end of the log and the status that says so
EXIT_CODES = {"SUCCEEDED": 0, "FAILED": 1, "STOPPED": 130}


@dataclass(frozen=True)
class Job:
    """A submitted job: its id, and the address it was given to."""

    id: str
    address: str


def find_address(address: str | None) -> str:
    """The cluster's job server as ``http://host:port``: given, or from ``RAY_API_SERVER_ADDRESS``.

    Raises:
        UserError: if there is none, it is no HTTP address, or nobody answers there.
    """
    given = address or os.environ.get(ADDRESS)
    if not given:
        raise UserError(f"no cluster to submit to: give --address http://HEAD:{PORT}, or set {ADDRESS}")
    url = given if "://" in given else f"http://{given}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"'{given}' is no job server: use its dashboard's address, http://HEAD:{PORT}")
    port = parts.port or (443 if parts.scheme == "https" else PORT)
    try:
        socket.create_connection((parts.hostname, port), timeout=CONNECT_S).close()
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at {given} ({error.strerror or error}): is its head running?"
        ) from error
    return f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}"


def connect(address: str) -> Any:
    """A ``JobSubmissionClient`` for an address of :func:`find_address`; it sends the token of this machine.

    Raises:
        UserError: if the cluster refuses the token, or what answers is no Ray job server.
    """
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    with _only_address(address):
        try:
            return JobSubmissionClient(address)
        except AuthenticationError as error:
            raise UserError(
                f"the cluster at {address} refuses this machine's token: set RAY_AUTH_MODE=token and "
                "RAY_AUTH_TOKEN_PATH to a file with the head's token"
            ) from error
        except (ConnectionError, RuntimeError, OSError, ValueError) as error:
            raise UserError(f"what answers at {address} is no Ray job server: {str(error).splitlines()[0]}") from error


@contextmanager
def _only_address(address: str) -> Iterator[None]:
    """Ray lets its environment variable override the address that a client is given; it must not."""
    old = os.environ.get(ADDRESS)
    os.environ[ADDRESS] = address
    try:
        yield
    finally:
        if old is None:
            del os.environ[ADDRESS]
        else:
            os.environ[ADDRESS] = old


def check_words(words: Sequence[str]) -> None:
    """Refuse what cannot work away from this folder.

    Raises:
        UserError: for a relative or missing ``out``, or a relative preset file.
    """
    if not words:
        raise UserError("nothing to run: sim2pose submit [--address URL] -- train PRESET key=value …")
    overrides = parse_overrides([word for word in words[1:] if "=" in word and not word.startswith("-")])
    out = overrides.get("out")
    remedy = "give an absolute out= on storage that every node of the cluster sees"
    if out is not None and not _absolute(str(out)):
        raise UserError(f"out={out} would lie in the job's own folder and be lost: {remedy}")
    if out is None and words[0] in WRITES:
        raise UserError(f"'{words[0]}' would write into the job's own folder, and that be lost: {remedy}")
    for word in words[1:]:
        if word.endswith((".yaml", ".yml")) and "=" not in word and not _absolute(word):
            raise UserError(f"the job does not see {word}: give its absolute path on storage that the head node sees")


def _absolute(path: str) -> bool:
    return "://" in path or path.startswith("/")


def submit(
    client: Any, address: str, words: Sequence[str], env: Mapping[str, str] | None = None, python: str = "python"
) -> Job:
    """Ship the package and start ``python -m sim2pose WORDS`` on the head node.

    Args:
        client: from :func:`connect`.
        address: where it is connected to.
        words: of the command line, after ``sim2pose``.
        env: further environment variables of the job and its workers.
        python: interpreter on the head node; the default is what its ``PATH`` has, which need not be Ray's own.

    Raises:
        UserError: see :func:`check_words`.
        RuntimeError: if the cluster refuses the job.
    """
    check_words(words)
    return start(client, address, [python, "-m", "sim2pose", *words], env)


def start(client: Any, address: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> Job:
    """Start any command with the package on its path, in a folder of its own.

    Without a ``working_dir`` the job would run where the head was started, and Ray puts that folder on the path of all
    workers: a checkout of sim2pose there would hide the shipped package.
    """
    runtime_env = {"py_modules": [str(PACKAGE)], "excludes": EXCLUDES, "env_vars": {**ENVIRONMENT, **(env or {})}}
    entrypoint = shlex.join(command)
    with tempfile.TemporaryDirectory() as folder:  # uploaded before submit_job returns
        (Path(folder) / "command.txt").write_text(f"{entrypoint}\n", encoding="utf-8")
        job_id = client.submit_job(entrypoint=entrypoint, runtime_env={**runtime_env, "working_dir": folder})
    return Job(job_id, address)


def job_env(items: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` items, or ``KEY`` alone for this machine's value.

    Raises:
        UserError: for a key that is not set here.
    """
    env = {}
    for item in items:
        key, sign, value = item.partition("=")
        if not sign and key not in os.environ:
            raise UserError(f"--env {key} has no value: it is not set here; write --env {key}=VALUE")
        env[key] = value if sign else os.environ[key]
    return env


def follow(client: Any, job: Job, write: Callable[[str], Any] = sys.stdout.write) -> int:
    """Print the job's log as it grows; returns the exit code of its command when it has ended.

    Interrupting this leaves the job running.

    Raises:
        RuntimeError: if the log cannot be had any more; the job goes on.
    """
    seen, broken = 0, 0
    while True:
        before = seen
        try:
            seen = asyncio.run(_tail(client, job, write, seen))
            code, message = ending(client, job)
            if message:
                write(f"{message.rstrip()}\n")
            return code
        except _Broken as error:
            seen = error.seen
            broken = 1 if seen > before else broken + 1
            if broken > REATTACH:
                raise RuntimeError(
                    f"lost contact with {job.id} ({error.__cause__}); it goes on: {hint(job)}"
                ) from error
            time.sleep(min(2.0**broken, 10.0))


class _Broken(Exception):
    """The stream ended before the job did; ``seen`` characters had been printed."""

    def __init__(self, seen: int) -> None:
        super().__init__()
        self.seen = seen


async def _tail(client: Any, job: Job, write: Callable[[str], Any], skip: int) -> int:
    """Print the log but for its first ``skip`` characters (each stream starts at the beginning); returns its length."""
    length = 0
    try:
        async for text in client.tail_job_logs(job.id):
            fresh = text[max(skip - length, 0) :]
            length += len(text)
            if fresh:
                write(fresh)
                sys.stdout.flush()
    except (RuntimeError, OSError) as error:
        raise _Broken(max(length, skip)) from error
    return max(length, skip)


def ending(client: Any, job: Job) -> tuple[int, str]:
    """Exit code of an ended job's command (130 where it was stopped), and Ray's message where that never started.

    Raises:
        RuntimeError: if the job does not end within :data:`SETTLE_S`.
    """
    deadline = time.monotonic() + SETTLE_S
    while True:
        info = client.get_job_info(job.id)
        status = str(getattr(info.status, "value", info.status))
        if status in EXIT_CODES:
            if status == "FAILED" and info.driver_exit_code:
                code = int(info.driver_exit_code)
                return code if code > 0 else 128 - code, ""  # 128 + n: as a shell reports signal n
            return EXIT_CODES[status], "" if status == "SUCCEEDED" else info.message or ""
        if time.monotonic() > deadline:
            raise RuntimeError(f"the log of {job.id} has ended but its status is {status}: {hint(job)}")
        time.sleep(0.5)


def hint(job: Job) -> str:
    """How to look at a job later."""
    return f"ray job logs --follow {job.id} --address {job.address}"
