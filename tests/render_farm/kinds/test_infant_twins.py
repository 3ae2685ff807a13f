"""Two infants in a frame: both labelled, side by side, each with parameters that give back its own body."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.config import load_config
from sim2pose.models.bodies import load_body
from sim2pose.render_farm.kinds.infant.config import InfantConfig
from sim2pose.render_farm.kinds.infant.sampler import InfantSampler
from sim2pose.render_farm.labels import label_person
from sim2pose.render_farm.renderers import make_renderer
from sim2pose.render_farm.scenes.scene import Scene

THINGS = ("blanket", "toy", "rail", "support", "edge", "cot", "nest", "clutter", "leads", "arms", "pacifier")
NOTHING = dict.fromkeys(THINGS, 0.0)


def _scenes(twins: float) -> list[Scene]:
    scene = {
        "wardrobe": {"pool": 4, "hat": 0.0}, "skin": {"pool": 3}, "backgrounds": {"pool": 3}, "occluders": NOTHING,
        "twins": twins, "poses": {"postures": {"supine": 0.6, "side": 0.2, "sitting": 0.2}},
        "camera": {"views": {"above": 1.0}, "truncated": 0.0},
    }  # fmt: skip
    config = load_config(InfantConfig, None, {"scene": scene})
    return InfantSampler(config.scene, load_body("open-infant"), 11, 128, 96).scenes(0)


@pytest.fixture(scope="module")
def twins() -> list[Scene]:
    return _scenes(1.0)


def test_only_lying_infants_have_company_and_nothing_else_changes(twins: list[Scene]) -> None:
    alone = _scenes(0.0)
    for one, two in zip(alone, twins, strict=True):
        assert len(one.persons) == 1
        assert len(two.persons) == (1 if "posture=sitting" in two.source else 2)
        np.testing.assert_array_equal(one.persons[0].surface.vertices, two.persons[0].surface.vertices)
        np.testing.assert_array_equal(one.persons[0].keypoints_3d, two.persons[0].keypoints_3d)
    assert sum(len(scene.persons) == 2 for scene in twins) > 15


def test_twins_lie_side_by_side_on_the_bed(twins: list[Scene]) -> None:
    for scene in twins:
        if len(scene.persons) < 2:
            continue
        a, b = (person.surface.vertices for person in scene.persons)
        assert -0.012 < b[:, 1].min() < 0.001
        gaps = [float(np.linalg.norm(a[::9] - point, axis=1).min()) for point in b[::41]]
        assert 0.0 < min(gaps) < 0.30, "near each other"
        inside = np.linalg.norm(scene.persons[0].joints[:, None] - scene.persons[1].joints[None], axis=-1)
        assert inside.min() > 0.03, "and not in each other"


def test_parameters_of_the_second_give_back_its_body(twins: list[Scene]) -> None:
    body = load_body("open-infant")
    for scene in [s for s in twins if len(s.persons) == 2][:6]:
        person = scene.persons[1]
        out = body(*(torch.from_numpy(np.asarray(x)[None]) for x in (person.betas, person.pose, person.transl)))
        np.testing.assert_allclose(out.joints[0].numpy(), person.joints, atol=5e-5)
        np.testing.assert_allclose(out.keypoints[0].numpy(), person.keypoints_3d, atol=5e-5)


def test_both_are_labelled_with_their_own_pixels(twins: list[Scene]) -> None:
    renderer = make_renderer("auto", "cpu")
    for scene in [s for s in twins if len(s.persons) == 2][:4]:
        rendered = renderer.render(scene)
        labels = [label_person(scene, k, rendered) for k in range(2)]
        assert all(label is not None for label in labels)
        areas = [int((rendered.instances == 1 + k).sum()) for k in range(2)]
        assert [label.area for label in labels if label is not None] == areas and min(areas) > 200
        for k, label in enumerate(labels):
            assert label is not None
            seen = label.keypoints[label.keypoints[:, 2] == 2].round().astype(int)
            own = rendered.instances[seen[:, 1], seen[:, 0]] == 1 + k
            assert len(seen) > 4 and own.mean() > 0.9, "visible keypoints lie on their own infant"
    renderer.close()
