"""Which people each method trains on, and in which shares."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sim2pose.trainers.keypoints import KeypointTask

Make = Callable[..., KeypointTask]


def test_fine_tuning_sees_labelled_targets_alone(make_task: Make) -> None:
    task = make_task(adversarial={"method": "finetune"}, data={"target_labels": 7})
    assert len(task.datasets) == 1
    assert len(task.datasets[0]) == 7
    batch = next(task.batches(0))
    assert (batch["domain"] == 0).all()
    assert batch["labelled"].all()


def test_few_labels_get_a_share_of_the_batch(make_task: Make) -> None:
    task = make_task(adversarial={"method": "joint"}, data={"target_labels": 6, "labelled_share": 0.25})
    for step in range(3):
        batch = next(task.batches(step))
        assert batch["domain"].tolist() == [1] * 4 + [0] * 4, "source samples come first"
        assert batch["labelled"].tolist() == [True] * 6 + [False] * 2
    ids = set(task.datasets[1].frame_id.tolist())
    assert len(ids) == 6


def test_a_full_labelled_share_leaves_no_unlabelled_target(make_task: Make) -> None:
    task = make_task(adversarial={"method": "joint"}, data={"target_labels": 6, "labelled_share": 0.5})
    assert len(task.datasets) == 2
    assert next(task.batches(0))["labelled"].all()


def test_the_same_few_people_are_labelled_whatever_the_method(make_task: Make) -> None:
    finetune = make_task(adversarial={"method": "finetune"}, data={"target_labels": 6})
    shared = make_task(adversarial={"method": "joint"}, data={"target_labels": 6, "labelled_share": 0.25})
    mixed = make_task(adversarial={"method": "joint"}, data={"target_labels": 6})
    chosen = set(finetune.datasets[0].frame_id.tolist())
    assert chosen == set(shared.datasets[1].frame_id.tolist())
    assert chosen == set(mixed.datasets[1].frame_id[mixed.datasets[1].labelled].tolist())


def test_the_target_may_be_augmented_otherwise(make_task: Make) -> None:
    task = make_task(adversarial={"method": "joint"}, data={"augment": "none", "augment_target": "photometric"})
    plain = make_task(adversarial={"method": "joint"}, data={"augment": "none"})
    a, b = next(task.batches(0)), next(plain.batches(0))
    assert torch.equal(a["image"][:4], b["image"][:4])
    assert not torch.equal(a["image"][4:], b["image"][4:])
