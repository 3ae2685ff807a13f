"""Config of infant frames: what a scene may look like, and the job's defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ....config import Config
from ...config import RenderConfig
from ...looks.config import SkinConfig, WardrobeConfig
from ...poses.config import PoseConfig, ShapeConfig
from ...ranges import Share
from ...scenes.config import BackgroundConfig, CameraConfig, LensConfig, LightsConfig, OccluderConfig, SensorConfig


class InfantScene(Config):
    """All that an infant's scene may be; each part documents its own ranges."""

    shape: ShapeConfig = ShapeConfig()
    poses: PoseConfig = PoseConfig()
    wardrobe: WardrobeConfig = WardrobeConfig()
    skin: SkinConfig = SkinConfig()
    backgrounds: BackgroundConfig = BackgroundConfig()
    camera: CameraConfig = CameraConfig()
    lens: LensConfig = LensConfig()
    lights: LightsConfig = LightsConfig()
    occluders: OccluderConfig = OccluderConfig()
    sensor: SensorConfig = SensorConfig()
    night: Share = Field(0.05, description="share of frames by an infrared camera in the dark")
    twins: Share = Field(
        0.03, description="share of frames with lying infants in which a second one lies beside the first"
    )


class InfantConfig(RenderConfig):
    """A job of infant frames."""

    kind: Literal["infant"] = Field("infant", description="what is drawn")
    out: Path = Field(Path("frames/infant"), description="folder of the shards; made if absent")
    body: str = Field("open-infant", description="name of an open body, or path of a licensed SMPL-family file")
    scene: InfantScene = InfantScene()
