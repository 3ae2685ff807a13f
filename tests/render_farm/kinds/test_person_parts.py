"""What frames of people are made of: activities, posing, cameras, places."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.skinning import skin
from sim2pose.render_farm.kinds.person.activities import ACTIVITIES, ARMS, HIGH, LEGS, LOW, TRUNKS, draw_angles
from sim2pose.render_farm.kinds.person.camera import framed, in_the_way, sample_view
from sim2pose.render_farm.kinds.person.config import PeopleConfig, PersonCamera, PersonPoses, PlacesConfig
from sim2pose.render_farm.kinds.person.places import Places
from sim2pose.render_farm.kinds.person.placing import Footprint
from sim2pose.render_farm.kinds.person.posing import Poser, Request


@pytest.fixture(scope="module")
def poser() -> Poser:
    return Poser(load_body("open-person"), PersonPoses(), PeopleConfig())


@pytest.mark.parametrize("name", ACTIVITIES)
def test_modes_exist_and_angles_stay_within_limits(name: str) -> None:
    activity = ACTIVITIES[name]
    assert set(activity.trunks) <= set(TRUNKS)
    for modes, known in ((activity.arms, ARMS), (activity.legs, LEGS)):
        assert {part for mode in modes for part in mode.split("+")} <= set(known)
    angles = draw_angles(np.random.default_rng(0), activity, 2.0, 8)
    assert np.all(angles >= LOW - 1e-9) and np.all(angles <= HIGH + 1e-9)
    assert np.all(angles[:, 0] == angles[0, 0]) and np.ptp(angles[:, -3]) > 0


def _people(poser: Poser, activity: str, count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (count, V, 3) and joints (count, 55, 3) of people who all do one thing."""
    people = poser.pose([Request((1, k, 0), activity) for k in range(count)])
    columns = poser.body.shape_columns(people.betas, people.expression)
    with torch.no_grad():
        planes, joints = skin(poser.body.mesh, columns, people.pose)
    return planes.transpose(1, 2).numpy(), joints.numpy()


def test_who_stands_is_balanced_on_soles(poser: Poser) -> None:
    vertices, joints = _people(poser, "standing")
    feet = joints[:, [7, 8, 10, 11]][..., [0, 2]].mean(1)
    over = np.linalg.norm(joints[:, [0, 3, 6, 9, 12]].mean(1)[:, [0, 2]] - feet, axis=1)
    assert np.median(over) < 0.12 and np.quantile(over, 0.9) < 0.25
    assert np.median(joints[:, 15, 1] - vertices[..., 1].min(1)) > 0.75 * np.median(np.ptp(vertices[..., 1], axis=1))
    lowest = [vertices[:, poser.body.weights[:, k] > 0.5, 1].min(1) for k in (10, 11)]
    assert np.quantile(np.abs(lowest[0] - lowest[1]), 0.8) < 0.06, "both feet bear"


def test_who_lies_is_low_and_who_sits_on_the_floor_has_its_seat_there(poser: Poser) -> None:
    vertices, joints = _people(poser, "lying")
    assert np.all(np.ptp(vertices[..., 1], axis=1) < 0.95) and np.median(np.ptp(joints[:, :22, 1], axis=1)) < 0.6
    vertices, joints = _people(poser, "floor")
    size = np.ptp(poser.body.template[:, 1])
    assert np.quantile((joints[:, 0, 1] - vertices[..., 1].min(1)) / size, 0.85) < 0.20


def test_ages_and_figures_of_the_population(poser: Poser) -> None:
    people = poser.pose([Request((2, k, 0), "standing") for k in range(96)])
    size = {age: people.size[[a == age for a in people.ages]] for age in ("child", "adult")}
    assert size["child"].mean() < 0.85 * size["adult"].mean()
    grown = np.array([age in ("adult", "old") for age in people.ages])
    assert 0.25 < people.woman[grown].mean() < 0.75
    assert people.size[grown & people.woman].mean() < people.size[grown & ~people.woman].mean()


def test_postures_do_not_fold_into_themselves(poser: Poser) -> None:
    before = poser.counts["kept_implausible"]
    for name in ("standing", "seated", "sport", "crouching"):
        _people(poser, name, 16)
    assert poser.counts["kept_implausible"] - before <= 6


@pytest.mark.parametrize("framing", ["full", "half", "bust", "far"])
def test_cameras_show_what_is_framed(poser: Poser, framing: str) -> None:
    vertices, joints = _people(poser, "standing", 6)
    vertices[..., 1] -= vertices[..., 1].min(1, keepdims=True)
    joints[..., 1] -= joints[..., 1].min(1, keepdims=True)
    config = PersonCamera(framings={framing: 1.0}, truncated=0.0, shift=0.0, roll=0.0)
    for k in range(6):
        camera, view = sample_view(np.random.default_rng(k), config, [vertices[k]], [joints[k]], 0.0, 128, 96)
        assert view.startswith(framing) and camera.position[1] > 0.1
        seen = framed(framing, [vertices[k]], [joints[k]]) @ camera.R.T + camera.t
        pixels = seen[:, :2] / seen[:, 2:] * (camera.K[0, 0], camera.K[1, 1]) + camera.K[:2, 2]
        span = float((np.ptp(pixels, axis=0) / (128, 96)).max())
        assert (0.1 < span < 0.55) if framing == "far" else (0.4 < span < 1.1)
        assert not in_the_way(camera, vertices[k])


def test_places_enclose_people_and_camera() -> None:
    places = Places(PlacesConfig(pool=2), 0, 256)
    camera, _ = sample_view(
        np.random.default_rng(1), PersonCamera(heights={"eye": 1.0}), [np.array([[0, 0, 0], [0.2, 1.7, 0.2]])],
        [np.zeros((55, 3))], 0.0, 64, 48,
    )  # fmt: skip
    inside = np.concatenate([camera.position[None], np.array([[0.0, 0.0, 0.0], [1.0, 1.7, 2.0]])])
    for indoor in (True, False):
        place = places.place(np.random.default_rng(2), indoor, inside)
        c, s = np.cos(place.yaw), np.sin(place.yaw)
        flat = np.stack([inside[:, 0] * c - inside[:, 2] * s, inside[:, 0] * s + inside[:, 2] * c], 1)
        assert np.all(flat > place.low) and np.all(flat < place.high) and place.height > 2.4
        shown, again = (places.backdrop(np.random.default_rng(3), place, camera) for _ in range(2))
        assert shown.shape == (24, 32, 3) and np.array_equal(shown, again) and shown.std() > 2


def test_footprints_keep_people_apart() -> None:
    taken = Footprint()
    taken.add(np.array([[0.0, 1.0, 0.0]]))
    assert not taken.free(np.array([[0.05, 1.0, 0.02]])) and taken.free(np.array([[0.3, 1.0, 0.0], [0.0, 2.0, 0.0]]))
    assert taken.free(np.array([[50.0, 1.0, 0.0]]))
