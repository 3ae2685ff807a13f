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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the resolved config and stop")] = False,
) -> None:
    """Render labelled frames with a farm of Ray actors (workers=0: in this process).

    A folder that was left half written is finished where it stopped; a finished one is left as it is.
    """
    from ..render_farm.kinds.registry import load_render_config

    (preset,), overrides = split(items, ("PRESET",))
    config = load_render_config(preset, overrides)
    if dry_run:
        print(dump_yaml(config), end="")
        return
    from ..render_farm.render import FarmError
    from ..render_farm.render import render as run

    try:
        manifest = run(config, address=address, gpus_per_worker=gpus_per_worker)
    except FarmError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    print(f"{manifest.num_frames} frames in {config.out}\nnext     sim2pose data inspect {config.out}")
