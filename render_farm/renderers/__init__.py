"""Renderers: one protocol, several backends, the same labels. ``make_renderer("auto")`` picks one that works here.

- ``opengl``: moderngl on EGL, software or GPU; fastest on a CPU; needs the system libraries libegl1 and libgl1.
- ``raycast``: Warp ray casting on the CPU or CUDA; needs no system library, so it always works.
- ``pyrender``: pyrender on EGL or OSMesa (extra "pyrender"); slower, for those who know it; never taken by ``auto``.

A backend that fails raises :class:`UserError`; none ever falls back to a blank picture.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Options:
    """How a renderer draws.

    Attributes:
        normals: return surface normals, too.
        shadow: of the lamp: "soft" by maps, or "hard" by a traced ray a pixel (raycast alone).
        ambient_shadow: people and things darken each other's share of the surroundings' light.
    """

    normals: bool = False
    shadow: str = "soft"
    ambient_shadow: bool = True


Make = Callable[[str, Options], Renderer]
"""Makes a renderer on a device."""


def _opengl(device: str, options: Options) -> Renderer:
    from .opengl import OpenGLRenderer

    _only_soft("opengl", options)
    return OpenGLRenderer(device, options.normals, options.ambient_shadow)


def _raycast(device: str, options: Options) -> Renderer:
    from .raycast import RaycastRenderer

    return RaycastRenderer(device, options.shadow, options.normals, options.ambient_shadow)


def _pyrender(device: str, options: Options) -> Renderer:
    from .pyrender import PyrenderRenderer

    _only_soft("pyrender", options)
    return PyrenderRenderer(device, options.normals, options.ambient_shadow)


def _only_soft(name: str, options: Options) -> None:
    if options.shadow != "soft":
        raise UserError(f"renderer {name} draws soft shadows only; for shadow={options.shadow} set renderer=raycast")


RENDERERS: dict[str, Make] = {"opengl": _opengl, "raycast": _raycast, "pyrender": _pyrender}
DEVICES = ("cpu", "cuda")


def make_renderer(
    name: str = "auto",
    device: str = "cpu",
    normals: bool = False,
    shadow: str = "soft",
    ambient_shadow: bool = True,
) -> Renderer:
    """A renderer that has proved on a known picture that it draws what it should.

    Args:
        name: "opengl", "raycast", "pyrender", or "auto": opengl where an EGL context opens, else raycast; says which in
            the log.
        device: "cpu" or "cuda".
        normals, shadow, ambient_shadow: see :class:`Options`; "auto" with hard shadows is raycast.

    Raises:
        UserError: for an unknown name or device, or a backend that does not work here, with the remedy.
    """
    if device not in DEVICES:
        raise UserError(f"unknown device '{device}' for a renderer: {nearest(device, DEVICES)}")
    options = Options(normals, shadow, ambient_shadow)
    if name in RENDERERS:
        return RENDERERS[name](device, options)
    if name != "auto":
        raise UserError(f"unknown renderer '{name}': {nearest(name, [*RENDERERS, 'auto'])}")
    reasons = []
    for choice in ("opengl", "raycast"):
        try:
            renderer = RENDERERS[choice](device, options)
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
            make(device, Options()).close()
            found[name] = None
        except UserError as error:
            found[name] = str(error)
    return found
