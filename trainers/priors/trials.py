"""What a pose density is tried with: unseen poses to score, code, denoise and complete. Errors in millimetres of joints.

Everything is a function of (density, poses, seed), whatever the batch; poses are (n, C, 3) axis-angle of the density's
joints, results means over poses by flat names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...config import UserError, nearest
from ...models.geometry import compose_axis_angle
from ...models.joints.hands import FINGERS
from ...models.priors.density import PoseDensity
from .measures import joint_distance, over_takes, rotation_distance
from .skeleton import Skeleton

BATCH = 4096

_ARM, _LEG = ("collar", "shoulder", "elbow", "wrist"), ("hip", "knee", "ankle", "foot")
_WHOLE = {
    "trunk": ("spine1", "spine2", "spine3"),
    "neck_and_head": ("neck", "head", "jaw", "left_eyeball", "right_eyeball"),
}
COMPLETIONS = ("left_arm", "right_leg", "arms", "legs", "hands")
"""Groups that an evaluation takes away, where the density covers them and something else is left."""
OF_HANDS = ("left_hand", "left_index", "left_thumb")
"""The same for densities of fingers alone."""


def normal_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own on a device."""
    return torch.Generator(device).manual_seed(seed)


def device_of(density: PoseDensity) -> torch.device:
    """Where a density lies."""
    return next(density.buffers()).device


def nats_per_dim(density: PoseDensity, pose: Tensor, seed: int | None = None, batch: int = BATCH) -> Tensor:
    """Negative log density of each pose (n,), nats per kept dimension, on the density's chart.

    Args:
        seed: of the Gaussian noise of the density's resolution that held-out likelihoods are stated with: without it,
            what lies across joints on a thinner sheet than the resolution would count for more than it can be known. None
            scores the poses as they are.
    """
    space, found = density.space, []
    generator = None if seed is None else normal_generator(seed, pose.device)
    for part in pose.split(batch):
        if generator is not None:
            part = space.to_pose(space.perturb(space.to_coordinates(part), space.resolution, generator))
        with torch.no_grad():
            found.append(-density.log_prob(part) / space.dim)
    return torch.cat(found)


def likelihood(density: PoseDensity, pose: Tensor, takes: NDArray[np.integer], seed: int) -> dict[str, float]:
    """Held-out nats and bits per dimension, with the standard deviation over takes if there are several."""
    mean, spread = over_takes(nats_per_dim(density, pose, seed), takes)
    figures = {"nats_per_dim": mean, "bits_per_dim": mean / math.log(2)}
    if spread is not None:
        figures |= {"nats_per_dim_std_takes": spread, "bits_per_dim_std_takes": spread / math.log(2)}
    return figures


def roundtrip(density: PoseDensity, pose: Tensor, skeleton: Skeleton) -> dict[str, float]:
    """Error of encode and decode, and of the chart alone (what is lost with the dropped directions)."""
    space = density.space
    on_chart = space.to_pose(space.to_coordinates(pose))
    with torch.no_grad():
        decoded = density.decode(density.encode(on_chart))
    angle = rotation_distance(decoded, on_chart)
    return {
        "mean_deg": math.degrees(float(angle.mean())),
        "max_rad": float(angle.max()),
        "mean_mm": float(joint_distance(skeleton(decoded), skeleton(on_chart)).mean()),
        "chart_mean_mm": float(joint_distance(skeleton(on_chart), skeleton(pose)).mean()),
    }


def mean_pose(density: PoseDensity, count: int) -> Tensor:
    """The chart's centre (count, C, 3): every joint at its mean rotation."""
    space = density.space
    return space.to_pose(torch.zeros(count, space.dim, device=device_of(density)))


def denoising(
    density: PoseDensity, pose: Tensor, skeleton: Skeleton, sigmas: Sequence[float], seed: int
) -> dict[str, float]:
    """Mean joint error of poses with noise on every rotation, and after the density's ``denoise``.

    Noise is R Exp(ε) with ε of standard deviation σ along each axis of every covered joint. ``chart_mm``: after the noise
    along dropped directions is gone, which needs no density.
    """
    wanted, found = skeleton(pose), {}
    for number, sigma in enumerate(sigmas):
        noise = torch.randn(pose.shape, generator=normal_generator(seed + number, pose.device), device=pose.device)
        noisy = compose_axis_angle(pose, sigma * noise)
        on_chart = density.space.to_pose(density.space.to_coordinates(noisy))
        clean = density.denoise(on_chart, sigma).detach()
        for name, result in (("before", noisy), ("chart", on_chart), ("after", clean)):
            found[f"{sigma:g}/{name}_mm"] = float(joint_distance(skeleton(result), wanted).mean())
    return found


def completion(
    density: PoseDensity, pose: Tensor, skeleton: Skeleton, missing: Mapping[str, Sequence[str]], count: int, seed: int
) -> dict[str, float]:
    """Error of completed poses at the joints that the missing ones move: mean and least of ``count`` completions.

    Args:
        missing: groups by name, each the covered joints that are taken away (:func:`joint_groups`).
    """
    found = {}
    wanted, mean = skeleton(pose), mean_pose(density, len(pose))
    for number, (name, gone) in enumerate(missing.items()):
        known = torch.tensor([joint not in gone for joint in density.space.joints], device=pose.device)
        seen = skeleton.moved_by(gone)
        if not seen.any():
            continue
        given = torch.where(known[:, None], pose, mean)
        made = density.complete(given, known, count, normal_generator(seed + number, pose.device))
        errors = torch.stack([joint_distance(skeleton(one)[:, seen], wanted[:, seen]) for one in made])
        found[f"{name}/mean_mm"] = float(errors.mean())
        found[f"{name}/min_mm"] = float(errors.amin(0).mean())
        found[f"{name}/mean_pose_mm"] = float(joint_distance(skeleton(given)[:, seen], wanted[:, seen]).mean())
    return found


def joint_groups(names: Sequence[str], joints: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Groups (``left_arm``, ``legs``, ``hands``, ``trunk``, ``left_index``, ...) or single joints as lists of joints.

    Arms begin at the collar and include the hand; hands are wrist and fingers; legs begin at the hip.

    Args:
        names: what is asked for. joints: those that there are; others of a group are left out.

    Raises:
        UserError: for an unknown name (nearest named), or one of which no joint is covered.
    """
    groups = _groups(joints)
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        if name in joints:
            found[name] = (name,)
        elif name not in groups:
            raise UserError(f"unknown joint or group '{name}': {nearest(name, [*groups, *joints])}")
        elif not groups[name]:
            raise UserError(f"no joint of '{name}' is covered: the prior has {', '.join(list(joints)[:6])}...")
        else:
            found[name] = groups[name]
    return found


def usual_groups(joints: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Those of :data:`COMPLETIONS` that a prior over ``joints`` covers and that leave it something to go by."""
    groups = _groups(joints)
    names = OF_HANDS if set(groups["hands"]) == set(joints) else COMPLETIONS
    return {name: groups[name] for name in names if 0 < len(groups[name]) < len(joints)}


def _groups(joints: Sequence[str]) -> dict[str, tuple[str, ...]]:
    wanted: dict[str, set[str]] = {name: set(members) for name, members in _WHOLE.items()}
    for side in ("left", "right"):
        fingers = {finger: {f"{side}_{finger}{k}" for k in (1, 2, 3)} for finger in FINGERS}
        hand = {f"{side}_wrist", f"{side}_hand"}.union(*fingers.values())
        wanted |= {f"{side}_{finger}": members for finger, members in fingers.items()}
        wanted[f"{side}_hand"] = hand
        wanted[f"{side}_arm"] = hand | {f"{side}_{name}" for name in _ARM}
        wanted[f"{side}_leg"] = {f"{side}_{name}" for name in _LEG}
    for group in ("arm", "leg", "hand"):
        wanted[f"{group}s"] = wanted[f"left_{group}"] | wanted[f"right_{group}"]
    return {name: tuple(joint for joint in joints if joint in members) for name, members in wanted.items()}
