"""What can be trained: one function a recipe, by the name that ``recipe=`` takes."""

from __future__ import annotations

from collections.abc import Callable

from ..config import UserError, nearest
from .config import TrainConfig
from .context import Context
from .task import Task


def _fidip(cfg: TrainConfig, context: Context) -> Task:
    from .keypoints import KeypointTask

    return KeypointTask(cfg, context)


RECIPES: dict[str, Callable[[TrainConfig, Context], Task]] = {
    "fidip": _fidip,  # 2D keypoints by heatmaps, on one domain or adversarially on two
}


def build_task(cfg: TrainConfig, context: Context) -> Task:
    """The task of ``cfg.recipe``.

    Raises:
        UserError: for an unknown recipe (nearest named), and whatever the task finds wrong with its config.
    """
    if cfg.recipe not in RECIPES:
        raise UserError(f"unknown recipe '{cfg.recipe}': {nearest(cfg.recipe, RECIPES)}")
    return RECIPES[cfg.recipe](cfg, context)
