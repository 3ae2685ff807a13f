"""Warp arrays that are kept from frame to frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Buffers:
    """Arrays on one device, by name; each grows as needed and keeps its memory.

    Args:
        wp: the ``warp`` module. device: Warp's device.
    """

    def __init__(self, wp: Any, device: Any) -> None:
        self._wp, self.device = wp, device
        self._kept: dict[str, Any] = {}
        self._views: dict[str, NDArray[Any]] = {}

    def launch(self, kernel: Any, dim: Any, inputs: list[Any]) -> None:
        """Run a kernel here."""
        self._wp.launch(kernel, dim=dim, inputs=inputs, device=self.device)

    def grown(self, name: str, count: int, shape: tuple[int, ...], dtype: Any, pinned: bool = False) -> Any:
        """A buffer with at least ``count`` rows, in this machine's pinned memory if asked for; its content is anything."""
        known = self._kept.get(name)
        if known is None or known.shape[0] < count:
            device = "cpu" if pinned else self.device
            size = max(1024, count + count // 2)
            self._kept[name] = known = self._wp.zeros((size, *shape), dtype=dtype, device=device, pinned=pinned)
        return known

    def put(self, name: str, values: NDArray[Any], dtype: Any) -> Any:
        """The values of a frame on the device, at least as many rows: on the CPU written into a kept array."""
        if not self.device.is_cpu:
            return self._wp.from_numpy(np.ascontiguousarray(values), dtype=dtype, device=self.device)
        known = self._views.get(name)
        if known is None or len(known) < len(values):
            self._kept[name] = made = self.array(np.repeat(values, 2, axis=0), values.dtype, dtype)
            self._views[name] = known = made.numpy()
        known[: len(values)] = values
        return self._kept[name]

    def array(self, values: Any, kind: Any, dtype: Any) -> Any:
        """A new array of a copy of the values as numpy's type ``kind``, on the device as Warp's ``dtype``."""
        return self._wp.from_numpy(np.array(values, kind), dtype=dtype, device=self.device)
