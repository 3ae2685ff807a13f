"""The table for a terminal, for ``RESULTS.md`` and as a page with the domains' pictures and the λ plot."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...datasets.html import COLORS, Report
from ...trainers.report import add_contact_sheet, environment
from ...tune.ranking import Difference
from .config import BenchConfig
from .domains import folders
from .methods import LABELS, METHODS, sweep
from .results import Line, Mean

HEADER = (
    "method",
    "what it is",
    "target AP",
    "95 %",
    "− source",
    "− control",
    "95 %",
    "control",
    "source AP",
    "retention",
    "OKS",
    "probe",
    "AdaBN AP",
    "seeds",
)
NOTE = (
    "Mean ± standard deviation over seeds. 95 %: percentile bootstrap over the test images of the mean over seeds; "
    "differences to source only and to the control are paired by seed and image, * where a t test over seeds excludes zero. "
    "Retention: source AP minus that of the source-only run started from. Probe: accuracy of a fresh linear domain "
    "classifier on features of held-out pictures (0.5: none). AdaBN AP: the same network with BatchNorm statistics of "
    "unlabelled target pictures. Figures are of the last iterate; nothing is selected on these frames."
)


def tables(config: BenchConfig, lines: Sequence[Line]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """For each severity and each kind of labels, a title and its cells (text, or None) in the order of :data:`HEADER`."""
    for severity in config.severities:
        for kind, words in LABELS.items():
            group = [x for x in lines if x.severity == severity and METHODS[x.method].labels == kind]
            if group:
                seen = f"{config.labels} target labels" if kind == "some" else words
                yield f"target {severity}, {seen}", [_row(line) for line in group]


def _row(line: Line) -> tuple[Any, ...]:
    figures, failed = line.figures, len(line.failed)
    count = len(figures["target_ap"].seeds) if "target_ap" in figures else 0
    return (
        line.method,
        METHODS[line.method].title,
        _pm(figures.get("target_ap")),
        _range(line.ap_interval),
        _difference(line.to_source),
        _difference(line.to_control),
        _range(line.to_control_interval, "+"),
        line.control,
        _pm(figures.get("source_ap")),
        _difference(line.retention),
        _mean(figures.get("target_oks")),
        _mean(figures.get("probe")),
        _pm(figures.get("adabn_ap")),
        f"{count}, {failed} diverged" if failed else str(count),
    )


def _pm(mean: Mean | None) -> str | None:
    if mean is None:
        return None
    return f"{mean.mean:.3f}" + ("" if mean.sd is None else f" ± {mean.sd:.3f}")


def _mean(mean: Mean | None) -> str | None:
    return None if mean is None else f"{mean.mean:.3f}"


def _range(pair: tuple[float, float] | None, sign: str = "") -> str | None:
    return None if pair is None else f"{pair[0]:{sign}.3f} … {pair[1]:{sign}.3f}"


def _difference(found: Difference | None) -> str | None:
    if found is None:
        return None
    spread = "" if found.sd is None else f" ± {found.sd:.3f}"
    return f"{found.mean:+.3f}{spread}{' *' if found.excludes_zero() else ''}"


def markdown(config: BenchConfig, lines: Sequence[Line]) -> str:
    """All tables, for ``RESULTS.md``."""
    text = [f"`sim2pose bench shift`: {_size(config)}. {NOTE}"]
    for title, cells in tables(config, lines):
        text += [f"\n{title[0].upper()}{title[1:]}:\n", f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}"]
        text += [f"| {' | '.join('–' if cell is None else str(cell) for cell in row)} |" for row in cells]
    return "\n".join(text) + "\n"


def _size(config: BenchConfig) -> str:
    seeds = ", ".join(map(str, config.seeds))
    return f"{config.source_steps} source-only steps, then {config.steps} of adaptation; seeds {seeds}"


def write_report(path: Path, config: BenchConfig, lines: Sequence[Line]) -> Path:
    """The page."""
    page = Report("sim2pose: the shift benchmark", _size(config))
    page.heading("Methods and their controls")
    for title, cells in tables(config, lines):
        page.table((title, *HEADER[1:]), cells)
    page.text(NOTE)
    page.heading("Target AP over λ")
    _add_lambdas(page, lines, config)
    page.heading("The domains")
    shown = {path: role for s in config.severities for role, path in folders(config.out.resolve(), s).items()}
    for folder, role in shown.items():
        if role.endswith("train"):
            add_contact_sheet(page, folder)
    page.heading("Config")
    page.code(json.dumps(config.model_dump(mode="json"), indent=2))
    page.heading("Environment")
    page.code(environment())
    return page.write(path)


FAMILIES = {"fidip": "FiDIP, unlabelled", "dann": "gradient reversal, unlabelled", "some_fidip": "FiDIP, some labels"}


def _add_lambdas(page: Report, lines: Sequence[Line], config: BenchConfig) -> None:
    """Target AP against λ with the spread over seeds; λ = 0 stands at the left, each family's plot beside the others."""
    figures = {(line.severity, line.method): line.figures.get("target_ap") for line in lines}
    series: dict[str, dict[str, list[tuple[float, Mean]]]] = {}
    for kind, name in FAMILIES.items():
        for severity in config.severities:
            points = [(lam, mean) for lam, method in sweep(kind).items() if (mean := figures.get((severity, method)))]
            if len(points) > 2:  # two points are a row of the table, no curve
                series.setdefault(severity, {})[name] = points
    if series:
        page.image(
            draw_lambdas(series), "Mean over seeds; bars: smallest and largest. The first point is λ = 0, the control."
        )
    else:
        page.text("Too few values of λ have been run.")


def draw_lambdas(series: dict[str, dict[str, list[tuple[float, Mean]]]]) -> bytes:
    """PNG: one panel a severity, one line a family of ``(λ, AP)``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8 * len(series), 3.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(series), squeeze=False)[0]
    for axis, (severity, families) in zip(axes, series.items(), strict=True):
        values = sorted({lam for points in families.values() for lam, _ in points})
        for i, (name, points) in enumerate(families.items()):
            means = [mean.mean for _, mean in points]
            low = [mean.mean - min(mean.seeds.values()) for _, mean in points]
            high = [max(mean.seeds.values()) - mean.mean for _, mean in points]
            places = [values.index(lam) + 0.06 * i for lam, _ in points]
            axis.errorbar(
                places, means, [low, high], label=name, color=COLORS[i], marker="o", ms=3.5, lw=1.5, capsize=2.5
            )
        axis.set_xticks(range(len(values)), [f"{lam:g}" for lam in values])
        axis.set_title(f"target: {severity}", fontsize=11)
        axis.set_xlabel("λ", fontsize=9)
        axis.set_ylabel("target AP", fontsize=9)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
