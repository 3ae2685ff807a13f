"""The baseline of ``bench render``: pyrender as generators of synthetic people commonly use it.

A new scene, a new mesh and a new off-screen renderer for every frame, on EGL with pyrender's default four samples a pixel,
one directional light, vertex colours, colour and depth read back (the generator of FiDIP, Huang et al. 2021, works so).
Nothing else is done: no ground, no background, no shadows, no labels.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import UserError
from ..render_farm.renderers.pyrender_session import import_pyrender
from ..render_farm.scenes.scene import Scene


def render_naive(
    vertices: NDArray[np.floating],
    faces: NDArray[np.integer],
    K: NDArray[np.floating],
    R: NDArray[np.floating],
    t: NDArray[np.floating],
    width: int,
    height: int,
    colours: NDArray[np.uint8] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Draw one mesh with everything made anew.

    Args:
        vertices: (V, 3) world, metres.
        faces: (F, 3) indices.
        K: (3, 3) intrinsics, pixel centres at integer coordinates.
        R, t: (3, 3) and (3,) world to camera, OpenCV axes.
        width, height: of the picture, pixels.
        colours: (V, 3) uint8 sRGB, or None for a plain cloth grey.

    Returns:
        rgb (H, W, 3) uint8 and depth (H, W) float32 metres, 0 where nothing was hit.

    Raises:
        UserError: if pyrender cannot be had.
    """
    import trimesh

    pyrender = import_pyrender()
    painted = np.full((len(vertices), 3), 170, np.uint8) if colours is None else colours
    mesh = trimesh.Trimesh(vertices, faces, vertex_colors=painted, process=False)
    scene = pyrender.Scene(bg_color=(0.5, 0.5, 0.5), ambient_light=(0.3, 0.3, 0.3))
    scene.add(pyrender.Mesh.from_trimesh(mesh, smooth=True))
    pose = np.eye(4)  # camera to world, OpenGL axes (y up, z backward)
    pose[:3, :3] = np.asarray(R).T @ np.diag([1.0, -1.0, -1.0])
    pose[:3, 3] = -np.asarray(R).T @ np.asarray(t)
    # pyrender's principal point counts from the corner of the first pixel, ours from its centre.
    camera = pyrender.IntrinsicsCamera(K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5, znear=0.05, zfar=100.0)
    scene.add(camera, pose=pose)
    scene.add(pyrender.DirectionalLight(color=np.ones(3), intensity=3.0), pose=pose)
    renderer = pyrender.OffscreenRenderer(width, height)
    try:
        rgb, depth = renderer.render(scene)
    finally:
        renderer.delete()
    return rgb, depth


def vertex_colours(scene: Scene, person: int = 0) -> NDArray[np.uint8]:
    """The texture of a person's body looked up at its vertices: (V, 3) uint8."""
    surface = scene.persons[person].surface
    topology, (rows, columns) = surface.topology, surface.texture.shape[:2]
    colours = np.full((len(surface.vertices), 3), 170, np.uint8)
    u, v = (topology.uv[topology.uv_faces] % 1.0).reshape(-1, 2).T
    row, column = (v * rows).astype(int).clip(0, rows - 1), (u * columns).astype(int).clip(0, columns - 1)
    colours[topology.faces.ravel()] = surface.texture[row, column]
    return colours


class NaivePyrender:
    """The baseline over some scenes, in a process of its own, to be timed in turns with our renderers.

    pyrender ends with ``eglTerminate``, which destroys every other context of the process: the two cannot share one. Of
    each scene the first person's body is drawn, with the same mesh, camera and size as our renderers draw it. A context
    manager: ``with NaivePyrender(scenes) as naive: naive.draw(20)``.
    """

    def __init__(self, scenes: Sequence[Scene]) -> None:
        jobs = []
        for scene in scenes:
            surface, camera = scene.persons[0].surface, scene.camera
            place = (camera.K, camera.R, camera.t, camera.width, camera.height)
            jobs.append((surface.vertices, surface.topology.faces, *place, vertex_colours(scene)))
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, jobs), daemon=True)
        self._process.start()
        other.close()

    def __enter__(self) -> NaivePyrender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def draw(self, count: int) -> int:
        """Draw ``count`` frames, the scenes in turn; returns ``count``.

        Raises:
            UserError: if pyrender does not work here.
        """
        return self.draw_timed(count)[0]

    def draw_timed(self, count: int) -> tuple[int, float]:
        """Draw ``count`` frames, the scenes in turn; returns ``count`` and the seconds of the process's own time.

        Raises:
            UserError: if pyrender does not work here.
        """
        self._pipe.send(count)
        try:
            answer = self._pipe.recv()
        except EOFError as error:
            raise UserError("the pyrender process died; see its message above") from error
        if isinstance(answer, str):
            raise UserError(answer)
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(10)


def _serve(pipe: Connection, jobs: list[tuple[Any, ...]]) -> None:
    """Draw as many frames as the pipe asks for, until it is closed; answers the count, or what went wrong."""
    done = 0
    while True:
        try:
            count = pipe.recv()
        except EOFError:
            return
        begin = time.process_time()
        answer: tuple[int, float] | str
        try:
            for _ in range(count):
                render_naive(*jobs[done % len(jobs)])
                done += 1
            answer = count, time.process_time() - begin
        except UserError as error:
            answer = str(error)
        pipe.send(answer)


def naive_pyrender_fps(scenes: Sequence[Scene], frames: int = 20) -> float:
    """Frames a second of the baseline over ``frames`` frames, after one to warm up."""
    with NaivePyrender(scenes) as naive:
        naive.draw(1)
        begin = time.perf_counter()
        return naive.draw(frames) / (time.perf_counter() - begin)
