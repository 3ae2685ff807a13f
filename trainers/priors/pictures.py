"""Pictures of what a prior has learnt: samples, held-out poses beside them, and what its latent's directions do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.bodies import load_body
from ...models.priors.density import PoseDensity
from ...render_farm.preview.media import Bytes
from .drawing import body_sequence, body_sheet
from .trials import device_of

BODY = "open-person"
TRAVERSAL = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Standard deviations."""


def pose_sheet(density: PoseDensity, poses: NDArray[np.floating], texts: Sequence[str], columns: int) -> Bytes:
    """Poses (n, C, 3) of a prior's joints as dressed bodies, or as hands where it covers fingers alone."""
    body, joints = load_body(BODY), density.space.joints
    return body_sheet(body, body_sequence(poses, joints, body), texts, columns, joints)


def scored_samples(density: PoseDensity, count: int = 18, columns: int = 6, seed: int = 0) -> Bytes:
    """Samples, each with its nats per dimension: the lower, the likelier."""
    with torch.no_grad():
        drawn = density.sample(count, torch.Generator(device_of(density)).manual_seed(seed))
        nats = (-density.log_prob(drawn) / density.dim).tolist()
    return pose_sheet(density, drawn.cpu().numpy(), [f"{value:.2f} nats/dim" for value in nats], columns)


def traversals(density: PoseDensity, middle: NDArray[np.floating], directions: int = 4) -> Bytes:
    """What the latent's strongest directions do: each row goes along one, in standard deviations, the rest at the mean.

    The directions are right singular vectors of the decoder's Jacobian, those that move the pose most.

    Args:
        middle: (n, C, 3) poses whose mean latent is the middle of each row.
    """
    with torch.no_grad():
        z = density.encode(torch.as_tensor(middle, dtype=torch.float32, device=device_of(density))).mean(0)
    jacobian = torch.autograd.functional.jacobian(lambda one: density.decode_standard(one[None])[0], z)
    found = torch.linalg.svd(jacobian, full_matrices=False).Vh[:directions]
    with torch.no_grad():
        poses = density.decode(torch.stack([z + step * way for way in found for step in TRAVERSAL])).cpu().numpy()
    texts = [
        f"{row + 1}: {step:+g} sd" if step else f"{row + 1}: mean" for row in range(len(found)) for step in TRAVERSAL
    ]
    return pose_sheet(density, poses, texts, len(TRAVERSAL))
