"""Configs of the render farm: what a scene may look like (:class:`SceneConfig`) and what a job is (:class:`RenderConfig`).

Every range is a pair ``[low, high]`` drawn from uniformly unless the field says otherwise; every table of weights is
normalised where it is used, and a weight of 0 switches an entry off. Lengths are metres, angles degrees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ..config import Config, nearest

BLOCK = 32
"""Frames sampled together with one body forward; shards hold whole blocks."""

POSTURES = ("supine", "prone", "side", "sitting", "crawling", "standing")
CUTS = ("diaper", "bodysuit", "sleepsuit", "shirt_diaper", "shirt_trousers", "dress")
PATTERNS = ("plain", "stripes", "dots", "checks", "stars", "hearts", "heather", "blocks")
SURFACES = ("sheet", "quilt", "muslin", "towel", "carpet", "wood", "tiles")
VIEWS = ("above", "oblique", "side")
TOYS = ("ball", "block", "ring", "bear")


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] <= pair[1]:
        raise ValueError(f"a range is [low, high] with low <= high, found {list(pair)}")
    return pair


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Weights = dict[str, float]


def _check_weights(name: str, weights: Weights, known: tuple[str, ...]) -> None:
    for key, value in weights.items():
        if key not in known:
            raise ValueError(f"{name} has no entry '{key}': {nearest(key, known)}")
        if value < 0:
            raise ValueError(f"{name}.{key} must not be negative, found {value}")
    if sum(weights.values()) <= 0:
        raise ValueError(f"{name} needs at least one positive weight of: {', '.join(known)}")


class ShapeConfig(Config):
    """Bodies, drawn from the body model's own population."""

    months: Range = Field((0.0, 24.0), description="age, for body models that know it (the open infant does)")
    upright_months: Range = Field((6.0, 24.0), description="age of infants who sit, crawl or stand")
    offset: tuple[float, ...] = Field((), description="added to the first betas, in standard deviations")
    limit: float = Field(2.4, gt=0.0, le=4.0, description="betas are clamped to +-limit standard deviations")


class PoseConfig(Config):
    """Postures, see poses.py for the variants of each and for the joint limits, which no setting can leave."""

    postures: Weights = {
        "supine": 0.42,
        "prone": 0.16,
        "side": 0.12,
        "sitting": 0.15,
        "crawling": 0.08,
        "standing": 0.07,
    }
    spread: float = Field(1.0, ge=0.0, le=2.0, description="factor on the standard deviation of every joint angle")
    asymmetry: Share = Field(0.75, description="share of frames in which left and right limbs do different things")
    relax: Share = Field(0.65, description="share of limbs that gravity lays onto the bed, lying postures only")
    sink: Range = Field((0.003, 0.010), description="depth to which the body presses into the surface")
    source: Path | None = Field(
        None,
        description="pose file (.npz, .parquet) or folder of them, whose poses replace drawn ones: mocap, fits, ...",
    )

    @model_validator(mode="after")
    def _known(self) -> PoseConfig:
        _check_weights("poses.postures", self.postures, POSTURES)
        return self


class WardrobeConfig(Config):
    """Clothes. A diaper lies beneath every cut; nothing can switch it off."""

    cuts: Weights = {
        "diaper": 0.12,
        "bodysuit": 0.26,
        "sleepsuit": 0.24,
        "shirt_diaper": 0.10,
        "shirt_trousers": 0.18,
        "dress": 0.10,
    }
    patterns: Weights = {
        "plain": 0.26,
        "stripes": 0.16,
        "dots": 0.13,
        "checks": 0.08,
        "stars": 0.10,
        "hearts": 0.08,
        "heather": 0.11,
        "blocks": 0.08,
    }
    socks: Share = Field(0.35, description="share of looks with socks, where the cut leaves the feet bare")
    hat: Share = Field(0.12, description="share of looks with a hat")
    lightness: Range = Field((30.0, 93.0), description="CIE L* of fabrics")
    chroma: Range = Field((3.0, 48.0), description="CIE chroma of fabrics")
    folds: Range = Field((0.4, 1.2), description="strength of creases (1: about 2 mm deep)")
    pool: int = Field(96, ge=1, le=1024, description="outfits a job draws; frame and light vary them further")
    texture: Literal[256, 512, 1024] = Field(
        256, description="side of the body texture in texels; 512 from 400 pixels on"
    )

    @model_validator(mode="after")
    def _known(self) -> WardrobeConfig:
        _check_weights("wardrobe.cuts", self.cuts, CUTS)
        _check_weights("wardrobe.patterns", self.patterns, PATTERNS)
        return self


class SkinConfig(Config):
    """Skin, face and hair."""

    tone: Range = Field((1.0, 10.0), description="Monk skin tone scale, 1 lightest to 10 darkest, interpolated in Lab")
    blotches: Range = Field((0.2, 1.0), description="strength of the mottling and of flushed cheeks, knees and hands")
    hair: Range = Field((0.0, 1.0), description="density of hair: below 0.12 bald, 1 a full cap")
    eyes_closed: Share = Field(0.15, description="share of sleeping infants")
    pool: int = Field(48, ge=1, le=1024, description="skins a job draws")


class BackgroundConfig(Config):
    """What lies beneath and behind the body."""

    folder: Path | None = Field(None, description="photographs (jpg, png) or panoramas (.hdr) to use as backdrops")
    folder_share: Share = Field(1.0, description="share of frames that use the folder, where one is given")
    folder_ground: Share = Field(0.6, description="share of those frames that still lie on bedding or a mat")
    surfaces: Weights = {
        "sheet": 0.34,
        "quilt": 0.14,
        "muslin": 0.12,
        "towel": 0.06,
        "carpet": 0.12,
        "wood": 0.12,
        "tiles": 0.08,
    }
    lightness: Range = Field((40.0, 97.0), description="CIE L* of bedding")
    chroma: Range = Field((0.0, 26.0), description="CIE chroma of bedding")
    print_share: Share = Field(0.5, description="share of printed (patterned) among sheets, quilts and muslins")
    folds: Range = Field((0.15, 1.0), description="strength of folds in bedding")
    bounded: Share = Field(0.45, description="share of surfaces that end (a cot, a mat), with the room behind")
    pool: int = Field(64, ge=1, le=1024, description="surfaces, and rooms, a job draws")
    texture: Literal[256, 512, 1024] = Field(256, description="side of the surface's texture in texels")

    @model_validator(mode="after")
    def _known(self) -> BackgroundConfig:
        _check_weights("backgrounds.surfaces", self.surfaces, SURFACES)
        return self


class CameraConfig(Config):
    """A camera above a cot, or a phone in a parent's hand."""

    views: Weights = {"above": 0.42, "oblique": 0.42, "side": 0.16}
    above: Range = Field((62.0, 90.0), description="elevation above the horizon, view 'above'")
    oblique: Range = Field((28.0, 62.0), description="elevation, view 'oblique'")
    side: Range = Field((6.0, 28.0), description="elevation, view 'side'")
    distance: Range = Field((0.5, 1.6), description="from the body's centre")
    fov: Range = Field((18.0, 72.0), description="admissible field of view of the picture's longer side")
    fill: Range = Field((0.50, 0.92), description="share of the frame the body spans, in its longer direction")
    head_up: Share = Field(0.65, description="share of pictures from above in which the head is near the upper border")
    head_up_spread: float = Field(28.0, ge=0.0, description="standard deviation about that, degrees")
    roll: float = Field(9.0, ge=0.0, description="standard deviation of the roll of pictures from the side, degrees")
    shift: float = Field(0.05, ge=0.0, le=0.5, description="standard deviation of the body's offset, in frame sides")
    truncated: Share = Field(0.10, description="share of pictures in which the border cuts the body")

    @model_validator(mode="after")
    def _known(self) -> CameraConfig:
        _check_weights("camera.views", self.views, VIEWS)
        if self.distance[0] <= 0 or self.fov[0] <= 0 or self.fov[1] >= 170 or self.fill[0] <= 0:
            raise ValueError("camera.distance, camera.fov (below 170) and camera.fill must be positive")
        return self


class LightsConfig(Config):
    """One window or lamp, and the light that the room returns."""

    elevation: Range = Field((25.0, 85.0), description="of the window or lamp above the horizon")
    kelvin: Range = Field((2800.0, 7500.0), description="colour temperature, the camera being balanced for 5000 K")
    key: Range = Field(
        (0.35, 1.15), description="intensity of the window or lamp (linear; 1 on a facing white is white)"
    )
    ambient: Range = Field((0.28, 0.62), description="intensity of the room's light")
    level: Range = Field((0.5, 1.0), description="both together on the bed are scaled into this range, as by a meter")
    softness: Range = Field((0.05, 0.35), description="angular radius of the window or lamp, radians")
    tint: float = Field(0.05, ge=0.0, le=0.5, description="standard deviation of the log colour gains of the ambient")


class OccluderConfig(Config):
    """Things in front of, or on, the body."""

    blanket: Share = Field(0.12, description="share of frames with a blanket over part of a lying body")
    blanket_reach: Range = Field((0.15, 0.62), description="where it ends, 0 at the feet, 1 at the head")
    toy: Share = Field(0.22, description="share of frames with a toy")
    toys: Weights = {"ball": 0.3, "block": 0.25, "ring": 0.2, "bear": 0.25}
    toy_size: Range = Field((0.05, 0.14), description="diameter")
    on_body: Share = Field(0.35, description="share of toys that lie on the body rather than beside it")
    rail: Share = Field(0.05, description="share of frames seen through the bars of a cot, views oblique and side")
    support: Share = Field(0.6, description="share of standing infants who hold on to a low table")
    pool: int = Field(32, ge=1, le=1024, description="blankets, and toy surfaces, a job draws")

    @model_validator(mode="after")
    def _known(self) -> OccluderConfig:
        _check_weights("occluders.toys", self.toys, TOYS)
        return self


class SensorConfig(Config):
    """The camera's sensor and its file. ``severity`` scales every departure from a neutral picture at once."""

    severity: float = Field(1.0, ge=0.0, le=4.0, description="factor on all departures below (noise, cast, haze, ...)")
    exposure: Range = Field((-0.35, 0.35), description="stops")
    cast: float = Field(0.04, ge=0.0, description="standard deviation of the log gains of red and blue")
    cast_offset: tuple[float, float] = Field((0.0, 0.0), description="mean of the log gains of red and blue")
    contrast: Range = Field((0.88, 1.12), description="about mid grey; 1 leaves it")
    gamma: Range = Field((0.90, 1.12), description="on the encoded values; 1 leaves it, above 1 darkens")
    saturation: Range = Field((0.85, 1.12), description="1 leaves it, 0 is grey")
    haze: Range = Field((0.0, 0.05), description="veiling glare: share of white light mixed in")
    shot: Range = Field((0.0, 0.016), description="noise at white that grows with the root of the light")
    read: Range = Field((0.0, 0.008), description="noise in the dark")
    chroma_noise: Range = Field((0.0, 0.5), description="share of the noise that differs between the channels")
    defocus: Range = Field((0.0, 0.8), description="standard deviation in pixels of a 256-pixel picture")
    motion_share: Share = Field(0.10, description="share of pictures with motion blur")
    motion: Range = Field((1.5, 4.0), description="length in pixels of a 256-pixel picture")
    vignetting: Range = Field((0.0, 0.25), description="loss of light in the corners")
    jpeg: tuple[int, int] = Field((72, 96), description="JPEG quality, low and high")

    @model_validator(mode="after")
    def _jpeg_range(self) -> SensorConfig:
        if not 1 <= self.jpeg[0] <= self.jpeg[1] <= 100:
            raise ValueError(f"sensor.jpeg must be [low, high] within 1..100, found {list(self.jpeg)}")
        return self


class SceneConfig(Config):
    """All that a scene may be; each part documents its own ranges."""

    shape: ShapeConfig = ShapeConfig()
    poses: PoseConfig = PoseConfig()
    wardrobe: WardrobeConfig = WardrobeConfig()
    skin: SkinConfig = SkinConfig()
    backgrounds: BackgroundConfig = BackgroundConfig()
    camera: CameraConfig = CameraConfig()
    lights: LightsConfig = LightsConfig()
    occluders: OccluderConfig = OccluderConfig()
    sensor: SensorConfig = SensorConfig()

    @model_validator(mode="before")
    @classmethod
    def _folder_shorthand(cls, values: object) -> object:
        """``backgrounds: <folder>`` is short for ``backgrounds: {folder: <folder>}``."""
        if isinstance(values, dict) and isinstance(values.get("backgrounds"), str | Path):
            return {**values, "backgrounds": {"folder": values["backgrounds"]}}
        return values


class RenderConfig(Config):
    """A render job: how many frames of what, where to, and how it runs. Content depends on ``seed`` and ``scene`` alone."""

    kind: Literal["infant"] = Field("infant", description="what is drawn")
    frames: int = Field(1000, ge=1, description="number of frames")
    out: Path = Field(Path("frames/infant"), description="folder of the shards; made if absent")
    workers: int = Field(0, ge=0, description="Ray actors; 0: this process, without Ray")
    seed: int = Field(0, ge=0, description="of the job")
    shard_frames: int = Field(256, ge=BLOCK, description="frames a shard, a multiple of 32")
    width: int = Field(256, ge=16, le=4096, description="pixels")
    height: int = Field(256, ge=16, le=4096, description="pixels")
    renderer: Literal["auto", "opengl", "raycast"] = Field("auto", description="auto: opengl, else raycast")
    body: str = Field("open-infant", description="name of an open body, or path of a licensed SMPL-family file")
    domain: str = Field("synthetic", min_length=1, description="written to every frame")
    parts: bool = Field(True, description="write the part-id picture")
    depth: bool = Field(False, description="write the depth picture")
    deadline_s: float = Field(120.0, gt=0.0, description="a shard that takes longer is given to another worker")
    max_attempts: int = Field(5, ge=1, description="attempts at a shard before the job gives up with its cause")
    scene: SceneConfig = SceneConfig()

    @model_validator(mode="after")
    def _whole_blocks(self) -> RenderConfig:
        if self.shard_frames % BLOCK:
            raise ValueError(f"shard_frames must be a multiple of {BLOCK}, found {self.shard_frames}")
        return self
