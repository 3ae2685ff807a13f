"""Tracking: the file is always there, MLflow gets each event once, and an outage stops nothing."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sim2pose.config import merge, validate
from sim2pose.trainers import tracking
from sim2pose.trainers.events import EventLog, read_events
from sim2pose.trainers.keypoint_config import KeypointConfig
from sim2pose.trainers.runtimes import train
from sim2pose.trainers.tracking import MlflowSender, default_uri, flat

DEAD = "http://127.0.0.1:9"  # the discard port: nothing answers there


def sender(run_dir: Path, uri: str) -> MlflowSender:
    return MlflowSender(run_dir, uri, "experiment", "run", {"optim.lr": 0.1})


def history(uri: str, run_dir: Path, key: str) -> list[tuple[int, float]]:
    from mlflow.tracking import MlflowClient

    run_id = json.loads((run_dir / "tracking.json").read_text())["run_id"]
    return [(m.step, m.value) for m in MlflowClient(tracking_uri=uri).get_metric_history(run_id, key)]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for all tests: creating its tables takes seconds, more than a sender waits on a busy machine."""
    from mlflow.tracking import MlflowClient

    there = default_uri(tmp_path_factory.mktemp("mlflow"))
    assert MlflowClient(tracking_uri=there).get_experiment_by_name("experiment") is None
    return there


def test_everything_arrives_once_in_one_run(tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ship, shipped = MlflowSender._ship, []

    def counting(self: MlflowSender, pending: list[Any], done: dict[str, Any]) -> None:
        shipped.extend((m.step, m.key) for m in pending)
        ship(self, pending, done)

    monkeypatch.setattr(MlflowSender, "_ship", counting)
    log = EventLog(tmp_path, 0)
    first = sender(tmp_path, uri)
    log.write(1, {"a": 1.0, "b": 2.0})
    assert first.flush()
    log.write(1, {"c": 3.0})  # a validation at the same step
    log.write(2, {"a": 4.0})
    assert first.flush()
    assert first.flush()
    second = sender(tmp_path, uri)  # a resume: another process
    log.write(3, {"a": 5.0})
    assert second.flush()
    assert history(uri, tmp_path, "a") == [(1, 1.0), (2, 4.0), (3, 5.0)]
    assert history(uri, tmp_path, "c") == [(1, 3.0)]
    assert shipped == [(1, "a"), (1, "b"), (1, "c"), (2, "a"), (3, "a")], "sqlite would hide what is sent twice"


def test_long_histories_go_in_batches_that_are_each_remembered(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "BATCH", 4)
    log = EventLog(tmp_path, 0)
    for step in range(10):
        log.write(step, {"a": float(step), "b": 0.0})
    one = sender(tmp_path, uri)
    ship, calls = one._ship, []

    def failing(pending: list[Any], done: dict[str, Any]) -> None:
        calls.append(len(pending))
        if len(calls) == 3:
            raise ConnectionError("gone in the middle")
        ship(pending, done)

    monkeypatch.setattr(one, "_ship", failing)
    assert not one.flush()
    assert one.flush()
    assert max(calls) <= 4
    assert history(uri, tmp_path, "a") == [(s, float(s)) for s in range(10)]


def test_an_outage_never_stops_a_training_and_is_replayed_once(
    values: dict[str, Any], uri: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    small = {"steps": 4, "adversarial": {"method": "none"}, "tracking": {"enabled": True, "uri": DEAD}}
    with caplog.at_level(logging.WARNING):
        result = train(validate(KeypointConfig, merge(values, small)))
    assert DEAD in caplog.text
    assert "metrics.jsonl" in caplog.text
    events = [e for e in read_events(result.run_dir) if "train/loss_pose" in e["metrics"]]
    assert [e["step"] for e in events] == [2, 4]
    back = validate(KeypointConfig, merge(values, {**small, "tracking": {"enabled": True, "uri": uri}}))
    for _ in range(2):  # the second time there is nothing left to send
        train(back, resume=True)
    expected = [(e["step"], pytest.approx(e["metrics"]["train/loss_pose"])) for e in events]
    assert history(uri, result.run_dir, "train/loss_pose") == expected


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_thread_has_ended_when_close_returns(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    EventLog(tmp_path, 0).write(1, {"a": 1.0})
    one = sender(tmp_path, silent).start()
    with caplog.at_level(logging.WARNING):
        one.close("FAILED")
    assert not one._thread.is_alive()
    assert silent in caplog.text


def test_no_call_begins_once_it_is_being_closed(tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "BATCH", 1)
    log = EventLog(tmp_path, 0)
    for step in range(50):
        log.write(step, {"a": float(step)})
    one, shipped, shipping, go_on = sender(tmp_path, uri), [], threading.Event(), threading.Event()
    ship = one._ship

    def slow(pending: list[Any], done: dict[str, Any]) -> None:
        shipped.append(threading.current_thread().name)
        if shipped[-1] == "mlflow-sender":
            shipping.set()
            go_on.wait(20)
        ship(pending, done)

    monkeypatch.setattr(one, "_ship", slow)
    one.start()
    assert shipping.wait(60)
    closer = threading.Thread(target=one.close, args=("FINISHED",))
    closer.start()
    assert one._stop.wait(20)
    go_on.set()
    closer.join(120)
    assert shipped.count("mlflow-sender") <= 2, "the thread went on sending while close waited for it"
    assert history(uri, tmp_path, "a") == [(s, float(s)) for s in range(50)]


def test_a_child_waits_for_its_parent_and_names_it(tmp_path: Path, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    from mlflow.tracking import MlflowClient

    for name in ("sweep", "trial"):
        (tmp_path / name).mkdir()
    EventLog(tmp_path / "trial", 0).write(1, {"a": 1.0})
    child = MlflowSender(tmp_path / "trial", uri, "experiment", "trial", {"b": 2}, parent=tmp_path / "sweep")
    with caplog.at_level(logging.WARNING):
        assert not child.flush()
    assert "names no parent run" in caplog.text
    assert not (tmp_path / "trial" / "tracking.json").exists()
    assert sender(tmp_path / "sweep", uri).flush()
    assert child.flush()
    states = {name: json.loads((tmp_path / name / "tracking.json").read_text()) for name in ("sweep", "trial")}
    run = MlflowClient(tracking_uri=uri).get_run(states["trial"]["run_id"])
    assert run.data.tags["mlflow.parentRunId"] == states["sweep"]["run_id"]
    assert run.data.params == {"b": "2"}


def test_a_paused_run_stays_running_and_goes_on(tmp_path: Path, uri: str) -> None:
    from mlflow.tracking import MlflowClient

    log, client = EventLog(tmp_path, 0), MlflowClient(tracking_uri=uri)
    statuses = []
    for step, status in ((1, None), (2, "FINISHED")):
        log.write(step, {"a": float(step)})
        sender(tmp_path, uri).start().close(status)
        run_id = json.loads((tmp_path / "tracking.json").read_text())["run_id"]
        statuses.append(client.get_run(run_id).info.status)
    assert statuses == ["RUNNING", "FINISHED"]
    assert history(uri, tmp_path, "a") == [(1, 1.0), (2, 2.0)]


def test_an_outage_right_after_the_run_was_made_loses_no_parameter(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    def failing(run_id: str) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        one = sender(tmp_path, uri)
        patch.setattr(one, "_log_params", failing)
        assert not one.flush()
    assert sender(tmp_path, uri).flush()
    run_id = json.loads((tmp_path / "tracking.json").read_text())["run_id"]
    assert MlflowClient(tracking_uri=uri).get_run(run_id).data.params == {"optim.lr": "0.1"}


def test_the_run_is_named_and_closed(values: dict[str, Any], uri: str) -> None:
    from mlflow.tracking import MlflowClient

    small = {"name": "closed", "steps": 2, "adversarial": {"method": "none"}, "tracking": {"enabled": True, "uri": uri}}
    result = train(validate(KeypointConfig, merge(values, small)))
    run = MlflowClient(tracking_uri=uri).get_run(json.loads((result.run_dir / "tracking.json").read_text())["run_id"])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "closed"
    assert run.data.params["optim.lr"] == "0.001"


def test_flat() -> None:
    assert flat({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a.b": 1, "a.c": {}, "d": [1]}
