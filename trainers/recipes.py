"""What can be trained: one entry a recipe, by the name that ``recipe=`` takes; its config, its task and its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import UserError, merge, nearest, parse_overrides, parse_yaml, read_preset, validate
from .config import TrainConfig
from .context import Context
from .keypoint_config import KeypointConfig
from .priors.config import PriorTrainConfig
from .task import Task


@dataclass(frozen=True)
class Recipe:
    """One thing to train; task and report are imported when they are needed.

    Attributes:
        config: its config.
        task: makes the task of a config, on one rank.
        report: writes ``report.html`` of a run folder.
        after: the command that one gives next, of a run folder ``{}``.
    """

    config: type[TrainConfig]
    task: Callable[[Any, Context], Task]
    report: Callable[[Path], Path]
    after: str


def _keypoints(cfg: KeypointConfig, context: Context) -> Task:
    from .keypoints import KeypointTask

    return KeypointTask(cfg, context)


def _keypoint_report(run_dir: Path) -> Path:
    from .report import write_run_report

    return write_run_report(run_dir)


def _prior(cfg: PriorTrainConfig, context: Context) -> Task:
    from .priors.task import PriorTask

    return PriorTask(cfg, context)


def _prior_report(run_dir: Path) -> Path:
    from .priors.report import write_prior_report

    return write_prior_report(run_dir)


RECIPES = {
    # 2D keypoints, on one domain or adversarially on two
    "fidip": Recipe(KeypointConfig, _keypoints, _keypoint_report, "sim2pose evaluate {} DATA"),
    # densities of body and hand poses
    "prior": Recipe(PriorTrainConfig, _prior, _prior_report, "sim2pose prior sample {} out=samples.npz"),
}
DEFAULT = "fidip"


def recipe(name: str) -> Recipe:
    """A recipe.

    Raises:
        UserError: for an unknown name (nearest named).
    """
    if name not in RECIPES:
        raise UserError(f"unknown recipe '{name}': {nearest(name, RECIPES)}")
    return RECIPES[name]


def validate_run(values: Mapping[str, Any]) -> TrainConfig:
    """The config of a run, of the kind that its ``recipe`` asks for.

    Raises:
        UserError: for an unknown recipe, and whatever is wrong with the values (key named).
    """
    return validate(recipe(str(values.get("recipe", DEFAULT))).config, values)


def load_run(preset: str, overrides: Sequence[str] | Mapping[str, Any] = ()) -> TrainConfig:
    """Resolve a training preset (name or path) and overrides (``key=value`` items or a nested dict).

    Raises:
        UserError: see :func:`validate_run`.
    """
    over = dict(overrides) if isinstance(overrides, Mapping) else parse_overrides(overrides)
    return validate_run(merge(read_preset(preset), over))


def saved_run(run_dir: Path) -> TrainConfig:
    """The config that a run folder was made with."""
    return validate_run(parse_yaml((run_dir / "config.yaml").read_text(encoding="utf-8")))


def keypoint_run(run_dir: Path) -> KeypointConfig:
    """The config of a run folder that must hold a keypoint network.

    Raises:
        UserError: if the run trained something else.
    """
    cfg = saved_run(run_dir)
    if not isinstance(cfg, KeypointConfig):
        raise UserError(f"{run_dir} is a run of recipe '{cfg.recipe}', without a keypoint network: see its report.html")
    return cfg


def build_task(cfg: TrainConfig, context: Context) -> Task:
    """The task of a run.

    Raises:
        UserError: whatever the task finds wrong with its config.
    """
    return recipe(cfg.recipe).task(cfg, context)


def write_report(run_dir: Path) -> Path:
    """Write ``<run>/report.html``; works on unfinished runs too."""
    return recipe(saved_run(run_dir).recipe).report(run_dir)
