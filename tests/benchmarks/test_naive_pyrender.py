"""The pyrender baseline draws the same picture geometry as our renderers, so that its speed may stand beside theirs."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("pyrender", reason="pyrender is not installed (extra 'pyrender')")

# In a process of its own: pyrender destroys every EGL context of the process when it ends.
PROGRAM = """
import numpy as np
from sim2pose.benchmarks.naive_pyrender import render_naive, vertex_colours
from sim2pose.models.geometry import camera_matrix, look_at
from sim2pose.render_farm.renderers.figure import Figure
from sim2pose.render_farm.renderers import make_renderer
from sim2pose.render_farm.scenes.scene import Camera, Scene

figure = Figure(12, 14)
person = figure.person(np.zeros(20), np.zeros((24, 3)), np.zeros(3))
R, t = look_at(np.array([0.4, 0.5, 1.2]), np.zeros(3))
camera = Camera(camera_matrix(150, 128, 96), R, t, 128, 96)
scene = Scene(camera, [person], np.zeros((96, 128, 3), np.uint8))
drawn = make_renderer("raycast").render(scene)
vertices, faces = person.surface.vertices, person.surface.topology.faces
rgb, depth = render_naive(vertices, faces, camera.K, R, t, 128, 96, vertex_colours(scene))
ours, theirs = drawn.instances == 1, depth > 0
both = ours & theirs
shift = np.abs(np.mean(np.nonzero(ours), 1) - np.mean(np.nonzero(theirs), 1)).max()
print(both.sum() / (ours | theirs).sum(), shift, np.median(np.abs(drawn.depth[both] - depth[both])), rgb.std())
"""


def test_the_baseline_draws_the_same_mesh_at_the_same_place() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=240, check=False)
    if "EGL" in done.stderr and done.returncode:
        pytest.skip(f"no EGL for pyrender here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    overlap, shift, depth, contrast = map(float, done.stdout.split()[-4:])
    assert overlap > 0.9  # its borders, drawn with four samples a pixel, are wider all around
    assert shift < 0.4, "pixels between the middles; depth is that of one of the four samples, not of the pixel centre"
    assert depth < 0.002
    assert contrast > 5
