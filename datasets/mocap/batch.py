"""Import many takes: find them, bring each onto a body, write what comes out, and go on past the bad ones."""

from __future__ import annotations

import glob
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...config import UserError, nearest
from ..poses import PoseSequence, load_poses, read_arrays, save_poses
from ..publish import replace_file
from .amass import poses_from_amass, repose
from .amc import CMU_FPS, read_amc
from .bvh import read_bvh
from .report import WHAT
from .retarget import RetargetOptions, retarget
from .skeleton import Motion
from .target import Target, body_target

SUFFIXES = (".bvh", ".amc", ".npz")

OnTake = Callable[[PoseSequence, Path], None]
"""Called with the poses of a take and the path of its files without suffix; draws previews."""


@dataclass(frozen=True)
class Take:
    """A file to import. ``kind`` is "bvh", "amc" or "npz"; ``name`` is that of its output, without suffix."""

    path: Path
    kind: str
    name: str


@dataclass
class Batch:
    """What an import did: a row a take, and (file, reason) of those that failed."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        failed = [{"file": file, "reason": reason} for file, reason in self.failed]
        return {"compared": WHAT, "takes": self.rows, "failed": failed}


def find_takes(pattern: str, out: Path) -> list[Take]:
    """Takes of a file, a folder (with its subfolders) or a glob pattern, in order of their paths.

    Names are the files' stems; where two files share one, the format is added, then the folder.

    Raises:
        UserError: if there is none.
    """
    path = Path(pattern)
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file() and _kind(file) and out not in file.parents]
    elif path.is_file():
        files = [path]
        if not _kind(path):
            hint = (
                "give the .amc files; the .asf is found beside them" if ".asf" in path.suffixes else "known: .bvh, .amc"
            )
            raise UserError(f"{path}: no motion format of ours ({hint}, .npz of AMASS; each also as .gz)")
    else:
        files = [Path(file) for file in glob.glob(pattern, recursive=True) if _kind(Path(file))]
    if not files:
        raise UserError(
            f"no motion at {pattern}: give a .bvh, .amc or AMASS .npz file, a folder, or a pattern in quotes"
        )
    files = sorted(files)
    names = [_stem(file) for file in files]
    for longer in (
        lambda file: f"{_stem(file)}_{_kind(file)}",
        lambda file: f"{file.parent.name}_{_stem(file)}_{_kind(file)}",
    ):
        count = Counter(names)
        names = [name if count[name] == 1 else longer(file) for name, file in zip(names, files, strict=True)]
    twice = next((name for name, number in Counter(names).items() if number > 1), None)
    if twice:
        raise UserError(f"{pattern}: several takes would be written as '{twice}': import the folders one by one")
    return [Take(file, _kind(file), name) for file, name in zip(files, names, strict=True)]


def _kind(path: Path) -> str:
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    return suffix[1:] if suffix in SUFFIXES and not (suffix == ".npz" and path.name.endswith(".gz")) else ""


def _stem(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).stem


def read_take(take: Take, asf: Path | None = None, fps: float | None = None, up: str = "auto") -> Motion | PoseSequence:
    """Read a file as its format asks; AMASS archives and pose files of ours give poses, the others motions."""
    if take.kind == "bvh":
        return read_bvh(take.path)
    if take.kind == "amc":
        return read_amc(take.path, asf, CMU_FPS if fps is None else fps)
    if take.kind != "npz":
        raise UserError(f"{take.path}: unknown format, {nearest(take.kind, [s[1:] for s in SUFFIXES])}")
    if up == "auto":
        return load_poses(take.path)
    return poses_from_amass(read_arrays(take.path), str(take.path), up)


def import_take(
    take: Take, target: Target, options: RetargetOptions, asf: Path | None = None, fps: float | None = None
) -> tuple[PoseSequence, dict[str, Any]]:
    """One take as poses of the body, and its row in the summary.

    Raises:
        UserError: if the file, the skeleton or the options are not right.
    """
    read = read_take(take, asf, fps, options.up)
    row: dict[str, Any] = {"name": take.name, "source": str(take.path), "format": take.kind, "body": target.body}
    if isinstance(read, PoseSequence):
        from ...models.bodies.load import OPEN_BODIES, load_body

        origin = body_target(load_body(read.body)) if read.body in OPEN_BODIES else None
        poses, note = repose(read, target, options.ground, origin)
        row |= {
            "skeleton": read.joint_set,
            "up": "z" if options.up == "auto" else options.up,
            "unit": "m",
            "note": note,
        }
        seconds = len(poses) / poses.fps if poses.fps else None
        return poses, row | {"frames": len(poses), "fps": poses.fps, "seconds": seconds}
    done = retarget(read, target, options)
    row |= {
        "skeleton": done.joints.convention,
        "up": done.axes.up,
        "forward": done.axes.forward,
        "unit": done.axes.unit,
        "metre_per_unit": done.axes.metre,
        "note": done.axes.found,
        "rest": "own tree, copied" if done.alignment is None else done.alignment.rest,
        "calibration_frames_dropped": done.dropped,
        "floor_tilt_deg": done.tilt,
        "twist_deg": {} if done.alignment is None else done.alignment.hinge_twist,
        "fps": done.poses.fps,
    }
    return done.poses, row | done.report.as_dict()


def import_takes(
    takes: Sequence[Take],
    out: Path,
    target: Target,
    options: RetargetOptions,
    *,
    asf: Path | None = None,
    fps: float | None = None,
    on_take: OnTake | None = None,
    progress: Callable[[str], None] | None = None,
) -> Batch:
    """Write ``out/<name>.npz`` for each take and ``out/summary.json``; a take that fails is noted and left out.

    Raises:
        UserError: if the folder cannot be written.
    """
    batch = Batch()
    for number, take in enumerate(takes, 1):
        start = time.perf_counter()
        try:
            poses, row = import_take(take, target, options, asf, fps)
        except UserError as error:
            batch.failed.append((str(take.path), str(error)))
            continue
        save_poses(out / f"{take.name}.npz", poses)
        row["import_seconds"] = round(time.perf_counter() - start, 3)
        if on_take is not None:
            on_take(poses, out / take.name)
        batch.rows.append(row)
        if progress is not None:
            progress(f"{number}/{len(takes)} {take.name}: {len(poses)} frames")
    _write_summary(out, batch)
    return batch


def _write_summary(out: Path, batch: Batch) -> None:
    text = json.dumps(batch.as_dict(), indent=1) + "\n"
    replace_file(out / "summary.json", lambda temp: temp.write_text(text, encoding="utf-8"))
