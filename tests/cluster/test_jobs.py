"""Jobs: what is shipped, what is refused before it is shipped, and that the command ends as the job does."""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sim2pose.cluster import jobs
from sim2pose.cluster.jobs import Job
from sim2pose.config import UserError

JOB = Job("job_1", "http://head:8265")


class FakeClient:
    """The job server's part: a log that may break off, and statuses that follow one another."""

    def __init__(
        self,
        log: str = "",
        breaks: tuple[int, ...] = (),
        statuses: tuple[str, ...] = ("SUCCEEDED",),
        code: int | None = 0,
    ) -> None:
        self.log, self.breaks, self.statuses, self.code = log, list(breaks), list(statuses), code
        self.submitted: list[dict[str, Any]] = []

    def submit_job(self, **what: Any) -> str:
        self.submitted.append(what)
        return JOB.id

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        assert job_id == JOB.id
        end = self.breaks.pop(0) if self.breaks else len(self.log)
        for start in range(0, end, 4):
            yield self.log[start : min(start + 4, end)]
        if end < len(self.log):
            raise RuntimeError("WebSocket connection closed unexpectedly with close code 1006")

    def get_job_info(self, job_id: str) -> Any:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return SimpleNamespace(status=status, driver_exit_code=self.code, message=f"it {status}")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "soak" not in request.keywords:
        monkeypatch.setattr(jobs, "time", SimpleNamespace(sleep=lambda s: None, monotonic=time.monotonic))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_package_travels_with_the_command_and_its_environment() -> None:
    client, words = FakeClient(), ["train", "infant_source", "out=/shared/my runs", "--resume"]
    job = jobs.submit(client, JOB.address, words, {"KEY": "v"})
    assert job == JOB
    (what,) = client.submitted
    assert shlex.split(what["entrypoint"]) == ["python", "-m", "sim2pose", *words]
    (folder,) = what["runtime_env"]["py_modules"]
    assert (Path(folder) / "__main__.py").is_file()
    assert Path(folder).name == "sim2pose", "the folder's name is the module's"
    assert (Path(folder) / "trainers" / "runtimes.py").is_file(), "links lead to all rooms"
    assert what["runtime_env"]["env_vars"]["KEY"] == "v"
    assert what["runtime_env"]["env_vars"]["PYTHONUNBUFFERED"] == "1"
    assert not any("TOKEN" in key for key in what["runtime_env"]["env_vars"]), "the token is sent with requests only"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "nothing to run"),
        (["train", "infant_source", "out=runs"], "out=runs would lie in the job's own folder"),
        (["render", "infant"], "'render' would write into the job's own folder"),
        (["tune", "mine.yaml", "out=/shared/s"], r"the job does not see mine\.yaml"),
    ],
)
def test_what_would_be_lost_or_not_found_is_refused(words: list[str], sentence: str) -> None:
    client = FakeClient()
    with pytest.raises(UserError, match=sentence):
        jobs.submit(client, JOB.address, words)
    assert client.submitted == []


def test_a_command_that_writes_nowhere_may_go() -> None:
    jobs.check_words(["doctor"])
    jobs.check_words(["tune", "/shared/mine.yaml", "out=s3://bucket/s", "fixed.data.source=/shared/a"])


def test_the_log_is_printed_once_though_the_stream_breaks() -> None:
    client = FakeClient("0123456789abcdefghij", breaks=(6, 6, 15))
    printed: list[str] = []
    assert jobs.follow(client, JOB, printed.append) == 0
    assert "".join(printed) == "0123456789abcdefghij"


def test_a_log_that_is_lost_for_good_says_how_to_go_on() -> None:
    client = FakeClient("0123456789", breaks=(6,) * 20)
    with pytest.raises(
        RuntimeError, match=r"lost contact with job_1 .*it goes on: ray job logs --follow job_1 --address"
    ):
        jobs.follow(client, JOB, lambda text: None)
    assert len(client.breaks) == 20 - jobs.REATTACH - 1


@pytest.mark.parametrize(
    ("statuses", "code", "expected"),
    [
        (("RUNNING", "RUNNING", "SUCCEEDED"), 0, 0),
        (("FAILED",), 2, 2),
        (("FAILED",), None, 1),
        (("FAILED",), -9, 137),
        (("STOPPED",), None, 130),
    ],
)
def test_exits_as_the_job_does(statuses: tuple[str, ...], code: int | None, expected: int) -> None:
    printed: list[str] = []
    assert jobs.follow(FakeClient("log\n", statuses=statuses, code=code), JOB, printed.append) == expected
    told = expected != 0 and not code  # a command that ran has said why it failed
    assert "".join(printed) == (f"log\nit {statuses[-1]}\n" if told else "log\n")


def test_a_job_that_never_ends_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SETTLE_S", 0.01)
    with pytest.raises(RuntimeError, match="has ended but its status is RUNNING"):
        jobs.ending(FakeClient(statuses=("RUNNING",)), JOB)


def test_addresses_are_checked_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(jobs.ADDRESS, raising=False)
    with pytest.raises(UserError, match="no cluster to submit to: give --address"):
        jobs.find_address(None)
    with pytest.raises(UserError, match="is no job server"):
        jobs.find_address("ray://head:10001")
    with pytest.raises(UserError, match=r"no Ray cluster answers at .*is its head running"):
        jobs.find_address(f"127.0.0.1:{free_port()}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv(jobs.ADDRESS, f"http://127.0.0.1:{port}/")
        assert jobs.find_address(None) == f"http://127.0.0.1:{port}"
        assert jobs.find_address(f"localhost:{port}") == f"http://localhost:{port}", "what is given goes first"


def test_a_given_address_is_not_overridden_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray prefers RAY_API_SERVER_ADDRESS and RAY_ADDRESS to the argument: a job could go elsewhere."""
    import ray.job_submission as module

    seen = {}
    monkeypatch.setenv(jobs.ADDRESS, "http://elsewhere:8265")

    def client(address: str) -> None:
        from ray.dashboard.utils import get_address_for_submission_client

        seen["address"] = get_address_for_submission_client(address)

    monkeypatch.setattr(module, "JobSubmissionClient", client)
    jobs.connect("http://here:8265")
    assert seen == {"address": "http://here:8265"}
    assert os.environ[jobs.ADDRESS] == "http://elsewhere:8265"


def test_refused_tokens_and_strangers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray.job_submission as module
    from ray.exceptions import AuthenticationError

    def refuse(address: str) -> None:
        raise AuthenticationError("Authentication required")

    monkeypatch.setattr(module, "JobSubmissionClient", refuse)
    with pytest.raises(UserError, match="RAY_AUTH_TOKEN_PATH"):
        jobs.connect("http://here:8265")

    def stranger(address: str) -> None:
        raise RuntimeError("Version check returned 404. Please")

    monkeypatch.setattr(module, "JobSubmissionClient", stranger)
    with pytest.raises(UserError, match="is no Ray job server: Version check returned 404"):
        jobs.connect("http://here:8265")


def test_environment_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "local")
    assert jobs.job_env(["A=b=c", "MINE"]) == {"A": "b=c", "MINE": "local"}
    with pytest.raises(UserError, match="--env NOT_SET has no value"):
        jobs.job_env(["NOT_SET"])


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """A real head with token authentication: its address, and the environment that reaches it. Ended by its pid."""
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
    env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as an activated environment has it
    port, dashboard, agent, client = (free_port() for _ in range(4))
    ray = str(Path(sys.executable).parent / "ray")
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as short, (token.parent / "head.log").open("w") as log:
        words = [ray, "start", "--head", "--block", "--num-cpus=2", "--object-store-memory=100000000", f"--port={port}"]
        words += [f"--temp-dir={short}", f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"]
        words += [f"--ray-client-server-port={client}", "--node-ip-address=127.0.0.1"]
        process = subprocess.Popen(words, env={**os.environ, **env}, stdout=log, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{dashboard}"
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    jobs.find_address(address)
                    break
                except UserError:
                    time.sleep(0.5)
            assert process.poll() is None, (token.parent / "head.log").read_text()
            yield address, env
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def run_on(head: tuple[str, dict[str, str]], code: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Follow a job of ``python -c`` from a process of its own: Ray reads its token once a process."""
    script = (
        "import sys; from sim2pose.cluster import jobs\n"
        "place = jobs.find_address(sys.argv[1]); client = jobs.connect(place)\n"
        "sys.exit(jobs.follow(client, jobs.start(client, place, ['python', '-c', sys.argv[2]], {'MINE': 'here'})))"
    )
    words = [sys.executable, "-c", script, head[0], code]
    return subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True, timeout=240)


@pytest.mark.soak
def test_a_real_head_runs_the_shipped_package_and_gives_its_exit_code(head: tuple[str, dict[str, str]]) -> None:
    code = (
        "import os, sys, ray, sim2pose.trainers.config as c; from sim2pose.render_farm.farm.ray_session import ray_session\n"
        "print('DRIVER=' + c.__file__, os.environ['MINE'], os.getcwd())\n"
        "f = ray.remote(lambda: (__import__('sim2pose').__file__, os.environ['OMP_NUM_THREADS']))\n"
        "with ray_session():\n    print('WORKER=', *ray.get(f.remote()))\n"
        "sys.exit(3)"
    )
    done = run_on(head, code, head[1])
    assert done.returncode == 3, done.stdout + done.stderr
    assert "runtime_resources/py_modules_files" in done.stdout.split("\nDRIVER=")[1].splitlines()[0]
    assert "here" in done.stdout
    assert "runtime_resources/working_dir_files" in done.stdout
    assert "runtime_resources/py_modules_files" in done.stdout.split("\nWORKER=")[1].splitlines()[0]


@pytest.mark.soak
def test_a_wrong_token_is_refused_with_the_remedy(head: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text(secrets.token_hex(32))
    done = run_on(head, "print(1)", {**head[1], "RAY_AUTH_TOKEN_PATH": str(wrong)})
    assert "refuses this machine's token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH" in done.stderr
    none = run_on(head, "print(1)", {"RAY_AUTH_MODE": "disabled"})
    assert "refuses this machine's token" in none.stderr
