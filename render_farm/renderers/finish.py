"""The last steps to a picture, the same for all backends: what lies behind, and softer silhouettes; labels stay untouched."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Rendered

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def finish(rendered: Rendered, backdrop: NDArray[np.uint8], antialias: bool) -> None:
    """Show the backdrop where nothing was hit, in place.

    Args:
        rendered: as drawn, its depth 0 where nothing was hit; becomes inf.
        backdrop: (H, W, 3) uint8.
        antialias: soften silhouettes.
    """
    behind = rendered.depth == 0
    if behind.any():
        cv2.copyTo(backdrop, behind.view(np.uint8), rendered.rgb)
        rendered.depth[behind] = np.inf
    if antialias:
        soften_edges(rendered)


def soften_edges(rendered: Rendered) -> None:
    """Blend pixels on either side of a label border with their neighbours, in place in ``rendered.rgb``.

    Pixels next to a change of part or instance get a 3x3 binomial blur, about what 2x2 samples a pixel would leave of the
    steps of an edge; all others keep their value.
    """
    edge = cv2.morphologyEx(rendered.parts, cv2.MORPH_GRADIENT, _CROSS)
    if not edge.any():
        return
    x, y, width, height = cv2.boundingRect(edge)
    around = np.s_[max(0, y - 1) : y + height + 1, max(0, x - 1) : x + width + 1]
    blurred = cv2.GaussianBlur(rendered.rgb[around], (3, 3), 0)  # 1 2 1 both ways
    rendered.rgb[around] = cv2.copyTo(blurred, edge[around], np.ascontiguousarray(rendered.rgb[around]))
