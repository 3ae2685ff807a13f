"""``sim2pose data import|export|inspect``: data sets in, out, and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config import UserError, load_config, nearest
from . import split, write_json

app = typer.Typer(no_args_is_help=True, help="Import, export and inspect data sets.")


@app.command("import")
def import_data(
    items: Annotated[list[str], typer.Argument(metavar="coco JSON IMAGES OUT key=value …")],
) -> None:
    """Import a real data set: writes the frames schema that the farm writes, losing nothing."""
    from ..datasets.coco import ImportConfig, import_coco

    (kind, json_file, images, out), overrides = split(items, ("coco", "JSON", "IMAGES", "OUT"))
    _coco_only(kind)
    report = import_coco(Path(json_file), Path(images), Path(out), load_config(ImportConfig, None, overrides))
    for line in report.lines():
        print(line)


@app.command("export")
def export_data(
    items: Annotated[list[str], typer.Argument(metavar="coco DIR OUT key=value …")],
) -> None:
    """Write a frames folder as COCO: OUT/annotations.json and OUT/images."""
    from ..datasets.coco import export_coco

    (kind, folder, out), overrides = split(items, ("coco", "DIR", "OUT"))
    _coco_only(kind)
    if overrides:
        raise UserError(f"'{overrides[0]}': export takes no options")
    path = export_coco(Path(folder), Path(out))
    print(f"wrote {path}")


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
