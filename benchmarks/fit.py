"""``sim2pose bench fit``: fitting rendered infants of known pose, beside the one-at-a-time fit with the reference's settings.

The closed loop: frames of the farm's ``infant`` preset give keypoints, pose, betas and camera. The keypoints get noise, a
fifth of them goes missing, and the fit has to find the body again, with no other knowledge than any user's file gives.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from ..config import Config, load_config
from ..datasets.frames import Frame
from ..datasets.keypoint_files import PersonKeypoints
from ..models.bodies import Body, load_body
from ..models.geometry import procrustes_align, project
from ..models.joints import joint_set
from ..models.priors import PosePrior
from ..render_farm.config import BLOCK
from ..render_farm.fit import FitConfig, FitResult, fit_people
from ..render_farm.fit.job import torch_threads
from ..render_farm.fit.priors import pose_prior
from ..render_farm.kinds.frames import SceneFrames, working_renderer
from ..render_farm.kinds.infant.config import InfantConfig
from .rows import Row
from .smplify_baseline import OneAtATime, OneFit

Floats = NDArray[np.float64]

JOINTS = "coco17"
LEAST = 6
"""Keypoints that are left to a person at least, where it had as many."""


CAMERAS = ("unknown", "known")


class BenchConfig(Config):
    """How much to measure."""

    people: int = Field(200, ge=4, description="rendered infants")
    size: tuple[int, int] = Field((640, 480), description="width and height of their pictures")
    seed: int = Field(20_000, ge=0, description="of the frames; another than the prior was drawn with")
    noise: tuple[float, ...] = Field((2.0, 0.0), description="standard deviations of the keypoints' noise, pixels")
    missing: float = Field(0.2, ge=0.0, lt=1.0, description="share of the keypoints that are taken away")
    baseline: int = Field(6, ge=1, description="people that the baseline fits, one at a time")
    threads: int = Field(
        1, ge=1, description="torch's, for both; one core keeps the figures apart from its neighbours'"
    )
    device: str = "cpu"
    fit: FitConfig = FitConfig()


@dataclass(frozen=True)
class Infant:
    """A rendered infant: what is known of it, and what a fit gets to see.

    Attributes:
        id: names it. K: (3, 3) true camera. keypoints: (17, 3) x, y, v as labelled.
        betas, pose, transl: (B,), (24, 3), (3,) in the camera frame. joints: (24, 3) metres, camera frame.
    """

    id: str
    K: Floats
    keypoints: Floats
    betas: Floats
    pose: Floats
    transl: Floats
    joints: Floats


@dataclass(frozen=True)
class Errors:
    """Of N fitted infants: pixels to the keypoints as given and as they are (all that were labelled, given or not), and
    millimetres of the 24 joints after Procrustes with scale, without scale, and after moving the pelvis alone."""

    given_px: Floats
    true_px: Floats
    pa_mm: Floats
    rigid_mm: Floats
    root_mm: Floats


def run(config: BenchConfig) -> list[Row]:
    """Accuracy at each noise, failures, and seconds an image beside the baseline's."""
    body = load_body("open-infant", device=config.device)
    infants, left_out = render_infants(config, body)
    with torch_threads(config.threads):
        fit_people(body, perturbed(infants[: config.fit.batch], config, config.noise[0]), config.fit)  # warms caches up
        rows: list[Row] = []
        for noise in config.noise:
            people = perturbed(infants, config, noise)
            for camera in CAMERAS:
                begin = time.perf_counter()
                result = fit_people(body, people, config.fit, _cameras(infants) if camera == "known" else None)
                rate = len(people) / (time.perf_counter() - begin)
                base = None
                if not rows:
                    slow_rate, single = _one_at_a_time(config, body, people)
                    base = _errors_of_single(body, infants, people, single)
                    rows += _speed(config, rate, slow_rate)
                where = f"{noise:g} px noise, {100 * config.missing:g} % missing, camera {camera}"
                rows += _accuracy(where, body, infants, people, result, base, config.baseline)
    rows += [Row(f"left out: {reason}", 1.0, "infants", "–", None) for reason in left_out]
    return rows


def render_infants(config: BenchConfig, body: Body) -> tuple[list[Infant], list[str]]:
    """Render until there are as many labelled infants as asked; also says which frames had to be left out, and why."""
    width, height = config.size
    job = load_config(
        InfantConfig, "infant", {"seed": config.seed, "width": width, "height": height, "renderer": working_renderer()}
    )
    maker = SceneFrames(job)
    infants: list[Infant] = []
    left_out: list[str] = []
    start = 0
    try:
        while len(infants) < config.people:
            for frame in maker.frames(start, start + BLOCK):
                infant = _infant(frame, body) if frame.persons else None
                if infant is None:
                    left_out.append(f"frame {frame.frame_id} shows nobody")
                elif (infant.keypoints[:, 2] > 0).sum() < LEAST:
                    left_out.append(f"frame {frame.frame_id} shows fewer than {LEAST} keypoints")
                elif len(infants) < config.people:
                    infants.append(infant)
            start += BLOCK
    finally:
        maker.close()
    return infants, left_out


def _infant(frame: Frame, body: Body) -> Infant:
    person = frame.persons[0]
    assert person.betas is not None and person.pose is not None and person.transl is not None
    assert frame.camera is not None
    betas, pose, transl = (np.asarray(x, np.float64) for x in (person.betas, person.pose.reshape(-1, 3), person.transl))
    joints = _joints(body, betas[None], pose[None], transl[None])[0]
    camera, keypoints = frame.camera.astype(np.float64), person.keypoints.astype(np.float64)
    return Infant(f"frame {frame.frame_id}", camera, keypoints, betas, pose, transl, joints)


def _joints(body: Body, betas: Floats, pose: Floats, transl: Floats) -> Floats:
    """Posed joints (N, 24, 3)."""
    arguments = (
        torch.as_tensor(x, dtype=torch.float32, device=body.mesh.template.device) for x in (betas, pose, transl)
    )
    with torch.no_grad():
        joints: Floats = body(*arguments).joints.double().cpu().numpy()
    return joints


def perturbed(infants: Sequence[Infant], config: BenchConfig, noise: float) -> list[PersonKeypoints]:
    """What the fit is given: labelled keypoints with Gaussian noise of ``noise`` pixels, some missing.

    The same keypoints go missing at every noise, and the noise is the same up to its size.
    """
    width, height = config.size
    people = []
    for number, infant in enumerate(infants):
        rng = np.random.default_rng([config.seed, number])
        shift, lot = rng.standard_normal((len(infant.keypoints), 2)), rng.random(len(infant.keypoints))
        labelled = infant.keypoints[:, 2] > 0
        taken = labelled & (lot < config.missing)
        order = np.argsort(np.where(taken, lot, np.inf))  # those to give back first, if too few are left
        spare = max(0, LEAST - int((labelled & ~taken).sum()))
        taken[order[: min(spare, int(taken.sum()))]] = False
        given = labelled & ~taken
        keypoints = np.zeros_like(infant.keypoints)
        keypoints[given, :2] = infant.keypoints[given, :2] + noise * shift[given]
        keypoints[given, 2] = 1.0
        people.append(PersonKeypoints(infant.id, JOINTS, keypoints, width, height))
    return people


def _cameras(infants: Sequence[Infant]) -> Floats:
    return np.stack([infant.K for infant in infants])


def _speed(config: BenchConfig, rate: float, slow_rate: float) -> list[Row]:
    name = f"fitting, batch {config.fit.batch}, torch threads: {config.threads}"
    note = f"one at a time ({config.baseline}): "
    return [
        Row(name, rate, "images/s", f"{note}{slow_rate:.3f}", rate / slow_rate),
        Row(f"{name}, time an image", 1 / rate, "s", f"{note}{1 / slow_rate:.1f}", slow_rate / rate),
    ]


def _one_at_a_time(config: BenchConfig, body: Body, people: Sequence[PersonKeypoints]) -> tuple[float, list[OneFit]]:
    """Images a second and fits of the baseline on people taken evenly from the list."""
    baseline = OneAtATime(body, JOINTS, *_gaussian(pose_prior(config.fit, body), body))
    chosen = _sample(len(people), config.baseline)
    begin = time.perf_counter()
    fits = [baseline(people[i].keypoints, people[i].width, people[i].height) for i in chosen]
    return len(fits) / (time.perf_counter() - begin), fits


def _gaussian(prior: PosePrior, body: Body) -> tuple[Floats, Floats]:
    """Mean and precision of our prior as the single Gaussian that the reference has; nothing on joints not covered."""
    names = joint_set(body.joint_set).joints[1:]
    mean, precision = np.zeros(3 * len(names)), np.zeros((3 * len(names),) * 2)
    columns = np.concatenate([3 * names.index(name) + np.arange(3) for name in prior.joints])
    mean[columns], precision[np.ix_(columns, columns)] = prior.mean, prior.precision
    return mean, precision


def _sample(count: int, few: int) -> list[int]:
    return [i * count // few for i in range(few)]


def _errors_of_single(
    body: Body, infants: Sequence[Infant], people: Sequence[PersonKeypoints], fits: Sequence[OneFit]
) -> Errors:
    chosen = _sample(len(people), len(fits))
    arrays = (np.stack([getattr(fit, name) for fit in fits]) for name in ("betas", "pose", "transl", "K"))
    return errors(body, [infants[i] for i in chosen], [people[i] for i in chosen], *arrays)


def errors(
    body: Body,
    infants: Sequence[Infant],
    people: Sequence[PersonKeypoints],
    betas: Floats,
    pose: Floats,
    transl: Floats,
    K: Floats,
) -> Errors:
    """Errors of fits (N of each) to the infants they should be."""
    arguments = (
        torch.as_tensor(x, dtype=torch.float32, device=body.mesh.template.device) for x in (betas, pose, transl)
    )
    with torch.no_grad():
        output = body(*arguments)
        points = body.points(output, JOINTS).double().cpu().numpy()
    joints = output.joints.double().cpu().numpy()
    pixels = np.stack([project(one, camera) for one, camera in zip(points, K, strict=True)])
    given = np.stack([person.keypoints for person in people])
    true = np.stack([infant.keypoints for infant in infants])
    wanted = np.stack([infant.joints for infant in infants])
    placed = joints + wanted[:, :1] - joints[:, :1]
    return Errors(
        given_px=_pixel_error(pixels, given),
        true_px=_pixel_error(pixels, true),
        pa_mm=_joint_error(procrustes_align(joints, wanted), wanted),
        rigid_mm=_joint_error(procrustes_align(joints, wanted, scale=False), wanted),
        root_mm=_joint_error(placed, wanted),
    )


def _pixel_error(pixels: Floats, target: Floats) -> Floats:
    """Mean distance (N,) to the target's points (N, K, 3) that have a weight."""
    weight = target[..., 2] > 0
    distance = np.linalg.norm(pixels - target[..., :2], axis=-1)
    mean: Floats = (distance * weight).sum(1) / weight.sum(1)
    return mean


def _joint_error(points: Floats, wanted: Floats) -> Floats:
    mean: Floats = 1000 * np.linalg.norm(points - wanted, axis=-1).mean(1)
    return mean


def _accuracy(
    where: str,
    body: Body,
    infants: Sequence[Infant],
    people: Sequence[PersonKeypoints],
    result: FitResult,
    base: Errors | None,
    few: int,
) -> list[Row]:
    by_id = {infant.id: (infant, person) for infant, person in zip(infants, people, strict=True)}
    fitted = [by_id[name] for name in result.ids]
    arrays = (result.betas, result.pose, result.transl, result.K)
    found = errors(body, [a for a, _ in fitted], [b for _, b in fitted], *arrays) if fitted else None
    figures = [
        ("reprojection to the given keypoints", "px", "given_px"),
        ("reprojection to the true keypoints, missing ones too", "px", "true_px"),
        ("PA-MPJPE, 24 joints", "mm", "pa_mm"),
        ("the same without scale", "mm", "rigid_mm"),
        ("MPJPE about the pelvis", "mm", "root_mm"),
    ]
    rows = []
    for name, unit, key in figures if result.ids else ():
        values = getattr(found, key)
        theirs = "–" if base is None else f"one at a time ({few}): {np.median(getattr(base, key)):.1f}"
        rows.append(Row(f"{where}: {name}, median", float(np.median(values)), unit, theirs, None))
        rows.append(Row(f"{where}: {name}, 90 %", float(np.quantile(values, 0.9)), unit, "–", None))
    rows.append(Row(f"{where}: converged", float(result.converged.sum()), f"of {len(people)}", "–", None))
    rows.append(Row(f"{where}: failed", float(len(result.failed)), f"of {len(people)}", "–", None))
    rows += [Row(f"{where}: failed: {name}: {reason}", 1.0, "infants", "–", None) for name, reason in result.failed]
    return rows
