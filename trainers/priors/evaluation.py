"""All figures of a pose density on unseen poses, under flat names: ``val/nats_per_dim``, ``denoise/0.3/after_mm``, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...config import UserError
from ...models.bodies.body import Body
from ...models.priors.density import PoseDensity
from .baseline import uniform_limits
from .fitting import fit_with, informs_fits
from .measures import PoseLimits, diversity, frechet_of_joints, joint_distance, nearest_distance
from .scoring import JOINT, QUANTILES, Scorer
from .skeleton import Skeleton, skeleton_of
from .trials import completion, denoising, device_of, likelihood, mean_pose, roundtrip, usual_groups


@dataclass(frozen=True)
class EvaluationSettings:
    """How much is measured.

    Attributes:
        likelihood: held-out poses that are scored, at most, evenly taken; 0: all.
        samples: poses drawn for diversity, Fréchet distance, limits. diverse: of those, compared pair by pair.
        base: training poses, evenly taken, for Fréchet and nearest distances. nearest: samples and held-out poses that look
            for their nearest.
        denoised, completed: held-out poses, evenly taken; 0 leaves the trial out. completions: of each.
        sigmas: noise, radians. fitted: people of the fitting loop, 0: none. seed: of everything.
    """

    likelihood: int = 0
    samples: int = 8192
    diverse: int = 2048
    base: int = 32_768
    nearest: int = 512
    denoised: int = 128
    completed: int = 48
    completions: int = 10
    sigmas: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5)
    fitted: int = 64
    seed: int = 0


FULL = EvaluationSettings()
QUICK = EvaluationSettings(
    likelihood=4096,
    samples=2048,
    diverse=512,
    base=4096,
    nearest=128,
    denoised=32,
    completed=16,
    completions=10,
    sigmas=(0.3,),
    fitted=0,
)
"""For validations while training: seconds."""


def evaluate_prior(
    density: PoseDensity,
    train: NDArray[np.floating],
    val: NDArray[np.floating],
    takes: NDArray[np.integer],
    body: Body,
    settings: EvaluationSettings = FULL,
) -> dict[str, float]:
    """Measure a density on held-out poses.

    Args:
        density: on any device, in eval mode.
        train: (N, C, 3) poses it has learned from, of its joints in its order, axis-angle, radians.
        val: (n, C, 3) poses it has not seen. takes: (n,) which take each is of.
        body: whose joints are measured, "open-person".
        settings: how much.

    Returns:
        figures by name; docs/priors.md says what each is. Errors and distances in millimetres.

    Raises:
        UserError: for poses of other joints, or takes that do not belong to the poses.
    """
    device = device_of(density)
    poses = {name: _checked(name, values, density) for name, values in (("train", train), ("val", val))}
    if np.shape(takes) != (len(val),):
        raise UserError(f"takes of {len(val)} held-out poses are ({len(val)},), found {np.shape(takes)}")
    skeleton = skeleton_of(body, density.space.joints, device)
    rows = evenly(len(val), settings.likelihood or len(val))
    held = _tensor(poses["val"][rows], device)
    figures = _named("val", likelihood(density, held, np.asarray(takes)[rows], settings.seed))
    figures["val/poses"], figures["val/takes"] = float(len(held)), float(len(np.unique(takes)))
    figures["val/dimensions"] = float(density.space.dim)
    uniform = uniform_limits(density.space)
    figures |= _named("uniform", uniform.figures(density.space.to_pose(density.space.to_coordinates(held))))
    figures |= _named("roundtrip", roundtrip(density, held[evenly(len(held), 1024)], skeleton))
    figures |= _samples(
        density, _tensor(poses["train"][evenly(len(train), settings.base)], device), held, skeleton, settings
    )
    if settings.denoised:
        some = held[evenly(len(held), settings.denoised)]
        figures |= _named("denoise", denoising(density, some, skeleton, settings.sigmas, settings.seed))
    groups = usual_groups(density.space.joints)
    if settings.completed and groups:
        some = held[evenly(len(held), settings.completed)]
        done = completion(density, some, skeleton, groups, settings.completions, settings.seed)
        figures |= _named("complete", done)
    if settings.fitted and informs_fits(density):
        people = held[evenly(len(held), settings.fitted)].cpu().numpy()
        figures |= _named("fit", fit_with(density.to_fit_prior(), density.space.joints, people, body, settings.seed))
    return figures


def _samples(
    density: PoseDensity, base: Tensor, held: Tensor, skeleton: Skeleton, settings: EvaluationSettings
) -> dict[str, float]:
    """What samples are like, beside held-out and training poses."""
    with torch.no_grad():
        drawn = density.sample(settings.samples, torch.Generator(base.device).manual_seed(settings.seed))
    joints = {"sample": skeleton(drawn), "train": skeleton(base), "val": skeleton(held)}
    limits = PoseLimits(density.space.joints)
    figures = {
        "frechet/sample_val_mm": frechet_of_joints(joints["sample"], joints["val"]),
        "frechet/sample_train_mm": frechet_of_joints(joints["sample"], joints["train"]),
        "frechet/train_val_mm": frechet_of_joints(joints["train"], joints["val"]),
        "baseline/mean_pose_mm": float(
            joint_distance(skeleton(mean_pose(density, 1)).expand_as(joints["val"]), joints["val"]).mean()
        ),
    }
    for name, pose in (("sample", drawn), ("train", base), ("val", held)):
        some = joints[name][evenly(len(pose), settings.diverse)]
        figures[f"diversity/{name}_mm"] = diversity(some)
        figures[f"limits/{name}"] = limits.violations(pose)
    for name in ("sample", "val"):
        queries = joints[name][evenly(len(joints[name]), settings.nearest)]
        nearest = nearest_distance(queries, joints["train"])
        figures[f"nearest/{name}_mm"] = float(nearest.mean())
        figures[f"nearest/{name}_least_mm"] = float(nearest.min())
    return figures


def training_scores(
    density: PoseDensity, train: NDArray[np.floating], shares: Sequence[float] = QUANTILES, count: int = 16_384
) -> dict[str, float]:
    """Quantiles of what a density's own training poses (N, C, 3) score, at most ``count`` of them, evenly taken.

    To be kept as ``scores`` in the ``data`` of a saved density: by the share's text, of nats per dimension, and with
    ``joint/`` before it of the largest deviation of a joint.
    """
    some = np.asarray(train[evenly(len(train), count)], np.float32)
    scorer = Scorer(density)
    nats, worst = scorer.nats(some), scorer.deviations(some).max(1)
    scores = {f"{share:g}": float(np.quantile(nats, share)) for share in shares}
    return scores | {f"{JOINT}{share:g}": float(np.quantile(worst, share)) for share in shares}


def _checked(name: str, values: NDArray[np.floating], density: PoseDensity) -> NDArray[np.floating]:
    wanted = (len(density.space.joints), 3)
    if np.ndim(values) != 3 or np.shape(values)[1:] != wanted or len(values) < 2:
        raise UserError(f"{name} poses of this prior are (2 or more, {wanted[0]}, 3), found {np.shape(values)}")
    return values


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of ``count`` rows, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _tensor(values: NDArray[np.floating], device: torch.device) -> Tensor:
    return torch.as_tensor(np.asarray(values, np.float32), device=device)


def _named(prefix: str, figures: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}/{name}": value for name, value in figures.items()}
