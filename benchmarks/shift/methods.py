"""The methods and their controls: one table, each entry the keys that it sets over ``configs/shift_adapt.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SEVERITIES = ("medium", "low", "high")  # in the order in which they are run
LAMBDAS = ("0", "1e-4", "5e-4", "2e-3", "1e-2", "0.1")
STARTS = {"mild": "mild", "strong": "photometric"}
"""Source-only runs that methods start from: name → level of ``data.augment``."""

Labels = Literal["source", "none", "some", "all"]
LABELS: dict[Labels, str] = {
    "source": "source alone",
    "none": "unlabelled target",
    "some": "some target labels",
    "all": "all target labels",
}


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        labels: which target labels it sees; ``source`` does not even see target pictures.
        title: for readers.
        keys: dotted keys of the training config, over the preset's.
        control: name of the method that it is compared with: the same but for what it is about. None: nothing to compare.
        start: which source-only run it goes on from.
        trains: False for a source-only run itself, which is only measured.
        core: run at every severity, and before the rest.
    """

    labels: Labels
    title: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    control: str | None = None
    start: str = "mild"
    trains: bool = True
    core: bool = False


FIDIP = {"adversarial.method": "fidip"}
DANN = {"adversarial.method": "dann", "adversarial.mode": "sigmoid"}
RATIO = {"adversarial.method": "fidip", "adversarial.mode": "ratio"}
STRONG = {"data.augment": "photometric"}
SEPARATE = {"separate_bn": True}
VIEW = {"data.augment_target": "photometric"}  # what the student of a mean teacher sees; the teacher sees a weak view
TEACHER = {**VIEW, "teacher.weight": 1.0}
KEEP = {**TEACHER, "teacher.keep": 0.6}
SHARE = {"data.labelled_share": 0.25}  # of a batch; as they come, 150 labels among 1,536 people are three samples of 64


def _lambdas(kind: str, name: str, keys: Mapping[str, Any], labels: Labels, control: str) -> dict[str, Method]:
    """A method at every λ but 0, whose control is λ = 0 on the identical batches."""
    found = {}
    for lam in LAMBDAS[1:]:
        own = {**keys, "adversarial.weight": float(lam)}
        found[f"{kind}_{lam}"] = Method(
            labels, f"{name}, λ = {lam}", own, control, core=(kind, lam) == ("fidip", "5e-4")
        )
    return found


METHODS: dict[str, Method] = {
    "source": Method("source", "source only", trains=False, core=True),
    "source_strong": Method("source", "source only, strong photometry", {}, "source", "strong", trains=False, core=True),
    "longer": Method("source", "source only, as many steps more", {"adversarial.method": "none"}, "source"),
    "longer_strong": Method(
        "source", "strong photometry, as many steps more", {"adversarial.method": "none", **STRONG}, "source_strong", "strong"
    ),
    # unlabelled target
    "joint": Method("none", "λ = 0: target in the batch, no term", {}, "longer", core=True),
    "joint_view": Method("none", "λ = 0, strong photometry of the target", VIEW, "joint"),
    **_lambdas("fidip", "FiDIP", FIDIP, "none", "joint"),
    **_lambdas("dann", "gradient reversal", DANN, "none", "joint"),
    "ratio": Method("none", "FiDIP, λ by gradient ratio", RATIO, "joint"),
    "separate": Method("none", "λ = 0, separate BN", SEPARATE, "joint"),
    "separate_fidip": Method("none", "FiDIP 5e-4, separate BN", {**FIDIP, **SEPARATE, "adversarial.weight": 5e-4}, "separate"),
    "teacher": Method("none", "mean teacher", TEACHER, "joint_view"),
    "teacher_keep": Method("none", "mean teacher, surest 60 % of each joint", KEEP, "joint_view"),
    "teacher_separate": Method("none", "mean teacher, separate BN", {**TEACHER, **SEPARATE}, "teacher"),
    "teacher_ratio": Method("none", "mean teacher + FiDIP ratio", {**TEACHER, **RATIO}, "teacher"),
    "joint_strong": Method("none", "λ = 0, strong photometry", STRONG, "longer_strong", "strong", core=True),
    "ratio_strong": Method("none", "FiDIP ratio, strong photometry", {**RATIO, **STRONG}, "joint_strong", "strong"),
    "separate_strong": Method("none", "separate BN, strong photometry", {**SEPARATE, **STRONG}, "joint_strong", "strong"),
    "teacher_strong": Method(
        "none", "mean teacher, strong photometry", {**TEACHER, **STRONG}, "joint_strong", "strong", core=True
    ),
    "teacher_strong_separate": Method(
        "none", "mean teacher, strong photometry, separate BN", {**TEACHER, **STRONG, **SEPARATE}, "teacher_strong", "strong"
    ),
    "teacher_strong_ratio": Method(
        "none", "mean teacher, strong photometry, FiDIP ratio", {**TEACHER, **STRONG, **RATIO}, "teacher_strong", "strong"
    ),
    # some target labels
    "some_finetune": Method("some", "fine-tune on the target alone", {"adversarial.method": "finetune"}, "some_joint"),
    "some_joint_rare": Method("some", "λ = 0: joint, labels as they come", {}, "joint"),
    "some_joint": Method("some", "λ = 0: joint", SHARE, "joint"),
    **_lambdas("some_fidip", "FiDIP", {**FIDIP, **SHARE}, "some", "some_joint"),
    "some_ratio": Method("some", "FiDIP, λ by gradient ratio", {**RATIO, **SHARE}, "some_joint"),
    "some_joint_view": Method("some", "joint, strong photometry of the target", {**VIEW, **SHARE}, "some_joint"),
    "some_teacher": Method("some", "joint + mean teacher", {**TEACHER, **SHARE}, "some_joint_view"),
    "some_joint_strong": Method(
        "some", "joint, strong photometry", {**STRONG, **SHARE}, "joint_strong", "strong", core=True
    ),
    "some_teacher_strong": Method(
        "some",
        "joint + mean teacher, strong photometry",
        {**TEACHER, **STRONG, **SHARE},
        "some_joint_strong",
        "strong",
        core=True,
    ),
    "some_ratio_strong": Method(
        "some", "FiDIP ratio, strong photometry", {**RATIO, **STRONG, **SHARE}, "some_joint_strong", "strong"
    ),
    # all target labels
    "all_joint": Method("all", "λ = 0: joint", {}, "some_joint", core=True),
    "all_fidip_5e-4": Method("all", "FiDIP, λ = 5e-4", {**FIDIP, "adversarial.weight": 5e-4}, "all_joint"),
}  # fmt: skip


def sweep(kind: str) -> dict[float, str]:
    """λ → name of a family's methods (``fidip``, ``dann``, ``some_fidip``), its λ = 0 first; for the λ plot."""
    zero = METHODS[f"{kind}_{LAMBDAS[1]}"].control
    assert zero is not None, "every family has its control"
    return {0.0: zero} | {float(lam): f"{kind}_{lam}" for lam in LAMBDAS[1:]}
