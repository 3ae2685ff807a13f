"""Pose densities beside plain zuko flows of the same size: ``sim2pose bench priors``.

Each of our flows scores and draws poses, axis-angle in and out, charts and all; its counterpart of zuko's catalogue, with as
many transforms, hidden units and bins, does so on plain vectors of as many dimensions. All take turns in one process on one
core. "couplings" are the global flow's alone, without its first layer. The joint flow's counterpart is what one writes without batching: a conditional flow a joint, in a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pydantic import Field

from ..config import Config
from ..models.joints import PARENTS, joint_set
from ..models.priors import PoseDensity, PoseSpace, build_density
from ..models.threads import torch_threads
from .rows import Row, compare, one_core, rates

BODY = joint_set("smplx55").joints[1:22]


class BenchConfig(Config):
    """Size of the measurement."""

    poses: int = Field(default=2048, ge=2, description="poses a call")
    rounds: int = Field(default=3, ge=1)
    layers: int = Field(default=6, ge=1, description="couplings of the global flow")
    hidden: int = Field(default=512, ge=1, description="width of the global flow's networks")
    joint_hidden: int = Field(default=64, ge=1, description="width of the joint flow's networks")
    bins: int = Field(default=8, ge=2, description="of splines")


def run(config: BenchConfig) -> list[Row]:
    """Poses/s of ``log_prob`` and of ``sample`` for each density, and the ratio to zuko's for the flows."""
    one_core()
    torch.manual_seed(0)
    pose = 0.3 * torch.randn(config.poses, len(BODY), 3)
    space = PoseSpace.fit(pose, BODY)
    ours, theirs = _densities(config, space), _plain(config, space)
    t = space.standardise(space.to_coordinates(pose))[0]
    work: dict[str, Callable[[], int]] = {}
    for name, density in ours.items():
        work |= {f"{name} log_prob": _score(density.log_prob, pose), f"{name} sample": _draw(density, config.poses)}
    for name, flow in theirs.items():
        work |= {f"{name} log_prob": _score(flow().log_prob, t), f"{name} sample": _draw_plain(flow, config.poses)}
    with torch_threads(1), torch.no_grad():
        found = rates(work, config.rounds)
    rows = []
    for name in ours:
        for act in ("log_prob", "sample"):
            pair = _PAIRS.get(name)
            what = f"{name} {act}"
            rows.append(
                compare(what, "poses/s", found, f"{pair} {act}")
                if pair
                else Row(what, found[what], "poses/s", "", None)
            )
    return rows


_PAIRS = {
    "couplings affine": "zuko NICE",
    "couplings spline": "zuko NICE with splines",
    "joint_flow": "zuko NSF a joint, in a loop",
}


def _densities(config: BenchConfig, space: PoseSpace) -> dict[str, PoseDensity]:
    size: dict[str, Any] = {"layers": config.layers, "hidden": config.hidden, "bins": config.bins}
    built = {
        "gaussian diagonal": build_density("gaussian", space, full=False),
        "gaussian full": build_density("gaussian", space),
        "joint_flow": build_density("joint_flow", space, hidden=config.joint_hidden, bins=config.bins),
        "couplings affine": build_density("global_flow", space, coupling="affine", first="none", **size),
        "couplings spline": build_density("global_flow", space, coupling="spline", first="none", **size),
        "global_flow": build_density("global_flow", space, tree_hidden=config.joint_hidden, **size),
    }
    return {name: density.eval() for name, density in built.items()}


def _plain(config: BenchConfig, space: PoseSpace) -> dict[str, Any]:
    """zuko's flows by name, callables that give a distribution; its NICE has affine couplings unless told otherwise."""
    from zuko.flows import NICE
    from zuko.transforms import MonotonicRQSTransform

    wide: dict[str, Any] = {"transforms": config.layers, "hidden_features": (config.hidden,) * 2}
    shapes = [(config.bins,), (config.bins,), (config.bins - 1,)]
    return {
        _PAIRS["couplings affine"]: NICE(space.dim, **wide),
        _PAIRS["couplings spline"]: NICE(space.dim, univariate=MonotonicRQSTransform, shapes=shapes, **wide),
        _PAIRS["joint_flow"]: _PlainJoints(space, config),
    }


class _PlainJoints:
    """A conditional zuko NSF for each joint given its parent, one after the other."""

    def __init__(self, space: PoseSpace, config: BenchConfig) -> None:
        from zuko.flows import NSF

        names, parents = joint_set(space.joint_set).joints, PARENTS[space.joint_set]
        owner = space.owner.tolist()
        self.columns = [[d for d, k in enumerate(owner) if k == j] for j in range(len(space.joints))]
        above = [names[parents[names.index(name)]] for name in space.joints]
        self.parents = [space.joints.index(name) if name in space.joints else None for name in above]
        size: dict[str, Any] = {"transforms": 1, "bins": config.bins, "hidden_features": (config.joint_hidden,) * 2}
        self.flows = [
            NSF(len(own), 0 if parent is None else len(self.columns[parent]), **size)
            for own, parent in zip(self.columns, self.parents, strict=True)
        ]

    def __call__(self) -> _PlainJoints:
        return self

    def log_prob(self, t: torch.Tensor) -> torch.Tensor:
        """Log density (n,) of (n, D)."""
        total = torch.zeros(len(t))
        for flow, own, parent in zip(self.flows, self.columns, self.parents, strict=True):
            given = None if parent is None else t[:, self.columns[parent]]
            total = total + flow(given).log_prob(t[:, own])
        return total

    def sample(self, shape: tuple[int]) -> torch.Tensor:
        """(count, D)."""
        drawn: list[torch.Tensor] = []
        for flow, parent in zip(self.flows, self.parents, strict=True):
            drawn.append(flow().sample(shape) if parent is None else flow(drawn[parent]).sample())
        return torch.cat(drawn, -1)


def _score(log_prob: Callable[[torch.Tensor], torch.Tensor], values: torch.Tensor) -> Callable[[], int]:
    return lambda: len(log_prob(values))


def _draw(density: PoseDensity, count: int) -> Callable[[], int]:
    return lambda: len(density.sample(count))


def _draw_plain(flow: Any, count: int) -> Callable[[], int]:
    return lambda: len(flow().sample((count,)))
