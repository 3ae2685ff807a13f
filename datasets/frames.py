"""Frames: the one schema in which pictures and labels travel from the farm and the importers to the trainers.

One row a frame. Pictures, part masks and depth stay encoded bytes; labels are plain arrays in image pixels (pixel
centres at integer coordinates) and in the camera frame (OpenCV axes: x right, y down, z forward, metres). What holds
for all rows lies in the file's metadata as :class:`DatasetInfo`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ..config import UserError, config_hash, nearest

SCHEMA_VERSION = 2
METADATA_KEY = b"sim2pose"
IMAGE_COLUMNS = ("image", "parts", "depth", "normals")

FLOATS = pa.list_(pa.float32())

PERSON_FIELDS: dict[str, pa.DataType] = {
    "bbox": FLOATS,  # 4: x, y, width, height of the visible silhouette, pixels
    "keypoints": FLOATS,  # J*3, row-major: x, y (pixels), v in {0, 1, 2}
    "labelled": pa.int16(),  # how many keypoints have v > 0
    "area": pa.float64(),  # pixels; float64, as areas of COCO polygons do not survive float32
    "keypoints_3d": FLOATS,  # J*3, metres, camera frame; null where unknown
    "body": pa.string(),
    "betas": FLOATS,
    "pose": FLOATS,
    "transl": FLOATS,
    "expression": FLOATS,
    "more_keypoints": FLOATS,  # K*3 of the further joint sets, one after the other; null without
    "more_keypoints_3d": FLOATS,
    "mask": pa.binary(),  # visible pixels as COCO's compressed run lengths, of the picture's size; null without
    "iscrowd": pa.bool_(),
    "annotation_id": pa.int64(),
    "extra": pa.string(),
}
PERSON_TYPE = pa.struct(list(PERSON_FIELDS.items()))

COLUMNS: dict[str, pa.DataType] = {
    "frame_id": pa.int64(),
    "image": pa.binary(),
    "height": pa.int32(),
    "width": pa.int32(),
    "domain": pa.string(),
    "camera": FLOATS,  # 9: K row-major; null where unknown
    "persons": pa.list_(PERSON_TYPE),
    "parts": pa.binary(),
    "depth": pa.binary(),
    "normals": pa.binary(),
    "distortion": FLOATS,  # 5: k1, k2, p1, p2, k3 (OpenCV); null for a pinhole camera
    "world_to_camera": FLOATS,  # 12: [R | t] row-major, metres, world Y up; null where unknown
    "clip": pa.int64(),  # number of the sequence this frame belongs to; null for single pictures
    "time": pa.float64(),  # seconds since the sequence began; null for single pictures
    "source": pa.string(),
    "extra": pa.string(),
}


FRAME_SHAPES: dict[str, tuple[int, ...]] = {"camera": (3, 3), "distortion": (5,), "world_to_camera": (3, 4)}
"""Shapes of the float columns of a frame."""


@dataclass
class Person:
    """One person in a frame.

    Attributes:
        bbox: (4,) float32 x, y, width, height in pixels; of the visible silhouette in rendered frames.
        keypoints: (J, 3) float32 x, y in pixels and v: 2 visible, 1 occluded, 0 unlabelled or outside (x = y = 0).
        area: visible pixels (rendered) or the annotation's area (imported).
        keypoints_3d: (J, 3) float32 metres in the camera frame, or None.
        body: name of the body model whose parameters follow, or "".
        betas, pose, transl: (B,), (P,), (3,) float32: parameters that give the body in the camera frame, or None.
        expression: (E,) float32 of SMPL-X, or None.
        more_keypoints, more_keypoints_3d: (K, 3) float32, as ``keypoints`` and ``keypoints_3d``, of the data set's further
            joint sets (``DatasetInfo.more_joint_sets``), one set after the other, or None.
        mask: visible pixels as the counts of COCO's compressed RLE (see ``masks.py``), or None. bbox and area are its.
        iscrowd: COCO's flag: a group that is not annotated one by one.
        annotation_id: id in the file it was imported from, -1 for rendered persons.
        extra: JSON object of further annotation fields that an export must give back (segmentation, ...), or "".
    """

    bbox: np.ndarray
    keypoints: np.ndarray
    area: float
    keypoints_3d: np.ndarray | None = None
    body: str = ""
    betas: np.ndarray | None = None
    pose: np.ndarray | None = None
    transl: np.ndarray | None = None
    iscrowd: bool = False
    annotation_id: int = -1
    extra: str = ""
    expression: np.ndarray | None = None
    more_keypoints: np.ndarray | None = None
    more_keypoints_3d: np.ndarray | None = None
    mask: bytes | None = None


@dataclass
class Frame:
    """One picture with its labels.

    Attributes:
        frame_id: unique in the data set.
        image: JPEG or PNG bytes.
        height, width: pixels.
        domain: where it comes from ("synthetic", "real", ...); all that training knows about its origin.
        camera: (3, 3) float32 K, pixel centres at integers, or None.
        persons: those of which at least one pixel is visible; may be empty.
        parts: PNG uint8 part ids (0 background, 1 + joint of the body model, 255 occluder), or None.
        depth: PNG uint16 millimetres (0 where nothing was hit), or None.
        normals: PNG of unit surface normals in the camera frame, 8 bits a channel, ``n = value / 127.5 - 1`` for red x,
            green y, blue z (OpenCV axes), (0, 0, 0) where nothing was hit, or None.
        distortion: (5,) float32 k1, k2, p1, p2, k3 of OpenCV's lens model, or None for a pinhole camera.
        world_to_camera: (3, 4) float32 [R | t], metres, world Y up, or None.
        clip, time: sequence this frame belongs to and seconds since it began, or None for single pictures.
        source: file name, or job seed and frame index of a rendered frame.
        extra: JSON object of further COCO image fields, or "".
    """

    frame_id: int
    image: bytes
    height: int
    width: int
    domain: str
    camera: np.ndarray | None = None
    persons: list[Person] = field(default_factory=list)
    parts: bytes | None = None
    depth: bytes | None = None
    source: str = ""
    extra: str = ""
    normals: bytes | None = None
    distortion: np.ndarray | None = None
    world_to_camera: np.ndarray | None = None
    clip: int | None = None
    time: float | None = None


@dataclass(frozen=True)
class DatasetInfo:
    """What holds for every frame of a data set; lies in each file's metadata and in the manifest.

    Attributes:
        joint_set: name of the joint set; joints: its keypoint names in order (J of them).
        flip_pairs: index pairs that a mirror exchanges; sigmas: OKS sigmas (J), or None where there are none.
        config: generator or import config, whatever determines the content; config_hash: its hash.
        licence: note on what may be done with the pictures.
        extra: COCO ``info``, ``licenses``, ``categories`` and the like.
        more_joint_sets: further joint sets that are labelled, see ``Person.more_keypoints``.
    """

    joint_set: str
    joints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...] | None = None
    config: dict[str, Any] = field(default_factory=dict)
    config_hash: str = ""
    licence: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    more_joint_sets: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    @property
    def joint_count(self) -> int:
        """J."""
        return len(self.joints)

    @property
    def more_joint_count(self) -> int:
        """Points of all further joint sets together."""
        from ..models.joints import joint_set

        return sum(joint_set(name).count for name in self.more_joint_sets)

    def to_json(self) -> str:
        """Canonical JSON text: equal infos, equal bytes."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @staticmethod
    def from_json(text: str | bytes, where: str) -> DatasetInfo:
        """Parse; ``where`` names the file in error messages. A joint set that is not built in becomes known by its name.

        Raises:
            UserError: if the text is no such JSON, was written under another schema version, or its joint set's name
                stands for other joints.
        """
        try:
            values = json.loads(text)
            version = values["schema_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{where} holds no readable sim2pose metadata ({error!r}); is it a file of sim2pose?"
            ) from None
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{where} has frame schema version {version}, this sim2pose reads {SCHEMA_VERSION}: "
                "render or import it again, or use the sim2pose that wrote it"
            )
        unknown = set(values) - {f.name for f in dataclasses.fields(DatasetInfo)}
        if unknown:
            raise UserError(
                f"{where}: metadata has unknown keys {sorted(unknown)}; was it written by a newer sim2pose?"
            )
        values["joints"] = tuple(values["joints"])
        values["flip_pairs"] = tuple((int(a), int(b)) for a, b in values["flip_pairs"])
        values["more_joint_sets"] = tuple(values.get("more_joint_sets", ()))
        values["sigmas"] = None if values["sigmas"] is None else tuple(values["sigmas"])
        info = DatasetInfo(**values)
        _make_known(info, where)
        return info


def _make_known(info: DatasetInfo, where: str) -> None:
    """Add a joint set that a user brought (it lies whole in the metadata, but for its skeleton) to those known by name."""
    from ..models.joints import JointSet, add_joint_set

    given = JointSet(info.joint_set, info.joints, info.flip_pairs, info.sigmas, (), f"joints of {where}")
    try:
        add_joint_set(given)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def dataset_info(
    joint_set: str,
    config: dict[str, Any] | None = None,
    licence: str = "",
    extra: dict[str, Any] | None = None,
    more_joint_sets: tuple[str, ...] = (),
) -> DatasetInfo:
    """Info for a joint set known by name; ``config`` must be plain JSON values and is hashed.

    Raises:
        UserError: for an unknown joint set (nearest named).
    """
    from ..models.joints import joint_set as find

    joints = find(joint_set)
    config = config or {}
    return DatasetInfo(
        joint_set=joints.name,
        joints=tuple(joints.joints),
        flip_pairs=tuple((int(a), int(b)) for a, b in joints.flip_pairs),
        sigmas=None if joints.sigmas is None else tuple(float(s) for s in joints.sigmas),
        config=config,
        config_hash=config_hash(config),
        licence=licence,
        extra=extra or {},
        more_joint_sets=tuple(find(name).name for name in more_joint_sets),
    )


def schema(info: DatasetInfo) -> pa.Schema:
    """Arrow schema of a frame table with ``info`` in its metadata."""
    return pa.schema(list(COLUMNS.items()), metadata={METADATA_KEY: info.to_json().encode()})


def check_frame(frame: Frame, info: DatasetInfo) -> None:
    """Refuse a frame that no reader could use: wrong shapes, non-finite labels, bytes that are no picture.

    Raises:
        UserError: naming the frame, the person and the field.
    """
    where = f"frame {frame.frame_id} ({frame.source or frame.domain})"
    if not frame.image.startswith((b"\xff\xd8", b"\x89PNG")):
        raise UserError(f"{where}: image is neither JPEG nor PNG")
    if frame.camera is not None and np.shape(frame.camera) != (3, 3):
        raise UserError(f"{where}: camera has shape {np.shape(frame.camera)}, expected (3, 3)")
    for name, size in (("distortion", (5,)), ("world_to_camera", (3, 4))):
        value = getattr(frame, name)
        if value is not None and (np.shape(value) != size or not np.isfinite(value).all()):
            raise UserError(f"{where}: {name} must hold finite numbers of shape {size}, found {np.shape(value)}")
    points, more = (info.joint_count, 3), (info.more_joint_count, 3)
    wanted = {"bbox": (4,), "keypoints": points, "keypoints_3d": points, "transl": (3,)}
    wanted |= {"more_keypoints": more, "more_keypoints_3d": more}
    for i, person in enumerate(frame.persons):
        for name, shape in wanted.items():
            value = getattr(person, name)
            if value is None and name not in ("bbox", "keypoints"):
                continue
            if np.shape(value) != shape:
                raise UserError(
                    f"{where}, person {i}: {name} has shape {np.shape(value)}, expected {shape} "
                    f"of joint set '{info.joint_set}'"
                )
            if not np.isfinite(value).all():
                raise UserError(f"{where}, person {i}: {name} holds NaN or infinite numbers; mend or drop this person")
        v = person.keypoints[:, 2]
        if not ((v == 0) | (v == 1) | (v == 2)).all():
            raise UserError(f"{where}, person {i}: the third number of a keypoint must be v = 0, 1 or 2")
        if not math.isfinite(person.area):
            raise UserError(f"{where}, person {i}: area is {person.area}; mend or drop this person")


def check_fields(names: Sequence[str]) -> None:
    """Refuse names that are no columns of the schema (UserError, nearest named)."""
    for name in names:
        if name not in COLUMNS:
            raise UserError(f"unknown frame column '{name}': {nearest(name, COLUMNS)}")
