"""Noticing that a keypoint network has learnt nothing, or has been destroyed."""

from __future__ import annotations

import torch
from torch import Tensor

VARIES = 0.05  # of evaluation's variance ratio
LEARNING = 0.3  # fraction of a run in which a network may still put everything in one place
KNOWS = 0.98  # of the loss of mean heatmaps: at or above it nothing of the picture is known
METRIC = "train_pose_over_constant"


def constant_loss(target: Tensor, weight: Tensor) -> Tensor:
    """JointsMSE of the best heatmaps that are the same for every picture: half the variance over the labelled ones.

    Args:
        target: ``(b, j, h, w)``, zero where a joint is not labelled; weight: ``(b, j)``, 1 labelled, 0 not.
    """
    count = weight.sum(0)
    mean = target.sum(0) / count.clamp_min(1)[:, None, None]
    squares = target.square().mean((0, 2, 3)) - count / len(target) * mean.square().mean((1, 2))
    return 0.5 * (squares * count / (count - 1).clamp_min(1)).mean()


class Learnt:
    """Mean pose loss of the measured steps since the last validation over that of mean heatmaps; summed on the device."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(2, device=device)  # of pose losses, of those of mean heatmaps

    def add(self, pose: Tensor, constant: Tensor) -> Tensor:
        """Take the losses of a step; their ratio."""
        self.sums += torch.stack([pose, constant])
        return pose / constant.clamp_min(1e-12)

    def flush(self) -> dict[str, float]:
        """The ratio as a metric, and begin anew; empty where nothing was labelled."""
        pose, constant = self.sums.tolist()
        self.sums.zero_()
        return {METRIC: pose / constant} if constant > 0 else {}


def collapsed(metrics: dict[str, float], done: float, adversarial: bool) -> str | None:
    """Why a run is dead, or None.

    Early on a network may put everything in one place; after :data:`LEARNING` of the run its predictions must vary from
    person to person on at least one data set, as the labels do. A domain term that is too strong leaves predictions that
    vary, but at random; with one, the loss must be below that of mean heatmaps. (Without one that is only slow learning.)

    Args:
        metrics: of a validation, with ``<name>/output_variance_ratio``, and of :class:`Learnt`.
        done: fraction of the run.
        adversarial: whether there is a domain term.
    """
    if done < LEARNING:
        return None
    advice = (
        "Lower adversarial.weight or optim.lr, or start from pretrained weights; stop_on_collapse=false goes on anyway"
    )
    ratios = {key: value for key, value in metrics.items() if key.endswith("/output_variance_ratio")}
    if ratios and max(ratios.values()) < VARIES:
        shown = ", ".join(f"{key.split('/')[0]} {value:.3f}" for key, value in ratios.items())
        return f"collapse: predictions hardly vary from person to person (variance over that of the labels: {shown}). {advice}"
    loss = metrics.get(METRIC, 0.0)
    if adversarial and loss >= KNOWS:
        return (
            f"collapse: the pose loss is {loss:.2f} times that of the mean heatmaps: no picture is understood. {advice}"
        )
    return None
