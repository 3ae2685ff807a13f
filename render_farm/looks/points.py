"""Measures of places on a body in its rest pose, by which clothes and skin are cut and painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Points:
    """Measures of N places on the body, in its rest (T) pose.

    Attributes:
        position: (N, 3) metres. normal: (N, 3) unit.
        joint: (N,) dominating SMPL joint.
        arm: (N,) 0 at the shoulder joint, 1 at the wrist, above 1 on the hand; -1 off the arms.
        leg: (N,) 0 at the height of the hip joints, 1 at the ankles; negative above.
        weave: (N, 2) metres: coordinates round and along the body part, in which cloth is printed.
    """

    position: Singles
    normal: Singles
    joint: NDArray[np.int32]
    arm: Singles
    leg: Singles
    weave: Singles

    def at(self, mask: NDArray) -> Points:
        """The places selected by a mask or an index array."""
        return Points(*(getattr(self, f)[mask] for f in ("position", "normal", "joint", "arm", "leg", "weave")))
