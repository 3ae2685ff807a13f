"""``sim2pose demo``: the whole job in minutes: render, train source-only and adapted, evaluate, register, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config import load_config
from . import split, table, write_json


def demo(
    items: Annotated[
        list[str] | None, typer.Argument(metavar="key=value …", help="out=DIR real=coco:JSON:IMAGES")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write the summary to this file too")] = None,
) -> None:
    """Render, train twice, evaluate, register and report, on this machine, within minutes.

    The target domain is a rendered stand-in unless real=coco:JSON:IMAGES names one's own photographs.
    """
    from ..cluster.demo import DemoConfig, run_demo

    _, overrides = split(items or [], ())
    summary = run_demo(load_config(DemoConfig, "demo", overrides))
    rows = [
        ("mean pose (baseline)", None, summary["mean_pose"]["target_ap"], summary["mean_pose"]["target_oks"]),
        *[
            (
                name.replace("_", " "),
                summary[name]["source_ap"],
                summary[name]["target_ap"],
                summary[name]["target_oks"],
            )
            for name in ("source_only", "adapted")
        ],
    ]
    print("\n" + table(rows, ("", "source AP", "target AP", "target OKS")))
    print("\n" + "\n".join(f"{name:<12}{place}" for name, place in summary["places"].items()))
    print("\nwhat next\n" + "\n".join(f"  {line}" for line in summary["try_next"]))
    write_json(json_file, summary)
