"""Trained priors side by side on the same held-out poses, as a page and as Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ...config import UserError
from ...datasets.html import Report
from ...datasets.pose_tables import PoseTable, gather, rows, split
from ...models.bodies import load_body
from ...models.joints import joint_set
from ...models.priors.density import PoseDensity
from ...models.priors.named import load_prior
from ...render_farm.fit.priors import own_prior
from .evaluation import FULL, QUICK, EvaluationSettings, evaluate_prior
from .fitting import fit_with, informs_fits

ROWS: tuple[tuple[str, str, str, str, str], ...] = (
    ("held-out nats per dimension", "val/nats_per_dim", ".3f", "uniform within limits", "uniform/nats_per_dim"),
    ("its deviation over takes", "val/nats_per_dim_std_takes", ".3f", "", ""),
    ("held-out bits per dimension", "val/bits_per_dim", ".3f", "", ""),
    ("dimensions", "val/dimensions", ".0f", "", ""),
    ("encode and decode, mm", "roundtrip/mean_mm", ".2f", "", ""),
    ("the same, largest rad", "roundtrip/max_rad", ".1e", "", ""),
    ("lost with dropped directions, mm", "roundtrip/chart_mean_mm", ".2f", "", ""),
    ("diversity of samples (APD), mm", "diversity/sample_mm", ".0f", "training", "diversity/train_mm"),
    ("Fréchet distance to training, mm", "frechet/sample_train_mm", ".0f", "", ""),
    ("Fréchet distance to held-out, mm", "frechet/sample_val_mm", ".0f", "training's", "frechet/train_val_mm"),
    ("samples to nearest training, mm", "nearest/sample_mm", ".0f", "held-out", "nearest/val_mm"),
    ("the least of these, mm", "nearest/sample_least_mm", ".0f", "held-out", "nearest/val_least_mm"),
    ("samples beyond joint limits", "limits/sample", ".1%", "training", "limits/train"),
    ("fits: joints after Procrustes, mm", "fit/pa_mean_mm", ".1f", "", ""),
    ("fits: joints about the pelvis, mm", "fit/root_mean_mm", ".1f", "", ""),
    ("fits that failed", "fit/failed", ".1%", "", ""),
)
"""Rows of the first table: title, figure, format, name of what stands beside it, and its figure."""
SHORT = ("val/nats_per_dim", "diversity/sample_mm", "frechet/sample_train_mm", "fit/pa_mean_mm")
"""What a terminal shows."""

OWN = "the body's own mixture"


@dataclass(frozen=True)
class Comparison:
    """Figures by model, a table for the terminal, and the files written."""

    figures: dict[str, dict[str, float]]
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    page: Path
    markdown: Path


def compare(
    names: Sequence[str],
    data: Sequence[str],
    by: Literal["subject", "take"],
    val: Sequence[str],
    fps: float | None,
    out: Path,
    body_name: str = "open-person",
    quick: bool = False,
    seed: int = 0,
) -> Comparison:
    """Evaluate trained densities on held-out poses of ``data`` and write ``compare.{html,md,json}`` to ``out``.

    Raises:
        UserError: for an unknown prior, one that is no density, one name twice, or data without a split.
    """
    if len(set(names)) != len(names):
        raise UserError("a prior is named twice: name each once")
    densities = {name: _density(name) for name in names}
    settings = replace(QUICK if quick else FULL, seed=seed)
    sets = {density.space.joint_set for density in densities.values()}
    if len(sets) > 1:
        raise UserError(
            f"priors over different joint sets ({', '.join(sorted(sets))}) have no held-out poses in common"
        )
    gathered = gather(data, sets.pop(), fps)
    parts = split(gathered, by, tuple(val), seed)
    figures = {name: measure(density, gathered, parts, body_name, settings) for name, density in densities.items()}
    whole = next((density for density in densities.values() if informs_fits(density)), None)
    if settings.fitted and whole is not None:
        figures[OWN] = _own_fits(whole, gathered, parts[1], body_name, settings)
    return write(figures, densities, out, f"{len(parts[1])} held-out poses ({by} {', '.join(val)})")


def measure(
    density: PoseDensity,
    table: PoseTable,
    parts: tuple[np.ndarray, np.ndarray],
    body_name: str,
    settings: EvaluationSettings,
) -> dict[str, float]:
    """Figures of a density on a split (training rows, held-out rows) of a table."""
    joints = _rows_of(density)
    train, held = (rows(table, part, joints) for part in parts)
    return evaluate_prior(density, train, held, table.take[parts[1]], load_body(body_name), settings)


def _own_fits(
    density: PoseDensity, table: PoseTable, held: np.ndarray, body_name: str, settings: EvaluationSettings
) -> dict[str, float]:
    """The fitting loop with the prior that fits take without being told."""
    body = load_body(body_name)
    chosen = held[np.unique(np.linspace(0, len(held) - 1, settings.fitted).round().astype(int))]
    found = fit_with(own_prior(body), density.space.joints, rows(table, chosen, _rows_of(density)), body, settings.seed)
    return {f"fit/{name}": value for name, value in found.items()}


def _rows_of(density: PoseDensity) -> list[int]:
    names = joint_set(density.space.joint_set).joints
    return [names.index(joint) for joint in density.space.joints]


def _density(name: str) -> PoseDensity:
    prior = load_prior(name)
    if not isinstance(prior, PoseDensity):
        raise UserError(
            f"'{name}' is a mixture for fits, without a density on a chart: compare takes run folders and .safetensors "
            "files (fits with the body's own mixture stand in the table anyway)"
        )
    return prior


Figures = dict[str, dict[str, float]]
Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def write(figures: Figures, densities: dict[str, PoseDensity], out: Path, about: str) -> Comparison:
    """Write the page, the Markdown and the figures; also what a terminal shows."""
    out.mkdir(parents=True, exist_ok=True)
    named = {_short(name, list(figures)): own for name, own in figures.items()}
    notes = [
        f"{_short(name, list(figures))} leaves out: {'; '.join(density.space.dropped)}."
        for name, density in densities.items()
        if density.space.dropped
    ]
    if len({(density.space.dim, density.space.joints) for density in densities.values()}) > 1:
        notes.insert(0, "These priors do not cover the same dimensions: their nats per dimension do not compare.")
    page, lines = Report("Pose priors compared", about), ["# Pose priors compared", "", about, ""]
    for title, (header, cells) in tables(named).items():
        if cells:
            page.heading(title)
            page.table(header, cells)
            lines += [f"## {title}", "", *_markdown(header, cells), ""]
    for note in notes:
        page.text(note)
        lines += [note, ""]
    (out / "compare.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    markdown = out / "compare.md"
    markdown.write_text("\n".join(lines), encoding="utf-8")
    header, cells = _table(named, [row for row in ROWS if row[1] in SHORT])
    return Comparison(figures, header, cells, page.write(out / "compare.html"), markdown)


def tables(figures: Figures) -> dict[str, Table]:
    """Header and cells of each table of figures (name of a prior → its figures), by title; some may have no row."""
    measured = {name: own for name, own in figures.items() if "val/nats_per_dim" in own}
    families = {
        "Denoising: mean joint error, mm": ("denoise", "after", "before", "noise of {} rad"),
        "Completion: error of the missing joints, mm, mean": ("complete", "mean", "mean_pose", "{}"),
        "Completion: the best of all completions, mm": ("complete", "min", "mean_pose", "{}"),
    }
    found = {title: _table(measured, _trials(measured, *family)) for title, family in families.items()}
    return {"Figures": _table(figures, ROWS)} | found


def _table(figures: Figures, table_rows: Sequence[tuple[str, str, str, str, str]]) -> Table:
    """A row a measure, a column a prior, and in the last what to hold it against; measures that none has are left out."""
    cells = []
    for title, key, form, beside, other in table_rows:
        if not any(key in own for own in figures.values()):
            continue
        values = [_cell(own, key, form) for own in figures.values()]
        known = next((own for own in figures.values() if other in own), None)
        cells.append((title, *values, f"{beside} {_cell(known, other, form)}".strip() if known else ""))
    return ("", *figures, "beside"), cells


def _cell(own: dict[str, float], key: str, form: str) -> str:
    value = own.get(key, math.nan)
    return "–" if math.isnan(value) else format(value, form)


def _trials(
    figures: Figures, family: str, wanted: str, beside: str, title: str
) -> list[tuple[str, str, str, str, str]]:
    """Rows of a family of figures ``family/TRIAL/wanted_mm``, one a trial."""
    keys = dict.fromkeys(key for own in figures.values() for key in own if key.startswith(f"{family}/"))
    trials = dict.fromkeys(key.split("/")[1] for key in keys)
    word = beside.replace("_", " ")
    return [
        (
            title.format(trial.replace("_", " ")),
            f"{family}/{trial}/{wanted}_mm",
            ".0f",
            word,
            f"{family}/{trial}/{beside}_mm",
        )
        for trial in trials
    ]


def _short(name: str, names: Sequence[str]) -> str:
    """The last part of a path, unless two of ``names`` share it."""
    last = Path(name).stem if name.endswith(".safetensors") else Path(name).name
    twins = sum(last in (Path(other).stem, Path(other).name) for other in names)
    return last if twins == 1 else name


def _markdown(header: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *cells]
    return [f"| {' | '.join(line)} |" for line in lines]
