"""Dressed bodies, or hands, in poses of a prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...datasets.poses import PoseSequence
from ...models.bodies import load_body
from ...models.joints import joint_set
from ...models.priors.density import PoseDensity
from ...render_farm.preview.media import Bytes, captioned, strip
from ...render_farm.preview.motion import motion_strip

BODY = "open-person"
SIDES = ("left", "right")
TILE = (200, 270)  # pixels
HAND = (170, 190)
WIDE = ("left_shoulder", "right_shoulder")
TRAVERSAL = (-2.0, -1.0, 0.0, 1.0, 2.0)


def is_hands(density: PoseDensity) -> bool:
    """Whether a prior covers fingers and nothing else."""
    return all(name.startswith(SIDES) and name[-1].isdigit() for name in density.space.joints)


def pose_sheet(
    density: PoseDensity, poses: NDArray[np.floating], texts: Sequence[str], columns: int, seed: int = 0
) -> Bytes:
    """Poses of a prior's joints as pictures of dressed bodies; other joints at rest, the root upright.

    Args:
        poses: (n, C, 3) axis-angle, radians. texts: one beneath each. columns: pictures a row.
    """
    names = density.space.joints
    if is_hands(density):
        return _hands(names, poses, texts, columns)
    joints = joint_set("smplx55")
    full = np.zeros((len(poses), joints.count, 3), np.float32)
    for j, name in enumerate(names):
        if name in joints.joints:
            full[:, joints.index(name)] = poses[:, j]
    sequence = PoseSequence(full, np.zeros((len(full), 3), np.float32), BODY, "smplx55", names=tuple(texts))
    return motion_strip(load_body(BODY), sequence, count=len(full), size=TILE, columns=columns, view=(25.0, 8.0))


def _hands(names: tuple[str, ...], poses: NDArray[np.floating], texts: Sequence[str], columns: int) -> Bytes:
    """Both hands of each pose side by side, as far as the prior covers them."""
    mano = joint_set("mano16")
    drawn: list[list[Bytes]] = []
    for side in SIDES:
        full = np.zeros((len(poses), mano.count, 3), np.float32)
        covered = [(j, name.removeprefix(f"{side}_")) for j, name in enumerate(names) if name.startswith(side)]
        if not covered:
            continue
        for j, name in covered:
            full[:, mano.index(name)] = poses[:, j]
        body = load_body(f"open-hand-{side}")
        transl = np.zeros((len(full), 3), np.float32)
        each = [PoseSequence(one[None], transl[:1], body.name, "mano16", names=(" ",)) for one in full]
        azimuth = 55.0 if side == "left" else -55.0
        drawn.append([motion_strip(body, one, count=1, size=HAND, view=(azimuth, 12.0)) for one in each])
    pairs = [captioned(strip(list(pair), len(pair), gap=0), text) for pair, text in zip(zip(*drawn, strict=True), texts, strict=True)]
    return strip(pairs, columns)


def sample_sheet(density: PoseDensity, count: int = 18, columns: int = 6, seed: int = 0) -> Bytes:
    """Samples, each with its nats per dimension: the lower, the likelier."""
    with torch.no_grad():
        drawn = density.sample(count, torch.Generator(density.space.scale.device).manual_seed(seed))
        nats = (-density.log_prob(drawn) / density.dim).tolist()
    return pose_sheet(density, drawn.cpu().numpy(), [f"{value:.2f} nats/dim" for value in nats], columns)


def traversal_sheet(density: PoseDensity, start: NDArray[np.floating], directions: int = 4) -> Bytes:
    """What the latent's largest directions do: each row moves one by −2 … 2 standard deviations, all others at the mean.

    Directions are principal ones of the latents' effect: of the decoder's Jacobian at the latent of the mean, so that rows
    come in the order of how far they move the pose.

    Args:
        start: (n, C, 3) poses whose mean latent is the middle of each row.
    """
    with torch.no_grad():
        z = density.encode(torch.as_tensor(start, dtype=torch.float32, device=density.space.scale.device)).mean(0)
    jacobian = torch.func.jacrev(lambda one: density.decode_standard(one[None])[0])(z)
    found = torch.linalg.svd(jacobian.detach(), full_matrices=False).Vh[:directions]
    moved = torch.stack([z + step * way for way in found for step in TRAVERSAL])
    with torch.no_grad():
        poses = density.decode(moved).cpu().numpy()
    texts = [f"{row + 1}: {step:+g} σ" if step else f"{row + 1}: mean" for row in range(len(found)) for step in TRAVERSAL]
    return pose_sheet(density, poses, texts, len(TRAVERSAL))
