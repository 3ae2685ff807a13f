"""Scenes: a frame is a function of (seed, index) alone, subsystems do not disturb each other, bodies rest on the surface."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.config import load_config
from sim2pose.models.bodies import load_body
from sim2pose.render_farm.config import BLOCK
from sim2pose.render_farm.kinds.infant.config import InfantConfig
from sim2pose.render_farm.kinds.infant.sampler import InfantSampler
from sim2pose.render_farm.scenes.scene import OCCLUDER, Scene

SMALL = {"wardrobe": {"pool": 5}, "skin": {"pool": 3}, "backgrounds": {"pool": 3}, "occluders": {"pool": 3}}


def _sampler(seed: int = 4, **parts: dict) -> InfantSampler:
    scene = {name: {**SMALL.get(name, {}), **parts.get(name, {})} for name in {*SMALL, *parts}} | {"twins": 0.0}
    return InfantSampler(
        load_config(InfantConfig, None, {"scene": scene}).scene, load_body("open-infant"), seed, 96, 64
    )


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return _sampler(occluders={"toy": 0.5, "blanket": 0.5}).scenes(32)


def _same(
    a: Scene, b: Scene, parts: tuple[str, ...] = ("camera", "person", "look", "lights", "ground", "occluders")
) -> bool:
    """Whether two scenes agree, bit for bit, in some of their parts."""
    pairs = {
        "camera": [(a.camera.K, b.camera.K), (a.camera.R, b.camera.R), (a.camera.t, b.camera.t)],
        "person": [(a.persons[0].pose, b.persons[0].pose), (a.persons[0].betas, b.persons[0].betas),
                   (a.persons[0].keypoints_3d, b.persons[0].keypoints_3d)],
        "look": [(a.persons[0].surface.texture, b.persons[0].surface.texture)],
        "lights": [(a.lights.direction, b.lights.direction), (a.lights.colour, b.lights.colour)],
        "ground": [(a.backdrop, b.backdrop)],
        "occluders": [(x.vertices, y.vertices) for x, y in zip(a.occluders, b.occluders, strict=False)],
    }  # fmt: skip
    return all(np.array_equal(x, y) for part in parts for x, y in pairs[part]) and len(a.occluders) == len(b.occluders)


def test_a_block_is_a_function_of_seed_and_index(scenes: list[Scene]) -> None:
    other = _sampler(occluders={"toy": 0.5, "blanket": 0.5})
    other.scenes(0)  # another order of work, other pool entries drawn first
    again = other.scenes(32)
    assert len(again) == BLOCK
    for a, b in zip(scenes, again, strict=True):
        assert _same(a, b) and a.sensor == b.sensor and a.source == b.source
        np.testing.assert_array_equal(a.persons[0].surface.vertices, b.persons[0].surface.vertices)


def test_other_seeds_and_frames_differ(scenes: list[Scene]) -> None:
    poses = np.stack([scene.persons[0].pose for scene in scenes]).reshape(BLOCK, -1)
    distance = np.linalg.norm(poses[:, None] - poses[None], axis=-1) + 9 * np.eye(BLOCK)
    assert distance.min() > 0.3
    other = _sampler(seed=5).scenes(32)
    assert not _same(scenes[0], other[0], ("person",))


@pytest.mark.parametrize(
    ("part", "change", "moved"),
    [
        ("camera", {"head_up": 0.0}, ("camera", "lights")),  # a night camera carries its lamp
        ("lens", {"distorted": 1.0, "shallow": 1.0}, ()),
        ("lights", {"kelvin": [3000, 3100]}, ("lights",)),
        ("occluders", {"toy": 0.0, "blanket": 0.0, "rail": 0.0, "support": 0.0}, ()),
        ("sensor", {"severity": 3.0}, ()),
    ],
)
def test_a_change_of_one_subsystem_leaves_the_others(
    scenes: list[Scene], part: str, change: dict, moved: tuple[str, ...]
) -> None:
    settings = {"occluders": {"toy": 0.5, "blanket": 0.5}}
    settings[part] = {**settings.get(part, {}), **change}
    changed = _sampler(**settings).scenes(32)
    keep = tuple(p for p in ("person", "look", "lights") if p not in moved)
    for a, b in zip(scenes, changed, strict=True):
        b.occluders = a.occluders if part in ("occluders", "camera") else b.occluders  # rails follow the camera
        assert _same(a, b, keep)
    if moved:
        assert not all(_same(a, b, moved) for a, b in zip(scenes, changed, strict=True))


def test_bodies_lie_on_the_surface_and_not_beneath_it() -> None:
    sampler = _sampler(poses={"sink": [0.004, 0.008]}, occluders={"toy": 0, "blanket": 0})
    for scene in sampler.scenes(0):
        height = scene.persons[0].surface.vertices[:, 1]
        assert -0.009 < height.min() < -0.003
        assert np.quantile(height, 0.02) > -0.009


def test_body_model_gives_back_the_keypoints(scenes: list[Scene]) -> None:
    body = load_body("open-infant")
    person = scenes[3].persons[0]
    out = body(*(torch.from_numpy(x[None]) for x in (person.betas, person.pose, person.transl)))
    np.testing.assert_allclose(out.keypoints[0].numpy(), person.keypoints_3d, atol=2e-5)
    np.testing.assert_allclose(out.joints[0].numpy(), person.joints, atol=2e-5)
    off = np.linalg.norm(out.vertices[0].numpy() - person.surface.vertices, axis=1)
    assert 0.001 < off.max() < 0.05, "the surface differs by the thickness of cloth and hair only"


def test_infants_fill_the_picture_as_asked() -> None:
    settings = {"fill": [0.5, 0.8], "truncated": 0.0, "shift": 0.0}
    for scene in _sampler(camera=settings).scenes(0):
        camera = scene.camera
        seen = scene.persons[0].surface.vertices @ camera.R.T + camera.t
        pixels = seen[:, :2] / seen[:, 2:] * (camera.K[0, 0], camera.K[1, 1]) + camera.K[:2, 2]
        span = np.ptp(pixels, axis=0) / (camera.width, camera.height)
        assert 0.4 < span.max() < 0.95
        assert np.all(np.abs((pixels.min(0) + pixels.max(0)) / 2 - camera.K[:2, 2]) < 0.12 * camera.width)
        assert camera.position[1] > 0.03


def test_blankets_lie_on_the_body() -> None:
    alone = dict.fromkeys(("toy", "rail", "edge", "cot", "nest", "clutter", "leads", "arms", "pacifier"), 0.0)
    sampler = _sampler(
        poses={"postures": {"supine": 1}},
        occluders={**alone, "blanket": 1.0},
        wardrobe={"cuts": {"bodysuit": 1.0}},
    )
    draped = 0
    for scene in sampler.scenes(0):
        if not scene.occluders:
            assert scene.persons[0].joints[[4, 5, 7, 8], 1].max() > 0.14, "legs in the air have kicked it off"
            continue
        (blanket,) = scene.occluders
        assert np.all(blanket.topology.part_ids == OCCLUDER)
        cloth, body = blanket.vertices, scene.persons[0].surface.vertices
        assert cloth[:, 1].min() > -0.02 and cloth[:, 1].max() < body[:, 1].max() + 0.06
        for vertex in cloth[::37]:
            beneath = body[np.hypot(*(body[:, [0, 2]] - vertex[[0, 2]]).T) < 0.008]
            if len(beneath):
                draped += 1
                assert vertex[1] > beneath[:, 1].max() - 0.015
    assert draped > 50
    facing = np.cross(cloth[blanket.topology.faces[:, 1]] - cloth[blanket.topology.faces[:, 0]],
                      cloth[blanket.topology.faces[:, 2]] - cloth[blanket.topology.faces[:, 0]])  # fmt: skip
    assert np.mean(facing[:, 1] > 0) > 0.99, "its upper side is the front"


def test_age_follows_the_posture() -> None:
    lying = _sampler(shape={"months": [0, 1]}, poses={"postures": {"supine": 1}}, occluders={"toy": 0}).scenes(0)
    sitting = _sampler(shape={"months": [0, 1]}, poses={"postures": {"sitting": 1}}, occluders={"toy": 0}).scenes(0)

    def trunk(scene: Scene) -> float:
        joints = scene.persons[0].joints
        return float(np.linalg.norm(joints[12] - joints[0]))

    assert np.mean([trunk(s) for s in sitting]) > 1.15 * np.mean([trunk(s) for s in lying])


def test_presets_resolve_and_differ() -> None:
    plain, other = load_config(InfantConfig, "infant"), load_config(InfantConfig, "infant_standin")
    assert plain.domain != other.domain and plain.scene != other.scene and plain.seed != other.seed


def test_cots_stand_round_bedding_and_mats_are_thin() -> None:
    things = dict.fromkeys(("toy", "rail", "blanket", "nest", "clutter", "leads", "arms", "pacifier", "support"), 0.0)
    for surface, cots in (("quilt", True), ("playmat", False), ("wood", False)):
        sampler = _sampler(
            occluders={**things, "cot": 1.0, "edge": 1.0, "thickness": [0.1, 0.12]},
            backgrounds={"surfaces": {surface: 1.0}, "bounded": 1.0},
        )
        for scene in sampler.scenes(0)[:6]:
            assert len(scene.occluders) == (2 if cots else 0 if surface == "wood" else 1)
            if surface == "playmat":
                assert np.ptp(scene.occluders[0].vertices[:, 1]) < 0.03
