"""Jobs: what is shipped, what is refused before it is shipped, and that the command ends as the job does."""

from __future__ import annotations

import shlex
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sim2pose.cluster import jobs
from sim2pose.cluster.jobs import Job
from sim2pose.cluster.needs import Needs
from sim2pose.cluster.shipping import runtime_env
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
        folder = Path(what["runtime_env"]["working_dir"])
        self.submitted.append(what)
        self.files = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
        return JOB.id

    def stop_job(self, job_id: str) -> bool:
        assert job_id == JOB.id
        return True

    def list_jobs(self) -> list[Any]:
        jobs = [("train-a-1", 1000, 61_000), ("train-b-2", 2000, None), (None, 0, None)]
        return [
            SimpleNamespace(submission_id=i, start_time=s, end_time=e, status="RUNNING", entrypoint="x")
            for i, s, e in jobs
        ]

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
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    instead = SimpleNamespace(sleep=lambda s: None, monotonic=time.monotonic, time=time.time)
    monkeypatch.setattr(jobs, "time", instead)


def test_the_package_travels_with_the_command_and_its_environment() -> None:
    client, words = FakeClient(), ["train", "infant_source", "out=/shared/my runs", "--resume"]
    job = jobs.submit(client, JOB.address, words, runtime_env({"KEY": "v"}), Needs(2, 1, 3e9))
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
    asked = {key.removeprefix("entrypoint_"): value for key, value in what.items() if key.startswith("entrypoint_")}
    assert asked == {"num_cpus": 2, "num_gpus": 1, "memory": 3_000_000_000}


def test_a_command_whose_workers_do_the_work_asks_for_nothing_itself() -> None:
    client = FakeClient()
    jobs.submit(
        client, JOB.address, ["train", "fidip", "out=/s", "name=my first"], runtime_env(), Needs(0, 0, workers=4)
    )
    (what,) = client.submitted
    assert not [key for key in what if key.startswith("entrypoint_")]
    assert what["submission_id"].startswith("train-myfirst-"), "jobs can be told apart in a list"


def test_preset_files_below_this_folder_travel_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "sweep.yaml").write_text("train: adapt")
    client = FakeClient()
    jobs.submit(client, JOB.address, ["tune", "my/sweep.yaml", "out=/shared/s"])
    assert client.files["my/sweep.yaml"] == "train: adapt"


def test_a_cluster_that_refuses_a_job_is_named() -> None:
    client = FakeClient()

    def refuse(**what: Any) -> str:
        raise RuntimeError("Request failed with status code 500: Traceback\nValueError: the working_dir is too large")

    client.submit_job = refuse  # type: ignore[method-assign]
    with pytest.raises(UserError, match="http://head:8265 refuses the job: ValueError: the working_dir is too large"):
        jobs.submit(client, JOB.address, ["doctor"])

    def no_agent(**what: Any) -> str:
        raise RuntimeError("status code 500: No available agent to submit job, please try again later..")

    client.submit_job = no_agent  # type: ignore[method-assign]
    with pytest.raises(
        UserError, match=r"No available agent .*another Ray on its machine has the port .*listen-port=PORT"
    ):
        jobs.submit(client, JOB.address, ["doctor"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "nothing to run"),
        (["train", "infant_source", "out=runs"], "out=runs would lie in the job's own folder"),
        (["render", "infant"], "'render' would write into the job's own folder"),
        (["tune", "mine.yaml", "out=/shared/s"], r"no preset file at mine\.yaml"),
        (
            ["tune", "../mine.yaml", "out=/shared/s"],
            r"no preset file at \.\./mine\.yaml: it must lie below this folder",
        ),
        (["tune", "lambda", "out=s3://bucket/s"], "only frames may lie in an object store, 'tune' writes to a folder"),
        (
            ["train", "adapt", "out=/s", "data.source=frames"],
            "frames lies on this machine: name it by its absolute path",
        ),
        (["train", "adapt", "out=/s", "data.val={target: frames}"], "frames lies on this machine"),
        (["evaluate", "frames/run", "/shared/photos"], "frames/run lies on this machine"),
    ],
)
def test_what_would_be_lost_or_not_found_is_refused(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frames" / "run").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    client = FakeClient()
    with pytest.raises(UserError, match=sentence):
        jobs.submit(client, JOB.address, words)
    assert client.submitted == []


def test_a_command_that_writes_nowhere_may_go() -> None:
    jobs.check_words(["doctor"])
    jobs.check_words(["tune", "/shared/mine.yaml", "out=/shared/s", "fixed.data.source=/shared/a"])
    jobs.check_words(["render", "infant", "out=s3://bucket/s"])


def test_the_log_is_printed_once_though_the_stream_breaks() -> None:
    client = FakeClient("0123456789abcdefghij", breaks=(6, 6, 15))
    printed: list[str] = []
    assert jobs.follow(client, JOB, printed.append) == 0
    assert "".join(printed) == "0123456789abcdefghij"


def test_a_log_that_is_lost_for_good_says_how_to_go_on() -> None:
    client = FakeClient("0123456789", breaks=(6,) * 20)
    with pytest.raises(
        RuntimeError, match=r"lost contact with job_1 .*it goes on: sim2pose jobs logs job_1 --follow --address"
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


def test_jobs_are_listed_newest_first_and_an_unknown_one_names_the_nearest() -> None:
    client = FakeClient()
    assert [(job.id, job.started) for job in jobs.listed(client)] == [("train-b-2", 2.0), ("train-a-1", 1.0)]
    assert jobs.listed(client)[1].seconds == 60
    assert jobs.find_job(client, JOB.address, "train-a-1") == Job("train-a-1", JOB.address)
    with pytest.raises(UserError, match=r"http://head:8265 has no job 'train-a-2': did you mean 'train-"):
        jobs.find_job(client, JOB.address, "train-a-2")


def test_stopping_waits_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jobs.stop(FakeClient(statuses=("RUNNING", "RUNNING", "STOPPED")), JOB) == "STOPPED"
    monkeypatch.setattr(jobs, "SETTLE_S", 0.01)
    with pytest.raises(RuntimeError, match="was told to stop but is RUNNING"):
        jobs.stop(FakeClient(statuses=("RUNNING",)), JOB)
