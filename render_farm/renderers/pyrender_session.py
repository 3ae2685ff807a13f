"""pyrender made to import here, and a context of it that lives as long as it is needed."""

from __future__ import annotations

import os
import sys
import types
from functools import cache
from typing import Any

import numpy as np

from ...config import UserError

REMEDY = (
    "pip install 'sim2pose[pyrender]' and apt install libegl1 libgl1; or PYOPENGL_PLATFORM=osmesa with apt install "
    "libosmesa6 and pip install 'PyOpenGL>=3.1.7'; or use renderer=raycast, which needs neither"
)


@cache
def import_pyrender() -> Any:
    """The pyrender module, made to import on current numpy and without a display.

    Its platform is that of PYOPENGL_PLATFORM, egl if that is not set.

    Raises:
        UserError: if pyrender is not installed, or its OpenGL cannot be loaded.
    """
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    if not hasattr(np, "infty"):
        setattr(np, "infty", np.inf)  # noqa: B010 - pyrender 0.1.45 still uses the name that numpy 2 dropped
    if "pyrender.viewer" not in sys.modules:
        # Its viewer pulls in pyglet, which wants a display; the off-screen renderer does without.
        viewer = types.ModuleType("pyrender.viewer")
        viewer.Viewer = None  # type: ignore[attr-defined]
        sys.modules["pyrender.viewer"] = viewer
    try:
        import pyrender
    except Exception as error:  # ImportError, and what PyOpenGL raises where a library is missing
        sys.modules.pop("pyrender", None)
        raise UserError(f"pyrender does not import ({error!r}); {REMEDY}") from error
    return pyrender


class PyrenderContext:
    """A GL context and pyrender's renderer on it, for pictures of any size.

    pyrender's own OffscreenRenderer ends with ``eglTerminate``, which destroys every other EGL context of the process;
    this one destroys its context alone. Four samples a pixel are switched off: labels are those of pixel centres.

    Raises:
        UserError: if no context opens.
    """

    def __init__(self, device_index: int = 0) -> None:
        self.module = import_pyrender()
        platform = os.environ["PYOPENGL_PLATFORM"]
        try:
            self._platform = _osmesa() if platform == "osmesa" else _egl(device_index)
            self._platform.init_context()
            self._platform.make_current()
            self._renderer = _renderer_class()(1, 1)
            self.device_name = _gl_renderer()
        except Exception as error:  # AssertionError, AttributeError, GLError, ...: pyrender checks nothing
            raise UserError(f"renderer pyrender: no {platform} context opens ({error!r}); {REMEDY}") from error

    def render(self, scene: Any, width: int, height: int) -> tuple[Any, Any]:
        """Draw a pyrender scene unlit: rgb (H, W, 3) uint8 and depth (H, W) float32 metres, 0 where nothing was hit."""
        if (self._renderer.viewport_width, self._renderer.viewport_height) != (width, height):
            self._renderer.viewport_width, self._renderer.viewport_height = width, height
            if os.environ["PYOPENGL_PLATFORM"] == "osmesa":  # it draws into a buffer of its own
                self._platform.viewport_width, self._platform.viewport_height = width, height
                self._platform._buffer = np.zeros((height, width, 4), np.uint8)
        self._platform.make_current()
        flags = self.module.RenderFlags
        return self._renderer.render(scene, flags.FLAT | flags.OFFSCREEN)

    def forget(self, textures: list[Any]) -> None:
        """Free textures of the last scene; pyrender itself leaves them on the device for ever."""
        from OpenGL.GL import glDeleteTextures

        names = [texture._texid for texture in textures if texture._texid is not None]
        for texture in textures:
            texture._remove_from_context()
        if names:
            glDeleteTextures(names)

    def close(self) -> None:
        """Destroy this context, and no other."""
        self._platform.make_current()
        self._renderer.delete()
        if os.environ["PYOPENGL_PLATFORM"] == "osmesa":
            self._platform.delete_context()
            return
        from OpenGL.EGL import EGL_NO_CONTEXT, EGL_NO_SURFACE, eglDestroyContext, eglMakeCurrent

        display = self._platform._egl_display
        eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT)
        eglDestroyContext(display, self._platform._egl_context)


def _egl(device_index: int) -> Any:
    from pyrender.platforms import egl

    return egl.EGLPlatform(1, 1, device=egl.get_device_by_index(device_index))


def _osmesa() -> Any:
    from pyrender.platforms.osmesa import OSMesaPlatform

    return OSMesaPlatform(1, 1)


@cache
def _renderer_class() -> Any:
    """pyrender's Renderer with single-sampled buffers."""
    import pyrender.renderer as module

    whole = module.glRenderbufferStorageMultisample

    def single(target: int, _samples: int, *rest: int) -> None:
        whole(target, 0, *rest)

    class Single(module.Renderer):
        def _configure_main_framebuffer(self) -> None:
            module.glRenderbufferStorageMultisample = single
            try:
                super()._configure_main_framebuffer()
            finally:
                module.glRenderbufferStorageMultisample = whole

    return Single


def _gl_renderer() -> str:
    from OpenGL.GL import GL_RENDERER, glGetString

    return glGetString(GL_RENDERER).decode()
