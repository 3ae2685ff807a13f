"""Frames of people: functions of (seed, index), on the ground, apart from each other, with labels that fit the picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from sim2pose.config import load_config
from sim2pose.datasets.poses import PoseSequence, save_poses
from sim2pose.models.bodies import load_body
from sim2pose.render_farm.config import BLOCK
from sim2pose.render_farm.kinds.frames import render_info
from sim2pose.render_farm.kinds.person.config import PersonConfig
from sim2pose.render_farm.kinds.person.sampler import PersonSampler
from sim2pose.render_farm.kinds.registry import load_render_config
from sim2pose.render_farm.labels import label_person
from sim2pose.render_farm.renderers import make_renderer
from sim2pose.render_farm.scenes.scene import Scene

SMALL: dict[str, dict] = {
    "looks": {"outfits": 10, "heads": 10, "texture": 256},
    "places": {"pool": 3},
    "things": {"pool": 3},
}


def _sampler(seed: int = 4, sets: tuple[str, ...] = ("coco17",), **parts: dict) -> PersonSampler:
    scene = {name: {**SMALL.get(name, {}), **parts.get(name, {})} for name in {*SMALL, *parts}}
    config = load_config(PersonConfig, None, {"scene": scene})
    return PersonSampler(config.scene, load_body("open-person"), seed, 128, 96, sets)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return _sampler().scenes(32)


def _same(a: Scene, b: Scene, parts: tuple[str, ...]) -> bool:
    """Whether two scenes agree, bit for bit, in some of their parts."""
    if len(a.persons) != len(b.persons):
        return False
    people = list(zip(a.persons, b.persons, strict=True))
    pairs = {
        "camera": [(a.camera.K, b.camera.K), (a.camera.R, b.camera.R), (a.camera.t, b.camera.t)],
        "people": [(getattr(x, name), getattr(y, name)) for x, y in people
                   for name in ("pose", "betas", "expression", "transl", "keypoints_3d")],
        "look": [(x.surface.texture, y.surface.texture) for x, y in people],
        "lights": [(a.lights.direction, b.lights.direction), (a.lights.colour, b.lights.colour)],
        "place": [(a.backdrop, b.backdrop), *([(a.ground.texture, b.ground.texture)] if a.ground and b.ground else [])],
        "things": [(x.vertices, y.vertices) for x, y in zip(a.occluders, b.occluders, strict=False)],
    }  # fmt: skip
    return all(np.array_equal(x, y) for part in parts for x, y in pairs[part])


def test_a_block_is_a_function_of_seed_and_index(scenes: list[Scene]) -> None:
    other = _sampler()
    other.scenes(0)  # another order of work, other pool entries drawn first
    again = other.scenes(32)
    assert len(again) == BLOCK
    for a, b in zip(scenes, again, strict=True):
        assert _same(a, b, ("camera", "people", "look", "lights", "place", "things")) and len(a.occluders) == len(
            b.occluders
        )
        assert a.sensor == b.sensor and a.source == b.source
    assert not _same(scenes[0], _sampler(seed=5).scenes(32)[0], ("people",))


@pytest.mark.parametrize(
    ("part", "change", "kept"),
    [
        ("outdoor_lights", {"kelvin": [3000, 3100]}, ("camera", "people", "look", "things")),
        ("looks", {"hat": 1.0}, ("camera", "people", "lights", "things")),
        ("sensor", {"severity": 3.0}, ("camera", "people", "look", "lights", "place", "things")),
    ],
)
def test_a_change_of_one_subsystem_leaves_the_others(
    scenes: list[Scene], part: str, change: dict, kept: tuple[str, ...]
) -> None:
    changed = _sampler(**{part: change}).scenes(32)
    if part == "looks":  # thickness of clothes moves the ground by a hair's breadth, and so what rests on it
        for a, b in zip(scenes, changed, strict=True):
            np.testing.assert_array_equal(a.persons[0].pose, b.persons[0].pose)
            np.testing.assert_array_equal(a.persons[0].betas, b.persons[0].betas)
        return
    assert all(_same(a, b, kept) for a, b in zip(scenes, changed, strict=True))


def test_the_body_model_gives_back_the_labels(scenes: list[Scene]) -> None:
    body = load_body("open-person")
    for person in [p for scene in scenes[:8] for p in scene.persons]:
        given = (person.betas, person.pose, person.transl, person.expression)
        out = body(*(torch.from_numpy(np.asarray(x, np.float32)[None]) for x in given))
        np.testing.assert_allclose(out.joints[0].numpy(), person.joints, atol=5e-5)
        np.testing.assert_allclose(out.keypoints[0].numpy(), person.keypoints_3d, atol=5e-5)
        off = np.linalg.norm(out.vertices[0].numpy() - person.surface.vertices, axis=1)
        assert 0.003 < off.max() < 0.13, "the surface differs by cloth, shoes and hair only"


def test_everybody_touches_the_ground_but_who_jumps(scenes: list[Scene]) -> None:
    for scene in scenes:
        doing = scene.source.split("people=")[1].split(" ")[0].split("+")
        assert len(doing) == len(scene.persons)
        for activity, person in zip(doing, scene.persons, strict=True):
            low = float(person.surface.vertices[:, 1].min())
            assert (0.04 < low < 0.46) if activity == "jumping" else (-0.009 < low < -0.001), (activity, low)


def test_neighbours_do_not_pass_through_each_other() -> None:
    crowd = _sampler(people={"count": {"4": 1.0}})
    pairs = 0
    for scene in crowd.scenes(0):
        assert 1 <= len(scene.persons) <= 4
        trees = [cKDTree(person.surface.vertices) for person in scene.persons]
        for k, tree in enumerate(trees):
            for other in trees[:k]:
                pairs += 1
                assert tree.query(other.data[::5])[0].min() > 0.01
    assert pairs > 80


def test_people_sit_on_seats_with_their_soles_on_the_ground() -> None:
    seated = _sampler(
        people={"count": {"1": 1.0}},
        poses={"activities": {"seated": 1.0}},
        things={"table": 0.0, "front": 0.0, "clutter": [0, 0]},
    )
    gaps = []
    for scene in seated.scenes(0):
        (person,), (seat,) = scene.persons, scene.occluders
        hips, points = np.asarray(person.joints)[[1, 2]].mean(0), seat.vertices
        near = np.hypot(*(person.surface.vertices[:, [0, 2]] - hips[[0, 2]]).T) < 0.12
        bottom = float(person.surface.vertices[near & (person.surface.vertices[:, 1] < hips[1]), 1].min())
        above = points[np.abs(points[:, 1] - bottom) < 0.05, 1]  # the seat's top lies about there
        gaps.append(float(above.max()) - bottom if len(above) else -1.0)
    assert np.mean(np.abs(gaps) < 0.04) > 0.9, gaps


@pytest.mark.parametrize("sets", [("coco17",), ("coco_wholebody133", "openpose25"), ("smplx55", "smplx127")])
def test_visible_keypoints_lie_in_the_silhouette(sets: tuple[str, ...]) -> None:
    renderer = make_renderer("raycast")
    inside, total = 0, 0
    for scene in _sampler(sets=sets, things={"clutter": [0, 1]}).scenes(0)[:10]:
        rendered = renderer.render(scene)
        for k in range(len(scene.persons)):
            person = label_person(scene, k, rendered, sets)
            if person is None:
                continue
            mask = cv2.dilate((rendered.instances == k + 1).astype(np.uint8), np.ones((5, 5), np.uint8))
            points = person.keypoints
            if person.more_keypoints is not None:
                points = np.concatenate([points, person.more_keypoints])
            seen = points[points[:, 2] == 2]
            column, row = np.round(seen[:, 0]).astype(int), np.round(seen[:, 1]).astype(int)
            inside, total = inside + int(mask[row, column].sum()), total + len(seen)
    renderer.close()
    assert total > 60 and inside / total > 0.97


def test_poses_of_a_file(tmp_path: Path) -> None:
    pose = np.zeros((3, 55, 3), np.float32)
    pose[:, 16, 2], pose[:, 17, 2] = -1.0, 1.0
    pose[1, 4, 0] = 0.4
    save_poses(tmp_path / "own.npz", PoseSequence(pose, np.zeros((3, 3), np.float32), "open-person", "smplx55"))
    parts = {"poses": {"sources": {str(tmp_path / "own.npz"): 1.0}}, "people": {"count": {"1": 1.0}}}
    for scene in _sampler(**parts).scenes(0)[:6]:
        assert "pose=own.npz" in scene.source
        np.testing.assert_allclose(scene.persons[0].pose[16], pose[0, 16], atol=1e-6)
        assert -0.009 < scene.persons[0].surface.vertices[:, 1].min() < -0.001
    scene = {"poses": {"sources": {str(tmp_path / "own.npz"): 1.0}}}
    info = render_info(load_render_config("person", {"scene": scene}))
    assert "poses_digest" in info.config


def test_the_preset_resolves_to_people() -> None:
    config = load_render_config("person")
    assert isinstance(config, PersonConfig) and config.body == "open-person"
    with pytest.raises(ValueError, match="activities has no entry 'sitting'"):
        load_config(PersonConfig, None, {"scene": {"poses": {"activities": {"sitting": 1.0}}}})
    with pytest.raises(ValueError, match="clutter must be"):
        load_config(PersonConfig, None, {"scene": {"things": {"clutter": [4, 2]}}})
