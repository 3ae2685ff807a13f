"""``sim2pose bench SUITE``: speed as ratios against named baselines of the same run; ``shift``: AP of methods."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..config import UserError, load_config, nearest
from . import split, table, write_json

SUITES = ("render", "ingest", "train", "predict", "fit", "priors", "submit", "sweep", "shift")


def bench(
    items: Annotated[
        list[str], typer.Argument(metavar="render|ingest|train|predict|fit|priors|submit|sweep|shift key=value …")
    ],
    profile: Annotated[bool, typer.Option("--profile", help="render: print where a frame's time goes instead")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file")] = None,
) -> None:
    """Measure this machine: each row a value, the baseline's of the same run, and their ratio. ``shift`` compares methods."""
    (suite,), overrides = split(items, ("|".join(SUITES),))
    if suite not in SUITES:
        raise UserError(f"unknown benchmark '{suite}': {nearest(suite, SUITES)}")
    from importlib import import_module

    module = import_module(f"..benchmarks.{suite}", __package__)
    config = load_config(module.BenchConfig, None, overrides)
    if profile:
        if not hasattr(module, "run_profile"):
            raise UserError(f"--profile is for 'render', not for '{suite}'")
        stages = module.run_profile(config)
        print(table(stages, ("job", "stage", "ms a frame", "%")))
        write_json(json_file, stages)
        return
    rows = module.run(config)
    if suite == "shift":
        for title, cells in module.tables(config, rows):
            print(f"\n{title}\n{table(cells, module.HEADER)}")
        write_json(json_file, [row.record() for row in rows])
        return
    print(
        table(
            [(r.name, r.value, r.unit, r.baseline, r.ratio) for r in rows],
            ("what", "value", "unit", "baseline", "ratio"),
        )
    )
    write_json(json_file, [asdict(row) for row in rows])
