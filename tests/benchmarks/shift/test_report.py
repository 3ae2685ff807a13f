"""The tables and the λ plot, from made-up figures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from sim2pose.benchmarks.shift import report
from sim2pose.benchmarks.shift.config import BenchConfig
from sim2pose.benchmarks.shift.methods import METHODS, sweep
from sim2pose.benchmarks.shift.results import FIGURES, Line, Mean
from sim2pose.datasets.html import Report
from sim2pose.tune.ranking import Difference


def _line(method: str, ap: float, severity: str = "medium") -> Line:
    figures = {name: Mean({0: ap - 0.01, 1: ap + 0.01}, ap, 0.0141) for name in FIGURES}
    control = METHODS[method].control
    return Line(severity, method, figures, (ap - 0.02, ap + 0.02), control, Difference(0.031, 0.0011, 2), (0.01, 0.05))


def test_a_row_says_all_that_was_measured() -> None:
    config = BenchConfig(labels=42)
    (first, unlabelled), (second, some) = report.tables(config, [_line("teacher", 0.2), _line("some_joint", 0.3)])
    assert (first, second) == ("target medium, unlabelled target", "target medium, 42 target labels")
    row = dict(zip(report.HEADER, unlabelled[0], strict=True))
    assert (row["method"], row["control"], row["target AP"]) == ("teacher", "joint_view", "0.200 ± 0.014")
    assert row["− control"] == "+0.031 ± 0.001 *", "two seeds that agree to .001 exclude zero"
    assert unlabelled[0][3] == "0.180 … 0.220" and unlabelled[0][6] == "+0.010 … +0.050"
    assert row["retention"] is None and len(some) == 1


def test_markdown_is_one_table_a_group() -> None:
    text = report.markdown(BenchConfig(), [_line("source", 0.1), _line("joint", 0.2), _line("joint", 0.3, "high")])
    tables = [line for line in text.splitlines() if line.startswith("| method")]
    assert len(tables) == 3 and text.count("| joint |") == 2 and "Target high, unlabelled target:" in text


def test_the_lambda_plot_needs_a_curve_and_starts_at_the_control() -> None:
    config = BenchConfig(severities=("medium",))
    page = Report("test")
    report._add_lambdas(page, [_line("joint", 0.1), _line("fidip_5e-4", 0.1)], config)
    assert page.parts == ["<p>Too few values of λ have been run.</p>"]
    report._add_lambdas(page, [_line(name, 0.1) for name in sweep("fidip").values()], config)
    assert "data:image/png" in page.parts[-1]


def test_every_family_and_severity_is_drawn(tmp_path: Path) -> None:
    """Twice the severities, twice the width; another family leaves other pixels."""
    points = [(lam, Mean({0: 0.1, 1: 0.2}, 0.15, 0.07)) for lam in (0.0, 1e-3, 0.1)]
    pictures = [
        cv2.imdecode(np.frombuffer(report.draw_lambdas(series), np.uint8), cv2.IMREAD_COLOR)
        for series in (
            {"low": {"a": points}},
            {"low": {"a": points}, "high": {"a": points}},
            {"low": {"a": points, "b": points}},
        )
    ]
    assert pictures[1].shape[1] == 2 * pictures[0].shape[1]
    assert (pictures[0] != pictures[2]).any()
