"""Lenses: what is drawn and bent lands where the labels say, and straight cameras pass untouched."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from sim2pose.config import UserError, validate
from sim2pose.models.geometry import camera_matrix
from sim2pose.render_farm.labels import label_person
from sim2pose.render_farm.scenes.config import LensConfig
from sim2pose.render_farm.scenes.lens import bend, drawn_camera, in_sight, photograph, project, sample_bend
from sim2pose.render_farm.scenes.scene import Camera, PersonInScene, Rendered, Scene, Surface, Topology

BARREL, PINCUSHION, ODD = (-0.12, 0.01, 0, 0, 0), (0.10, 0.02, 0, 0, 0), (-0.10, 0.03, 0.004, -0.003, 0.002)


def _camera(distortion: tuple[float, ...] | None, skew: float = 0.0, width: int = 160, height: int = 120) -> Camera:
    K = camera_matrix(130.0, width, height)
    K[0, 1] = skew
    return Camera(K, np.eye(3), np.zeros(3), width, height, None if distortion is None else np.array(distortion))


def _points() -> np.ndarray:
    """Camera-frame points spread over the picture and somewhat beyond, at two metres."""
    x, y = np.meshgrid(np.linspace(-1.1, 1.1, 9), np.linspace(-0.8, 0.8, 7))
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, 2.0)], -1)


def _draw_markers(points: np.ndarray, radius: float = 3.0) -> object:
    """A stand-in for a renderer: discs about the points, part id k + 1 for point k, antialiased in colour."""

    def render(scene: Scene) -> Rendered:
        camera = scene.camera
        assert camera.distortion is None and camera.K[0, 1] == 0, "renderers only draw straight cameras"
        rows, columns = np.mgrid[0 : camera.height, 0 : camera.width]
        parts = np.zeros((camera.height, camera.width), np.uint8)
        rgb = np.zeros((camera.height, camera.width, 3), np.uint8)
        depth = np.full(parts.shape, np.inf, np.float32)
        for k, (u, v) in enumerate(points[:, :2] / points[:, 2:] @ camera.K[:2, :2].T + camera.K[:2, 2]):
            distance = np.hypot(columns - u, rows - v)
            parts[distance <= radius] = k + 1
            depth[distance <= radius] = points[k, 2]
            rgb[..., 0] = np.maximum(rgb[..., 0], 255 * np.clip(radius + 0.5 - distance, 0, 1))
        return Rendered(rgb, depth, parts, (parts > 0).astype(np.uint8))

    return render


def _scene(camera: Camera) -> Scene:
    return Scene(camera, [], np.zeros((camera.height, camera.width, 3), np.uint8))


@pytest.mark.parametrize("distortion", [BARREL, PINCUSHION, ODD, None])
@pytest.mark.parametrize("skew", [0.0, 6.0])
def test_markers_land_where_points_project(distortion: tuple[float, ...] | None, skew: float) -> None:
    camera, points = _camera(distortion, skew), _points()
    rendered = photograph(_draw_markers(points), _scene(camera))  # type: ignore[arg-type]
    assert rendered.rgb.shape == (120, 160, 3) and rendered.depth.shape == rendered.parts.shape == (120, 160)
    uv, errors = project(points, camera), []
    for k, (u, v) in enumerate(uv):
        if not (6 <= u <= 153 and 6 <= v <= 113):
            continue
        rows, columns = np.nonzero(rendered.parts == k + 1)
        errors.append((columns.mean() - u, rows.mean() - v))
        window = rendered.rgb[int(v) - 6 : int(v) + 8, int(u) - 6 : int(u) + 8, 0].astype(float)
        middle = [(window.sum(1 - axis) @ np.arange(len(window))) / window.sum() for axis in (1, 0)]
        assert np.hypot(int(u) - 6 + middle[0] - u, int(v) - 6 + middle[1] - v) < 0.15, "colour between pixels"
    assert len(errors) >= 30
    assert np.abs(np.mean(errors, 0)).max() < 0.03, "labels by the nearest pixel have no bias"
    assert np.hypot(*np.transpose(errors)).max() < 0.5 + 0.25, "half a pixel, and the marker's own raster"


@pytest.mark.parametrize("distortion", [BARREL, PINCUSHION, ODD])
def test_projection_is_opencvs(distortion: tuple[float, ...]) -> None:
    camera, points = _camera(distortion), _points()
    found, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.K, np.array(distortion))
    uv = project(points, camera)
    seen = np.isfinite(uv[:, 0])
    np.testing.assert_allclose(uv[seen], found[seen, 0], atol=1e-9)
    inside = (found[:, 0] >= 0).all(1) & (found[:, 0] < (160, 120)).all(1)
    assert seen[inside & (np.abs(points[:, 0]) < 1.1)].all()


def test_a_straight_camera_passes_untouched() -> None:
    camera = _camera(None)
    assert drawn_camera(camera) is camera
    scene, seen = _scene(camera), []
    rendered = _draw_markers(_points())(scene)  # type: ignore[operator]
    kept = rendered.rgb.tobytes()

    def render(given: Scene) -> Rendered:
        seen.append(given)
        return rendered

    assert photograph(render, scene) is rendered and seen == [scene] and rendered.rgb.tobytes() == kept
    uv = project(_points(), camera)
    ray = _points()[:, :2] / _points()[:, 2:]
    np.testing.assert_array_equal(uv, ray @ camera.K[:2, :2].T + camera.K[:2, 2])


def test_zero_distortion_bends_nothing() -> None:
    camera = _camera((0.0, 0.0, 0.0, 0.0, 0.0))
    rendered = _draw_markers(_points())(_scene(drawn_camera(camera)))  # type: ignore[operator]
    bent = bend(rendered, camera)
    for name in ("rgb", "depth", "parts", "instances"):
        before = getattr(rendered, name)[:120, :160]
        np.testing.assert_array_equal(getattr(bent, name), before)


def test_points_behind_and_far_aside_are_not_seen() -> None:
    barrel = (-0.12, 0.0, 0.0, 0.0, 0.0)
    camera = _camera(barrel)
    aside = np.array([[0.0, 0, -1], [5.0, 0, 1.0], [0, 4.0, 1.0], [0.1, 0.1, 1.0]])
    assert np.isnan(project(aside, camera)[:3]).all() and np.isfinite(project(aside, camera)[3]).all()
    folded = cv2.projectPoints(np.array([[2.85, 0.0, 1.0]]), np.zeros(3), np.zeros(3), camera.K, np.array(barrel))[0]
    assert 0 < folded[0, 0, 0] < 159, "the polynomial alone brings it back towards the picture"
    assert not in_sight(np.array([[2.85, 0.0]]), camera)[0]


def test_wrong_lenses_are_refused() -> None:
    with pytest.raises(UserError, match="five finite numbers"):
        drawn_camera(_camera((0.1, 0.0, 0.0)))
    with pytest.raises(UserError, match="five finite numbers"):
        drawn_camera(_camera((np.nan, 0.0, 0.0, 0.0, 0.0)))
    with pytest.raises(UserError, match="folds"):
        drawn_camera(_camera((-0.9, 0.0, 0.0, 0.0, 0.0)))


@pytest.mark.parametrize(
    ("key", "value"),
    [("distortion", (0.02, -0.05)), ("distortion", (-0.6, 0.0)), ("aperture", (-1, 3)), ("pan", (0, 2))],
)
def test_impossible_ranges_name_their_key(key: str, value: tuple[float, float]) -> None:
    with pytest.raises(UserError, match=key):
        validate(LensConfig, {key: value})


def test_sampled_lenses_move_the_corner_as_asked_and_never_fold() -> None:
    for k in range(60):
        rng = np.random.default_rng(k)
        camera = _camera(None, width=int(rng.integers(64, 300)), height=int(rng.integers(64, 300)))
        camera.K[0, 0] = camera.K[1, 1] = max(camera.width, camera.height) / 2 / np.tan(np.radians(rng.uniform(9, 45)))
        config = LensConfig(distorted=1.0, distortion=(-0.12, -0.1) if k % 2 else (0.1, 0.2), decentring=0, panned=0)
        bent = sample_bend(rng, config, camera)
        drawn = drawn_camera(bent)
        assert camera.width <= drawn.width <= 1.7 * camera.width + 32
        corner = np.array([[*((np.array([-0.5, -0.5]) - camera.K[:2, 2]) / camera.K[0, 0]), 1.0]])
        uv = project(corner, bent)[0]
        moved = np.linalg.norm(uv - camera.K[:2, 2]) / np.linalg.norm([-0.5, -0.5] - camera.K[:2, 2]) - 1
        assert config.distortion[0] - 0.002 <= moved <= config.distortion[1] + 0.002
    straight = LensConfig(distorted=0.0, panned=0.0)
    assert sample_bend(np.random.default_rng(0), straight, camera) is camera


def test_labels_go_through_the_lens() -> None:
    """Keypoints of a person made of markers lie within half a pixel of the middles of its markers."""
    camera, points = replace(_camera(ODD), t=np.zeros(3)), _points()[14:31]
    topology = Topology(
        "dots",
        np.zeros((0, 3), np.int32),
        np.zeros((1, 2), np.float32),
        np.zeros((0, 3), np.int32),
        np.zeros(0, np.uint8),
    )
    surface = Surface(topology, points.astype(np.float32).repeat(2, 0), np.zeros((1, 1, 3), np.uint8))
    person = PersonInScene(surface, points, np.zeros((24, 3)), np.zeros(10), np.zeros((24, 3)), np.zeros(3))
    scene = replace(_scene(camera), persons=[person])
    rendered = photograph(_draw_markers(points), scene)  # type: ignore[arg-type]
    labelled = label_person(scene, 0, rendered)
    assert labelled is not None
    inside = labelled.keypoints[:, 2] > 0
    assert inside.sum() >= 12
    for k in np.flatnonzero(inside):
        rows, columns = np.nonzero(rendered.parts == k + 1)
        if 4 < columns.mean() < 155 and 4 < rows.mean() < 115:
            assert np.hypot(*(labelled.keypoints[k, :2] - (columns.mean(), rows.mean()))) < 0.75
