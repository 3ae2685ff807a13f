"""``sim2pose render PRESET key=value …``: labelled frames to Parquet shards."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..config import dump_yaml
from . import split


def render(
    items: Annotated[
        list[str], typer.Argument(metavar="PRESET key=value …", help="infant frames=2000 out=DIR workers=2")
    ],
    address: Annotated[str | None, typer.Option("--address", help="Ray cluster to use; default: a private one")] = None,
    gpus_per_worker: Annotated[float, typer.Option("--gpus-per-worker", help="GPUs, or a share, of each actor")] = 0.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="render 20 frames, print what the job will cost, and stop")
    ] = False,
    print_config: Annotated[bool, typer.Option("--print-config", help="print the resolved config and stop")] = False,
) -> None:
    """Render labelled frames with a farm of Ray actors (workers=0: in this process).

    out may be a folder or an object store (s3://bucket/prefix). What was left half written is finished where it stopped;
    what is finished is left as it is.
    """
    from ..render_farm.kinds.registry import load_render_config

    (preset,), overrides = split(items, ("PRESET",))
    config = load_render_config(preset, overrides)
    if print_config:
        print(dump_yaml(config), end="")
        return
    from ..datasets import storage
    from ..render_farm.farm.ledger import QUARANTINE
    from ..render_farm.render import FarmError, render_cost
    from ..render_farm.render import render as run

    if dry_run:
        cost = render_cost(config, gpus_per_worker)
        print("\n".join([f"dry run {config.kind} {config.width}×{config.height}", *cost.lines()]))
        return
    try:
        manifest = run(config, address=address, gpus_per_worker=gpus_per_worker)
    except FarmError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    where, totals = storage.show(storage.place(config.out)), manifest.totals
    print(f"{totals.rows} frames in {where}")
    if totals.counts:
        print(f"counted  {', '.join(f'{count} {name}' for name, count in totals.counts)}")
    if totals.quarantined:
        print(f"left out {totals.quarantined} frames that could not be made: see {where}/{QUARANTINE}")
    print(f"next     sim2pose data inspect {where}")
