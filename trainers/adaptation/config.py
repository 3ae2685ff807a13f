"""What a config says of adaptation; defaults add nothing to source-only training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...config import Config


class AdversarialConfig(Config):
    """How the two domains meet.

    ``none``: source samples alone. ``finetune``: the target's labelled samples alone. ``joint``: both domains in a batch,
    pose loss wherever there are labels: the control without a classifier. ``fidip``: joint plus the adversarial term of
    FiDIP (Huang et al., FG 2021). ``dann``: joint plus gradient reversal (Ganin & Lempitsky, ICML 2015).
    """

    method: Literal["none", "finetune", "joint", "fidip", "dann"] = "none"
    weight: float = Field(
        default=5e-4, ge=0, allow_inf_nan=False, description="λ of pose loss − λ·BCE (its last value in mode sigmoid)"
    )
    mode: Literal["constant", "sigmoid", "ratio"] = Field(
        default="constant", description="λ as it is, risen to as DANN does, or set from the gradients' norms"
    )
    ratio: float = Field(
        default=0.1, gt=0, description="adversarial over pose gradient norm at the feature (mode ratio)"
    )
    ramp: float = Field(default=0.1, ge=0, le=1, description="fraction of the run in which λ rises from 0 (mode ratio)")
    clip: float | None = Field(
        default=4.0, gt=0, description="a sample's BCE above this no longer drives the pose network"
    )
    pre_epochs: float | None = Field(
        default=None, ge=0, description="passes over the source in which only the classifier learns (fidip 1, dann 0)"
    )
    pre_steps: int | None = Field(default=None, ge=0, description="the same in steps; overrides pre_epochs")
    classifier: str = "pooled"
    lr: float = Field(
        default=1e-3, gt=0, description="learning rate of the classifier, same schedule as the pose network"
    )

    @property
    def adversarial(self) -> bool:
        """Whether there is a domain classifier."""
        return self.method in ("fidip", "dann")


class TeacherConfig(Config):
    """Mean teacher on unlabelled target pictures; the teacher is the averaged network (``optim.ema``)."""

    weight: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="of a pseudo-label against a label; 0 switches it off"
    )
    ramp: float = Field(default=0.2, ge=0, le=1, description="fraction of the run in which the weight rises")
    confidence: float = Field(default=0.4, ge=0, le=1, description="peak of a heatmap from which it is a label")
    keep: float | None = Field(
        default=None, gt=0, le=1, description="instead: the surest share of each keypoint's heatmaps"
    )
    momentum: float = Field(default=0.95, ge=0, lt=1, description="of the thresholds by 'keep', from batch to batch")
    label: Literal["heatmap", "gaussian"] = Field(
        default="gaussian", description="learn the teacher's heatmap, or a Gaussian where it peaks"
    )
    flip: bool = Field(default=False, description="the teacher averages with the mirrored picture")
    statistics: Literal["batch", "running"] = Field(
        default="batch", description="the teacher's BatchNorm: of the batch's target pictures, or the student's"
    )


class StyleConfig(Config):
    """The target's look on the source's pictures, by Fourier domain adaptation (Yang & Soatto, CVPR 2020)."""

    share: float = Field(default=0.0, ge=0, le=1, description="of the source's pictures in a batch; 0 switches it off")
    beta: float = Field(
        default=0.02, ge=0, le=0.5, description="frequencies, in cycles a pixel, up to which amplitudes are exchanged"
    )


class PriorConfig(Config):
    """A pose prior on what the network sees in unlabelled target pictures."""

    weight: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="0 switches it off")
    ramp: float = Field(default=0.2, ge=0, le=1, description="fraction of the run in which the weight rises")
    clip: float = Field(default=10.0, gt=0, description="a sample's energy above this drives nothing")
