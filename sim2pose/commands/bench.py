"""``sim2pose bench render|ingest|train|fit``: speed as ratios against named baselines measured in the same run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..config import UserError, load_config, nearest
from . import split, table, write_json

SUITES = ("render", "ingest", "train", "fit")


def bench(
    items: Annotated[list[str], typer.Argument(metavar="render|ingest|train|fit key=value …")],
    json_file: Annotated[Path | None, typer.Option("--json", help="write the rows to this file")] = None,
) -> None:
    """Measure this machine. Each row holds a value, the baseline's value from the same run, and their ratio."""
    (suite,), overrides = split(items, ("render|ingest|train|fit",))
    if suite not in SUITES:
        raise UserError(f"unknown benchmark '{suite}': {nearest(suite, SUITES)}")
    from importlib import import_module

    module = import_module(f"..benchmarks.{suite}", __package__)
    rows = module.run(load_config(module.BenchConfig, None, overrides))
    print(
        table(
            [(r.name, r.value, r.unit, r.baseline, r.ratio) for r in rows],
            ("what", "value", "unit", "baseline", "ratio"),
        )
    )
    write_json(json_file, [asdict(row) for row in rows])
