"""Config of hand frames: what a scene may look like, and the job's defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from ....config import Config
from ...config import RenderConfig
from ...looks.config import SkinConfig
from ...ranges import Range, Share, Weights, check_weights
from ...scenes.config import BackgroundConfig, LensConfig, LightsConfig, SensorConfig

OBJECTS = ("box", "cylinder", "ball", "mug", "bottle", "phone", "pen", "tool")
SOURCES = ("gestures", "components")
VIEWS = ("allocentric", "egocentric")
COVERS = ("hand", "arm", "thing")
PLACES = ("pictures", "room", "desk", "plain", "green")
MAX_PENETRATION = 0.006


class HandShapeConfig(Config):
    """Whose hands: drawn from the body model's own population."""

    years: Range = Field((4.0, 80.0), description="age, for body models that know it (the open hands do: 2 to 85)")
    limit: float = Field(2.2, gt=0.0, le=4.0, description="betas are clamped to +-limit standard deviations")
    left: Share = Field(0.5, description="share of left hands among first hands")
    two: Share = Field(0.15, description="share of frames with both hands of a person, both labelled")


class HandPoseConfig(Config):
    """Poses of hands that hold nothing; see models/bodies/hand_draws.py for the ranges of motion, which nothing leaves."""

    sources: Weights = {"gestures": 0.7, "components": 0.3}
    components: int = Field(20, ge=1, le=45, description="principal components of the body that are drawn")
    spread: float = Field(
        1.0, ge=0.0, le=2.0, description="of the components, in standard deviations of plausible poses"
    )

    @model_validator(mode="after")
    def _known(self) -> HandPoseConfig:
        check_weights("poses.sources", self.sources, SOURCES)
        return self


class GraspConfig(Config):
    """Things in the hand, round which the fingers close."""

    share: Share = Field(0.45, description="share of first hands that hold something")
    objects: Weights = {
        "box": 0.14, "cylinder": 0.14, "ball": 0.14, "mug": 0.12, "bottle": 0.12, "phone": 0.12, "pen": 0.10, "tool": 0.12,
    }  # fmt: skip
    size: Range = Field((0.85, 1.15), description="factor on the things' usual sizes")
    penetration: float = Field(
        0.004, gt=0.0, le=MAX_PENETRATION, description="a grasp in which the skin sinks deeper than this is not taken"
    )

    @model_validator(mode="after")
    def _known(self) -> GraspConfig:
        check_weights("grasp.objects", self.objects, OBJECTS)
        return self


class CoverConfig(Config):
    """What hides part of the labelled hand: somebody else's hand or arm, or a thing before the camera."""

    share: Share = Field(0.15, description="share of frames with something before the hand")
    kinds: Weights = {"hand": 0.4, "arm": 0.3, "thing": 0.3}
    aside: Range = Field(
        (0.35, 0.8), description="distance of its middle from the hand's, in sizes of the hand as seen"
    )

    @model_validator(mode="after")
    def _known(self) -> CoverConfig:
        check_weights("covers.kinds", self.kinds, COVERS)
        return self


class ArmConfig(Config):
    """The forearm, which always closes the wrist, and what is worn on it."""

    sleeve: Share = Field(0.5, description="share of arms with a sleeve")
    cuff: Range = Field((0.002, 0.09), description="where the sleeve ends, from the edge of the hand's mesh")
    watch: Share = Field(0.12, description="share of arms with a wrist watch where no sleeve covers the wrist")
    bracelet: Share = Field(0.12, description="likewise with bracelets")
    bend: Range = Field((-40.0, 40.0), description="flexion of the wrist, degrees; positive bends the palm to the arm")
    sway: Range = Field((-15.0, 15.0), description="the hand's sway to the thumb's side, degrees")


class HandSkinConfig(SkinConfig):
    """Skin of hands and forearms; hair and eyes do not apply."""

    polish: Share = Field(0.15, description="share of skins with painted nails")
    veins: Range = Field((0.0, 1.0), description="strength of the veins on the back of the hand")
    creases: Range = Field((0.4, 1.0), description="strength of knuckles' wrinkles and the palm's lines")
    texture: Literal[256, 512, 1024] = Field(512, description="side of the hand's texture in texels")


class HandBackgroundConfig(BackgroundConfig):
    """What lies behind the hand: pictures of ``folder`` (if one is given), a blurred room, a desk, a plain wall, or the
    green screen of FreiHAND's recordings."""

    places: Weights = {"pictures": 0.45, "room": 0.2, "desk": 0.2, "plain": 0.08, "green": 0.07}
    surfaces: Weights = {"sheet": 0.1, "towel": 0.06, "wood": 0.74, "carpet": 0.1}

    @model_validator(mode="after")
    def _known_places(self) -> HandBackgroundConfig:
        check_weights("backgrounds.places", self.places, PLACES)
        return self


class HandCameraConfig(Config):
    """A camera before the person (allocentric), or on the head of the hands' owner (egocentric)."""

    views: Weights = {"allocentric": 0.6, "egocentric": 0.4}
    elevation: Range = Field((-15.0, 65.0), description="of the allocentric camera above the horizon")
    gaze: Range = Field((20.0, 65.0), description="how far the egocentric camera looks down")
    fov: Range = Field((14.0, 48.0), description="field of view of the picture's shorter side")
    distance: Range = Field((0.26, 1.2), description="from the hands' middle")
    fill: Range = Field((0.42, 0.85), description="share of the picture's shorter side that the hands span")
    shift: float = Field(0.05, ge=0.0, le=0.5, description="standard deviation of the hands' offset, in frame sides")
    roll: float = Field(8.0, ge=0.0, description="standard deviation of the roll, degrees")

    @model_validator(mode="after")
    def _known(self) -> HandCameraConfig:
        check_weights("camera.views", self.views, VIEWS)
        if self.distance[0] < 0.15 or self.fov[0] <= 0 or self.fov[1] >= 120 or self.fill[0] <= 0:
            raise ValueError("camera needs distance >= 0.15, 0 < fov < 120 and fill > 0")
        return self


class HandScene(Config):
    """All that a hand's scene may be; each part documents its own ranges."""

    shape: HandShapeConfig = HandShapeConfig()
    poses: HandPoseConfig = HandPoseConfig()
    grasp: GraspConfig = GraspConfig()
    arm: ArmConfig = ArmConfig()
    covers: CoverConfig = CoverConfig()
    skin: HandSkinConfig = HandSkinConfig()
    backgrounds: HandBackgroundConfig = HandBackgroundConfig()
    camera: HandCameraConfig = HandCameraConfig()
    lights: LightsConfig = LightsConfig()
    lens: LensConfig = LensConfig()
    sensor: SensorConfig = SensorConfig()


class HandConfig(RenderConfig):
    """A job of hand frames.

    Labels are MANO's: ``pose`` (16 x 3 axis-angle: global orientation, then 15 joints) is the full pose about the **flat**
    hand, so ``body(betas, pose, transl)`` of :func:`load_body` gives the camera-frame vertices. The ``hand_pose`` of smplx's
    MANO layer is relative to the mean hand by default: subtract ``hands_mean`` from ``pose[3:]``, or make the layer with
    ``flat_hand_mean=True``; its PCA coefficients are ``components @ (pose[3:] - hands_mean)``, the components being
    orthonormal. ``transl`` moves the hand after it has turned about its wrist joint, as in smplx.
    """

    kind: Literal["hand"] = Field("hand", description="what is drawn")
    out: Path = Field(Path("frames/hand"), description="folder of the shards; made if absent")
    width: int = Field(224, ge=16, le=4096, description="pixels")
    height: int = Field(224, ge=16, le=4096, description="pixels")
    body: str = Field(
        "open-hand-{side}",
        description="the pair of hands: a name or path with {side} (left, right) or {SIDE} (LEFT, RIGHT) in it",
    )
    joint_sets: tuple[str, ...] = Field(
        ("freihand21",),
        min_length=1,
        description="labelled joint sets (freihand21, mano21, mano16 ...), main one first",
    )
    scene: HandScene = HandScene()

    @field_validator("body")
    @classmethod
    def _both_sides(cls, body: str) -> str:
        if "{side}" not in body and "{SIDE}" not in body:
            raise ValueError(
                f"body must name both hands by {{side}} or {{SIDE}}, as in 'open-hand-{{side}}', found '{body}'"
            )
        return body

    def body_of(self, side: str) -> str:
        """Name or path of the body of a side ("left" or "right")."""
        return self.body.replace("{side}", side).replace("{SIDE}", side.upper())
