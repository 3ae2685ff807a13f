"""``sim2pose evaluate RUN_OR_MODEL_OR_RESULTS.json DATA``: figures beside the baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config import load_config
from . import split, table, write_json

COLUMNS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "oks", "pck")


def evaluate(
    items: Annotated[list[str], typer.Argument(metavar="RUN_OR_MODEL_OR_RESULTS.json DATA key=value …")],
    json_file: Annotated[Path | None, typer.Option("--json", help="write the figures to this file")] = None,
    per_keypoint: Annotated[bool, typer.Option("--per-keypoint", help="print a line for each keypoint too")] = False,
) -> None:
    """COCO AP/AR, PCK and left/right confusion on a frames folder or COCO JSON (images=DIR), baselines beside them.

    The first word is a run folder, a model folder, a registered NAME@ALIAS, or a COCO results file, scored as it is.
    detections=FILE predicts in a detector's boxes (min_score, top, nms); joint_set=my.yaml and sigmas=[…] take one's own.
    """
    from ..cluster.evaluations import EvaluateConfig, evaluate_on

    (what, data), overrides = split(items, ("RUN_OR_MODEL_OR_RESULTS.json", "DATA"))
    report = evaluate_on(what, Path(data), load_config(EvaluateConfig, None, overrides))
    rows = [
        [name.replace("_box_area", " (box areas)"), *(figures.get(column) for column in COLUMNS)]
        for name, figures in report["figures"].items()
    ]
    print(table(rows, ("", *COLUMNS)))
    if per_keypoint:
        lines = [[name, *values.values()] for name, values in report["per_keypoint"].items()]
        print("\n" + table(lines, ("keypoint", *next(iter(report["per_keypoint"].values())))))
    for note in report["notes"]:
        print(f"note: {note}")
    write_json(json_file, report)
