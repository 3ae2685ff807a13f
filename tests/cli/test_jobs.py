"""``sim2pose jobs list``: fits a terminal, loses nothing."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sim2pose.cluster import addresses, jobs
from sim2pose.commands.jobs import app


def test_long_commands_are_cut_in_the_table_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "python -m sim2pose train adapt " + " ".join(f"data.key{i}=value{i}" for i in range(20))
    found = [jobs.Listed("train-a", "RUNNING", 1e9, 3723.0, long), jobs.Listed("train-b", "FAILED", 1e9, 5.0, "short")]
    monkeypatch.setattr(addresses, "find_address", lambda address: "http://head:8265")
    monkeypatch.setattr(addresses, "connect", lambda place: None)
    monkeypatch.setattr(jobs, "listed", lambda client: found)
    shown = CliRunner().invoke(app, ["list", "--json", str(tmp_path / "jobs.json")])
    assert shown.exit_code == 0, shown.output
    (line,) = [line for line in shown.output.splitlines() if "train-a" in line]
    assert "1:02:03" in line and line.rstrip().endswith("…") and len(line) < 140
    assert "short" in shown.output
    assert [job["command"] for job in json.loads((tmp_path / "jobs.json").read_text())] == [long, "short"]
