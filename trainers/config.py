"""What every training run has: one typed, printable config. Each recipe adds what it trains; presets are in ``configs/``."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from ..config import Config


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


class TrackingConfig(Config):
    """MLflow; ``metrics.jsonl`` in the run folder is written in any case and is what an outage is replayed from."""

    enabled: bool = True
    uri: str | None = Field(default=None, description="tracking URI; sqlite database <out>/mlflow.db if null")
    experiment: str = "sim2pose"
    parent: str | None = Field(
        default=None, description="folder of the sweep that a run belongs to: nests it in MLflow"
    )


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
    """A training run. ``steps`` or ``epochs`` counts the updates of the network that is trained, after any pre-phase.

    ``resumable`` names keys that may differ when a run is resumed: they change how it runs or what it writes, not what it
    computes.
    """

    resumable: ClassVar[tuple[str, ...]] = (
        "runtime",
        "workers",
        "device",
        "max_failures",
        "deepspeed",
        "log_every",
        "tracking",
        "checkpoint",
        "early_stop",
    )

    recipe: str = "fidip"
    name: str = Field(min_length=1, pattern=r"^[\w.\-]+$", description="run folder under out")
    out: str = "runs"
    seed: int = Field(default=0, ge=0)
    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0, description="passes over the training data, instead of steps")
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
    log_every: int = Field(default=50, ge=1)
    optim: OptimConfig = OptimConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    early_stop: EarlyStopConfig = EarlyStopConfig()
    tracking: TrackingConfig = TrackingConfig()
    deepspeed: DeepSpeedConfig = DeepSpeedConfig()

    @model_validator(mode="after")
    def _can_run(self) -> TrainConfig:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        if self.runtime == "local" and self.workers != 1:
            raise ValueError(f"workers={self.workers} needs runtime=ray (or start it with torchrun)")
        least, most = self.ranks
        if least > most:
            raise ValueError(f"workers=[{least}, {most}] must rise: the fewest and the most ranks")
        for workers in range(least, most + 1):
            self.check_division(workers, f"workers={workers}")
        if self.deepspeed.zero == 3 and self.optim.ema is not None:
            raise ValueError("optim.ema needs whole weights on each rank: use deepspeed.zero=2, or optim.ema=null")
        return self

    @property
    def ranks(self) -> tuple[int, int]:
        """The fewest and the most ranks (runtime ray)."""
        return (self.workers, self.workers) if isinstance(self.workers, int) else self.workers

    @property
    def validates_first(self) -> bool:
        """Whether a validation comes before the first step."""
        return False

    @property
    def forks_loaders(self) -> bool:
        """Whether processes that load data are forked from this one."""
        return False

    def check_division(self, ranks: int, called: str) -> None:
        """Refuse a batch that the ranks and their micro-batches cannot share evenly.

        Raises:
            ValueError: naming the numbers; ``called`` is how ``ranks`` were chosen.
        """
        if self.batch % (ranks * self.optim.accumulate):
            raise ValueError(
                f"batch={self.batch} is not divisible by {called} × optim.accumulate={self.optim.accumulate}"
            )

    @abstractmethod
    def require_data(self) -> None:
        """Presets leave the data open; a run needs it.

        Raises:
            UserError: if no training data is named.
        """

    def check_metric(self, metric: str) -> None:
        """Refuse a metric that no validation of this run will measure, as far as that can be told beforehand.

        Raises:
            UserError: saying what is missing.
        """

    def changes_result(self, key: str) -> bool:
        """Whether a differing key makes it another run (and not merely another way to run it)."""
        return not any(key == allowed or key.startswith(f"{allowed}.") for allowed in self.resumable)


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
