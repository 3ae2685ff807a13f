"""The demo's page: both runs side by side, beside the baselines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..datasets.html import Report
from ..trainers.report import BEST, TITLES, add_contact_sheet, add_curves, environment, prediction_sheet

COLUMNS = ("AP", "AP50", "AP75", "AR", "oks", "pck", "left_right_confusion")
NAMES = {"source_only": "source only", "adapted": "adapted"}


def write_demo_report(
    path: Path,
    config: Any,
    folders: Mapping[str, Path],
    runs: Mapping[str, Path],
    reports: Mapping[str, Mapping[str, Any]],
    summary: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> Path:
    """Write the page; arguments are those of ``cluster.demo.run_demo``."""
    page = Report(
        "sim2pose demo", f"source: rendered infants · target: {summary['target']} · model {summary['model_version']}"
    )
    if config.real is None:
        page.text(
            "The target domain here is a stand-in: rendered too, with other bodies, poses, look, camera and renderer. It shows "
            "that the machinery works; it says nothing yet about photographs. real=coco:JSON:IMAGES takes your own.",
            warn=True,
        )
    page.heading("Figures on held-out frames")
    for domain in ("target", "source"):
        page.table((f"on the {domain}", *TITLES), _rows(domain, reports), best=BEST)
    page.text(
        f"Both runs make {config.steps} updates of the pose network; the adapted one branches off the source-only run after "
        f"{round(config.steps * config.branch)} and goes on with half of each batch from the target, {config.target_labels} of "
        "whose people keep their labels. The model of a run is its last checkpoint: nothing was selected on these frames. "
        "One seed; repeat with seed=1, 2, … for the spread."
    )
    page.heading("Curves")
    add_curves(
        page,
        {NAMES[name]: run for name, run in runs.items()},
        "steps of each run; the adapted run's begin at its branch",
    )
    for domain in ("target", "source"):
        for name in NAMES:
            page.heading(f"Predictions on the {domain}, {NAMES[name]}")
            page.image(*prediction_sheet(reports[name][domain]["results"], folders[f"{domain}_test"]))
    page.heading("Data")
    for folder in folders.values():
        add_contact_sheet(page, folder)
    page.heading("Time")
    page.table(("stage", "seconds"), [*seconds.items(), ("together", round(sum(seconds.values()), 1))])
    page.heading("Config")
    page.code(json.dumps(json.loads(config.model_dump_json()), indent=2))
    page.heading("Environment")
    page.code(environment())
    return page.write(path)


def _rows(domain: str, reports: Mapping[str, Mapping[str, Any]]) -> list[list[Any]]:
    rows = [
        [NAMES[name], *(report[domain]["figures"]["model"][c] for c in COLUMNS)] for name, report in reports.items()
    ]
    baselines = next(iter(reports.values()))[domain]["figures"]
    return rows + [[name.replace("_", " "), *(baselines[name][c] for c in COLUMNS)] for name in ("mean_pose", "zero")]
