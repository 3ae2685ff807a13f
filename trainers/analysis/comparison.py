"""``analysis.html``: several runs on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...datasets.html import Report
from .compare import Run, band, descriptions, find_runs, group_runs, of_setting, read_run, table, varying_keys
from .embedding import METHODS, embed_file
from .features import feature_files
from .figures import Band, draw_bands, draw_embeddings, draw_keypoint_errors
from .history import read_keypoints

PANELS = {
    "target AP": "target/AP",
    "source AP": "source/AP",
    "fresh probe (0.5: cannot tell)": "domain_probe_accuracy",
    "online classifier (0.5: cannot tell)": "train/domain_accuracy",
    "adversarial / pose gradient (harm above 1)": "train/gradient_ratio",
    "pose loss": "train/pose_mse",
}
LEVELS = {
    "fresh probe (0.5: cannot tell)": 0.5,
    "online classifier (0.5: cannot tell)": 0.5,
    "adversarial / pose gradient (harm above 1)": 1.0,
}
EMBEDDED = 6  # settings whose features are drawn
A_ROW = 3


def write_comparison(paths: Sequence[Path], out: Path, people: int = 300) -> dict[str, list[Run]]:
    """Compare runs on one page: table, curves, features, errors by keypoint.

    Args:
        paths: run folders, sweeps, folders of runs.
        out: the page.
        people: of each domain in an embedding.

    Returns:
        the runs by setting.

    Raises:
        UserError: for a path that holds no run.
    """
    runs = [read_run(path) for path in find_runs(paths)]
    groups = group_runs(runs)
    page = Report("Runs compared", f"{len(runs)} runs of {len(groups)} settings")
    add_comparison(page, groups)
    add_features(page, groups, people)
    add_keypoints(page, groups)
    out.parent.mkdir(parents=True, exist_ok=True)
    page.write(out)
    return groups


def add_comparison(page: Report, groups: Mapping[str, Sequence[Run]]) -> None:
    """The table over settings (λ among them), and curves with their spread over seeds."""
    page.heading("Settings")
    page.table(*table(groups))
    if told := descriptions(groups):
        page.definitions(told)
    for key in varying_keys([of_setting(runs[0]) for runs in groups.values()]):
        if key.startswith("data.val."):
            page.text(f"{key} is not the same for all settings: their figures on it do not compare.", warn=True)
    page.text(
        "Mean ± sample deviation over runs that differ in their seed alone; last validation. Gain and change are against the "
        "validation before the first step. Online and gradient ratio are means over the second half of the run. A ratio above "
        "1 harms. The probe tells more of alignment than the online classifier, which the pose network was trained against."
    )
    panels: dict[str, dict[str, Band]] = {}
    for title, name in PANELS.items():
        for label, runs in groups.items():
            found = [run.curves[name] for run in runs if len(run.curves.get(name, ((), ()))[0]) > 1]
            if found:
                panels.setdefault(title, {})[label] = band(found)
    if panels:
        page.heading("Curves")
        page.image(draw_bands(panels, levels=LEVELS), "means over seeds; the bands are ± one sample deviation")


def add_features(page: Report, groups: Mapping[str, Sequence[Run]], people: int) -> None:
    """t-SNE of the last validation's features, of the first run of each setting."""
    panels = []
    for label, runs in list(groups.items())[:EMBEDDED]:
        files = feature_files(runs[0].path)
        if files and people:
            panels.append((label, embed_file(files[-1][1], "tsne", people)))
    if not panels:
        return
    page.heading("Features of the domains")
    for start in range(0, len(panels), A_ROW):
        page.image(draw_embeddings([(_wrap(title), points) for title, points in panels[start : start + A_ROW]]))
    left = f" The first {EMBEDDED} of {len(groups)} settings are shown." if len(groups) > EMBEDDED else ""
    page.text(f"{METHODS['tsne']} of pooled features of validation people at the end of one run each.{left}")


def add_keypoints(page: Report, groups: Mapping[str, Sequence[Run]]) -> None:
    """Errors by keypoint at the end, a column a setting (mean over its runs)."""
    columns = []
    for label, runs in groups.items():
        last = [history[-1]["folders"] for run in runs if (history := read_keypoints(run.path))]
        if last and all(folders.keys() == last[0].keys() for folders in last):
            columns.append({"step": _wrap(label, 26), "folders": _mean(last)})
    if columns:
        page.heading("Errors by keypoint")
        note = "mean distance to the label over the longer side of the person's box, in per cent, at the end"
        page.image(draw_keypoint_errors(columns, ""), note)


def _mean(runs: Sequence[Mapping[str, Mapping[str, Mapping[str, float | None]]]]) -> dict[str, object]:
    """``error_box`` by folder and joint, mean over runs."""
    means: dict[str, object] = {}
    for name, joints in runs[0].items():
        each = {
            joint: [value for run in runs if (value := run[name][joint]["error_box"]) is not None] for joint in joints
        }
        means[name] = {joint: {"error_box": float(np.mean(v)) if v else None} for joint, v in each.items()}
    return means


def _wrap(title: str, width: int = 38) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(title, width))
