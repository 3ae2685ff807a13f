"""Config of clips: how long they are, what people do, how the camera moves, and what lies around."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ....config import Config
from ...config import BLOCK, RenderConfig
from ...looks.adults_config import AdultsConfig
from ...ranges import Range, Share, Weights, check_weights
from ...scenes.config import LightsConfig, SensorConfig
from ...scenes.trajectories import TrajectoryConfig

ACTION_NAMES = ("walk", "run_in_place", "turn", "sit", "wave", "reach", "squat", "sidestep")


class MotionConfig(Config):
    """What people do. Infants always lie on their backs and kick, unless a source is given."""

    source: Path | None = Field(
        None, description="folder or file of motions ('data import motion'); without one, all clips are procedural"
    )
    source_share: Share = Field(1.0, description="share of clips from the source, where one is given")
    actions: Weights = {
        "walk": 0.34,
        "run_in_place": 0.06,
        "turn": 0.1,
        "sit": 0.12,
        "wave": 0.1,
        "reach": 0.12,
        "squat": 0.08,
        "sidestep": 0.08,
    }
    mirror: Share = Field(0.5, description="share of clips of a source whose left and right change places")
    reverse: Share = Field(0.08, description="share of clips of a source that run backwards")

    @model_validator(mode="after")
    def _known(self) -> MotionConfig:
        check_weights("motion.actions", self.actions, ACTION_NAMES)
        return self


class PropsConfig(Config):
    """Furniture that stands around: what the camera's motion is seen by."""

    count: tuple[int, int] = Field((3, 8), description="pieces of furniture, low and high")
    ring: Range = Field((0.7, 1.6), description="how far from the subject's path, in its heights")
    between: Share = Field(0.2, description="share of pieces that may stand between camera and subject")

    @model_validator(mode="after")
    def _ordered(self) -> PropsConfig:
        if not 0 <= self.count[0] <= self.count[1] <= 32:
            raise ValueError(f"props.count must be [low, high] within 0..32, found {list(self.count)}")
        return self


class PanoramaConfig(Config):
    """What lies far away, and turns with the camera; ``panoramas: FOLDER`` is short for ``panoramas: {folder: FOLDER}``."""

    shorthand = "folder"

    folder: Path | None = Field(None, description="folder of panoramas (.hdr) to use in place of drawn ones")
    folder_share: Share = Field(1.0, description="share of clips that use the folder, where one is given")
    halls: Share = Field(0.6, description="share of halls among drawn panoramas; the rest is under the sky")


class ClipScene(Config):
    """All that a clip may be; each part documents its own ranges. What is drawn once for a clip holds for all its frames."""

    years: Range = Field((16.0, 78.0), description="age of people, for bodies that know it; infants: 0 to 2 years")
    limit: float = Field(2.2, gt=0.0, le=4.0, description="betas are clamped to +-limit standard deviations")
    second: Share = Field(0.15, description="share of clips with a second person")
    motion: MotionConfig = MotionConfig()
    looks: AdultsConfig = AdultsConfig()
    trajectory: TrajectoryConfig = TrajectoryConfig()
    panoramas: PanoramaConfig = PanoramaConfig()
    lights: LightsConfig = LightsConfig(
        elevation=(25.0, 75.0),
        key=(0.45, 1.5),
        ambient=(0.18, 0.5),
        level=(0.58, 1.05),
        front=0.65,
        facing=(0.65, 1.0),
    )
    props: PropsConfig = PropsConfig()
    sensor: SensorConfig = SensorConfig(
        motion_share=0.0, haze=(0.0, 0.02), defocus=(0.0, 0.5), saturation=(0.75, 1.1), contrast=(1.0, 1.4),
        gamma=(0.82, 1.12), exposure=(-0.3, 0.4),
    )  # fmt: skip


class ClipConfig(RenderConfig):
    """A job of clips: frame i belongs to clip i // clip_frames, at (i % clip_frames) / fps seconds."""

    kind: Literal["clip"] = Field("clip", description="what is drawn")
    out: Path = Field(Path("frames/clip"), description="folder of the shards; made if absent")
    frames: int = Field(1280, ge=1, description="number of frames; the last clip ends with them")
    body: str = Field("open-person", description="name of an open body, or path of a licensed SMPL-family file")
    fps: float = Field(30.0, gt=0.0, le=240.0, description="frames a second")
    clip_frames: int = Field(128, ge=BLOCK, description="frames a clip, a multiple of 32")
    scene: ClipScene = ClipScene()

    @model_validator(mode="after")
    def _whole_clips(self) -> ClipConfig:
        if self.clip_frames % BLOCK:
            raise ValueError(f"clip_frames must be a multiple of {BLOCK}, found {self.clip_frames}")
        return self
