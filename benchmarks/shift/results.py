"""From run folders to rows: mean and deviation over seeds, intervals over images, differences to the control."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.coco_export import frames_to_coco
from ...datasets.shards import FramesFolder
from ...models.joints import joint_set
from ...trainers import runfolder
from ...tune.ranking import Difference, paired, spread
from .bootstrap import average_precision, coco_matches, interval, resamples
from .config import BenchConfig
from .domains import folders
from .execute import diverged
from .methods import METHODS, STARTS
from .plan import Run

FIGURES = {
    "target_ap": "target/AP",
    "source_ap": "source/AP",
    "target_oks": "target/oks",
    "probe": "domain_probe_accuracy",
    "adabn_ap": "target_adabn/AP",
}

PLAIN = "source"  # what everything is to be better than
SOURCE_ONLY = {start: next(n for n, m in METHODS.items() if m.start == start and not m.trains) for start in STARTS}


@dataclass(frozen=True)
class Mean:
    """A figure over seeds: values by seed, mean, sample deviation (None for one seed)."""

    seeds: dict[int, float]
    mean: float
    sd: float | None


@dataclass(frozen=True)
class Line:
    """One method at one severity.

    Attributes:
        figures: by the names of :data:`FIGURES`; those without a value are absent.
        ap_interval: 95 % of bootstrap resamples of the test images, of the mean target AP over seeds.
        to_control: difference of target AP to ``control``, seed by seed.
        to_control_interval: 95 % of it over the same resamples of images.
        to_source: difference of target AP to the source-only run (without strong photometry), seed by seed.
        retention: source AP minus that of the source-only run it started from, seed by seed.
        seconds: of training, mean over seeds.
        failed: seed → why a run gave no result.
    """

    severity: str
    method: str
    figures: dict[str, Mean]
    ap_interval: tuple[float, float] | None = None
    control: str | None = None
    to_control: Difference | None = None
    to_control_interval: tuple[float, float] | None = None
    to_source: Difference | None = None
    retention: Difference | None = None
    seconds: float | None = None
    failed: dict[int, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def tabulate(config: BenchConfig) -> list[Line]:
    """Rows of all methods that have a result, in the order of :data:`METHODS`, severity by severity."""
    lines = []
    for severity in config.severities:
        found = {name: _results(config, severity, name) for name in METHODS}
        samples = {name: _bootstrap(config, severity, name, results) for name, results in found.items()}
        for name in METHODS:
            if found[name] or _failures(config, severity, name):
                lines.append(_line(config, severity, name, found, samples))
    return lines


def _line(
    config: BenchConfig,
    severity: str,
    name: str,
    found: Mapping[str, Mapping[int, dict[str, float]]],
    samples: Mapping[str, Mapping[int, np.ndarray]],
) -> Line:
    method, own = METHODS[name], found[name]
    before = found[SOURCE_ONLY[method.start]]
    control, to_control, over_images = method.control, None, None
    if control is not None:
        to_control = paired(_column(own, "target/AP"), _column(found[control], "target/AP"))
        common = sorted(samples[name].keys() & samples[control].keys())
        if common:
            over_images = interval(np.mean([samples[name][s] - samples[control][s] for s in common], axis=0))
    return Line(
        severity,
        name,
        {figure: mean for figure, key in FIGURES.items() if (mean := _mean(_column(own, key))) is not None},
        interval(np.mean(list(samples[name].values()), axis=0)) if samples[name] else None,
        control,
        to_control,
        over_images,
        paired(_column(own, "target/AP"), _column(found[PLAIN], "target/AP")) if name != PLAIN else None,
        paired(_column(own, "source/AP"), _column(before, "source/AP")) if method.trains else None,
        spread([one["seconds"] for one in own.values()])[0],
        _failures(config, severity, name),
    )


def _column(results: Mapping[int, dict[str, float]], key: str) -> dict[int, float]:
    return {seed: metrics[key] for seed, metrics in results.items() if key in metrics}


def _mean(values: dict[int, float]) -> Mean | None:
    mean, sd = spread(list(values.values()))
    return None if mean is None else Mean(values, mean, sd)


def _folder(config: BenchConfig, severity: str, name: str, seed: int) -> Path:
    return Run(severity, name, seed).folder(config)


def _results(config: BenchConfig, severity: str, name: str) -> dict[int, dict[str, float]]:
    """Final figures of the finished runs by seed (the last iterate's), with the seconds of training."""
    found = {}
    for seed in config.seeds:
        folder = _folder(config, severity, name, seed)
        done = runfolder.result(folder)
        if done is not None:
            seconds = json.loads((folder / "done.json").read_text(encoding="utf-8"))["seconds"]
            found[seed] = {**done.metrics, "seconds": float(seconds)}
    return found


def _failures(config: BenchConfig, severity: str, name: str) -> dict[int, str]:
    reasons = {seed: diverged(_folder(config, severity, name, seed)) for seed in config.seeds}
    return {seed: reason for seed, reason in reasons.items() if reason is not None}


def _bootstrap(
    config: BenchConfig, severity: str, name: str, results: Mapping[int, dict[str, float]]
) -> dict[int, np.ndarray]:
    """Bootstrap values of target AP (B,) by seed, from the predictions that the runs wrote; kept beside them."""
    found = {}
    for seed in results:
        folder = _folder(config, severity, name, seed) / "predictions"
        kept = folder / f"bootstrap_{config.resamples}.npy"
        if not kept.is_file():
            truth, sigmas = _truth(folders(config.out.resolve(), severity)["target_test"])
            predicted = json.loads((folder / "target.json").read_text(encoding="utf-8"))
            matches = coco_matches(truth, predicted, sigmas)
            np.save(kept, average_precision(matches, resamples(len(matches.people), config.resamples)))
        found[seed] = np.load(kept)
    return found


@functools.cache
def _truth(folder: Path) -> tuple[dict[str, Any], tuple[float, ...]]:
    frames = FramesFolder.open(folder)
    sigmas = joint_set(frames.info.joint_set).sigmas
    assert sigmas is not None, "the benchmark's frames are labelled with a set that has them"
    return frames_to_coco(frames), sigmas
