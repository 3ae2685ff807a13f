"""Config of frames of people: who, doing what, where, seen how."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ....config import Config
from ...config import RenderConfig
from ...looks.adults_config import AdultsConfig
from ...poses.config import PlausibilityConfig
from ...ranges import Range, Share, Weights, check_weights
from ...scenes.config import BackgroundConfig, LensConfig, LightsConfig, SensorConfig
from .activities import ACTIVITIES

AGES = {"child": (2.5, 11.0), "youth": (11.0, 18.0), "adult": (18.0, 62.0), "old": (62.0, 85.0)}
"""Years of each group of ages."""
FRAMINGS = ("full", "half", "bust", "legs", "group", "far")
HEIGHTS = ("eye", "low", "high", "overhead")
GROUPS = ("row", "talk", "scatter", "depth")
INDOOR = ("wood", "carpet", "tiles", "lino")
OUTDOOR = ("grass", "asphalt", "paving", "sand", "dirt", "snow", "court")


class PeopleConfig(Config):
    """Who is in a frame."""

    count: Weights = Field({"1": 0.50, "2": 0.26, "3": 0.15, "4": 0.09}, description="shares of frames by people")
    ages: Weights = {"child": 0.14, "youth": 0.12, "adult": 0.58, "old": 0.16}
    groups: Weights = Field(
        {"row": 0.32, "talk": 0.2, "scatter": 0.28, "depth": 0.2},
        description="how several people stand: side by side, facing each other, anyhow, behind each other",
    )
    limit: float = Field(2.4, gt=0.0, le=4.0, description="betas are clamped to +-limit standard deviations")
    expression: float = Field(0.8, ge=0.0, le=3.0, description="standard deviation of facial expressions")
    gap: Range = Field((0.03, 0.5), description="free metres between neighbours")

    @model_validator(mode="after")
    def _known(self) -> PeopleConfig:
        check_weights("people.count", self.count, ("1", "2", "3", "4"))
        check_weights("people.ages", self.ages, tuple(AGES))
        check_weights("people.groups", self.groups, GROUPS)
        return self


class PersonPoses(Config):
    """What people do; see activities.py for each, and for the joint limits, which no setting can leave."""

    activities: Weights = {
        "standing": 0.23, "walking": 0.13, "reaching": 0.07, "bending": 0.04, "crouching": 0.05, "kneeling": 0.03,
        "running": 0.07, "sport": 0.08, "jumping": 0.02, "seated": 0.18, "floor": 0.05, "lying": 0.04, "fours": 0.01,
    }  # fmt: skip
    together: Share = Field(0.6, description="share of neighbours who do what the first person does")
    spread: float = Field(1.0, ge=0.0, le=2.0, description="factor on the standard deviation of every joint angle")
    sink: Range = Field((0.002, 0.008), description="depth to which bodies and soles press into what carries them")
    leap: Range = Field((0.05, 0.45), description="height of the lowest point of who jumps")
    sources: Weights = Field(
        {}, description="shares of sources: 'procedural', pose files or folders, 'prior:NAME'; empty: procedural alone"
    )
    plausibility: PlausibilityConfig = PlausibilityConfig(redraws=2)

    @model_validator(mode="after")
    def _known(self) -> PersonPoses:
        check_weights("poses.activities", self.activities, tuple(ACTIVITIES))
        return self


class PersonCamera(Config):
    """Cameras of people's photographs: mostly held at eye height, often so near that the border cuts the body."""

    framings: Weights = {"full": 0.26, "half": 0.15, "bust": 0.06, "legs": 0.02, "group": 0.27, "far": 0.24}
    heights: Weights = {"eye": 0.62, "low": 0.2, "high": 0.14, "overhead": 0.04}
    eye: Range = Field((1.35, 1.75), description="height of a camera that somebody holds standing")
    low: Range = Field((0.35, 1.1), description="height of a camera held low, or by somebody who sits")
    high: Range = Field((1.9, 4.5), description="height of a camera on stairs, a balcony, a wall")
    overhead: Range = Field((50.0, 85.0), description="elevation above the horizon of a view from overhead, degrees")
    fov: Range = Field((16.0, 75.0), description="field of view of the picture's longer side, degrees")
    fill: Range = Field(
        (0.40, 0.98), description="share of the picture that what is framed spans, in its longer direction"
    )
    far: Range = Field((0.13, 0.42), description="the same of people far away")
    front: Share = Field(0.6, description="share of pictures taken from the front (within 75 degrees)")
    roll: float = Field(3.0, ge=0.0, description="standard deviation, degrees")
    shift: float = Field(0.07, ge=0.0, le=0.5, description="standard deviation of the offset, in frame sides")
    truncated: Share = Field(0.12, description="share of pictures whose border cuts what is framed")
    cut: Range = Field((0.05, 0.45), description="share of its extent beyond the border then")

    @model_validator(mode="after")
    def _known(self) -> PersonCamera:
        check_weights("camera.framings", self.framings, FRAMINGS)
        check_weights("camera.heights", self.heights, HEIGHTS)
        if self.fov[0] <= 0 or self.fov[1] >= 120 or self.fill[0] <= 0 or self.far[0] <= 0:
            raise ValueError("camera.fov (below 120), camera.fill and camera.far must be positive")
        return self


class PlacesConfig(Config):
    """Rooms and streets around people, drawn from noise; ``backgrounds.folder`` puts pictures in their place."""

    indoor: Share = Field(0.45, description="share of indoor places")
    floors: Weights = {"wood": 0.36, "carpet": 0.22, "tiles": 0.2, "lino": 0.22}
    grounds: Weights = {
        "grass": 0.26, "asphalt": 0.2, "paving": 0.2, "sand": 0.1, "dirt": 0.1, "snow": 0.05, "court": 0.09,
    }  # fmt: skip
    room: Range = Field((0.4, 3.5), description="metres from the outermost person or the camera to the wall")
    street: Range = Field((3.0, 30.0), description="metres from there to houses, hedges, trees")
    blur: Range = Field((0.0, 1.6), description="blur of what is behind, pixels of a 256-pixel picture")
    pool: int = Field(40, ge=1, le=1024, description="walls, and floors, a job draws for indoors and for outdoors")

    @model_validator(mode="after")
    def _known(self) -> PlacesConfig:
        check_weights("places.floors", self.floors, INDOOR)
        check_weights("places.grounds", self.grounds, OUTDOOR)
        return self


class ThingsConfig(Config):
    """Furniture and other things around people."""

    clutter: tuple[int, int] = Field((0, 4), description="things that stand about, least and most")
    front: Share = Field(0.26, description="share of frames with something between camera and people")
    held: Share = Field(0.16, description="share of people with something in a hand")
    table: Share = Field(0.35, description="share of seated people who sit at a table")
    pool: int = Field(48, ge=1, le=1024, description="surfaces of things a job draws")

    @model_validator(mode="after")
    def _ordered(self) -> ThingsConfig:
        if not 0 <= self.clutter[0] <= self.clutter[1] <= 20:
            raise ValueError(f"things.clutter must be [least, most] within 0..20, found {list(self.clutter)}")
        return self


class PersonScene(Config):
    """All that a scene with people may be; each part documents its own ranges."""

    people: PeopleConfig = PeopleConfig()
    poses: PersonPoses = PersonPoses()
    looks: AdultsConfig = AdultsConfig()
    places: PlacesConfig = PlacesConfig()
    backgrounds: BackgroundConfig = BackgroundConfig(folder_share=0.5, folder_ground=0.5)
    things: ThingsConfig = ThingsConfig()
    camera: PersonCamera = PersonCamera()
    indoor_lights: LightsConfig = LightsConfig(
        elevation=(20.0, 80.0), kelvin=(2900.0, 6500.0), key=(0.4, 1.3), ambient=(0.2, 0.6), level=(0.58, 1.0),
        front=0.6, facing=(0.54, 0.95),
    )  # fmt: skip
    outdoor_lights: LightsConfig = LightsConfig(
        elevation=(15.0, 75.0), kelvin=(4500.0, 7000.0), key=(0.5, 1.8), ambient=(0.18, 0.5), level=(0.6, 1.1),
        softness=(0.01, 0.2), front=0.65, facing=(0.54, 0.95),
    )  # fmt: skip
    lens: LensConfig = LensConfig()
    sensor: SensorConfig = SensorConfig(
        haze=(0.0, 0.03), saturation=(0.72, 1.1), contrast=(1.0, 1.4), gamma=(0.88, 1.18), exposure=(-0.35, 0.35),
        defocus=(0.0, 0.5),
    )  # fmt: skip


class PersonConfig(RenderConfig):
    """A job of frames of people."""

    kind: Literal["person"] = Field("person", description="what is drawn")
    out: Path = Field(Path("frames/person"), description="folder of the shards; made if absent")
    body: str = Field("open-person", description="name of an open body, or path of a licensed SMPL-X file")
    scene: PersonScene = PersonScene()
