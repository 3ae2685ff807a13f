"""``sim2pose train PRESET key=value …``: one recipe, one run folder."""

from __future__ import annotations

from typing import Annotated

import typer

from ..config import dump_yaml
from . import split


def train(
    items: Annotated[
        list[str], typer.Argument(metavar="PRESET key=value …", help="infant_hrnet_w48 data.source=DIR optim.lr=1e-4")
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with a run of this name from its newest checkpoint")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the resolved config and stop")] = False,
) -> None:
    """Train a pose network, adversarially where the preset says so, or a pose prior; ends with report.html."""
    from ..trainers.recipes import load_run, recipe

    (preset,), overrides = split(items, ("PRESET",))
    config = load_run(preset, overrides)
    if dry_run:
        print(dump_yaml(config), end="")
        return
    from ..trainers.artifacts import report_files, send_files
    from ..trainers.recipes import write_report
    from ..trainers.runtimes import train as run

    result = run(config, resume=resume)
    report = write_report(result.run_dir)
    if config.tracking.enabled:
        send_files(result.run_dir, report_files(result.run_dir))
    after = recipe(config.recipe).after.format(result.run_dir)
    print(f"run      {result.run_dir}\nreport   {report}\nnext     {after}")
