"""What a fit returns, and whom it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...datasets.keypoint_files import PersonKeypoints

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FitResult:
    """Fitted people, in the order given, without those that failed.

    Attributes:
        ids: (N) of the people.
        pose: (N, J, 3) axis-angle, radians, global orientation first, into the camera frame (OpenCV axes).
        betas: (N, B). transl: (N, 3) metres, camera frame, added after the body has turned about its root joint.
        K: (N, 3, 3) cameras, their focal length fitted where it was free.
        converged: (N,) bool, whether the last stage came to rest within its iterations.
        terms: loss (N,) by term, weighted: their sum is what was minimised (twice a negative log density, up to a constant).
        reprojection_px: (N,) mean distance to the keypoints given, pixels, confidence not regarded.
        reprojection_box: (N,) the same as a share of the diagonal of the keypoints' box.
        hypothesis: (N,) rank of the orientation kept among the first guesses (0: the closed form's own favourite).
        margin: (N,) by how much the loss of the next best orientation, 40 degrees or more away, is larger, as far as it was
            fitted; infinite without one. Below about 5 the picture does not tell them apart.
        iterations: (N,) of the kept solution, all stages.
        failed: id and reason of each person without a usable fit.
        body, joint_set: name of the body and its joints.
        frame: "camera".
    """

    ids: tuple[str, ...]
    pose: Floats
    betas: Floats
    transl: Floats
    K: Floats
    converged: NDArray[np.bool_]
    terms: dict[str, Floats]
    reprojection_px: Floats
    reprojection_box: Floats
    hypothesis: NDArray[np.int64]
    margin: Floats
    iterations: NDArray[np.int64]
    failed: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""
    joint_set: str = ""
    frame: str = "camera"


ARRAYS = (
    "pose",
    "betas",
    "transl",
    "K",
    "converged",
    "reprojection_px",
    "reprojection_box",
    "hypothesis",
    "margin",
    "iterations",
)


def merge_results(parts: Sequence[tuple[NDArray[np.int64], FitResult]], empty: FitResult) -> FitResult:
    """Join results of batches; each comes with the positions (N,) of its people in the list given."""
    failed = [item for _, part in parts for item in part.failed]
    parts = [(where, part) for where, part in parts if len(part.ids)]
    if not parts:
        return FitResult(**{**empty.__dict__, "failed": [*empty.failed, *failed]})
    order = np.argsort(np.concatenate([where for where, _ in parts]), kind="stable")
    arrays = {name: np.concatenate([getattr(part, name) for _, part in parts])[order] for name in ARRAYS}
    names = list(dict.fromkeys(name for _, part in parts for name in part.terms))
    terms = {
        name: np.concatenate([part.terms.get(name, np.zeros(len(part.ids))) for _, part in parts])[order]
        for name in names
    }
    ids = [name for _, part in parts for name in part.ids]
    return FitResult(
        ids=tuple(ids[k] for k in order),
        terms=terms,
        failed=[*empty.failed, *failed],
        body=empty.body,
        joint_set=empty.joint_set,
        **arrays,  # type: ignore[arg-type]
    )


def problem(person: PersonKeypoints, known: dict[str, NDArray[np.bool_]], least: int) -> str | None:
    """Why a person cannot be fitted, or None.

    Args:
        known: points that the body has and the config keeps, by joint set. least: keypoints a person needs.
    """
    if person.joint_set not in known:
        return f"joint set '{person.joint_set}' is unknown, or the body has none of its points"
    present = known[person.joint_set]
    keypoints = np.asarray(person.keypoints)
    if keypoints.shape != (len(present), 3):
        return f"keypoints are {keypoints.shape}, '{person.joint_set}' needs ({len(present)}, 3): x, y, confidence"
    if not np.isfinite(keypoints).all():
        row = int(np.flatnonzero(~np.isfinite(keypoints).all(1))[0])
        return f"keypoint {row} is not a finite number; give missing keypoints confidence 0"
    if (keypoints[:, 2] < 0).any():
        return "a confidence is negative"
    if not (keypoints[:, 2] > 0).any():
        return "all confidences are zero: nothing to fit to"
    if not (person.width and person.height and person.width > 0 and person.height > 0):
        return "the size of the picture is missing; the camera's centre depends on it"
    seen = (keypoints[:, 2] > 0) & present
    if seen.sum() < least:
        return f"{int(seen.sum())} usable keypoints, a fit needs {least} (least_keypoints)"
    if np.ptp(keypoints[seen, :2], axis=0).max() < 2.0:
        return "all keypoints lie within two pixels"
    return None
