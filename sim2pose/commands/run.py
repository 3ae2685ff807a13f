"""``sim2pose run PIPELINE key=value …``: fit → render → audit → train → evaluate → register, each step made once."""

from __future__ import annotations

from typing import Annotated

import typer

from ..config import UserError
from . import split, table


def run(
    items: Annotated[
        list[str], typer.Argument(metavar="PIPELINE key=value …", help="tiny out=DIR jobs=2 train.steps=500")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would run and why, and stop")] = False,
    only: Annotated[str | None, typer.Option("--only", metavar="STEP", help="make this step alone")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="STEP", help="make this step and all that use it anew")
    ] = None,
) -> None:
    """Run a pipeline: steps of this command line, each made once for what it depends on, by content.

    The same command again does nothing where nothing changed, and goes on where it was stopped. A key of a step is
    STEP.KEY=VALUE, a variable of the pipeline NAME=VALUE. Exits with 1 if a step failed; those that do not need it run.
    """
    from ..cluster.pipeline.config import load_pipeline
    from .pipeline_verbs import VERBS

    (preset,), overrides = split(items, ("PIPELINE",))
    if only is not None and begin is not None:
        raise UserError("give either --only or --from")
    pipeline = load_pipeline(preset, overrides)
    if dry_run:
        from ..cluster.pipeline.dry_run import foresee

        for name, verdict, command in foresee(pipeline, VERBS, begin):
            if only in (None, name):
                print(f"── {name}: {verdict}" + (f"\n   {command}" if command else ""))
        return
    from ..cluster.pipeline.page import rows, write_page
    from ..cluster.pipeline.run import run_pipeline

    result = run_pipeline(pipeline, VERBS, only, begin)
    print(f"\n{table(rows(result), ('step', 'state', 's', 'what'))}")
    print(f"\nproducts {pipeline.out / 'latest'}\nreport   {write_page(result)}")
    if not result.whole:
        raise typer.Exit(1)
