"""Running a command on a Ray cluster elsewhere: ``ray job submit`` with this package shipped along.

The cluster's nodes need sim2pose's dependencies (or ``--pip``), not sim2pose itself: see :mod:`.shipping`. The job runs in a
folder of its own, so whatever it reads and writes is named by absolute paths on storage that every node sees, or by URIs.
The job joins the cluster by itself (Ray sets ``RAY_ADDRESS`` for it).
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import UserError, nearest, parse_overrides
from .needs import Needs
from .shipping import runtime_env

WRITES = ("render", "train", "tune", "run", "demo")  # commands whose `out` would be lost with the job's folder
REATTACH = 5  # times in a row that the log stream may break
SETTLE_S = 30.0  # between the end of the log, or a wish to stop, and the status that says so
EXIT_CODES = {"SUCCEEDED": 0, "FAILED": 1, "STOPPED": 130}
NO_NEEDS = Needs(0)
NO_AGENT = "No available agent to submit job"
PORT_TAKEN = (
    "another Ray on its machine has the port of its agent (start it with --dashboard-agent-listen-port=PORT, not 52365)"
)


@dataclass(frozen=True)
class Job:
    """A submitted job: its id, and the address it was given to."""

    id: str
    address: str


def check_words(words: Sequence[str]) -> None:
    """Refuse what cannot work away from this folder.

    Raises:
        UserError: for a relative or missing ``out``, folders and files that lie here, or a preset file that is not here.
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
    if words[0] in WRITES and words[0] != "render" and "://" in str(out):
        raise UserError(f"out={out}: only frames may lie in an object store, '{words[0]}' writes to a folder: {remedy}")
    for value in [*_texts(overrides), *(word for word in words[1:] if "/" in word and "=" not in word)]:
        if not _absolute(value) and not _is_preset(value) and Path(value).exists():
            raise UserError(
                f"{value} lies on this machine: name it by its absolute path on storage that every node sees, or by a URI"
            )
    for word in words[1:]:
        if _is_preset(word) and not _absolute(word) and (".." in Path(word).parts or not Path(word).is_file()):
            raise UserError(
                f"no preset file at {word}: it must lie below this folder, or be named by its absolute path"
            )


def _texts(value: Any) -> Iterator[str]:
    """All strings in a nested value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _absolute(path: str) -> bool:
    return "://" in path or path.startswith("/")


def _is_preset(word: str) -> bool:
    return word.endswith((".yaml", ".yml")) and "=" not in word


def submit(
    client: Any,
    address: str,
    words: Sequence[str],
    env: dict[str, Any] | None = None,
    needs: Needs = NO_NEEDS,
    python: str = "python",
) -> Job:
    """Ship the package and start ``python -m sim2pose WORDS`` on the cluster.

    Args:
        client: from :func:`.addresses.connect`.
        address: where it is connected to.
        words: of the command line, after ``sim2pose``; preset files below this folder travel along.
        env: the job's environment, of :func:`.shipping.runtime_env`.
        needs: what the command's process is to have; where it has none, it runs on the head node.
        python: interpreter on the node; the default is what its ``PATH`` has, which need not be Ray's own.

    Raises:
        UserError: see :func:`check_words`, or if the cluster refuses the job.
    """
    check_words(words)
    files = [word for word in words[1:] if _is_preset(word) and not _absolute(word)]
    return start(client, address, [python, "-m", "sim2pose", *words], env, needs, files, _job_id(words))


def _job_id(words: Sequence[str]) -> str:
    """A new id that tells jobs apart in a list: ``train-first-1f2e3d4c``."""
    name = parse_overrides([word for word in words[1:] if word.startswith("name=")]).get("name", "")
    said = [re.sub(r"[^A-Za-z0-9_.-]", "", str(part)) for part in (words[0], name)]
    return "-".join([*filter(None, said), secrets.token_hex(4)])


def start(
    client: Any,
    address: str,
    command: Sequence[str],
    env: dict[str, Any] | None = None,
    needs: Needs = NO_NEEDS,
    files: Sequence[str] = (),
    job_id: str | None = None,
) -> Job:
    """Start any command with the package on its path, in a folder of its own that holds ``files``.

    Without a ``working_dir`` the job would run where the head was started, and Ray puts that folder on the path of all
    workers: a checkout of sim2pose there would hide the shipped package.

    Raises:
        UserError: if the cluster refuses the job.
    """
    entrypoint = shlex.join(command)
    asked = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "memory": int(needs.memory)}
    resources = {f"entrypoint_{name}": value for name, value in asked.items() if value}
    with tempfile.TemporaryDirectory() as folder:  # uploaded before submit_job returns
        (Path(folder) / "command.txt").write_text(f"{entrypoint}\n", encoding="utf-8")
        for file in files:
            (Path(folder) / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, Path(folder) / file)
        try:
            given = client.submit_job(
                entrypoint=entrypoint,
                runtime_env={**(env or runtime_env()), "working_dir": folder},
                submission_id=job_id,
                **resources,
            )
        except RuntimeError as error:
            raise UserError(f"the cluster at {address} refuses the job: {_gist(error)}") from error
    return Job(given, address)


def _gist(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if NO_AGENT in lines[-1]:
        return f"{NO_AGENT}: the head has just been started, or {PORT_TAKEN}"
    return lines[-1][:400]


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
        status = status_of(info)
        if status in EXIT_CODES:
            if status == "FAILED" and info.driver_exit_code:
                code = int(info.driver_exit_code)
                return code if code > 0 else 128 - code, ""  # 128 + n: as a shell reports signal n
            return EXIT_CODES[status], "" if status == "SUCCEEDED" else info.message or ""
        if time.monotonic() > deadline:
            raise RuntimeError(f"the log of {job.id} has ended but its status is {status}: {hint(job)}")
        time.sleep(0.5)


@dataclass(frozen=True)
class Listed:
    """A job as a cluster lists it; ``started`` in Unix seconds, ``seconds`` that it took or has taken so far."""

    id: str
    status: str
    started: float
    seconds: float
    command: str


def listed(client: Any) -> list[Listed]:
    """The jobs that were submitted to a cluster, newest first."""
    found, now = [], time.time()
    for each in client.list_jobs():
        if each.submission_id:
            begin = (each.start_time or 0) / 1000
            end = each.end_time / 1000 if each.end_time else now
            found.append(Listed(each.submission_id, status_of(each), begin, end - begin, each.entrypoint))
    return sorted(found, key=lambda job: -job.started)


def find_job(client: Any, address: str, job_id: str) -> Job:
    """A job by its id.

    Raises:
        UserError: for an id that the cluster does not know (nearest named).
    """
    known = [job.id for job in listed(client)]
    if job_id not in known:
        raise UserError(f"the cluster at {address} has no job '{job_id}': {nearest(job_id, known)}")
    return Job(job_id, address)


def stop(client: Any, job: Job) -> str:
    """End a job's command (SIGTERM, then SIGKILL) and what it started in the cluster; returns its status.

    Raises:
        RuntimeError: if it does not end within :data:`SETTLE_S`.
    """
    client.stop_job(job.id)
    deadline = time.monotonic() + SETTLE_S
    while (status := status_of(client.get_job_info(job.id))) not in EXIT_CODES:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{job.id} was told to stop but is {status}: {hint(job)}")
        time.sleep(0.5)
    return status


def status_of(info: Any) -> str:
    """``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``STOPPED``."""
    return str(getattr(info.status, "value", info.status))


def hint(job: Job) -> str:
    """How to look at a job later."""
    return f"sim2pose jobs logs {job.id} --follow --address {job.address}"
