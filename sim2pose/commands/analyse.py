"""``sim2pose analyse RUN…``: runs side by side on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import table as text_table
from . import write_json


def analyse(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="run folders, sweeps, folders of runs")],
    out: Annotated[Path, typer.Option("--out", help="the page")] = Path("analysis.html"),
    people: Annotated[int, typer.Option("--people", min=0, help="of each domain in an embedding; 0: none")] = 300,
    json_file: Annotated[Path | None, typer.Option("--json", help="write the figures to this file")] = None,
) -> None:
    """Compare runs: AP on target and source, gain and retention, λ, domain probe, gradient ratio, curves, features.

    Runs that differ in their seed alone are summed up as mean ± deviation.
    """
    from ..trainers.analysis.compare import descriptions, summaries, table
    from ..trainers.analysis.comparison import write_comparison

    groups = write_comparison(runs, out, people)
    header, rows = table(groups)
    print(text_table(rows, header))
    for name, told in descriptions(groups).items():
        print(f"{name}: {told}")
    write_json(json_file, summaries(groups))
    print(f"\npage     {out}")
