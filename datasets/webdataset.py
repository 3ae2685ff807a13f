"""Frames as WebDataset shards: tar files whose members share a stem for each sample, read in one sweep by any loader.

A sample is ``{frame_id:012d}.jpg`` (or ``.png``), ``.json`` with its labels, and, where the frames have them,
``.parts.png``, ``.depth.png`` and ``.normals.png``. ``dataset.json`` beside the shards holds what is true of all: joint
sets, flip pairs, generator config. Equal frames give equal bytes: members carry no time, owner or other trace of the run.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..config import UserError
from .coco_fields import plain
from .crops import is_png
from .frames import FLOATS, FRAME_SHAPES, PERSON_FIELDS, DatasetInfo, Frame, Person
from .labelled import locate_set, with_joint_set
from .shards import FramesFolder

DATASET = "dataset.json"
_PICTURES = ("parts", "depth", "normals")
_TEXT = ("domain", "source", "extra")


@dataclass(frozen=True)
class ShardsWritten:
    """What an export wrote: names of the tar files, frames, bytes of all shards."""

    shards: tuple[str, ...]
    frames: int
    bytes: int


def export_webdataset(
    folder: FramesFolder | Path | str, out: Path | str, *, shard_frames: int = 1000, joint_set: str | None = None
) -> ShardsWritten:
    """Write frames as tar shards ``shard-000000.tar``, ... into a new folder, which appears whole or not at all.

    Args:
        folder: frames.
        out: the new folder.
        shard_frames: samples a shard.
        joint_set: write the keypoints of this labelled set alone; None: all columns as they are.

    Raises:
        UserError: if ``out`` exists and is not empty or cannot be written, or the joint set is not labelled.
    """
    source = folder if isinstance(folder, FramesFolder) else FramesFolder.open(folder)
    if joint_set is not None:
        locate_set(source.info, joint_set)
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists and is not empty: choose another folder or remove it")
    aside = target.parent / f".{target.name}.{os.getpid()}.tmp"
    try:
        aside.mkdir(parents=True)
        written = _write_shards(source, aside, shard_frames, joint_set)
        (aside / DATASET).write_text(_dataset_json(source.info, joint_set), encoding="utf-8")
        os.rename(aside, target)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return written


def frame_to_sample(frame: Frame) -> dict[str, bytes]:
    """The members of a frame by suffix: ``jpg`` or ``png``, ``json``, and its further pictures.

    The JSON holds plain numbers: ``persons`` as a list of objects with bbox (4), keypoints (J, 3), area, mask (COCO RLE),
    keypoints_3d, body, betas, pose, transl, ...; what is not known is left out.
    """
    labels: dict[str, Any] = {"frame_id": frame.frame_id, "height": frame.height, "width": frame.width}
    for name in (*_TEXT, "clip", "time", *FRAME_SHAPES):
        value = getattr(frame, name)
        if value is not None and not (name == "extra" and not value):
            labels[name] = _numbers(value) if isinstance(value, np.ndarray) else value
    labels["persons"] = [_person_json(person, frame) for person in frame.persons]
    text = json.dumps(labels, separators=(",", ":"), sort_keys=True).encode()
    pictures = {f"{name}.png": getattr(frame, name) for name in _PICTURES}
    sample = {"png" if is_png(frame.image) else "jpg": frame.image, "json": text, **pictures}
    return {suffix: data for suffix, data in sample.items() if data is not None}


def sample_to_frame(sample: Mapping[str, bytes]) -> Frame:
    """The frame of a sample: the inverse of :func:`frame_to_sample`, exact in every column.

    Raises:
        UserError: if the sample has no picture or no labels.
    """
    image = sample.get("jpg", sample.get("png"))
    if image is None or "json" not in sample:
        raise UserError(f"a sample of frames has 'jpg' (or 'png') and 'json', found {', '.join(sorted(sample))}")
    labels = json.loads(sample["json"])
    for name, shape in FRAME_SHAPES.items():
        if name in labels:
            labels[name] = np.asarray(labels[name], np.float32).reshape(shape)
    labels |= {name: sample[f"{name}.png"] for name in _PICTURES if f"{name}.png" in sample}
    labels["persons"] = [_person(entry) for entry in labels["persons"]]
    return Frame(image=image, **labels)


def read_tar(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Samples of a shard in order: key, and members by suffix (all that follows the first point of the name)."""
    with tarfile.open(path) as file:
        named = ((member.name.partition("."), member) for member in file if member.isfile())
        for key, members in itertools.groupby(named, key=lambda pair: pair[0][0]):
            sample = {}
            for (_, _, suffix), member in members:
                data = file.extractfile(member)
                assert data is not None, "isfile() says so"
                sample[suffix] = data.read()
            yield key, sample


def _write_shards(source: FramesFolder, folder: Path, size: int, joint_set: str | None) -> ShardsWritten:
    names: list[str] = []
    count = total = 0
    frames = source.iterate()
    while chunk := list(itertools.islice(frames, 1)):
        name = f"shard-{len(names):06d}.tar"
        with (folder / name).open("xb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for frame in itertools.chain(chunk, itertools.islice(frames, size - 1)):
                    frame.persons = [with_joint_set(person, source.info, joint_set) for person in frame.persons]
                    _add(tar, frame, alone=joint_set is not None)
                    count += 1
            file.flush()
            os.fsync(file.fileno())
            total += file.tell()
        names.append(name)
    return ShardsWritten(tuple(names), count, total)


def _add(tar: tarfile.TarFile, frame: Frame, alone: bool) -> None:
    for person in frame.persons if alone else ():
        person.more_keypoints = person.more_keypoints_3d = None
    for suffix, data in frame_to_sample(frame).items():
        member = tarfile.TarInfo(f"{frame.frame_id:012d}.{suffix}")
        member.size, member.mode = len(data), 0o644
        tar.addfile(member, io.BytesIO(data))


def _person_json(person: Person, frame: Frame) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for field in fields(Person):
        value = getattr(person, field.name)
        if isinstance(value, np.ndarray):
            entry[field.name] = _numbers(value)
        elif isinstance(value, bytes):
            entry[field.name] = {"size": [frame.height, frame.width], "counts": value.decode("ascii")}
        elif value is not None and value != "":
            entry[field.name] = value
    return entry


def _numbers(values: np.ndarray) -> list[Any]:
    """Float32 numbers with the fewest digits that give them back, row by row."""
    flat, width = plain(values), values.shape[-1]
    return flat if values.ndim == 1 else [flat[i : i + width] for i in range(0, len(flat), width)]


def _person(entry: dict[str, Any]) -> Person:
    for name, kind in PERSON_FIELDS.items():
        if kind == FLOATS and name in entry:
            entry[name] = np.asarray(entry[name], np.float32)
    if "mask" in entry:
        entry["mask"] = entry["mask"]["counts"].encode("ascii")
    return Person(**entry)


def _dataset_json(info: DatasetInfo, joint_set: str | None) -> str:
    return json.dumps({**json.loads(info.to_json()), "keypoints": joint_set or info.joint_set}, indent=1)
