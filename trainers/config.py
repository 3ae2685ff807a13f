"""What a training run is: one typed, printable config. Presets in ``configs/`` refine the defaults below."""

from __future__ import annotations

import os
from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from ..config import Config, UserError
from .adaptation.config import AdversarialConfig, PriorConfig, StyleConfig, TeacherConfig

# Keys that may differ when a run is resumed: they change how it runs or what it writes, not what it computes.
RESUMABLE = (
    "runtime",
    "workers",
    "device",
    "max_failures",
    "deepspeed",
    "log_every",
    "tracking",
    "checkpoint",
    "early_stop",
    "analysis",
    "data.loader_workers",
)


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


class OptimConfig(Config):
    """AdamW (decoupled weight decay), its schedule and the arithmetic."""

    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    schedule: Literal["constant", "multistep", "cosine"] = "multistep"
    milestones: tuple[float, ...] = Field(
        default=(0.5, 0.8), description="fractions of the run at which lr falls (multistep)"
    )
    gamma: float = Field(default=0.1, gt=0, le=1)
    warmup: float = Field(default=0.0, ge=0, lt=1, description="fraction of the run in which lr rises linearly")
    clip: float | None = Field(default=None, gt=0, description="largest gradient norm")
    bf16: bool = Field(default=False, description="autocast to bfloat16 (no loss scaling needed)")
    channels_last: bool = True
    accumulate: int = Field(default=1, ge=1, description="micro-batches a step; one update of each network a step")
    ema: float | None = Field(
        default=None, gt=0, lt=1, description="decay of averaged weights that validation then uses"
    )

    @field_validator("milestones")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(set(value)) or any(not 0 < v < 1 for v in value):
            raise ValueError("milestones are rising fractions between 0 and 1")
        return value


class CheckpointConfig(Config):
    """When checkpoints are written and how many stay: the newest, and the best by score, which best.json lists."""

    every: int = Field(default=1000, ge=1, description="steps between checkpoints")
    keep: int = Field(default=3, ge=1, description="how many of the newest stay")
    best: int = Field(default=1, ge=1, description="how many of the best stay beside them")


class EarlyStopConfig(Config):
    """End a run whose validation score (AP on the target, else on the source) rises no more."""

    patience: int | None = Field(default=None, ge=1, description="validations without a rise; null: never stop early")
    min_delta: float = Field(default=0.0, ge=0, description="a rise must be larger than this to count")


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


class TrackingConfig(Config):
    """MLflow; ``metrics.jsonl`` in the run folder is written in any case and is what an outage is replayed from."""

    enabled: bool = True
    uri: str | None = Field(default=None, description="tracking URI; sqlite database <out>/mlflow.db if null")
    experiment: str = "sim2pose"


class DeepSpeedConfig(Config):
    """DeepSpeed engines, one a network, in whatever runtime starts the ranks.

    ZeRO divides over the ranks: 1 the optimisers' states, 2 the gradients too, 3 the weights too; 0 nothing.
    """

    zero: int | None = Field(default=None, ge=0, le=3, description="ZeRO stage; null trains without DeepSpeed")
    options: dict[str, Any] = Field(
        default={}, description="further keys of DeepSpeed's zero_optimization: {reduce_bucket_size: 50000000}"
    )

    @property
    def enabled(self) -> bool:
        """Whether DeepSpeed is used."""
        return self.zero is not None


class TrainConfig(Config):
    """A training run. ``steps`` or ``epochs`` counts the updates of the pose network, after the pre-phase."""

    recipe: str = "fidip"
    name: str = Field(min_length=1, pattern=r"^[\w.\-]+$", description="run folder under out")
    out: str = "runs"
    seed: int = Field(default=0, ge=0)
    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0, description="passes over the source, instead of steps")
    batch: int = Field(default=64, ge=1, description="samples a step over all ranks")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(default=None, ge=1, description="CPU threads a rank (null: as torch decides)")
    runtime: Literal["local", "ray"] = "local"
    workers: PositiveInt | tuple[PositiveInt, PositiveInt] = Field(
        default=1,
        description="ranks (runtime ray; torchrun counts its own); [1, 4] goes on with what the cluster has of these",
    )
    max_failures: int = Field(default=3, ge=0, description="restarts after lost workers (runtime ray)")
    validate_every: int = Field(default=1000, ge=1)
    validate_first: bool | None = Field(
        default=None,
        description="also validate before the first step, to tell gain and cost (null: where it starts from weights)",
    )
    log_every: int = Field(default=50, ge=1)
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
    optim: OptimConfig = OptimConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    teacher: TeacherConfig = TeacherConfig()
    style: StyleConfig = StyleConfig()
    prior: PriorConfig = PriorConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    early_stop: EarlyStopConfig = EarlyStopConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    tracking: TrackingConfig = TrackingConfig()
    deepspeed: DeepSpeedConfig = DeepSpeedConfig()

    @model_validator(mode="after")
    def _consistent(self) -> TrainConfig:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        if self.runtime == "local" and self.workers != 1:
            raise ValueError(f"workers={self.workers} needs runtime=ray (or start it with torchrun)")
        least, most = self.ranks
        if least > most:
            raise ValueError(f"workers=[{least}, {most}] must rise: the fewest and the most ranks")
        for workers in range(least, most + 1):
            check_division(self, workers, f"workers={workers}")
        same = {os.path.normpath(f) for f in self.data.source} & {os.path.normpath(f) for f in self.data.target}
        if same and self.adversarial.method not in ("none", "finetune"):
            raise ValueError(f"data.source and data.target are both {min(same)}: the target must be another domain")
        if self.deepspeed.zero == 3 and self.optim.ema is not None:
            raise ValueError("optim.ema needs whole weights on each rank: use deepspeed.zero=2, or optim.ema=null")
        self._adaptation_is_possible()
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
    def ranks(self) -> tuple[int, int]:
        """The fewest and the most ranks (runtime ray)."""
        return (self.workers, self.workers) if isinstance(self.workers, int) else self.workers


def check_division(cfg: TrainConfig, ranks: int, called: str) -> None:
    """Refuse a batch that the ranks and their micro-batches cannot share evenly, or not with both domains in each part.

    Raises:
        ValueError: naming the numbers; ``called`` is how ``ranks`` were chosen.
    """
    parts, accumulate = ranks * cfg.optim.accumulate, f"optim.accumulate={cfg.optim.accumulate}"
    if cfg.batch % parts:
        raise ValueError(f"batch={cfg.batch} is not divisible by {called} × {accumulate}")
    if cfg.adversarial.method in ("none", "finetune"):
        return
    fewer = int(cfg.batch * min(cfg.data.target_share, 1 - cfg.data.target_share) + 1e-9)
    if fewer < parts:  # a part takes every parts-th sample of source, then target
        raise ValueError(
            f"batch={cfg.batch} has {fewer} samples of the rarer domain (data.target_share={cfg.data.target_share:g}), too "
            f"few for both domains in each of {parts} parts ({called} × {accumulate}): enlarge batch or lower these"
        )


def require_source(cfg: TrainConfig) -> None:
    """Presets leave the data open; a run needs it.

    Raises:
        UserError: if no source folder is named.
    """
    if not cfg.training_folders:
        raise UserError("no training data: data.source=DIR (a folder that 'sim2pose render' or 'data import' wrote)")


def differing_keys(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ between two resolved configs (as JSON values)."""
    keys: list[str] = []
    for key in sorted(set(old) | set(new)):
        a, b, path = old.get(key), new.get(key), f"{prefix}{key}"
        if isinstance(a, dict) and isinstance(b, dict) and path != "data.val" and not path.endswith("args"):
            keys += differing_keys(a, b, f"{path}.")
        elif a != b:
            keys.append(path)
    return keys


def changes_result(key: str) -> bool:
    """Whether a differing key makes it another run (and not merely another way to run it)."""
    return not any(key == allowed or key.startswith(f"{allowed}.") for allowed in RESUMABLE)
