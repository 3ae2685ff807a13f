"""Published weights: read without running code from the file, load with a full account, freeze what was loaded."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ...config import UserError, nearest
from .base import HeatmapNetwork
from .published import numbers_of_numpy, own_names

_WRAPPERS = ("state_dict", "model_state_dict", "model", "best_state_dict")
STEM = ("conv1", "bn1", "conv2", "bn2")


@dataclass(frozen=True)
class LoadReport:
    """What :func:`load_weights` did, as state-dict keys; ``mismatched`` adds both shapes."""

    source: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    def describe(self) -> str:
        """One line for the log."""
        text = f"{self.source}: {len(self.matched)} tensors loaded"
        for label in ("missing", "unexpected", "mismatched"):
            keys = getattr(self, label)
            text += f", {len(keys)} {label}{' (' + _some(keys) + ')' if keys else ''}"
        return text


def _some(keys: Sequence[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from ``.safetensors`` or a PyTorch file (``.pth``, ``.pt``, ``.tar``), on the CPU.

    PyTorch files are read with ``weights_only``: tensors and plain containers, never code. A state dict nested under
    ``state_dict`` (or a like key) is taken out, and the ``module.`` that DataParallel and DDP put before names goes.

    Raises:
        UserError: if the file is missing, damaged, holds other objects than tensors, or no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no weights file at {path}")
    try:
        if path.suffix == ".safetensors":
            content: Any = safetensors.torch.load_file(path)
        else:
            with numbers_of_numpy():
                content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{path} holds more than tensors and is not read, since that could run code from the file ({reason}); "
            "save only the state dict: torch.save(model.state_dict(), path)"
        ) from error
    except (safetensors.SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(f"{path} is damaged or no weights file: {str(error).strip().splitlines()[0]}") from error
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, not a state dict")
    state: dict[str, Tensor] = {
        str(key).removeprefix("module."): value for key, value in content.items() if isinstance(value, Tensor)
    }
    if not state:
        raise UserError(f"{path} holds no tensors; its keys are {_some([str(key) for key in content]) or 'none'}")
    return state


def load_weights(
    network: nn.Module, source: str | Path | Mapping[str, Tensor], allow: Iterable[str] = (), name: str = ""
) -> LoadReport:
    """Load weights into ``network`` in place; all of them, or what ``allow`` excuses.

    Args:
        network: the network; untouched if this raises.
        source: a file for :func:`read_state`, or a state dict, with our names or those of :func:`published.own_names`.
        allow: patterns (``fnmatch``: ``"final_layer.*"``, ``"*"``) of keys that may be missing, unexpected or of
            another shape. Nothing is loaded for them then. Pose weights for
            other joints need ``("final_layer.*",)``.
        name: what the report calls the source, by default the path.

    Returns:
        The account of it. BatchNorm's ``num_batches_tracked``, unsaved by PyTorch before 0.4.1, is never missed.

    Raises:
        UserError: if the file cannot be read, or a key is missing, unexpected or of another shape and not allowed.
    """
    state = own_names(source if isinstance(source, Mapping) else read_state(source))
    name = name or ("state dict" if isinstance(source, Mapping) else str(source))
    own = network.state_dict()
    shared = [key for key in own if key in state]
    matched = tuple(key for key in shared if own[key].shape == state[key].shape)
    wrong = [key for key in shared if own[key].shape != state[key].shape]
    missing = tuple(key for key in own if key not in state and not key.endswith("num_batches_tracked"))
    unexpected = tuple(key for key in state if key not in own)
    patterns = tuple(allow)
    refused = [k for k in (*missing, *unexpected, *wrong) if not any(fnmatchcase(k, p) for p in patterns)]
    shapes = tuple(f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}" for key in wrong)
    report = LoadReport(name, matched, missing, unexpected, shapes)
    if refused or not matched:
        excuse = "name the keys that may differ by 'allow'" if matched else "another network's weights?"
        raise UserError(f"weights do not fit the network. {report.describe()}; {excuse}")
    network.load_state_dict({key: state[key] for key in matched}, strict=False)
    return report


def freeze(network: HeatmapNetwork, stages: Iterable[str], loaded: LoadReport | None) -> list[str]:
    """Freeze parts of ``network``: no gradients, and BatchNorm keeps its statistics even after ``.train()``.

    Args:
        network: changed in place.
        stages: names of children or of modules within, ``"layer1"``, ``"stage2"``, ``"features.3"``…; ``"stem"`` is all
            before layer1.
        loaded: what was loaded before. Freezing random layers leaves a network that cannot learn, so every frozen
            parameter must be among ``loaded.matched``.

    Returns:
        The names of the frozen parts.

    Raises:
        UserError: for a name that is no part of the network, or a frozen parameter that was not loaded.
    """
    children, modules = dict(network.named_children()), dict(network.named_modules())
    names: list[str] = []
    for stage in stages:
        members = [c for c in STEM if c in children] if stage == "stem" else [stage]
        if not members or any(c not in modules for c in members):
            raise UserError(f"cannot freeze '{stage}': {nearest(stage, ['stem', *children])}")
        names += members
    known = set(loaded.matched) if loaded else set()
    state = [f"{name}.{key}" for name in names for key in modules[name].state_dict()]
    random = [key for key in state if key not in known and not key.endswith("num_batches_tracked")]
    if random:
        raise UserError(
            f"freezing {', '.join(names)} would freeze random layers: {_some(random)} came from no weights file; "
            "give pretrained weights, or freeze nothing"
        )
    for name in names:
        modules[name].requires_grad_(False)
    network.frozen = tuple(dict.fromkeys((*network.frozen, *names)))
    network.train(network.training)
    return names
