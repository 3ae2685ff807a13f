"""Saved densities, read back: one ``.safetensors`` file, tensors and metadata, that never runs code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ...config import UserError
from .build import build_density
from .density import PoseDensity
from .space import PoseSpace

_NEEDED = ("kind", "args", "joint_set", "joints", "dropped", "resolution", "notes", "data")


def load_density(path: str | Path) -> PoseDensity:
    """Read what :meth:`PoseDensity.save` wrote, on the CPU and ready to score: its log_prob is bitwise the same.

    Raises:
        UserError: for a file that is absent, damaged, or no prior of this project.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no pose prior at {path}")
    try:
        with safe_open(path, "pt") as file:
            found = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise UserError(f"{path} is damaged or no .safetensors file: {error}") from error
    missing = [key for key in _NEEDED if key not in found]
    if missing:
        raise UserError(f"{path} is no pose prior of this project: its metadata lacks {', '.join(missing)}")
    about: dict[str, Any] = {key: json.loads(found[key]) for key in _NEEDED}
    tensors = {name: state.get(f"space_{name}", torch.empty(0)) for name in ("center", "axes", "owner", "scale")}
    joints, dropped = tuple(about["joints"]), tuple(about["dropped"])
    space = PoseSpace(about["joint_set"], joints, **tensors, dropped=dropped, resolution=about["resolution"])
    density = build_density(about["kind"], space, **about["args"])
    try:
        density.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(
            f"{path} does not hold a '{about['kind']}' prior: {str(error).splitlines()[-1].strip()}"
        ) from error
    density.notes, density.data = about["notes"], about["data"]
    return density.eval()
