"""``sim2pose data import|export|inspect``: data sets in, out, and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import Field

from ..config import Config, UserError, load_config, nearest
from . import split, write_json


class ImportConfig(Config):
    """What an import may be told."""

    domain: str = Field("real", description="name of the domain column")
    joint_set: str = Field("coco17", description="joints that the annotations have")
    on_bad: Literal["refuse", "skip"] = Field(
        "refuse", description="stop at the first defect, or skip, count and name it"
    )
    need_keypoints: bool = Field(True, description="false also takes annotations that only have a box")
    licence: str = Field("", description="note on what may be done with the pictures")
    shard_frames: int = Field(256, ge=1)


class ExportConfig(Config):
    """What an export may be told."""

    images: bool = Field(True, description="write the pictures too")


app = typer.Typer(no_args_is_help=True, help="Import, export and inspect data sets.")


@app.command("import")
def import_data(
    items: Annotated[list[str], typer.Argument(metavar="coco JSON IMAGES OUT key=value …")],
) -> None:
    """Import a real data set: writes the frames schema that the farm writes, losing nothing."""
    from ..datasets.coco import import_coco

    (kind, json_file, images, out), overrides = split(items, ("coco", "JSON", "IMAGES", "OUT"))
    _coco_only(kind)
    options = load_config(ImportConfig, None, overrides)
    print(import_coco(json_file, images, out, **options.model_dump()).summary())
    print(f"wrote {out}")


@app.command("export")
def export_data(
    items: Annotated[list[str], typer.Argument(metavar="coco DIR OUT key=value …")],
) -> None:
    """Write a frames folder as COCO: OUT/annotations.json and OUT/images."""
    from ..datasets.coco import export_coco

    (kind, folder, out), overrides = split(items, ("coco", "DIR", "OUT"))
    _coco_only(kind)
    options = load_config(ExportConfig, None, overrides)
    coco = export_coco(folder, out, write_images=options.images)
    print(
        f"wrote {Path(out) / 'annotations.json'}: {len(coco['images'])} images, {len(coco['annotations'])} annotations"
    )


@app.command("inspect")
def inspect_data(
    items: Annotated[list[str], typer.Argument(metavar="DIR [OUT.png]")],
    json_file: Annotated[Path | None, typer.Option("--json", help="write the figures to this file")] = None,
) -> None:
    """Counts, statistics and a contact sheet with keypoints drawn."""
    from ..datasets.inspect import inspect, summary_lines

    words, _ = split(items, ("DIR", "[OUT.png]"))
    sheet = Path(words[1]) if len(words) > 1 else Path(f"{Path(words[0]).name}_contact_sheet.png")
    found = inspect(Path(words[0]), sheet)
    for line in summary_lines(found):
        print(line)
    print(f"contact sheet: {sheet}")
    write_json(json_file, found)


def _coco_only(kind: str) -> None:
    if kind != "coco":
        raise UserError(f"unknown format '{kind}': {nearest(kind, ['coco'])}")
