"""A training run of 2D keypoints, on one domain or on two: what the recipe ``fidip`` adds to every run's config."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ..config import Config, UserError, nearest
from .adaptation.config import AdversarialConfig, PriorConfig, StyleConfig, TeacherConfig
from .config import TrainConfig


class StreamConfig(Config):
    """Training on a source that a farm still renders (docs/streaming.md)."""

    window: int | None = Field(
        default=None,
        ge=1,
        description="the first pass takes the source's shards in order, so many shuffled together, and waits for those that "
        "are still being rendered; null: the source is finished",
    )
    timeout: float = Field(default=600.0, gt=0, description="seconds without a sign of life there that end the run")


class DataConfig(Config):
    """Where samples come from and how a batch is put together."""

    source: tuple[str, ...] = Field(default=(), description="frame folders of the source domain (synthetic, labelled)")
    source_frames: int | float | None = Field(
        default=None, gt=0, description="frames of the source to use, drawn by seed: N, a share below 1, or all (null)"
    )
    target: tuple[str, ...] = Field(default=(), description="frame folders of the target domain (real)")
    target_labels: int | None = Field(
        default=None, ge=0, description="labels of the target to use: all (null), none (0), or N"
    )
    val: dict[str, str] = Field(
        default={}, description="frame folder to validate on, by name: {source: DIR, target: DIR}"
    )
    input: tuple[int, int] = Field(default=(288, 384), description="width and height of the crop in pixels")
    sigma: float = Field(default=3.0, gt=0, description="standard deviation of the target Gaussians, heatmap pixels")
    augment: Literal["none", "mild", "photometric", "plain", "strong"] = Field(
        default="plain", description="of both domains; photometric: mild geometry, strong change of look"
    )
    augment_target: Literal["none", "mild", "photometric", "plain", "strong"] | None = Field(
        default=None, description="of the target, where it differs"
    )
    target_share: float = Field(
        default=0.5, gt=0, lt=1, description="share of target samples in a batch of both domains"
    )
    labelled_share: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="share of labelled target samples in a batch, within target_share (null: as they come)",
    )
    stream: StreamConfig = StreamConfig()
    loader_workers: int = Field(
        default=0, ge=0, description="loader processes a rank; 0 decodes in the training process"
    )

    @field_validator("source_frames")
    @classmethod
    def _count_or_share(cls, value: float | None) -> float | None:
        if isinstance(value, float) and value >= 1:
            raise ValueError("give a whole number of frames, a share below 1, or null for all")
        return value

    @field_validator("source", "target", mode="before")
    @classmethod
    def _one_folder(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class ModelConfig(Config):
    """The pose network, what it starts from and what of it learns."""

    network: str = "hrnet_w48"
    args: dict[str, Any] = Field(default={}, description="further arguments of the network")
    weights: str | None = Field(default=None, description="published or own weights (.pth, .safetensors) to load first")
    part: Literal["all", "backbone"] = Field(
        default="all",
        description="of 'weights': backbone leaves the head random (ImageNet weights of torchvision, timm)",
    )
    allow: tuple[str, ...] = Field(
        default=(), description="patterns of weights that may be missing or not fit: final_layer.*"
    )
    freeze: tuple[str, ...] = Field(
        default=(), description="stages to freeze, BatchNorm statistics included: stem, layer1, …"
    )


class AnalysisConfig(Config):
    """What validations keep for the analysis of a run (docs/analysis.md)."""

    every: int | None = Field(
        default=1, ge=1, description="write features at every Nth validation, the first and last included; null: never"
    )
    people: int = Field(default=512, ge=16, description="of each validation folder, for features and the domain probe")
    embed: int = Field(default=400, ge=0, description="people of each domain in the embeddings of the report; 0: none")
    embeddings: tuple[Literal["tsne", "umap"], ...] = Field(
        default=("tsne", "umap"), description="of the report; umap needs the extra 'analysis'"
    )


class KeypointConfig(TrainConfig):
    """A run of the recipe ``fidip``; its ``epochs`` are passes over the source."""

    resumable: ClassVar[tuple[str, ...]] = (
        *TrainConfig.resumable,
        "analysis",
        "data.loader_workers",
        "data.stream.timeout",
    )

    validate_first: bool | None = Field(
        default=None,
        description="also validate before the first step, to tell gain and cost (null: where it starts from weights)",
    )
    stop_on_collapse: bool = Field(default=True, description="end a run whose outputs no longer vary")
    flip_test: bool = Field(
        default=False, description="average with the mirrored picture in validation (twice the work)"
    )
    adabn: Literal["off", "report", "keep"] = Field(
        default="report",
        description="at the end, re-estimate BatchNorm on unlabelled target pictures: report figures beside, or keep it",
    )
    separate_bn: bool = Field(default=False, description="BatchNorm statistics for each domain; the target's are kept")
    init_from: str | None = Field(
        default=None, description="run folder, checkpoint or weights whose pose network to start from"
    )
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    teacher: TeacherConfig = TeacherConfig()
    style: StyleConfig = StyleConfig()
    prior: PriorConfig = PriorConfig()
    analysis: AnalysisConfig = AnalysisConfig()

    @model_validator(mode="after")
    def _consistent(self) -> KeypointConfig:
        same = {os.path.normpath(f) for f in self.data.source} & {os.path.normpath(f) for f in self.data.target}
        if same and self.adversarial.method not in ("none", "finetune"):
            raise ValueError(f"data.source and data.target are both {min(same)}: the target must be another domain")
        self._adaptation_is_possible()
        self._stream_is_possible()
        if self.init_from and self.model.weights:
            raise ValueError("give either init_from or model.weights")
        if self.early_stop.patience is not None and not self.data.val:
            raise ValueError("early_stop.patience needs data.val: there is no score without validation data")
        if self.early_stop.patience is not None and self.adabn == "keep":
            raise ValueError(
                "adabn=keep takes statistics after the last planned step: it cannot go with early_stop.patience"
            )
        return self

    def _adaptation_is_possible(self) -> None:
        method, share = self.adversarial.method, self.data.labelled_share
        if method != "none" and not self.data.target:
            raise ValueError(f"adversarial.method={method} needs data.target")
        both = {
            "teacher.weight": self.teacher.weight,
            "prior.weight": self.prior.weight,
            "separate_bn": self.separate_bn,
        }
        for key in [key for key, value in both.items() if value and method in ("none", "finetune")]:
            raise ValueError(f"{key} needs both domains in a batch: adversarial.method=joint, fidip or dann")
        if self.teacher.weight and self.optim.ema is None:
            raise ValueError("teacher.weight needs optim.ema: the teacher is the averaged network (0.999 is common)")
        if method == "finetune" and self.data.target_labels == 0:
            raise ValueError("adversarial.method=finetune needs labels: target_labels=0 leaves none")
        if share is not None and (self.data.target_labels == 0 or share > self.data.target_share):
            raise ValueError(f"data.labelled_share={share:g} needs target labels, and at most data.target_share")
        if self.adabn == "keep" and not self.data.target:
            raise ValueError("adabn=keep needs data.target")

    def _stream_is_possible(self) -> None:
        """What needs the number of the source's people, or all of them, at the start cannot be had from a stream."""
        if self.data.stream.window is None:
            return
        method, passes = self.adversarial.method, self.adversarial.pre_epochs
        if method == "finetune" or len(self.data.source) > 1:
            raise ValueError("data.stream.window needs one folder as data.source; it trains on no other source")
        in_passes = self.adversarial.pre_steps is None and (passes or (passes is None and method == "fidip"))
        refused = {
            "epochs": self.epochs and "give steps",
            "adversarial.pre_epochs": self.adversarial.adversarial and in_passes and "give adversarial.pre_steps",
            "data.source_frames": self.data.source_frames and "render as many frames as are wanted",
            "prior.weight": self.prior.weight and "train on the finished folder",
        }
        for key, remedy in refused.items():
            if remedy:
                raise ValueError(
                    f"data.stream.window cannot go with {key}, which needs the whole source at the start: {remedy}"
                )

    @property
    def training_folders(self) -> tuple[str, ...]:
        """Folders whose labels the pose network learns from first: the source, or the target it is fine-tuned on."""
        return self.data.target if self.adversarial.method == "finetune" else self.data.source

    @property
    def validates_first(self) -> bool:
        """Whether a validation comes before the first step."""
        if self.validate_first is not None:
            return self.validate_first
        return self.init_from is not None or (self.model.weights is not None and self.model.part == "all")

    @property
    def forks_loaders(self) -> bool:
        """Whether processes that load data are forked from this one."""
        return self.data.loader_workers > 0

    def check_division(self, ranks: int, called: str) -> None:
        """Refuse a batch that ranks and micro-batches cannot share evenly, or not with both domains in each part.

        Raises:
            ValueError: naming the numbers; ``called`` is how ``ranks`` were chosen.
        """
        super().check_division(ranks, called)
        if self.adversarial.method in ("none", "finetune"):
            return
        parts, share = ranks * self.optim.accumulate, self.data.target_share
        fewer = int(self.batch * min(share, 1 - share) + 1e-9)
        if fewer < parts:  # a part takes every parts-th sample of source, then target
            raise ValueError(
                f"batch={self.batch} has {fewer} samples of the rarer domain (data.target_share={share:g}), too few for both "
                f"domains in each of {parts} parts ({called} × optim.accumulate={self.optim.accumulate}): enlarge batch or "
                "lower these"
            )

    def require_data(self) -> None:
        """Refuse a run without a folder to learn from.

        Raises:
            UserError: if no source folder is named.
        """
        if not self.training_folders:
            raise UserError(
                "no training data: data.source=DIR (a folder that 'sim2pose render' or 'data import' wrote)"
            )

    def check_metric(self, metric: str) -> None:
        """Refuse a metric of a validation folder that the run has not.

        Raises:
            UserError: naming the nearest.
        """
        folder, sign, _ = metric.partition("/")
        known = list(self.data.val)
        if sign and not any(folder == name or folder.startswith(f"{name}_") for name in known):
            raise UserError(
                f"metric '{metric}' needs a validation folder '{folder}' ({nearest(folder, known)}): "
                f"fixed.data.val.{folder}=DIR"
            )
