"""The fitting closed loop: people in held-out poses are projected, and a fit with a prior has to find them again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...datasets.keypoint_files import PersonKeypoints
from ...models.bodies.body import Body
from ...models.geometry import camera_matrix, compose_axis_angle, procrustes_align, project
from ...models.joints import joint_set
from ...models.priors import PosePrior
from ...models.priors.density import PoseDensity
from ...models.threads import torch_threads
from ...render_farm.fit import FitConfig, fit_people

Floats = NDArray[np.float64]
KEYPOINTS, SIZE, NOISE, MISSING = "coco17", (640, 480), 2.0, 0.2
"""What a fit gets to see: keypoints in pixels of such a picture with Gaussian noise, a share of them missing at random."""
_NEEDED = ("left_hip", "right_hip", "left_knee", "right_knee", "left_shoulder", "right_shoulder")
_COUNTED = 22
"""Joints of the SMPL family's body without hands and face, by which errors are counted."""


def informs_fits(density: PoseDensity) -> bool:
    """Whether a density covers a whole body, so that keypoints of a body have use for it."""
    return set(_NEEDED) <= set(density.space.joints)


def fit_with(
    prior: PosePrior | None, joints: Sequence[str], pose: NDArray[np.floating], body: Body, seed: int = 0
) -> dict[str, float]:
    """Errors of fits to people in given poses.

    People stand upright before a level camera, turned anyhow, with betas of the body's population; the fit knows neither
    shape, distance nor focal length.

    Args:
        prior: what the fits are given; None: the body's own.
        joints: names of the C joints of the poses. pose: (n, C, 3) axis-angle, radians. body: who is in them.

    Returns:
        over people, mean and median of the mean error of 22 joints, millimetres, after Procrustes with scale
        (``pa_mean_mm``, ``pa_median_mm``) and about the pelvis (``root_…``); ``people``, and the share ``failed`` of them
        who could not be fitted.
    """
    people, wanted = projected(joints, pose, body, seed)
    with torch_threads(1):
        result = fit_people(body, people, FitConfig(), prior=prior)
    place = {person.id: k for k, person in enumerate(people)}
    rows = [place[name] for name in result.ids]
    figures = {"people": float(len(people)), "failed": float(len(result.failed)) / len(people)}
    if not rows:
        return figures
    found = _joints(body, result.betas, result.pose, result.transl)
    truth = wanted[rows]
    errors = {
        "pa": np.linalg.norm(procrustes_align(found, truth) - truth, axis=-1),
        "root": np.linalg.norm(found - found[:, :1] - truth + truth[:, :1], axis=-1),
    }
    for name, error in errors.items():
        each = 1000 * error.mean(1)
        figures |= {f"{name}_mean_mm": float(each.mean()), f"{name}_median_mm": float(np.median(each))}
    return figures


def projected(
    joints: Sequence[str], pose: NDArray[np.floating], body: Body, seed: int
) -> tuple[list[PersonKeypoints], Floats]:
    """People in poses (n, C, 3) as a fit sees them, and their joints (n, 22, 3), metres, camera frame."""
    rng, names, count = np.random.default_rng(seed), joint_set(body.joint_set).joints, len(pose)
    full = np.zeros((count, len(names), 3), np.float32)
    for k, name in enumerate(joints):
        if name in names:
            full[:, names.index(name)] = pose[:, k]
    yaw = torch.from_numpy(rng.uniform(-np.pi, np.pi, count))[:, None] * torch.tensor([0.0, 1.0, 0.0])
    over = torch.tensor([[np.pi, 0.0, 0.0]], dtype=torch.float64).expand(count, 3)  # Y up to the camera's Y down
    full[:, 0] = compose_axis_angle(over, yaw).numpy()
    betas = body.sample_betas(rng, count)
    height = float(np.ptp(body.template[:, 1]))
    width, tall = SIZE
    focal = rng.uniform(0.9, 1.4, count) * width
    transl = np.zeros((count, 3), np.float32)
    transl[:, 2] = focal * height / (0.75 * tall)
    transl[:, :2] = rng.uniform(-0.1, 0.1, (count, 2)) * height
    arguments = (torch.from_numpy(values) for values in (betas, full, transl))
    with torch.no_grad():
        posed = body(*arguments)
        points = body.points(posed, KEYPOINTS).double().numpy()
    people = []
    for k, one in enumerate(points):
        pixels = project(one, camera_matrix(float(focal[k]), width, tall)) + rng.normal(0, NOISE, (len(one), 2))
        seen = rng.random(len(one)) >= MISSING
        seen[rng.permutation(len(one))[:6]] = True
        keypoints = np.concatenate([pixels, np.ones((len(one), 1))], 1) * seen[:, None]
        people.append(PersonKeypoints(f"person {k}", KEYPOINTS, keypoints, width, tall))
    return people, posed.joints[:, :_COUNTED].double().numpy()


def _joints(body: Body, betas: Floats, pose: Floats, transl: Floats) -> Floats:
    arguments = (torch.as_tensor(values, dtype=torch.float32) for values in (betas, pose, transl))
    with torch.no_grad():
        joints: Floats = body(*arguments).joints[:, :_COUNTED].double().numpy()
    return joints
