"""The audit as one HTML page that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.html import Report
from ...datasets.publish import replace_file
from ...datasets.shards import FramesFolder
from ...models.joints import PARENTS, joint_set
from . import figures, sheets
from .against import Other, describe_tones, distances, keypoint_distances
from .checks import Tally
from .compare import Distance
from .duplicates import HASH_BITS, LABEL_SHARE
from .measure import MOST_MEASURED, Audit

_MOST_POINTS = 40  # bars of the visibility figure; further points are in the table alone


def write_report(folder: FramesFolder, audit: Audit, other: Other | None, out: Path) -> Path:
    """Write the page.

    Raises:
        UserError: if the file cannot be written, or a picture cannot be decoded.
    """
    info = folder.info
    lead = (
        f"{audit.frames:,} frames, {audit.persons:,} persons · joint set {audit.joints.name} · "
        f"{', '.join(folder.domains)} · config {info.config_hash[:12]}"
    )
    page = Report(f"Audit of {folder.path.name}", lead)
    _checks(page, folder, audit)
    _sheets(page, folder, audit)
    if other is not None:
        _comparison(page, audit, other)
    _distributions(page, audit, other)
    _pictures(page, folder, audit, other)
    return replace_file(out, page.write)


def summary(audit: Audit, other: Other | None) -> dict[str, Any]:
    """The audit as plain JSON values: checks, duplicates, distances, percentiles."""
    found: dict[str, Any] = {
        "frames": audit.frames,
        "persons": audit.persons,
        "joint_set": audit.joints.name,
        "errors": audit.errors,
        "checks": {tally.name: _plain(tally) for tally in audit.tallies},
        "persons_measured": {
            name: [round(float(q), 4) for q in np.percentile(values, (5, 25, 50, 75, 95))]
            for name in audit.measured.persons
            if name not in ("position", "number")
            and len(values := audit.measured.person(name)[np.isfinite(audit.measured.person(name))])
        },
    }
    if audit.pictures is not None:
        found["near_duplicates"] = float(audit.pictures.nearest.duplicates.mean())
        found["pictures"] = {name: float(np.median(v)) for name, v in audit.pictures.columns.items()}
    if other is not None:
        found["against"] = other.name
        rows = [*distances(audit, other), *keypoint_distances(audit, other)]
        found["distances"] = {row.name: {"kind": row.kind, "value": row.value, "floor": row.floor} for row in rows}
    return found


def _plain(tally: Tally) -> dict[str, Any]:
    largest = tally.largest if np.isfinite(tally.largest) else None
    return {"verdict": tally.verdict, "checked": tally.checked, "failed": tally.failed, "largest": largest}


def _checks(page: Report, folder: FramesFolder, audit: Audit) -> None:
    page.heading("Label checks")
    failing = [tally.name for tally in audit.tallies if tally.verdict == "FAIL"]
    if failing:
        page.text(f"{audit.errors} labels are wrong: {', '.join(failing)}. The worst are drawn below.", warn=True)
    else:
        page.text("Every check that these labels allow passes.")
    rows = [
        (tally.name, tally.about, *_figures(tally), f"{tally.limit:g} {tally.unit}", tally.verdict)
        for tally in audit.tallies
    ]
    page.table(("check", "what must hold", "checked", "over", "largest", "limit", ""), rows)
    if audit.unknown_bodies:
        page.text(
            f"Parameters of {', '.join(audit.unknown_bodies)} were not checked: the model is not on this machine."
        )
    for tally in audit.tallies:
        sheet = sheets.examples_sheet(folder, audit, tally) if tally.failed else None
        if sheet is not None:
            page.image(sheet, f"{tally.name}: the worst of {tally.failed} over {tally.limit:g} {tally.unit}")


def _figures(tally: Tally) -> tuple[Any, Any, Any]:
    if not tally.checked:
        return None, None, None
    return f"{tally.checked:,}", f"{tally.failed:,}", f"{tally.largest:.3g}"


def _sheets(page: Report, folder: FramesFolder, audit: Audit) -> None:
    found = sheets.difficulty_sheets(folder, audit)
    if not found:
        return
    page.heading("Contact sheets by difficulty")
    page.text(
        "difficulty = 0.4 (1 − visible) + 0.2 occluded + 0.2 cut + 0.2 small: shares of the keypoints; cut is the share "
        "outside of the picture, at least 0.5 if the box touches its border; small falls from 1 at a box of 32 px to 0 at 256. "
        "Left orange, right blue; rings are occluded."
    )
    for name, sheet in found.items():
        page.image(sheet, name)


def _comparison(page: Report, audit: Audit, other: Other) -> None:
    page.heading(f"Against {other.name}")
    page.text(
        "W1/sd: Wasserstein-1 distance in standard deviations of the other set. JS: Jensen-Shannon distance, 0 equal to 1 "
        "disjoint. "
        "Fréchet: of normalised 2D poses (limb points about their mean, by their root mean square), as Gaussians. "
        "Chance is the same distance between two random halves of the other set: values near it are no difference. "
        "Numbers show medians; shares show the share named (for keypoints: visible; for turns: within 30° of upright)."
    )
    header = ("", "here", "there", "distance", "chance", "times chance", "kind")
    page.table(header, [_row(each) for each in distances(audit, other)])
    found = keypoint_distances(audit, other)
    if found:
        page.text("Keypoints by how differently visible, occluded and absent are shared, the farthest first:")
        page.table(header, [_row(each) for each in found[:_MOST_POINTS]])


def _row(each: Distance) -> tuple[Any, ...]:
    times = f"{each.value / each.floor:.1f}" if each.floor > 0 else None
    return (each.name, each.ours, each.real, each.value, each.floor, times, each.kind)


def _distributions(page: Report, audit: Audit, other: Other | None) -> None:
    ours, real = audit.measured, None if other is None else other.measured
    if not ours.persons:
        page.text("No person has labelled keypoints: there are no distributions.", warn=True)
        return
    page.heading("Persons")
    note = f" Blue: here; orange: {other.name}." if other is not None else ""
    of = f" of at most {MOST_MEASURED:,} frames, evenly spread" if audit.frames > MOST_MEASURED else ""
    page.text(f"{len(ours.persons['difficulty']):,} persons with keypoints{of}.{note} Marks on the axes are medians.")
    page.image(figures.persons_figure(ours, real), "box size, place, visibility and difficulty")
    cut = [float(each.person("truncated").mean()) for each in (ours, real) if each is not None]
    there = f" ({cut[1]:.0%} there)" if len(cut) > 1 else ""
    page.text(f"{cut[0]:.0%}{there} of the boxes are cut by the picture's border.")
    page.heading("Visibility by keypoint")
    names, v = (
        audit.joints.joints[:_MOST_POINTS],
        [np.stack(m.v)[:, :_MOST_POINTS] for m in (ours, real) if m is not None],
    )
    page.image(figures.visibility_figure(names, v[0], v[1] if len(v) > 1 else None), "thin bars: the other data set")
    page.heading("View")
    page.image(
        figures.view_figure(ours, real), "where the camera stands about the body; how the body is turned in the picture"
    )
    page.heading("Pose")
    page.image(figures.pose_figure(ours, real, _model_joints(audit)), "")


def _model_joints(audit: Audit) -> tuple[str, ...]:
    """Names of the joints behind the root of the model whose poses are shown first."""
    count = next(iter(audit.measured.rotations), 0)
    name = next((name for name, parents in PARENTS.items() if len(parents) == count), None)
    return () if name is None else joint_set(name).joints[1:]


def _pictures(page: Report, folder: FramesFolder, audit: Audit, other: Other | None) -> None:
    pictures = audit.pictures
    page.heading("Pictures")
    if pictures is None:
        page.text("These frames hold no pictures.")
        return
    real = None if other is None else other.pictures
    page.text(f"{len(pictures.positions):,} frames, evenly spread.")
    page.image(figures.pictures_figure(pictures.columns, None if real is None else real.columns), "light and colour")
    skin = pictures.skin[np.isfinite(pictures.skin)]
    if len(skin):
        page.text(
            f"Skin as photographed, by its individual typology angle ({len(skin):,} of {len(pictures.skin):,} persons show "
            f"enough of a face, or a hand): {describe_tones(skin)}. The angle includes the light."
        )
        page.image(figures.skin_figure(skin, None if real is None else real.skin), "classes of skin tone")
    nearest = pictures.nearest
    page.heading("Nearest duplicates")
    page.text(
        f"{nearest.duplicates.mean():.2%} of these frames have a near duplicate among them (hash within {HASH_BITS} of 64 "
        f"bits, keypoints within {LABEL_SHARE:.0%} of the picture), {nearest.alike.mean():.2%} a picture that looks alike. "
        "Frames of one clip are not compared."
    )
    page.image(figures.duplicates_figure(nearest.bits), "")
    twins = sheets.twins_sheet(folder, pictures)
    if twins is not None:
        page.image(twins, "the nearest pairs, one above the other")
