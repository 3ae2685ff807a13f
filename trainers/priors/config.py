"""A training run of a pose prior: what the recipe ``prior`` adds to every run's config."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ...config import Config, UserError
from ...models.priors.space import RESOLUTION
from ..config import TrainConfig

PARTS = ("body", "hands", "all")


class PoseDataConfig(Config):
    """Which poses a prior learns from, and who is kept apart."""

    train: tuple[str, ...] = Field(
        default=(), description="pose files, folders of them, or patterns: data import motion, fit, AMASS, SMPL-X npz"
    )
    val: tuple[str, ...] = Field(default=(), description="poses to validate on; empty: held out of train")
    by: Literal["subject", "take"] = Field(default="subject", description="what is held out as a whole")
    held_out: tuple[str, ...] | float = Field(
        default=0.1,
        description="names of subjects (or takes) of train to validate on, or about which share of its poses",
    )
    select: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the training takes kept apart to choose the checkpoint by; 0: the last one is taken",
    )
    procedural_hands: int = Field(
        default=0, ge=0, description="pairs of hands that the farm draws to learn from, where train names no files"
    )
    joint_set: str = "smplx55"
    joints: str | tuple[str, ...] = Field(default="body", description="body, hands, all, or names of joints")
    fps: float | None = Field(default=30.0, gt=0, description="frames a second to keep of faster motion; null: all")
    cache: str | None = Field(default=None, description="folder for tables of poses that do not fit into memory")

    @field_validator("train", "val", mode="before")
    @classmethod
    def _one_path(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("held_out", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple(str(name) for name in value)
        return (value,) if isinstance(value, str) else value

    @field_validator("joints")
    @classmethod
    def _known_part(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(value, str) and value not in PARTS:
            raise ValueError(f"give {', '.join(PARTS)} or a list of joint names")
        return value


class PriorModelConfig(Config):
    """The density."""

    kind: str = Field(default="global_flow", description="gaussian, joint_flow, global_flow, hand_vae or hand_vae_so3")
    args: dict[str, Any] = Field(default={}, description="further arguments of the density")


class NoiseConfig(Config):
    """Gaussian noise on training poses, which falls geometrically from ``start`` to ``end``.

    A density learned from poses without noise is unbounded wherever joints are tied to each other, as in motion capture.
    """

    start: float = Field(default=0.05, ge=RESOLUTION, description="standard deviation, radians")
    end: float = Field(default=RESOLUTION, ge=RESOLUTION)

    def at(self, done: float) -> float:
        """Radians at a fraction of the run."""
        return float(self.start * (self.end / self.start) ** min(max(done, 0.0), 1.0))


class PriorTrainConfig(TrainConfig):
    """A run of the recipe ``prior``; its ``epochs`` are passes over the training poses."""

    recipe: str = "prior"
    data: PoseDataConfig = PoseDataConfig()
    model: PriorModelConfig = PriorModelConfig()
    noise: NoiseConfig = NoiseConfig()
    evaluate: Literal["likelihood", "quick", "full"] = Field(
        default="full", description="at the end: held-out likelihood alone, all measures on few poses, or all (minutes)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> PriorTrainConfig:
        if self.optim.bf16:
            raise ValueError("optim.bf16: log densities need float32")
        if self.early_stop.patience is not None and not self.data.select:
            raise ValueError("early_stop.patience needs data.select: held-out people are not for choosing")
        return self

    def require_data(self) -> None:
        """Refuse a run without poses to learn from.

        Raises:
            UserError: if no file is named.
        """
        if not self.data.train and not self.data.procedural_hands:
            raise UserError(
                "no training data: data.train=DIR (poses that 'sim2pose data import motion' or 'fit' wrote, AMASS files)"
            )
