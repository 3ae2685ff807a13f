"""From people's keypoints to a :class:`FitResult`: sort out who cannot be fitted, fit the rest in batches, judge the fits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch

from ...config import UserError
from ...datasets.keypoint_files import PersonKeypoints
from ...models.bodies.body import Body
from ...models.geometry import matrix_to_axis_angle
from ...models.joints import JOINT_SETS
from ...models.priors import PosePrior
from .choice import Fitted
from .config import FitConfig
from .priors import pose_prior
from .result import FitResult, Floats, merge_results, problem
from .setup import Setup, check_points, prepare
from .stages import fit_batch
from .targets import box_diagonals, make_targets
from .terms import NEAREST, project


def fit_people(
    body: Body,
    people: Sequence[PersonKeypoints],
    config: FitConfig | None = None,
    K: Floats | None = None,
    prior: PosePrior | None = None,
) -> FitResult:
    """Fit pose, shape and camera of a body to each person's 2D keypoints.

    People are independent of each other and of their batch; whoever cannot be fitted is listed in ``failed`` with the
    reason, and the others go on. Runs on the device of ``body``.

    Args:
        body: an SMPL-family body.
        people: keypoints in pixels with confidences; joint sets may differ.
        config: recipe and weights; none: the defaults.
        K: (N, 3, 3) cameras of the people, pixels; none: the focal length is the config's, and fitted with the rest.
        prior: of poses; none: the config's ``prior.path``, or the body's own.

    Raises:
        UserError: for a config that does not fit the body, cameras of another count, or ids that are not unique.
    """
    config = config or FitConfig()
    people = list(people)
    if len({person.id for person in people}) != len(people):
        doubled = next(p.id for k, p in enumerate(people) if p.id in {q.id for q in people[:k]})
        raise UserError(f"two people share the id '{doubled}'; give each person an id of its own")
    if K is not None and (np.shape(K) != (len(people), 3, 3) or not np.isfinite(K).all()):
        raise UserError(f"cameras K must be finite and ({len(people)}, 3, 3), found {np.shape(K)}")
    prior = pose_prior(config, body) if prior is None else prior
    used = {person.joint_set for person in people if person.joint_set in JOINT_SETS}
    if used:
        check_points(config, {joint for name in used for joint in JOINT_SETS[name].joints})
    setups = {name: prepare(body, name, prior, config) for name in sorted(used) if _gives_points(body, name)}
    known = {name: setup.usable for name, setup in setups.items()}
    groups: dict[str, list[int]] = defaultdict(list)
    failed = []
    for k, person in enumerate(people):
        reason = problem(person, known, config.least_keypoints)
        if reason is None:
            groups[person.joint_set].append(k)
        else:
            failed.append((person.id, reason))
    parts = []
    for name, members in groups.items():
        for low in range(0, len(members), config.batch):
            rows = np.array(members[low : low + config.batch])
            cameras = None if K is None else np.asarray(K, np.float64)[rows]
            chosen = [people[k] for k in rows]
            with torch.no_grad():
                to = make_targets(setups[name], chosen, config, cameras)
                fitted = fit_batch(setups[name], to, config, cameras is not None)
                parts.append(_collect(setups[name], chosen, rows, fitted, config, body))
    return merge_results(parts, _nobody(body, failed))


def _gives_points(body: Body, name: str) -> bool:
    weights = body.point_weights(name, allow_missing=True)
    return len(weights.missing) < len(weights.names)


def _nobody(body: Body, failed: list[tuple[str, str]]) -> FitResult:
    none = np.zeros(0)
    return FitResult(
        ids=(),
        pose=np.zeros((0, body.joint_count, 3)),
        betas=np.zeros((0, body.num_betas)),
        transl=np.zeros((0, 3)),
        K=np.zeros((0, 3, 3)),
        converged=np.zeros(0, np.bool_),
        terms={},
        reprojection_px=none,
        reprojection_box=none,
        hypothesis=np.zeros(0, np.int64),
        margin=none,
        iterations=np.zeros(0, np.int64),
        failed=failed,
        body=body.name,
        joint_set=body.joint_set,
    )


def _collect(
    setup: Setup, people: Sequence[PersonKeypoints], rows: np.ndarray, fitted: Fitted, config: FitConfig, body: Body
) -> tuple[np.ndarray, FitResult]:
    """Judge a batch's fits: positions and results of the good ones, reasons of the others."""
    at, to = fitted.solution.at, fitted.to
    posed = setup.objective.pose(at, False)
    pixels, behind = project(posed.points[:, : setup.model.points], at, to)
    seen = to.weight > 0
    error = ((pixels - to.pixels).norm(dim=-1) * seen).sum(1) / seen.sum(1)
    terms = setup.objective.terms(at, to, fitted.weights)
    values = {name: value.double().cpu().numpy() for name, value in terms.items()}
    given = np.stack([np.asarray(person.keypoints, np.float64) for person in people])
    px = error.double().cpu().numpy()
    share = px / box_diagonals(given, seen.cpu().numpy())
    pose = torch.cat([matrix_to_axis_angle(at.root)[:, None], at.pose], 1).double().cpu().numpy()
    focal = to.camera[:, :2] * at.log_focal.exp()[:, None]
    K = np.zeros((len(people), 3, 3))
    K[:, 0, 0], K[:, 1, 1] = focal.double().cpu().numpy().T
    K[:, :2, 2], K[:, 2, 2] = to.camera[:, 2:].double().cpu().numpy(), 1
    betas, transl = at.betas.double().cpu().numpy(), at.transl.double().cpu().numpy()
    finite = np.isfinite(pose).all((1, 2)) & np.isfinite(betas).all(1) & np.isfinite(transl).all(1) & np.isfinite(px)
    hidden = (behind | (posed.joints[..., 2] < NEAREST).any(1)).cpu().numpy()
    reasons = [
        _reason(*judged, config)
        for judged in zip(finite.tolist(), hidden.tolist(), px.tolist(), share.tolist(), strict=True)
    ]
    good = np.array([reason is None for reason in reasons])
    result = FitResult(
        ids=tuple(person.id for person, fine in zip(people, good, strict=True) if fine),
        pose=pose[good],
        betas=betas[good],
        transl=transl[good],
        K=K[good],
        converged=fitted.solution.converged.cpu().numpy()[good],
        terms={name: value[good] for name, value in values.items()},
        reprojection_px=px[good],
        reprojection_box=share[good],
        hypothesis=fitted.hypothesis.cpu().numpy()[good],
        margin=fitted.margin.double().cpu().numpy()[good],
        iterations=fitted.solution.iterations.cpu().numpy()[good],
        failed=[(person.id, reason) for person, reason in zip(people, reasons, strict=True) if reason is not None],
        body=body.name,
        joint_set=body.joint_set,
    )
    return rows[good], result


def _reason(finite: bool, behind: bool, px: float, share: float, config: FitConfig) -> str | None:
    """Why a fit is not to be used, or None."""
    if not finite:
        return "the fit diverged: values that are not finite"
    if behind:
        return "the fit put part of the body behind the camera"
    if share > config.limit:
        limit = f"(limit {100 * config.limit:.0f} %)"
        return f"the fit misses the keypoints by {px:.1f} px, {100 * share:.0f} % of their box {limit}"
    return None
