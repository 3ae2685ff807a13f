"""Runs side by side: what each one was, what came of it, and the means over runs that differ in their seed alone."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...config import UserError, parse_yaml
from ..events import read_curves
from ..keypoint_config import KeypointConfig
from ..tracking import flat
from .figures import Band

# Keys by which repetitions of one setting may differ; {seed} in a start, too (runs/source_0, runs/source_1).
OF_A_REPETITION = (
    "name",
    "out",
    "seed",
    "threads",
    "init_from",
    "validate_every",
    "validate_first",
    *KeypointConfig.resumable,
)
LONG = 70  # characters up to which a label names its setting; it stands in legends and over pictures
COLUMNS = {
    "target AP": "target/AP",
    "… BN re-estimated": "target_adabn/AP",
    "target gain": "target/AP_change",
    "source AP": "source/AP",
    "source change": "source/AP_change",
    "fresh probe": "domain_probe_accuracy",
    "A-distance": "proxy_a_distance",
    "online": "train/domain_accuracy",
    "gradient ratio": "train/gradient_ratio",
}


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it, finished or not.

    Attributes:
        config: its resolved config, dotted keys.
        curves: every logged metric: (steps, values).
        figures: of the last validation; the mean of ``train/domain_accuracy`` and ``train/gradient_ratio`` over the
            second half of the run, as both swing.
        state: ``finished``, ``stopped: …`` or ``step N of M``.
    """

    path: Path
    config: dict[str, Any]
    curves: dict[str, tuple[list[float], list[float]]]
    figures: dict[str, float]
    state: str

    @property
    def method(self) -> str:
        """What was switched on: ``fidip + mean teacher + strong augmentation``; of a prior, its kind."""
        get = self.config.get
        if get("recipe") == "prior":
            return str(get("model.kind"))
        parts = [str(get("adversarial.method", "none")).replace("none", "source only")]
        parts += ["mean teacher"] * bool(get("teacher.weight"))
        parts += ["separate BN"] * bool(get("separate_bn"))
        parts += ["Fourier style"] * bool(get("style.share"))
        parts += ["pose prior"] * bool(get("prior.weight"))
        parts += [f"{get('data.augment')} augmentation"] * (get("data.augment") in ("strong", "photometric"))
        return " + ".join(parts)

    @property
    def weight(self) -> str | None:
        """λ and how it was set: ``0.0005``, ``0.01 sigmoid``, ``ratio 0.1``; None for methods without one."""
        if self.config.get("adversarial.method") not in ("fidip", "dann"):
            return None
        mode = self.config.get("adversarial.mode", "constant")
        if mode == "ratio":
            return f"ratio {self.config['adversarial.ratio']:g}"
        return f"{self.config['adversarial.weight']:g}" + ("" if mode == "constant" else f" {mode}")


def read_run(path: Path) -> Run:
    """Read a run folder.

    Raises:
        UserError: if it is none.
    """
    if not (path / "config.yaml").is_file():
        raise UserError(f"{path} is no run folder (it has no config.yaml)")
    config = flat(parse_yaml((path / "config.yaml").read_text(encoding="utf-8")))
    curves = read_curves(path)
    figures = {name: values[-1] for name, (_, values) in curves.items() if not name.startswith("train/")}
    for name in ("train/domain_accuracy", "train/gradient_ratio"):
        steps, values = curves.get(name, ([], []))
        late = [value for step, value in zip(steps, values, strict=True) if step > steps[-1] / 2]
        if late:
            figures[name] = statistics.fmean(late)
    return Run(path, config, curves, figures, _state(path, curves))


def _state(path: Path, curves: Mapping[str, tuple[list[float], list[float]]]) -> str:
    if not (path / "done.json").is_file():
        last = max((steps[-1] for steps, _ in curves.values()), default=0)
        return f"not finished, at step {last:g}"
    stopped = json.loads((path / "done.json").read_text(encoding="utf-8")).get("stopped")
    return f"stopped: {stopped}" if stopped else "finished"


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Run folders among the paths and, for other folders (a sweep, a folder of runs), right below them or their trials.

    Raises:
        UserError: for a path without any.
    """
    found = []
    for path in paths:
        if (path / "config.yaml").is_file():
            found.append(path)
            continue
        inside = path / "trials" if (path / "trials").is_dir() else path
        below = sorted(config.parent for config in inside.glob("*/config.yaml"))
        if not below:
            raise UserError(f"{path} is neither a run folder nor a sweep or folder of runs")
        found += below
    return list(dict.fromkeys(found))


def group_runs(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs that differ in seed alone, in the order given, by a label that says what sets each group apart.

    Where that takes more than :data:`LONG` characters (runs of different presets), the labels are the names of the runs'
    folders, and :func:`descriptions` says the rest.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(of_setting(run), sort_keys=True), []).append(run)
    long = max((len(text) for text in _labels(list(groups.values()))), default=0) > LONG
    texts = [_name(members) for members in groups.values()] if long else _labels(list(groups.values()))
    labels: dict[str, list[Run]] = {}
    for label, members in zip(texts, groups.values(), strict=True):
        while label in labels:  # runs of other versions may lack the key that tells them apart
            label += "′"
        labels[label] = members
    return labels


def descriptions(groups: Mapping[str, Sequence[Run]]) -> dict[str, str]:
    """What sets each group apart, by its label; empty where the labels say it."""
    texts = dict(zip(groups, _labels(list(groups.values())), strict=True))
    return texts if max(map(len, texts.values()), default=0) > LONG else {}


def _labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    varying = varying_keys([of_setting(members[0]) for members in groups])
    return [_label(members[0], varying) for members in groups]


def _name(members: Sequence[Run]) -> str:
    """The name of a run's folder; of several runs the first one's without its number (``adapt`` of ``adapt_seed0``)."""
    name = members[0].path.resolve().name
    return name if len(members) == 1 else re.sub(r"[._-]?(seed)?[._-]?\d+$", "", name) or name


def _of_a_repetition(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in OF_A_REPETITION)


def of_setting(run: Run) -> dict[str, Any]:
    """A run's config without the keys of a repetition and those of parts that are switched off."""
    get = run.config.get
    off = ["adversarial."] * (run.weight is None) + [
        f"{part}." for part in ("teacher", "prior") if not get(f"{part}.weight")
    ]
    return {
        key: value
        for key, value in run.config.items()
        if not _of_a_repetition(key) and (not key.startswith(tuple(off)) or key == "adversarial.method")
    }


def varying_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Dotted keys whose values are not the same in all configs that have them.

    An empty list is no value: a run without target data does not make the others' target worth naming.
    """
    keys = sorted({key for config in configs for key in config})
    given = {key: {json.dumps(config[key]) for config in configs if key in config} - {"[]"} for key in keys}
    return [key for key in keys if len(given[key]) > 1]


def _label(run: Run, varying: Sequence[str]) -> str:
    """Method and λ, and whatever else varies between the groups."""
    told = ("adversarial.method", "adversarial.weight", "adversarial.mode", "adversarial.ratio", "teacher.weight",
            "separate_bn", "style.share", "prior.weight", "data.augment")  # fmt: skip
    own = of_setting(run)
    rest = [key for key in varying if key not in told and own.get(key, []) != []]
    weight = "" if run.weight is None else f", λ {run.weight}"
    return run.method + weight + "".join(f", {_short(key, run.config)} {_show(run.config.get(key))}" for key in rest)


def _short(key: str, keys: Iterable[str]) -> str:
    """The end of a dotted key, as much of it as tells it from the other keys."""
    parts = key.split(".")
    ends = (".".join(parts[-count:]) for count in range(1, len(parts)))
    return next((end for end in ends if sum(f".{other}".endswith(f".{end}") for other in keys) <= 1), key)


def _show(value: Any) -> str:
    if isinstance(value, list):
        if all(isinstance(each, int | float) for each in value):
            return "×".join(f"{each:g}" for each in value)
        return "+".join(str(each).rpartition("/")[2] for each in value)
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def summaries(groups: Mapping[str, Sequence[Run]]) -> list[dict[str, Any]]:
    """What a group is and came to, as JSON values: ``setting``, ``method``, ``weight`` (λ and its mode), ``runs``
    (name → state), ``figures`` (metric → ``{"mean", "sd", "runs"}``, sd the sample deviation or None).
    """
    found = []
    for label, runs in groups.items():
        figures = {}
        for name in COLUMNS.values():
            known = [run.figures[name] for run in runs if name in run.figures]
            if known:
                sd = statistics.stdev(known) if len(known) > 1 else None
                figures[name] = {"mean": statistics.fmean(known), "sd": sd, "runs": len(known)}
        states = {run.path.name: run.state for run in runs}
        first = runs[0]
        found.append(
            {"setting": label, "method": first.method, "weight": first.weight, "runs": states, "figures": figures}
        )
    return found


def table(groups: Mapping[str, Sequence[Run]]) -> tuple[list[str], list[list[Any]]]:
    """Header and rows, a group each: its figures as mean ± sample deviation, and how its runs ended.

    Columns that no run has figures for are left out.
    """
    rows = []
    for summary in summaries(groups):
        states, count = summary["runs"], len(summary["runs"])
        ends = set(states.values())
        state = ends.pop() if len(ends) == 1 else "; ".join(f"{name}: {end}" for name, end in states.items())
        title = summary["setting"] if count == 1 else f"{summary['setting']} ({count} seeds)"
        rows.append([title, *(_cell(name, summary["figures"].get(name)) for name in COLUMNS.values()), state])
    header = ["setting", *COLUMNS, "state"]
    kept = [i for i in range(len(header)) if any(row[i] is not None for row in rows)]
    return [header[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _cell(name: str, figure: Mapping[str, Any] | None) -> str | None:
    """``0.123 ± 0.004``; changes carry their sign."""
    if figure is None:
        return None
    mean = f"{figure['mean']:{'+' if name.endswith('_change') else ''}.3f}"
    return mean if figure["sd"] is None else f"{mean} ± {figure['sd']:.3f}"


def band(curves: Sequence[tuple[Sequence[float], Sequence[float]]], dots: bool = False) -> Band:
    """Mean and deviation over runs at every step that any of them has; ``dots`` keeps each run's value, too."""
    at: dict[float, list[float]] = {}
    for steps, values in curves:
        for step, value in zip(steps, values, strict=True):
            at.setdefault(step, []).append(value)
    x = sorted(at)
    deviations = [statistics.stdev(at[step]) if len(at[step]) > 1 else np.nan for step in x]
    each = [at[step] for step in x] if dots else []
    return Band(np.array(x), np.array([statistics.fmean(at[step]) for step in x]), np.array(deviations), each)
