"""What a run's validations leave beside their metrics: errors by keypoint, and what adaptation gained and cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..events import drop_after, read_events, read_lines

KEYPOINTS = "keypoints.jsonl"
COMPARED = ("source/AP", "target/AP")


def note_keypoints(run_dir: Path, step: int, epoch: float, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Append a validation's figures by keypoint to ``keypoints.jsonl``; lines of this step and later ones are replaced.

    Args:
        run_dir: its folder.
        step, epoch: of the validation.
        reports: by validation folder, as ``evaluation.evaluate_results`` gives them.
    """
    path = run_dir / KEYPOINTS
    drop_after(path, step - 1)
    folders = {
        name: {
            joint: {"error_box": values["error_box"], "oks": values.get("oks")}
            for joint, values in report["per_keypoint"].items()
        }
        for name, report in reports.items()
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "epoch": round(epoch, 4), "folders": folders}) + "\n")


def read_keypoints(run_dir: Path) -> list[dict[str, Any]]:
    """Every validation's figures by keypoint, oldest first: ``{"step", "epoch", "folders": {name: {joint: {…}}}}``."""
    return read_lines(run_dir / KEYPOINTS)


def retention(run_dir: Path, metrics: Mapping[str, float]) -> dict[str, float]:
    """What became of the figures that the run's start had: ``source/AP_before``, ``source/AP_change``, the target's too.

    ``before`` is the validation at step 0, of the weights that the run starts from (see ``validate_first``). A negative
    change on the source is what adaptation cost.

    Args:
        run_dir: its folder.
        metrics: of the last validation.
    """
    events = (e["metrics"] for e in read_events(run_dir) if e["step"] == 0)
    first: dict[str, float] = next((metrics for metrics in events if "source/AP" in metrics), {})
    found = {}
    for name in COMPARED:
        if name in first and name in metrics:
            found[f"{name}_before"] = first[name]
            found[f"{name}_change"] = metrics[name] - first[name]
    return found
