"""Small spaces and poses for the densities' tests."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sim2pose.models.priors import DENSITIES, PoseDensity, PoseSpace, build_density

JOINTS = ("left_hip", "left_knee", "left_ankle", "spine1", "spine2", "jaw")
SMALL = {
    "gaussian": {"full": True},
    "joint_flow": {"hidden": 8, "bins": 4},
    "global_flow": {"layers": 3, "hidden": 16, "coupling": "spline", "bins": 4, "tree_hidden": 8},
}
"""Arguments that make a model small, by kind."""


def walk(count: int = 600, seed: int = 0) -> Tensor:
    """Poses (count, 6, 3) in which neighbours move together: the knee about one axis, the jaw not at all."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(count, 1, 1, generator=generator)
    pose = 0.3 * torch.randn(count, len(JOINTS), 3, generator=generator) + 0.4 * shared
    pose[:, 1, 1:] = 0.001 * pose[:, 1, 1:]
    pose[:, 5] = torch.tensor([0.2, 0.0, 0.0])
    return pose


@pytest.fixture(scope="session")
def space() -> PoseSpace:
    """The space of :func:`walk`."""
    return PoseSpace.fit(walk(), JOINTS)


def trained(kind: str, space: PoseSpace, **changes: object) -> PoseDensity:
    """A small model of a kind, initialised and then taken off the identity, since flows begin there."""
    torch.manual_seed(0)
    density = build_density(kind, space, **{**SMALL[kind], **changes})
    density.initialise(space.standardise(space.to_coordinates(walk()))[0])
    if kind != "gaussian":
        with torch.no_grad():
            for parameter in density.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return density.eval()


@pytest.fixture(params=sorted(SMALL))
def density(request: pytest.FixtureRequest, space: PoseSpace) -> PoseDensity:
    """Each kind that is a bijection."""
    assert set(SMALL) <= set(DENSITIES)
    return trained(request.param, space)
