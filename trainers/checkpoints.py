"""Checkpoints: one folder a step, whole or absent.

``step_00001000/`` holds ``<module>.safetensors`` for each network, ``state.pt`` (optimisers, schedulers, random states,
step, best score; loads with ``weights_only=True``, so it never runs code) and ``meta.json`` with the config and the
SHA-256 of every other file. A folder is written aside, synced and renamed, so a kill leaves the one before it; what was
damaged later is noticed by its hash, named in a warning, and the one before it is used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..config import UserError

log = logging.getLogger(__name__)

FORMAT = 1
_NAME = re.compile(r"^step_(\d{8,})$")


class DamagedCheckpoint(RuntimeError):
    """A checkpoint folder whose files are missing, cut short or changed."""


@dataclass
class Checkpoint:
    """A checkpoint in memory.

    Attributes:
        path: its folder.
        step: updates done when it was written.
        modules: name → state dict, on the CPU.
        state: what ``save`` was given.
        meta: ``meta.json``: format, step, config, sha256 and whatever ``extra`` held.
    """

    path: Path
    step: int
    modules: dict[str, dict[str, Tensor]]
    state: dict[str, Any]
    meta: dict[str, Any]


def folder_name(step: int) -> str:
    """Name of the folder of a step's checkpoint."""
    return f"step_{step:08d}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that readers see the old file or the new one: temporary file, fsync, rename."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    aside.write_text(json.dumps(value, indent=1), encoding="utf-8")
    sync(aside)
    aside.replace(path)
    sync(path.parent)


def save(
    root: Path,
    step: int,
    modules: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    config: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``root/step_XXXXXXXX`` and return it. An existing folder of that step is replaced.

    Args:
        root: ``<run>/checkpoints``; created if absent.
        modules: name → state dict; names become file names.
        state: values that ``torch.load(weights_only=True)`` accepts: numbers, strings, tensors, lists, tuples, dicts.
        config: resolved config as JSON values.
        extra: further JSON values for ``meta.json``.
    """
    root.mkdir(parents=True, exist_ok=True)
    final = root / folder_name(step)
    aside = root / f".writing_{final.name}_{uuid.uuid4().hex[:8]}"
    aside.mkdir()
    for name, tensors in modules.items():
        # safetensors refuses tensors that share storage and those that are not contiguous (channels_last)
        save_file(
            {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()},
            aside / f"{name}.safetensors",
        )
    torch.save(dict(state), aside / "state.pt")
    files = sorted(aside.iterdir())
    meta = {"format": FORMAT, "step": step, "config": dict(config), **(extra or {})}
    meta["sha256"] = {path.name: _sha256(path) for path in files}
    (aside / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
    for path in aside.iterdir():
        sync(path)
    sync(aside)
    if final.exists():
        old = root / f".replaced_{final.name}_{uuid.uuid4().hex[:8]}"
        final.rename(old)
        aside.rename(final)
        shutil.rmtree(old)
    else:
        aside.rename(final)
    sync(root)
    return final


def verify(path: Path) -> dict[str, Any]:
    """Check a checkpoint folder against its hashes and return its meta.

    Raises:
        DamagedCheckpoint: naming the file.
    """
    try:
        meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
        hashes, step, version = meta["sha256"], meta["step"], meta["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpoint(f"{path / 'meta.json'} cannot be read ({error!r})") from None
    if version != FORMAT:
        raise UserError(f"{path} has checkpoint format {version}, this sim2pose reads {FORMAT}")
    if "state.pt" not in hashes or not isinstance(step, int):
        raise DamagedCheckpoint(f"{path / 'meta.json'} does not name state.pt")
    for name, expected in hashes.items():
        file = path / name
        if not file.is_file():
            raise DamagedCheckpoint(f"{file} is missing")
        if _sha256(file) != expected:
            raise DamagedCheckpoint(f"{file} is damaged: its SHA-256 is not the one in meta.json")
    return meta


def load(path: Path) -> Checkpoint:
    """Verify and read a checkpoint folder; everything lands on the CPU.

    Raises:
        DamagedCheckpoint: if a file is missing or changed.
    """
    meta = verify(path)
    try:
        modules = {Path(name).stem: load_file(path / name) for name in meta["sha256"] if name.endswith(".safetensors")}
        state = torch.load(path / "state.pt", map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, OSError) as error:  # hashes agree, the content is foreign
        raise DamagedCheckpoint(f"{path} cannot be read ({str(error).splitlines()[0]})") from error
    return Checkpoint(path, meta["step"], modules, state, meta)


def folders(root: Path) -> list[Path]:
    """Checkpoint folders under ``root``, oldest step first; half-written ones do not carry such a name."""
    if not root.is_dir():
        return []
    return sorted((p for p in root.iterdir() if _NAME.match(p.name)), key=lambda p: int(p.name[5:]))


def newest(root: Path) -> Checkpoint | None:
    """The newest whole checkpoint, or None. Damaged ones are named in a warning and passed over."""
    for path in reversed(folders(root)):
        try:
            return load(path)
        except DamagedCheckpoint as error:
            log.warning("checkpoint %s is damaged (%s); using the one before it", path.name, error)
    return None


def prune(root: Path, keep: int, best: Collection[int]) -> None:
    """Delete all but the ``keep`` newest checkpoints and those of the steps in ``best``."""
    for path in folders(root)[:-keep]:
        if int(path.name[5:]) not in best:
            doomed = path.with_name(f".deleting_{path.name}")
            path.rename(doomed)  # first out of sight, so that a kill leaves no half checkpoint under a valid name
            shutil.rmtree(doomed)


def sweep(root: Path) -> None:
    """Remove what killed writers left behind. Call it from one process, before training starts."""
    if root.is_dir():
        for path in root.iterdir():
            if path.name.startswith((".writing_", ".replaced_", ".deleting_")):
                shutil.rmtree(path)


def best_checkpoint(run_dir: Path) -> Path | None:
    """The best checkpoint of a run folder by ``best.json``, else the newest whole one, else None."""
    pointer = run_dir / "best.json"
    if pointer.is_file():
        path = run_dir / "checkpoints" / json.loads(pointer.read_text(encoding="utf-8"))["checkpoint"]
        if path.is_dir():
            return path
        log.warning("%s names %s, which is gone; using the newest checkpoint", pointer, path.name)
    found = newest(run_dir / "checkpoints")
    return found.path if found else None
