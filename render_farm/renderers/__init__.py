"""Renderers: one protocol, several backends, the same labels. ``make_renderer("auto")`` picks one that works here.

- ``opengl``: moderngl on EGL, software or GPU; fastest on a CPU; needs the system libraries libegl1 and libgl1.
- ``raycast``: Warp ray casting on the CPU or CUDA; needs no system library, so it always works.
- ``pyrender``: pyrender on EGL or OSMesa (extra "pyrender"); slower, for those who know it; never taken by ``auto``.

A backend that fails raises :class:`UserError`; none ever falls back to a blank picture.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from ...config import UserError, nearest
from ..scenes.scene import Rendered, Scene

log = logging.getLogger(__name__)


class Renderer(Protocol):
    """Draws scenes; see :class:`~sim2pose.render_farm.scenes.scene.Rendered` for what comes back."""

    name: str
    device_name: str

    def render(self, scene: Scene) -> Rendered:
        """Draw a scene; raises UserError if it cannot be drawn."""

    def close(self) -> None:
        """Release what the renderer holds; it cannot draw afterwards."""


Make = Callable[[str, bool], Renderer]
"""Makes a renderer on a device, returning surface normals or not."""


def _opengl(device: str, normals: bool) -> Renderer:
    from .opengl import OpenGLRenderer

    return OpenGLRenderer(device, normals)


def _raycast(device: str, normals: bool) -> Renderer:
    from .raycast import RaycastRenderer

    return RaycastRenderer(device, normals=normals)


def _pyrender(device: str, normals: bool) -> Renderer:
    from .pyrender import PyrenderRenderer

    return PyrenderRenderer(device, normals)


RENDERERS: dict[str, Make] = {"opengl": _opengl, "raycast": _raycast, "pyrender": _pyrender}  # in order of preference
DEVICES = ("cpu", "cuda")


def make_renderer(name: str = "auto", device: str = "cpu", normals: bool = False) -> Renderer:
    """A renderer that has proved on a known picture that it draws what it should.

    Args:
        name: "opengl", "raycast", "pyrender", or "auto": opengl where an EGL context opens, else raycast; says which in
            the log.
        device: "cpu" or "cuda".
        normals: have it return surface normals, too.

    Raises:
        UserError: for an unknown name or device, or a backend that does not work here, with the remedy.
    """
    if device not in DEVICES:
        raise UserError(f"unknown device '{device}' for a renderer: {nearest(device, DEVICES)}")
    if name in RENDERERS:
        return RENDERERS[name](device, normals)
    if name != "auto":
        raise UserError(f"unknown renderer '{name}': {nearest(name, [*RENDERERS, 'auto'])}")
    reasons = []
    for choice in ("opengl", "raycast"):
        try:
            renderer = RENDERERS[choice](device, normals)
        except UserError as error:
            reasons.append(str(error))
            continue
        why = f" ({reasons[-1]})" if reasons else ""
        log.info("renderer auto: using %s on %s%s", choice, renderer.device_name, why)
        return renderer
    raise UserError("no renderer works here: " + "; ".join(reasons))


def available_renderers(device: str = "cpu") -> dict[str, str | None]:
    """Every renderer by name, with None if it works on ``device`` or the reason why it does not."""
    found: dict[str, str | None] = {}
    for name, make in RENDERERS.items():
        try:
            make(device, False).close()
            found[name] = None
        except UserError as error:
            found[name] = str(error)
    return found
