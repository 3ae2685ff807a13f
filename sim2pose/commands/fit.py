"""``sim2pose fit PATTERN body=open-infant out=DIR``: bodies from keypoints, hundreds at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config import dump_yaml, load_config
from . import split, table, write_json


def fit(
    items: Annotated[
        list[str],
        typer.Argument(metavar="PATTERN [PRESET] key=value …", help="keypoints.json body=open-infant out=fits"),
    ],
    json_file: Annotated[Path | None, typer.Option("--json", help="write the figures to this file too")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the resolved config and stop")] = False,
) -> None:
    """Fit bodies to 2D keypoints: FiDIP, OpenPose or COCO JSON, one file, a folder, or a pattern in quotes.

    Writes poses (which the farm takes: render infant scene.poses.source=DIR/poses.npz), figures for each person, overlays,
    and meshes where asked. Bad items are left out and listed at the end; exit code 1 if nobody could be fitted.
    """
    from ..render_farm.fit.job import FitJobConfig, run

    (pattern, *preset), overrides = split(items, ("PATTERN", "[PRESET]"))
    config = load_config(FitJobConfig, preset[0] if preset else "fit", overrides)
    if dry_run:
        print(dump_yaml(config), end="")
        return
    from ..render_farm.fit.report import bad_lines, summary_rows

    done = run(pattern, config)
    found = done.figures
    if done.result.ids:
        print(table(summary_rows(found), ("", "median", "90 %")))
        pace = f"{found['seconds']:.1f} s, {found['seconds_per_person']:.3f} s a person"
        print(f"\n{found['people']} fitted ({found['converged']} converged) in {pace}; results in {config.out}")
    if done.bad:
        print(f"\nlook at these {len(done.bad)}:\n" + "\n".join(bad_lines(done.bad)))
    write_json(json_file, found)
    if not done.result.ids:
        raise typer.Exit(1)
