"""``sim2pose data import|export|inspect|audit``: data sets in, out, looked at, and judged."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import Field

from ..config import Config, UserError, load_config, nearest
from . import split, table, write_json

if TYPE_CHECKING:
    from ..datasets.mocap.batch import OnTake
    from ..datasets.poses import PoseSequence
    from ..models.bodies import Body


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
    held_out: float = Field(
        0.0, ge=0, lt=1, description="this share of the pictures, drawn by seed, goes to OUT_test and not to OUT"
    )
    seed: int = Field(0, ge=0, description="draws the pictures that are held out")


class ExportConfig(Config):
    """What an export may be told."""

    images: bool = Field(True, description="write the pictures too")
    depth: bool = Field(False, description="write depth pictures too: PNG of 16 bits, millimetres")
    parts: bool = Field(False, description="write part-id pictures too")
    joint_set: str | None = Field(None, description="labelled joint set to write; the first without")


class WebDatasetConfig(Config):
    """What an export to WebDataset may be told."""

    shard_frames: int = Field(1000, ge=1, description="samples a tar file")
    joint_set: str | None = Field(None, description="write this labelled joint set alone; all columns without")


class LookConfig(Config):
    """What an inspection or an audit may be told."""

    joint_set: str | None = Field(None, description="labelled joint set to look at; the first without")


class MotionExportConfig(Config):
    """What an export of poses may be told."""

    body: str = Field("", description="body whose bones to write: a name or a model file; that of the poses without")


class MotionConfig(Config):
    """What an import of motion capture may be told."""

    body: str = Field("open-person", description="body to bring the motion onto: a name or a model file")
    betas: tuple[float, ...] = Field((), description="its shape; the mean without")
    up: Literal["auto", "x", "-x", "y", "-y", "z", "-z"] = Field("auto", description="axis of the file that points up")
    forward: Literal["auto", "x", "-x", "y", "-y", "z", "-z"] = Field(
        "auto", description="axis of the file to turn to +Z; auto keeps the take's heading"
    )
    unit: Literal["auto", "m", "cm", "mm", "inch", "cmu"] = Field("auto", description="unit of length in the file")
    names: Path | None = Field(None, description="YAML joint map for unknown skeletons: 'left_knee: name in the file'")
    asf: Path | None = Field(None, description="skeleton of the .amc files; else the .asf beside them")
    fps: float | None = Field(None, gt=0, description="frame rate of the .amc files, which do not say; else 120")
    rest: Literal["auto", "zero", "first"] = Field("auto", description="rest pose: the file's, or that of frame 0")
    calibration: Literal["auto", "keep"] = Field(
        "auto", description="drop a first frame that is a calibration pose put before the motion, or keep it"
    )
    feet: Literal["reach", "direction"] = Field(
        "reach", description="bend legs to the source's ankles, or keep directions"
    )
    ground: bool = Field(True, description="shift the take so that feet stand at y = 0")
    preview: Literal["auto", "all", "strip", "none"] = Field(
        "auto", description="pictures: strip and video (auto: up to 10 takes), strips (auto: up to 50), or none"
    )


app = typer.Typer(no_args_is_help=True, help="Import, export and inspect data sets.")


@app.command("import")
def import_data(
    items: Annotated[
        list[str], typer.Argument(metavar="coco JSON IMAGES OUT | motion PATH OUT key=value …", show_default=False)
    ],
) -> None:
    """Import a COCO data set (writes the frames schema, losing nothing), or motion capture (poses of a body).

    coco: held_out=0.3 writes three tenths of the pictures to OUT_test, for evaluation; need_keypoints=false takes people who
    only have a box.

    motion: PATH is a BVH, AMC (its ASF beside it) or AMASS file, a folder, or a quoted pattern.
    """
    kinds = {"coco": _import_coco, "motion": _import_motion}
    if items[0] not in kinds:
        raise UserError(f"unknown format '{items[0]}': {nearest(items[0], kinds)}")
    kinds[items[0]](items)


def _import_coco(items: list[str]) -> None:
    from ..datasets.coco import import_coco, refuse_existing

    (_, json_file, images, out), overrides = split(items, ("coco", "JSON", "IMAGES", "OUT"))
    options = load_config(ImportConfig, None, overrides)
    cut = 1 - options.held_out
    parts = {out: (0.0, cut)} | ({f"{out.rstrip('/')}_test": (cut, 1.0)} if options.held_out else {})
    for folder in parts:
        refuse_existing(folder)
    for folder, part in parts.items():
        report = import_coco(json_file, images, folder, part=part, **options.model_dump(exclude={"held_out"}))
        print(f"{folder}: {report.summary()}")


def _import_motion(items: list[str]) -> None:
    from ..datasets.mocap.batch import find_takes, import_takes
    from ..datasets.mocap.retarget import RetargetOptions
    from ..datasets.mocap.target import body_target
    from ..models.bodies import load_body

    (_, path, out), overrides = split(items, ("motion", "PATH", "OUT"))
    told = load_config(MotionConfig, None, overrides)
    takes = find_takes(path, Path(out))
    body = load_body(told.body)
    keys = {field.name for field in dataclasses.fields(RetargetOptions)}
    options = RetargetOptions(**{key: value for key, value in told.model_dump().items() if key in keys})
    batch = import_takes(
        takes,
        Path(out),
        body_target(body, told.betas or None),
        options,
        asf=told.asf,
        fps=told.fps,
        on_take=_previewer(body, told.preview, len(takes)),
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(motion_table(batch.rows))
    print(f"wrote {len(batch.rows)} of {len(takes)} takes and summary.json to {out}")
    for file, reason in batch.failed:
        print(f"failed: {reason if file in reason else f'{file}: {reason}'}", file=sys.stderr)
    if batch.failed:
        raise typer.Exit(2)


def _previewer(body: Body, preview: str, count: int) -> OnTake | None:
    """What draws each take: strip and video, strip, or nothing."""
    if preview == "auto":
        preview = "all" if count <= 10 else "strip" if count <= 50 else "none"
    if preview == "none":
        return None
    from ..render_farm.preview import dress_plainly, motion_strip, motion_video

    dress = dress_plainly(body)

    def draw(poses: PoseSequence, stem: Path) -> None:
        motion_strip(body, poses, stem.with_name(f"{stem.name}.png"), dress=dress, ground=0.0)
        if preview == "all" and poses.fps:
            motion_video(body, poses, stem.with_name(f"{stem.name}.mp4"), dress=dress, ground=0.0)

    return draw


def motion_table(rows: Sequence[dict[str, Any]]) -> str:
    """A line a take: what it is, how its axes were understood, and how well the body follows."""
    header = ("take", "frames", "fps", "skeleton", "up", "unit", "position mm", "direction °", "skate mm/s (source)")

    def skate(row: dict[str, Any]) -> str | None:
        ours, theirs = row.get("skate_mm_s"), row.get("skate_source_mm_s")
        return None if ours is None else f"{ours:.0f} ({theirs:.0f})"

    def rounded(value: float | None) -> str | None:
        return None if value is None else f"{value:.1f}"

    return table(
        [
            (
                *(row["name"], row["frames"], f"{row['fps']:g}" if row["fps"] else None, row["skeleton"]),
                *(row["up"], row["unit"], rounded(row.get("position_mean_mm"))),
                *(rounded(row.get("direction_mean_deg")), skate(row)),
            )
            for row in rows
        ],
        header,
    )


@app.command("export")
def export_data(
    items: Annotated[list[str], typer.Argument(metavar="coco|webdataset DIR OUT | motion POSES OUT.bvh key=value …")],
) -> None:
    """Write a frames folder as COCO (OUT/annotations.json, OUT/images) or WebDataset (OUT/*.tar), or poses as BVH."""
    kinds = {"coco": _export_coco, "webdataset": _export_webdataset, "motion": _export_motion}
    if items[0] not in kinds:
        raise UserError(f"unknown format '{items[0]}': {nearest(items[0], kinds)}")
    kinds[items[0]](items)


def _export_coco(items: list[str]) -> None:
    from ..datasets.coco import export_coco

    (_, folder, out), overrides = split(items, ("coco", "DIR", "OUT"))
    options = load_config(ExportConfig, None, overrides)
    coco = export_coco(folder, out, options.images, options.joint_set, options.depth, options.parts)
    print(
        f"wrote {Path(out) / 'annotations.json'}: {len(coco['images'])} images, {len(coco['annotations'])} annotations"
    )


def _export_webdataset(items: list[str]) -> None:
    from ..datasets.webdataset import export_webdataset

    (_, folder, out), overrides = split(items, ("webdataset", "DIR", "OUT"))
    options = load_config(WebDatasetConfig, None, overrides)
    done = export_webdataset(folder, out, **options.model_dump())
    print(f"wrote {done.frames} samples in {len(done.shards)} shards, {done.bytes / 2**20:.1f} MB, to {out}")


def _export_motion(items: list[str]) -> None:
    from ..datasets.mocap.bvh_writer import write_bvh
    from ..datasets.mocap.export import motion_from_poses
    from ..datasets.mocap.target import body_target
    from ..datasets.poses import load_poses
    from ..models.bodies import load_body

    (_, file, out), overrides = split(items, ("motion", "POSES", "OUT.bvh"))
    options = load_config(MotionExportConfig, None, overrides)
    poses = load_poses(file)
    betas = poses.betas if poses.betas is not None and poses.betas.ndim == 1 else None
    motion = motion_from_poses(poses, body_target(load_body(options.body or poses.body), betas))
    print(f"wrote {write_bvh(out, motion)}: {len(motion)} frames at {motion.fps:g} a second, metres, Y up")


@app.command("inspect")
def inspect_data(
    items: Annotated[list[str], typer.Argument(metavar="DIR [OUT.png] [joint_set=…]")],
    clip: Annotated[
        int | None, typer.Option("--clip", help="show this clip: OUT is .gif, .mp4, .png, or .npz for its motion")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write the figures to this file")] = None,
) -> None:
    """Counts, statistics and a contact sheet with keypoints drawn."""
    from ..datasets.inspect import inspect, summary_lines

    words, overrides = split(items, ("DIR", "[OUT.png]"))
    options = load_config(LookConfig, None, overrides)
    if clip is not None:
        from ..datasets.clips import ClipFolder
        from ..render_farm.preview.clips import show_clip

        out = words[1] if len(words) > 1 else f"{Path(words[0]).name}_clip{clip}.gif"
        print(f"clip {clip}: {show_clip(ClipFolder.open(words[0]), clip, out)}")
        return
    sheet = Path(words[1]) if len(words) > 1 else Path(f"{Path(words[0]).name}_contact_sheet.png")
    found = inspect(Path(words[0]), sheet, joint_set=options.joint_set)
    for line in summary_lines(found):
        print(line)
    print(f"contact sheet: {sheet}")
    write_json(json_file, found)


@app.command("audit")
def audit_data(
    items: Annotated[list[str], typer.Argument(metavar="DIR [joint_set=…]")],
    against: Annotated[
        str | None, typer.Option("--against", help="folder of frames or COCO annotation file (.json) to compare with")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="page to write; without: DIR's name and _audit.html")
    ] = None,
    frames: Annotated[int, typer.Option("--frames", min=2, help="pictures to look at; labels are all checked")] = 1000,
    json_file: Annotated[Path | None, typer.Option("--json", help="write the figures to this file")] = None,
) -> None:
    """Check all labels, measure and compare: one HTML page. Exits with 1 if labels are wrong."""
    from ..datasets.shards import FramesFolder
    from ..render_farm import audit as auditing

    (path,), overrides = split(items, ("DIR",))
    options = load_config(LookConfig, None, overrides)
    folder = FramesFolder.open(path)
    found = auditing.measure(folder, options.joint_set, frames)
    other = None if against is None else auditing.read_other(against, found.joints, frames)
    page = auditing.write_report(folder, found, other, out or Path(f"{Path(path).name}_audit.html"))
    for tally in found.tallies:
        if tally.failed:
            print(
                f"{tally.verdict}: {tally.name}: {tally.failed} of {tally.checked}, largest {tally.largest:.3g} {tally.unit}"
            )
    print(f"{found.frames} frames, {found.persons} persons, {found.errors} label errors\naudit    {page}")
    write_json(json_file, auditing.summary(found, other))
    if found.errors:
        raise typer.Exit(1)
