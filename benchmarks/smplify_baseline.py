"""The baseline of ``bench fit``: one person at a time, as SMPLify-X on an infant body does it (Huang et al. 2021, FiDIP).

Autograd through the whole mesh at every evaluation, torch's LBFGS with strong Wolfe line search. The settings are those of
the public code: a camera stage on the torso, then four stages of falling prior weights in which the camera stays where the
first stage put it; the body begins at the prior's mean with zero orientation. Where a torso joint is missing, which the
public code does not foresee, the joints that are there take its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.bodies import Body
from ..models.geometry import compose_axis_angle
from ..models.joints import joint_set

STAGES = ((404.0, 200.0), (404.0, 30.0), (57.4, 50.0), (4.78, 35.0))
"""Weights of the pose prior and of the shape in the four stages; both enter squared."""
BENDING = 3.17
"""Weight of the bending of elbows and knees, in weights of the pose prior; enters plainly."""
FOCAL, RHO, DEPTH_WEIGHT, SIDE_VIEW = 1800.0, 100.0, 100.0, 25.0
"""Focal length in pixels, scale of the robust loss, weight of the camera's depth, shoulders nearer than this are seen
from the side."""
ITERATIONS, TOLERANCE = 30, 1e-9
"""Iterations of one LBFGS call and greatest number of calls in a stage; relative change of the loss that ends a stage."""
_TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
_EDGES = (("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"))
_BENT = (("left_elbow", 1, 1.0), ("right_elbow", 1, -1.0), ("left_knee", 0, -1.0), ("right_knee", 0, -1.0))


@dataclass(frozen=True)
class OneFit:
    """A fitted person: pose (J, 3), betas (B,), transl (3,) in the camera frame, K (3, 3), the points (P, 3) fitted with,
    final loss, and how often the loss was evaluated with its gradient."""

    pose: NDArray[np.float64]
    betas: NDArray[np.float64]
    transl: NDArray[np.float64]
    K: NDArray[np.float64]
    loss: float
    evaluations: int


@dataclass
class _Variables:
    orient: Tensor
    pose: Tensor
    betas: Tensor
    transl: Tensor


class OneAtATime:
    """Fits persons of one joint set, one after the other.

    Args:
        body: the body.
        names: joint set of the keypoints.
        mean, precision: (D,) and (D, D) of the Gaussian pose prior over the body pose, axis-angle, D = 3 (J - 1).
    """

    def __init__(self, body: Body, names: str, mean: NDArray[np.floating], precision: NDArray[np.floating]) -> None:
        self.body, self.names = body, names
        self.mean, self.precision = (torch.as_tensor(value, dtype=torch.float32) for value in (mean, precision))
        joints, points = joint_set(body.joint_set).joints, joint_set(names).joints
        self._bent = [(joints.index(name) - 1, axis, sign) for name, axis, sign in _BENT if name in joints]
        self._torso = [points.index(name) for name in _TORSO if name in points]
        self._edges = [(points.index(a), points.index(b)) for a, b in _EDGES if a in points and b in points]

    def __call__(self, keypoints: NDArray[np.floating], width: int, height: int) -> OneFit:
        """Fit one person to keypoints (P, 3): x, y in pixels and confidence, in a picture of width x height pixels."""
        self._evaluations = 0
        target = torch.as_tensor(keypoints, dtype=torch.float32)
        camera = torch.tensor([(width - 1) / 2, (height - 1) / 2])
        scale = (1000.0 / height) ** 2
        start = _Variables(
            torch.zeros(1, 3), self.mean.clone()[None], torch.zeros(1, self.body.num_betas), torch.zeros(3)
        )
        start.transl = self._first_depth(start, target)
        self._camera_stage(start, target, camera, scale)
        orientations = [start.orient]
        left, right = target[self._torso[0]], target[self._torso[1]]
        if min(left[2], right[2]) > 0 and torch.dist(left[:2], right[:2]) < SIDE_VIEW:
            orientations.append(compose_axis_angle(start.orient, torch.tensor([[0.0, np.pi, 0.0]])))
        found = []
        for orient in orientations:
            one = replace(start, orient=orient.clone(), pose=start.pose.clone(), betas=start.betas.clone())
            for stage in STAGES:
                loss = self._body_stage(one, target, camera, scale, *stage)
            found.append((loss, one))
        loss, best = min(found, key=lambda item: item[0])
        K = np.array([[FOCAL, 0, float(camera[0])], [0, FOCAL, float(camera[1])], [0, 0, 1]])
        pose = torch.cat([best.orient, best.pose], 1).reshape(-1, 3)
        arrays = [value.detach().double().numpy() for value in (pose, best.betas[0], best.transl)]
        return OneFit(arrays[0], arrays[1], arrays[2], K, loss, self._evaluations)

    def _points(self, at: _Variables) -> Tensor:
        """Posed points (P, 3), camera frame, by way of all vertices."""
        output = self.body(at.betas, torch.cat([at.orient, at.pose], 1), at.transl[None])
        return self.body.points(output, self.names)[0]

    def _first_depth(self, at: _Variables, target: Tensor) -> Tensor:
        """Translation that gives the torso's sides their length in the picture (or all points their spread)."""
        with torch.no_grad():
            points, seen = self._points(at), target[:, 2] > 0
            edges = [(a, b) for a, b in self._edges if seen[a] and seen[b]]
            if edges:
                a, b = torch.tensor(edges).T
                sizes = [(x[a] - x[b]).norm(dim=1).mean() for x in (points, target[:, :2])]
            else:
                sizes = [(x[seen] - x[seen].mean(0)).norm() for x in (points, target[:, :2])]
            return torch.stack([torch.zeros(()), torch.zeros(()), FOCAL * sizes[0] / sizes[1].clamp_min(1.0)])

    def _camera_stage(self, at: _Variables, target: Tensor, camera: Tensor, scale: float) -> None:
        depth = at.transl[2].clone()
        weight = (target[self._torso, 2:] > 0).float()
        used = self._torso if weight.sum() >= 2 else torch.nonzero(target[:, 2] > 0)[:, 0].tolist()
        weight = (target[used, 2:] > 0).float()

        def loss() -> Tensor:
            gap = target[used, :2] - _project(self._points(at)[used], camera)
            return (weight * gap**2).sum() * scale + DEPTH_WEIGHT**2 * (at.transl[2] - depth) ** 2

        self._descend(loss, at, ("orient", "transl"))

    def _body_stage(
        self, at: _Variables, target: Tensor, camera: Tensor, scale: float, prior: float, shape: float
    ) -> float:
        joints, axes, signs = zip(*self._bent, strict=True)
        signs_ = torch.tensor(signs)

        def loss() -> Tensor:
            gap = (target[:, :2] - _project(self._points(at), camera)) ** 2
            data = (target[:, 2:] ** 2 * (RHO**2 * gap / (gap + RHO**2))).sum() * scale
            off = at.pose[0] - self.mean
            bent = at.pose.view(-1, 3)[list(joints), list(axes)]
            bending = torch.exp(2 * signs_ * bent).sum()
            ridge = (at.betas**2).sum() * shape**2
            return data + off @ self.precision @ off * prior**2 + ridge + bending * BENDING * prior

        return self._descend(loss, at, ("orient", "pose", "betas"))

    def _descend(self, loss: Callable[[], Tensor], at: _Variables, names: tuple[str, ...]) -> float:
        """Run LBFGS until the loss stands still; ``at`` holds the result. Returns the loss."""
        for name in names:
            setattr(at, name, getattr(at, name).detach().clone().requires_grad_())
        variables = [getattr(at, name) for name in names]
        solver = torch.optim.LBFGS(variables, lr=1.0, max_iter=ITERATIONS, line_search_fn="strong_wolfe")

        def closure() -> float:
            solver.zero_grad()
            value = loss()
            value.backward()  # type: ignore[no-untyped-call]
            self._evaluations += 1
            return float(value.detach())

        before = None
        for _ in range(ITERATIONS):
            now = float(solver.step(closure))  # the loss that the call began with
            still = before is not None and abs(before - now) <= TOLERANCE * max(abs(before), abs(now), 1.0)
            if still or not np.isfinite(now):
                break
            before = now
        for name in names:
            setattr(at, name, getattr(at, name).detach())
        return now


def _project(points: Tensor, camera: Tensor) -> Tensor:
    return FOCAL * points[:, :2] / points[:, 2:] + camera
