"""Trained priors side by side on the same held-out poses, as a page and as Markdown."""

from __future__ import annotations

import json
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

COLUMNS: dict[str, tuple[str, str]] = {
    "nats/dim": ("val/nats_per_dim", ".3f"),
    "± takes": ("val/nats_per_dim_std_takes", ".3f"),
    "bits/dim": ("val/bits_per_dim", ".3f"),
    "uniform nats/dim": ("uniform/nats_per_dim", ".3f"),
    "dims": ("val/dimensions", ".0f"),
    "round trip mm": ("roundtrip/mean_mm", ".2f"),
    "APD mm": ("diversity/sample_mm", ".0f"),
    "(train)": ("diversity/train_mm", ".0f"),
    "Fréchet to train mm": ("frechet/sample_train_mm", ".0f"),
    "to held-out": ("frechet/sample_val_mm", ".0f"),
    "(train to held-out)": ("frechet/train_val_mm", ".0f"),
    "nearest train mm": ("nearest/sample_mm", ".0f"),
    "(held-out)": ("nearest/val_mm", ".0f"),
    "beyond limits %": ("limits/sample", ".1%"),
    "(held-out) %": ("limits/val", ".1%"),
    "fit PA mm": ("fit/pa_mean_mm", ".1f"),
    "fit root mm": ("fit/root_mean_mm", ".1f"),
}
"""Columns of the first table: title, figure, format."""

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


def write(figures: dict[str, dict[str, float]], densities: dict[str, PoseDensity], out: Path, about: str) -> Comparison:
    """Write the page, the Markdown and the figures; also what a terminal shows."""
    out.mkdir(parents=True, exist_ok=True)
    first = _table(figures, COLUMNS)
    page = Report("Pose priors compared", about)
    lines = ["# Pose priors compared", "", about, ""]
    charts = {name: (density.space.dim, density.space.joints) for name, density in densities.items()}
    if len(set(charts.values())) > 1:
        warning = "These priors do not cover the same dimensions: their nats per dimension do not compare."
        page.text(warning, warn=True)
        lines += [f"**{warning}**", ""]
    tables = {
        "Figures": first,
        "Denoising, mm": _family(figures, "denoise/"),
        "Completion, mm": _family(figures, "complete/"),
    }
    for title, (header, cells) in tables.items():
        if cells and len(header) > 1:
            page.heading(title)
            page.table(header, cells)
            lines += [f"## {title}", "", *_markdown(header, cells), ""]
    for name, density in densities.items():
        if density.space.dropped:
            note = f"{name} leaves out: {'; '.join(density.space.dropped)}."
            page.text(note)
            lines += [note, ""]
    (out / "compare.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    markdown = out / "compare.md"
    markdown.write_text("\n".join(lines), encoding="utf-8")
    short = {title: COLUMNS[title] for title in ("nats/dim", "± takes", "APD mm", "Fréchet to train mm", "fit PA mm")}
    header, cells = _table(figures, short)
    return Comparison(figures, header, cells, page.write(out / "compare.html"), markdown)


def _table(
    figures: dict[str, dict[str, float]], columns: dict[str, tuple[str, str]]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and a row a model; columns that no model has are left out."""
    kept = {title: column for title, column in columns.items() if any(column[0] in own for own in figures.values())}
    cells = [
        (name, *(format(own[key], form) if key in own and own[key] == own[key] else "–" for key, form in kept.values()))
        for name, own in figures.items()
    ]
    return ("prior", *kept), cells


def _family(figures: dict[str, dict[str, float]], prefix: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """All figures that begin with a prefix, as columns."""
    keys = dict.fromkeys(key for own in figures.values() for key in own if key.startswith(prefix))
    titles = {key: key.removeprefix(prefix).removesuffix("_mm").replace("_", " ") for key in keys}
    measured = {name: own for name, own in figures.items() if any(key in own for key in keys)}
    return _table(measured, {title: (key, ".0f") for key, title in titles.items()})


def _markdown(header: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *cells]
    return [f"| {' | '.join(line)} |" for line in lines]
