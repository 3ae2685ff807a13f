"""Reports in MLflow: there where it answers, and nothing lost where it does not."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from sim2pose.trainers.artifacts import report_files, send_files
from sim2pose.trainers.events import EventLog
from sim2pose.trainers.mlflow_client import artifact_root
from sim2pose.trainers.tracking import MlflowSender, default_uri


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run folder with a report, a picture and an event."""
    folder = tmp_path / "run"
    (folder / "figures").mkdir(parents=True)
    (folder / "report.html").write_text("page")
    (folder / "figures" / "tsne.png").write_bytes(b"png")
    EventLog(folder, 0).write(1, {"a": 1.0})
    return folder


def test_report_and_pictures_go_beside_the_database(run_dir: Path, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    uri = default_uri(tmp_path / "out")
    assert MlflowSender(run_dir, uri, "experiment", "run", {}).flush()
    assert send_files(run_dir, report_files(run_dir))
    run_id = json.loads((run_dir / "tracking.json").read_text())["run_id"]
    client = MlflowClient(tracking_uri=uri)
    assert {a.path for a in client.list_artifacts(run_id)} == {"report.html", "figures"}
    assert [a.path for a in client.list_artifacts(run_id, "figures")] == ["figures/tsne.png"]
    assert (tmp_path / "out" / "mlartifacts").is_dir()
    assert artifact_root("http://server") is None


def test_an_outage_is_said_and_stops_nothing(
    run_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with caplog.at_level(logging.WARNING):
        assert not send_files(run_dir, report_files(run_dir))
        assert "not been told of the run" in caplog.text
        (run_dir / "tracking.json").write_text('{"uri": "http://127.0.0.1:9", "run_id": "x"}')
        assert not send_files(run_dir, report_files(run_dir))
    assert caplog.text.count("sent by --resume later") == 2
