"""Weights files as they were published: the names of other code, brought to ours, and what lies beside the weights."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

_FLAT_FIRST = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}  # the block without expansion
_FLAT_OTHERS = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3"}
_HEAD = {
    "conv_compress": "compress",
    **{f"duc{i + 1}.{layer}": f"up.{i}.{k}" for i in range(3) for k, layer in enumerate(("conv", "bn"))},
    "hm_conv": "final_layer",
}


def own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under the names of our networks; what is not known under another name keeps its own.

    Known are MobileNetV2 with flat blocks (``features.1.conv.3`` for ``features.1.conv.1``; tonylins' and FiDIP's) and
    FiDIP's head on it (``conv_compress``, ``duc1`` … ``duc3``, ``hm_conv``, which has no bias: zero here).
    """
    flat = state.get("features.2.conv.3.weight")
    if flat is None or flat.ndim != 4:  # in torchvision's layout this is a BatchNorm
        return dict(state)
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        name, _, kind = key.rpartition(".")
        found = re.fullmatch(r"features\.(\d+)\.conv\.(\d)", name)
        if found:
            places = _FLAT_FIRST if found[1] == "1" else _FLAT_OTHERS
            name = f"features.{found[1]}.conv.{places.get(found[2], found[2])}"
        renamed[f"{_HEAD.get(name, name)}.{kind}"] = value
    if "hm_conv.weight" in state:
        renamed["final_layer.bias"] = torch.zeros(len(state["hm_conv.weight"]))
    return renamed


class _Dtype:
    """Stands for ``numpy.dtype`` in a checkpoint: its letters and nothing else."""

    def __init__(self, name: str, *_: Any) -> None:
        self.name = str(name)

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like: pickled scalars are little-endian."""


_FORMATS = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i", "b1": "<?"}


def _scalar(dtype: _Dtype, data: bytes) -> float:
    """Stands for ``numpy.core.multiarray.scalar``: a number from its bytes."""
    if not isinstance(dtype, _Dtype) or dtype.name not in _FORMATS:
        raise UnpicklingError("a numpy value that is no plain number")
    return struct.unpack(_FORMATS[dtype.name], data)[0]  # type: ignore[no-any-return]


def numbers_of_numpy() -> AbstractContextManager[None]:
    """Within it ``torch.load(weights_only=True)`` reads numpy's numbers: HRNet's and FiDIP's checkpoints hold their AP
    (``perf``) as one. Nothing of numpy is called: the two names stand for readers of plain bytes."""
    names: list[Any] = [(_Dtype, "numpy.dtype")]
    names += [(_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    return torch.serialization.safe_globals(names)
