"""What OpenGL needs besides meshes: the context, the projection, and the numbers of a frame."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..scenes.scene import Camera, Scene
from . import look
from .shading import ground_texels
from .shadows import GroundMap

REMEDY = "install libegl1 and libgl1 (Debian: apt install libegl1 libgl1), or use renderer=raycast, which needs neither"
ROWS = 22  # of four floats in a frame's block
ENDLESS = 2 * look.FAR  # metres from the ground's centre to its edges
SOFTWARE = ("llvmpipe", "softpipe", "swrast", "software")


def clip_matrix(camera: Camera) -> NDArray[np.float64]:
    """World to OpenGL clip space (4, 4), upside down: pixel (u, v) lands at window coordinate (u + 0.5, v + 0.5).

    Window x is ``(x_clip / w + 1) / 2 * W``; solving for pixel centres at integers gives
    ``x_clip = (2 (K X)_x + (1 - W) Z) / W`` with ``w = Z``, and the same for y.
    """
    K = np.asarray(camera.K, np.float64)
    width, height = camera.width, camera.height
    project = np.zeros((4, 4))
    project[0, :3] = 2 * K[0] / width
    project[0, 2] += (1 - width) / width
    project[1, :3] = 2 * K[1] / height
    project[1, 2] += (1 - height) / height
    near, far = look.NEAR, look.FAR
    project[2, 2:] = (far + near) / (far - near), -2 * far * near / (far - near)
    project[3, 2] = 1
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = camera.R, camera.t
    return project @ view


def frame_block(scene: Scene, shade: GroundMap | None) -> NDArray[np.float32]:
    """The uniform block of ``glsl/frame.glsl``: matrices by columns, vectors padded to four."""
    camera, lights, ground = scene.camera, scene.lights, scene.ground
    block = np.zeros((ROWS, 4))
    block[0:4] = clip_matrix(camera).T
    block[4:7, :3] = (np.asarray(camera.R).T @ np.linalg.inv(camera.K)).T
    block[8:11, :3], block[11] = np.asarray(camera.R).T, (*camera.t, 1)
    block[12, :3], block[13, :3] = camera.position, lights.colour
    if ground is not None:
        block[14, :3], block[15, :3] = look.ambient_from_above(lights), look.lamp_from_above(lights)
        cos, sin = float(np.cos(ground.yaw)), float(np.sin(ground.yaw))
        turn = np.array([[cos, -sin], [sin, cos]])  # undoes a rotation by yaw about +Y
        block[16] = (turn / ground.tile).ravel()
        block[17, :2] = turn @ ground.centre / -ground.tile
        half = ground.half_size if ground.half_size is not None else (ENDLESS, ENDLESS)
        block[18, :2], block[19] = ground.centre, (turn * np.array(half)[:, None]).ravel()
        block[20] = ground.height, 0, ground_texels(ground, camera), 0
    block[21] = (*shade.origin, *(1 / shade.size)) if shade is not None else (0, 0, 1, 1)
    return block.astype(np.float32)


def open_context(device: str, device_index: int | None) -> Any:
    """A standalone EGL context of OpenGL 3.3.

    Raises:
        UserError: if none opens, or ``device="cuda"`` and every EGL device is a software renderer.
    """
    moderngl: Any = import_module("moderngl")
    if device == "cuda" and device_index is None and "GLCONTEXT_DEVICE_INDEX" not in os.environ:
        return _hardware_context(moderngl)
    try:
        return moderngl.create_context(standalone=True, backend="egl", require=330, device_index=device_index)
    except Exception as error:  # moderngl and EGL raise bare Exception, ImportError, OSError ...
        raise UserError(f"renderer opengl: no EGL context opens ({error}); {REMEDY}") from error


def _hardware_context(moderngl: Any) -> Any:
    """The context of the first EGL device that is no software renderer."""
    index = 0
    while True:
        try:
            context = moderngl.create_context(standalone=True, backend="egl", require=330, device_index=index)
        except Exception as error:  # beyond the last device, or a device without OpenGL
            raise UserError(
                f"renderer opengl: no CUDA or other hardware EGL device found ({index} tried; {error}); use device=cpu"
            ) from error
        if not any(word in context.info["GL_RENDERER"].lower() for word in SOFTWARE):
            return context
        context.release()
        index += 1
