"""Files of a finished run in MLflow: its report and the pictures in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from .mlflow_client import mlflow_client
from .tracking import STATE

log = logging.getLogger(__name__)

PICTURES = "figures"


def report_files(run_dir: Path) -> list[Path]:
    """The report and its pictures, those that are there."""
    return [path for path in (run_dir / "report.html", *sorted((run_dir / PICTURES).glob("*.png"))) if path.is_file()]


def send_files(run_dir: Path, files: Sequence[Path]) -> bool:
    """Log files with the run's MLflow run: pictures under ``figures/``, others at its root.

    An outage is said and costs nothing more: the files stay in the run folder, and ``--resume`` of the finished run
    sends them.

    Returns:
        whether MLflow has them.
    """
    path = run_dir / STATE
    state = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    try:
        if not state.get("run_id"):
            raise ConnectionError("it has not been told of the run yet")
        client = mlflow_client(state["uri"])
        for file in files:
            client.log_artifact(state["run_id"], str(file), PICTURES if file.suffix == ".png" else None)
    except Exception as error:  # whatever fails there must not undo a finished training
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        log.warning("MLflow did not take the report (%s): it stays in %s; sent by --resume later", why, run_dir)
        return False
    return True
