"""What ``sim2pose prior sample|complete|score`` do: read a prior by name, use it, write files and a picture."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...config import UserError
from ...datasets.crops import crop_affine, decode_image, warp_image
from ...datasets.pose_joints import take_joints
from ...datasets.poses import PoseSequence, load_poses, save_poses
from ...datasets.shards import FramesFolder
from ...models.bodies import Body, load_body
from ...models.joints import joint_set
from ...models.priors import PosePrior
from ...models.priors import complete as expected
from ...models.priors.density import PoseDensity
from ...models.priors.named import load_prior
from ...render_farm.poses.prior_source import sample_poses
from ...render_farm.preview import captioned, labelled, strip, write_picture
from .drawing import body_sequence, body_sheet
from .scored_people import People, read_people
from .scoring import Limits, Scorer, Verdict, judge
from .trials import joint_groups

SHOWN_POSES, SHOWN_COMPLETIONS, CROP = 4, 7, 220
"""Rows and completions a row of a picture of completions; side of a cut-out of a frame, pixels."""


def body_of(name: str, given: str) -> Body:
    """The body on which a prior is shown: the one asked for, else that of a shipped prior of its name, else the person."""
    return load_body(given or (name if name == "open-infant" else "open-person"))


def sample(name: str, out: Path, count: int, seed: int, body_name: str, shown: int) -> tuple[Path, Path | None]:
    """Write samples as a pose file, and a sheet of the first ``shown`` beside it (None if that is 0).

    Raises:
        UserError: for an unknown prior, or one without a joint of the body.
    """
    body = body_of(name, body_name)
    pose, joints = sample_poses(load_prior(name), count, seed)
    _check_joints(joints, body)
    poses = body_sequence(pose, joints, body, [f"{k}" for k in range(count)], f"{count} samples of {name}, seed {seed}")
    save_poses(out, poses)
    if not shown:
        return out, None
    first = replace(poses, pose=poses.pose[:shown], transl=poses.transl[:shown], names=poses.names[:shown])
    sheet = body_sheet(body, first, first.names, 8, joints)
    return out, write_picture(captioned(sheet, f"samples of {name}"), out.with_suffix(".png"))


def complete(
    name: str, file: Path, missing: Sequence[str], out: Path, count: int | None, seed: int, body_name: str, shown: bool
) -> tuple[PoseSequence, Path | None]:
    """Fill in joints of the poses of a file; each pose ``count`` times (default 10), named ``POSE#k``.

    A mixture (the shipped priors) gives one completion, its expectation; densities draw.

    Raises:
        UserError: for joints that the prior does not cover, several completions of a mixture, a file of other joints.
    """
    prior, poses = load_prior(name), load_poses(file)
    joints = prior.space.joints if isinstance(prior, PoseDensity) else prior.joints
    names = joint_set(poses.joint_set).joints
    gone = {joint for group in joint_groups(list(missing), joints).values() for joint in group}
    if gone == set(joints):
        raise UserError("all joints of the prior are missing: that is 'prior sample'")
    absent = [joint for joint in joints if joint not in names and joint not in gone]
    if absent:
        raise UserError(
            f"{file} is {poses.joint_set} and lacks {', '.join(absent[:4])}, which the prior needs: name them in missing="
        )
    if not isinstance(prior, PoseDensity) and (count or 1) > 1:
        raise UserError(
            f"'{name}' is a mixture: it gives one completion, the expected one; set count=1 or leave it out"
        )
    place = tuple(names.index(joint) if joint in names else -1 for joint in joints)
    given = take_joints(poses.pose, place)
    known = np.array([joint not in gone for joint in joints])
    filled = _filled(prior, given, known, count or 10, seed)  # (count, n, C, 3)
    result = _with_completions(poses, filled, joints)
    save_poses(out, result)
    if not shown:
        return result, None
    sheet = _completion_sheet(load_body(body_name or poses.body), poses, result, len(filled), joints)
    text = f"completions of {', '.join(missing)} by {name}: the pose of the file, then {len(filled)} completed"
    return result, write_picture(captioned(sheet, text), out.with_suffix(".png"))


def _filled(
    prior: PoseDensity | PosePrior, given: NDArray[np.float32], known: NDArray[np.bool_], count: int, seed: int
) -> NDArray[np.float32]:
    if isinstance(prior, PoseDensity):
        generator = torch.Generator().manual_seed(seed)
        made = prior.complete(torch.from_numpy(given), torch.from_numpy(known), count, generator)
        return np.asarray(made.numpy(), np.float32)
    flat = expected(prior.parts, prior.classes, given.reshape(len(given), -1), np.repeat(known, 3))
    return np.asarray(flat, np.float32).reshape(1, *given.shape)


def _with_completions(poses: PoseSequence, filled: NDArray[np.float32], joints: Sequence[str]) -> PoseSequence:
    """The file's poses ``count`` times, pose by pose, with the prior's joints taken from its completions."""
    count, names = len(filled), joint_set(poses.joint_set).joints
    rows = np.repeat(np.arange(len(poses)), count)
    pose = poses.pose[rows].copy()
    flat = filled.swapaxes(0, 1).reshape(-1, *filled.shape[2:])
    for k, joint in enumerate(joints):
        if joint in names:
            pose[:, names.index(joint)] = flat[:, k]
    named = poses.names or tuple(map(str, range(len(poses))))
    betas, expression = (
        values[rows] if values is not None and values.ndim == 2 else values
        for values in (poses.betas, poses.expression)
    )
    texts = tuple(f"{named[row]}#{k % count}" for k, row in enumerate(rows))
    return replace(
        poses, pose=pose, transl=poses.transl[rows], betas=betas, expression=expression, names=texts, fps=None
    )


def _completion_sheet(
    body: Body, poses: PoseSequence, made: PoseSequence, count: int, joints: Sequence[str]
) -> NDArray[np.uint8]:
    """Rows of a given pose and its first completions, for some poses of the file, evenly taken."""
    chosen = np.unique(np.linspace(0, len(poses) - 1, SHOWN_POSES).round().astype(int))
    each = min(count, SHOWN_COMPLETIONS)
    pose, texts = [], []
    for row in chosen:
        pose += [poses.pose[row], *made.pose[row * count : row * count + each]]
        texts += [f"given: {poses.names[row] if poses.names else row}", *(f"#{k}" for k in range(each))]
    stacked = np.stack(pose)
    stacked[:, 0] = 0
    shown = PoseSequence(stacked, np.zeros((len(stacked), 3), np.float32), body.name, poses.joint_set)
    return body_sheet(body, shown, texts, each + 1, joints)


@dataclass(frozen=True)
class Scores:
    """What scoring found: people, verdicts (least plausible first), limits, files."""

    people: People
    verdicts: list[Verdict]
    limits: Limits
    files: list[Path]

    @property
    def flagged(self) -> list[Verdict]:
        """Those that are implausible."""
        return [verdict for verdict in self.verdicts if verdict.implausible]


def score(name: str, path: Path, out: Path, share: float, lost: float, shown: int) -> Scores:
    """Score all people of a frames folder or pose file; writes ``scores.csv``, ``scores.json`` and ``worst.png``.

    Args:
        share: quantile of the prior's training scores (else of its own samples) that is the limit of density and of joints.
        lost: degrees by which a joint may turn in directions that the prior does not know.
        shown: of the worst, 0 for no picture.

    Raises:
        UserError: for an unknown prior or quantile, or data without a pose.
    """
    scorer = Scorer(load_prior(name))
    people = read_people(path, scorer.joints, scorer.mean)
    limits = scorer.limits(share, lost)
    verdicts = judge(scorer, people, limits)
    out.mkdir(parents=True, exist_ok=True)
    files = [out / "scores.csv", out / "scores.json"]
    rows = [_row(verdict) for verdict in verdicts]
    with files[0].open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "joints": " ".join(row["joints"])} for row in rows)
    found = Scores(people, verdicts, limits, files)
    about = {"prior": name, "data": str(path), "limits": asdict(limits)}
    counts = {"people": len(verdicts), "implausible": len(found.flagged), "left_out": dict(people.left_out)}
    text = json.dumps({**about, **counts, "lacking": people.lacking, "scores": rows}, indent=1)
    files[1].write_text(text + "\n", encoding="utf-8")
    if shown:
        files.append(write_picture(_worst(name, path, verdicts[:shown], scorer.joints), out / "worst.png"))
    return found


def _row(verdict: Verdict) -> dict[str, Any]:
    return {
        "id": verdict.person.id,
        "frame": verdict.person.frame,
        "person": verdict.person.number,
        "nats_per_dim": round(verdict.nats_per_dim, 5),
        "deviation": round(verdict.deviation, 3),
        "lost_deg": round(verdict.lost_deg, 3),
        "implausible": verdict.implausible,
        "joints": list(verdict.joints),
    }


def _worst(name: str, path: Path, verdicts: Sequence[Verdict], joints: Sequence[str]) -> NDArray[np.uint8]:
    """The least plausible people: cut out of their frames, or drawn."""
    texts = [
        f"{one.person.id}: {one.nats_per_dim:.2f}"
        + (f"\n{', '.join(one.joints)}" if one.implausible else "\nplausible")
        for one in verdicts
    ]
    if path.is_dir():
        folder = FramesFolder.open(path)
        frames = folder.read([one.person.frame for one in verdicts])
        tiles = [
            warp_image(
                decode_image(frame.image),
                crop_affine(np.maximum(frame.persons[one.person.number].bbox, (-np.inf, -np.inf, 1, 1)), (CROP, CROP)),
                (CROP, CROP),
            )
            for frame, one in zip(frames, verdicts, strict=True)
        ]
        return strip(labelled(tiles, texts), 6)
    poses = load_poses(path)
    rows = [one.person.number for one in verdicts]
    local = poses.pose[rows].copy()
    local[:, 0] = 0
    shown = PoseSequence(local, np.zeros((len(rows), 3), np.float32), poses.body, poses.joint_set)
    return body_sheet(body_of(name, ""), shown, texts, 6, joints)


def _check_joints(joints: Sequence[str], body: Body) -> None:
    if not set(joints) & set(joint_set(body.joint_set).joints):
        raise UserError(f"body '{body.name}' has none of the prior's joints ({', '.join(list(joints)[:4])}...)")
