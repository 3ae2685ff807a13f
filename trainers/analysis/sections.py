"""The analysis in a run's ``report.html``; its pictures are kept as ``<run>/figures/*.png`` too, for MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...datasets.html import Report
from ..artifacts import PICTURES
from ..events import read_curves
from ..keypoint_config import AnalysisConfig
from .embedding import FEWEST, METHODS, embed_file, umap_missing
from .features import feature_files, read_features
from .figures import draw_embeddings, draw_keypoint_errors
from .history import COMPARED, read_keypoints

TOLD = 0.75  # balanced accuracy from which a classifier is said to tell the domains
APART = 0.1  # difference of two accuracies that calls for an explanation
ROWS = 8


def add_retention(page: Report, metrics: Mapping[str, float], validated_source: bool) -> None:
    """Source retention beside the target's gain; says why where it could not be measured."""
    rows = []
    for name in reversed(COMPARED):
        before, change = metrics.get(f"{name}_before"), metrics.get(f"{name}_change")
        if before is not None and change is not None:
            kept = f"{100 * (before + change) / before:.0f} %" if before > 0 else None
            rows.append([name.split("/")[0], before, before + change, f"{change:+.3f}", kept])
    if rows:
        page.heading("What adaptation gained and cost")
        page.table(("AP on the", "before the first step", "at the end", "change", "kept"), rows)
        if not validated_source:
            page.text("What it cost the source is not known: name data.val.source=DIR.", warn=True)


def add_domains(page: Report, run_dir: Path) -> None:
    """How well the domains are told from features: the online classifier beside a fresh probe, and what it means."""
    series = read_curves(run_dir)
    steps, probe = series.get("domain_probe_accuracy", ([], []))
    if not len(steps):
        return
    page.heading("Do features tell the domains?")
    online = online_accuracy(series, list(steps))
    shown = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), ROWS)).round().astype(int))
    distance = series["proxy_a_distance"][1]
    rows = [
        [
            f"{steps[i]:g}",
            online[i],
            probe[i],
            distance[i],
            None if (o := online[i]) is None else f"{probe[i] - o:+.3f}",
        ]
        for i in shown
    ]
    page.table(("step", "online classifier", "fresh probe", "proxy A-distance", "probe − online"), rows)
    page.text(disagreement(online[-1], probe[-1]))
    page.text(
        "Online: accuracy on augmented training batches, mean since the validation before, 0.5 by chance. Fresh probe: a "
        "logistic regression on pooled features (mean and deviation over the map) of validation people, fitted on half "
        "of the frames, scored on the others. Proxy A-distance: 2 (1 − 2 × the probe's error), from 0 (not told apart) to "
        "2; below chance counts as 0."
    )


def online_accuracy(series: Mapping[str, tuple[list[float], list[float]]], steps: list[float]) -> list[float | None]:
    """Mean of ``train/domain_accuracy`` between each validation and the one before; None where nothing was logged."""
    at, values = (np.asarray(column, float) for column in series.get("train/domain_accuracy", ([], [])))
    means: list[float | None] = []
    for before, step in zip([-np.inf, *steps], steps, strict=False):
        inside = values[(at > before) & (at <= step)]
        means.append(float(inside.mean()) if len(inside) else None)
    return means


def disagreement(online: float | None, probe: float) -> str:
    """One sentence on what the two accuracies say together."""
    told = f"a fresh probe {'tells' if probe >= TOLD else 'hardly tells'} the domains from the features ({probe:.2f})"
    if online is None:
        return f"There is no online classifier; {told}."
    if probe - online > APART:
        return (
            f"They disagree: the online classifier reads {online:.2f}, but {told}. The pose network has got past this one "
            "classifier, which it was trained against; the features are not aligned to that extent."
        )
    if online - probe > APART:
        return (
            f"They disagree: the online classifier reads {online:.2f}, while {told}. It sees the whole map and has "
            "learnt these training frames; what it uses is not linear in the pooled features, or does not carry over to "
            "other frames."
        )
    same = "both tell the domains: the features are not aligned" if probe >= TOLD else "neither tells the domains well"
    return f"They agree (online {online:.2f}, fresh probe {probe:.2f}): {same}."


def add_keypoint_errors(page: Report, run_dir: Path) -> list[Path]:
    """The heat map of errors by keypoint over the validations."""
    history = [entry for entry in read_keypoints(run_dir) if entry["folders"]]
    if not history:
        return []
    page.heading("Errors by keypoint")
    note = "mean distance to the label over the longer side of the person's box, in per cent, at each validation"
    return [_add(page, run_dir, "keypoint_errors", draw_keypoint_errors(history), note)]


def add_embeddings(page: Report, run_dir: Path, cfg: AnalysisConfig) -> list[Path]:
    """Features of the first validation beside those of the last, on a plane, coloured by domain."""
    files = feature_files(run_dir)
    if not files or not cfg.embed:
        return []
    page.heading("Features of the domains")
    tables = read_features(files[0][1], cfg.embed)
    if len(tables) < 2:
        page.text(f"Only {', '.join(tables)} was validated: name both data.val.source=DIR and data.val.target=DIR.")
        return []
    people = sum(map(len, tables.values()))
    if people < FEWEST:
        page.text(f"{people} people are too few to embed.")
        return []
    made = []
    for method in cfg.embeddings:
        missing = umap_missing() if method == "umap" else None
        if missing:
            page.text(missing, warn=True)
            continue
        chosen = files[:1] + files[1:][-1:]
        title = METHODS[method]
        panels = [(f"{title}, step {step}", embed_file(path, method, cfg.embed)) for step, path in chosen]
        note = (
            f"{title} of pooled features of validation people, at the first and the last validation. Each picture has axes "
            "of its own; gaps between clusters have no scale, only who mixes with whom can be read."
        )
        made.append(_add(page, run_dir, method, draw_embeddings(panels), note))
    return made


def _add(page: Report, run_dir: Path, name: str, png: bytes, note: str) -> Path:
    path = run_dir / PICTURES / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(png)
    page.image(png, note)
    return path
