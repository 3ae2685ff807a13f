"""The job of ``sim2pose fit``: read keypoint files, fit in batches, write poses, figures, meshes and pictures.

Bad items never stop the others: they are left out and listed, with the reason, in ``fits.json`` and at the end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from tqdm import tqdm

from ...config import UserError
from ...datasets.keypoint_files import PersonKeypoints, read_keypoints
from ...models.bodies import Body, load_body
from ...models.threads import torch_threads
from . import outputs, report
from .config import FitConfig
from .people import fit_people
from .report import Bad
from .result import FitResult, merge_results


class FitJobConfig(FitConfig):
    """What is fitted, and what is written where; how it is fitted are the keys of :class:`FitConfig`."""

    body: str = Field("open-infant", description="name of an open body, or path of a licensed SMPL-family file")
    out: Path = Field(Path("fits"), description="folder of the results; made if absent")
    format: str | None = Field(None, description="fidip, openpose, coco or coco_wholebody; null: guessed file by file")
    images: Path | None = Field(None, description="folder of the pictures; null: beside the keypoint files")
    width: int | None = Field(None, ge=1, description="of pictures whose size neither file nor picture gives")
    height: int | None = Field(None, ge=1, description="the same")
    occluded: float = Field(1.0, ge=0.0, le=1.0, description="confidence of keypoints that are labelled but hidden")
    people: int | None = Field(None, ge=1, description="fit the first so many people only")
    device: str = Field("cpu", description="cpu or cuda")
    threads: int = Field(1, ge=1, description="torch's; a second one pays on idle cores only")
    up: tuple[float, float, float] | None = Field(
        None, description="direction against gravity in the camera frame, [0, -1, 0] for a level camera; null: unknown"
    )
    doubtful: float = Field(
        8.0, gt=0.0, description="a fit that misses by more % of the box's diagonal is listed as bad"
    )
    meshes: bool = Field(False, description="write meshes/ID.obj")
    overlays: bool = Field(True, description="write overlays/ID.jpg and contact_sheet.png")
    sheet: int = Field(48, ge=1, description="people on the contact sheet, evenly taken")


@dataclass(frozen=True)
class FitReport:
    """What came of a job: the fits, figures over all, the bad items, and the files written."""

    result: FitResult
    figures: dict[str, Any]
    bad: list[Bad]
    files: list[Path]


def run(pattern: str, config: FitJobConfig, progress: bool = True) -> FitReport:
    """Fit everybody in the files of a pattern.

    Raises:
        UserError: for a bad config, no file, or files without a single usable person.
    """
    found = read_keypoints(
        pattern,
        config.format,
        width=config.width,
        height=config.height,
        images=config.images,
        occluded=config.occluded,
    )
    bad = [Bad(pattern, "left out", problem) for problem in found.problems]
    people = found.people[: config.people]
    if not people:
        reasons = "; ".join(found.problems[:3]) or "no annotation has keypoints"
        raise UserError(f"nobody to fit in {pattern}: {reasons}")
    body = load_body(config.body, device=config.device)
    config.out.mkdir(parents=True, exist_ok=True)

    begin = time.perf_counter()
    with torch_threads(config.threads):
        result = _fit(body, people, config, progress)
    figures = report.figures(result, time.perf_counter() - begin)
    bad += [Bad(name, "failed", reason) for name, reason in result.failed]
    seen = {person.id: int((person.keypoints[:, 2] > 0).sum()) for person in people}
    bad += report.doubtful(result, config.doubtful, seen)

    files = outputs.save_both(config.out, outputs.pose_sequence(body, result, pattern, config.up)) if result.ids else []
    files.append(outputs.save_figures(config.out, _everything(pattern, config, body, result, figures, bad)))
    if result.ids and (config.meshes or config.overlays):
        by_id = {person.id: person for person in people}
        pictures, lost = _show(body, [by_id[name] for name in result.ids], result, config, progress)
        files, bad = files + pictures, bad + lost
        outputs.save_figures(config.out, _everything(pattern, config, body, result, figures, bad))
    return FitReport(result, figures, bad, files)


def _fit(body: Body, people: Sequence[PersonKeypoints], config: FitJobConfig, progress: bool) -> FitResult:
    """All people, a batch at a time, so that progress shows."""
    place = {person.id: i for i, person in enumerate(people)}
    parts = []
    with tqdm(total=len(people), desc="fit", unit="person", disable=not progress) as bar:
        for start in range(0, len(people), config.batch):
            group = people[start : start + config.batch]
            part = fit_people(body, group, config)
            parts.append((np.array([place[name] for name in part.ids], np.int64), part))
            bar.update(len(group))
    return merge_results(parts, replace(parts[0][1], failed=[]))


def _show(
    body: Body, people: Sequence[PersonKeypoints], result: FitResult, config: FitJobConfig, progress: bool
) -> tuple[list[Path], list[Bad]]:
    """Meshes, overlays and the contact sheet; also who could not be drawn, and why."""
    from ..preview import FitItem, fit_sheet, overlay, write_picture

    files: list[Path] = []
    items: list[FitItem] = []
    bad: list[Bad] = []
    on_sheet = {i * len(people) // config.sheet for i in range(config.sheet)} if len(people) > config.sheet else None
    for folder, wanted in (("meshes", config.meshes), ("overlays", config.overlays)):
        if wanted:
            (config.out / folder).mkdir(exist_ok=True)
    bodies = tqdm(outputs.posed(body, result), "draw", len(people), unit="person", disable=not progress)
    for i, (vertices, joints) in enumerate(bodies):
        person = people[i]
        if config.meshes:
            files.append(outputs.save_mesh(config.out / "meshes" / f"{person.id}.obj", vertices, body.faces))
        if not config.overlays:
            continue
        try:
            outputs.check_in_front(vertices)
            picture = outputs.read_picture(person)
        except UserError as error:
            bad.append(Bad(person.id, "no picture", str(error)))
            continue
        keypoints, projected = outputs.targets(body, person, vertices, joints, result.K[i])
        caption = f"{result.reprojection_px[i]:.1f} px, {100 * result.reprojection_box[i]:.1f} % of the box"
        item = FitItem(person.id, picture, vertices, result.K[i], keypoints, projected, person.joint_set, caption)
        files.append(config.out / "overlays" / f"{person.id}.jpg")
        drawn = overlay(picture, body, vertices, item.K, keypoints, projected, joint_set=item.joint_set)
        write_picture(drawn, files[-1])
        if on_sheet is None or i in on_sheet:
            items.append(item)
    if items:
        files.append(config.out / "contact_sheet.png")
        fit_sheet(body, items, files[-1])
    return files, bad


def _everything(
    pattern: str, config: FitJobConfig, body: Body, result: FitResult, figures: dict[str, Any], bad: Sequence[Bad]
) -> dict[str, Any]:
    return {
        "source": pattern,
        "body": body.name,
        "licence": body.licence,
        "config": config.model_dump(mode="json"),
        "figures": figures,
        "people": report.people_rows(result),
        "bad": [vars(item) for item in bad],
    }
