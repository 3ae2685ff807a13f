"""What every render job has in common, whatever its frames show; kinds add a ``scene`` (see :mod:`.kinds`)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from ..config import Config, UserError

BLOCK = 32
"""Frames sampled together with one body forward; shards hold whole blocks."""


class RenderConfig(Config):
    """A render job: how many frames of what, where to, and how it runs. Content depends on ``seed`` and the look alone."""

    kind: str = Field(description="what is drawn: infant, person, hand, clip")
    frames: int = Field(1000, ge=1, description="number of frames")
    out: Path = Field(description="folder of the shards; made if absent")
    workers: int = Field(0, ge=0, description="Ray actors; 0: this process, without Ray")
    seed: int = Field(0, ge=0, description="of the job")
    shard_frames: int = Field(256, ge=BLOCK, description="frames a shard, a multiple of 32")
    shard_mb: float | None = Field(None, gt=0.0, description="size of a shard in MB; decides shard_frames if given")
    width: int = Field(256, ge=16, le=4096, description="pixels")
    height: int = Field(256, ge=16, le=4096, description="pixels")
    renderer: Literal["auto", "opengl", "raycast", "pyrender"] = Field("auto", description="auto: opengl, else raycast")
    body: str = Field(description="name of an open body, or path of a licensed SMPL-family file")
    joint_sets: tuple[str, ...] = Field(
        ("coco17",), min_length=1, description="labelled joint sets; the first is that of 'keypoints', others follow"
    )
    domain: str = Field("synthetic", min_length=1, description="written to every frame")
    parts: bool = Field(True, description="write the part-id picture, and a mask of each person")
    depth: bool = Field(False, description="write the depth picture")
    normals: bool = Field(False, description="write the surface normals (PNG, camera frame)")
    shadow: Literal["soft", "hard"] = Field("soft", description="of the lamp; hard: traced, by renderer raycast alone")
    ambient_shadow: bool = Field(True, description="people and things darken each other's share of the room's light")
    deadline_s: float = Field(120.0, gt=0.0, description="a shard that takes longer is given to another worker")
    max_quarantine: float = Field(0.01, ge=0.0, le=1.0, description="share of frames that may fail before the job does")
    max_attempts: int = Field(5, ge=1, description="attempts at a shard before the job gives up with its cause")

    @model_validator(mode="after")
    def _whole_blocks(self) -> RenderConfig:
        if self.shard_frames % BLOCK:
            raise ValueError(f"shard_frames must be a multiple of {BLOCK}, found {self.shard_frames}")
        return self

    @field_validator("joint_sets")
    @classmethod
    def _known_sets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from ..models.joints import joint_set

        for name in names:
            try:
                joint_set(name)
            except UserError as error:
                raise ValueError(str(error)) from None
        if len(set(names)) != len(names):
            raise ValueError(f"joint_sets names a set twice: {', '.join(names)}")
        return names
