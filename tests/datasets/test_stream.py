"""Order, partition over ranks and workers, labels that follow the pixels, and what is left out."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.datasets.augment import LEVELS, Augmentation, Geometry
from sim2pose.datasets.crops import apply_affine
from sim2pose.datasets.frames import Frame
from sim2pose.datasets.plan import LANES, shares
from sim2pose.datasets.stream import Batch, BatchPlan, PersonDataset, StepBatches, make_loader

from .conftest import MakeFolder, person

WH = (48, 64)


class _Blocks:
    def __init__(self, *blocks: int) -> None:
        self.blocks = np.array(blocks)


def _plan(*sizes: int, batch: int = 16, seed: int = 0, ratio: list[float] | None = None) -> BatchPlan:
    """A plan over data sets of the given sizes in row groups of 64 persons."""
    datasets = [_Blocks(*([64] * (size // 64) + [size % 64])) for size in sizes]
    return BatchPlan.make(datasets, batch, seed, ratio)


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 2500])
@pytest.mark.parametrize("batch", [4, 24])
def test_every_epoch_is_a_permutation(size: int, batch: int) -> None:
    plan = _plan(size, batch=batch)
    steps = -(-3 * size // batch)
    stream = np.concatenate([plan.batch(k)[1] for k in range(steps)])[: 3 * size]
    for epoch in range(3):
        np.testing.assert_array_equal(np.sort(stream[epoch * size : (epoch + 1) * size]), np.arange(size))
    if size > 100:
        assert not np.array_equal(stream[:size], stream[size : 2 * size])
        assert not np.array_equal(stream[:size], np.arange(size))


def test_batches_depend_on_seed_and_step_alone() -> None:
    one, two = _plan(700, 300), _plan(700, 300)
    for step in (90, 3, 41, 3):
        np.testing.assert_array_equal(one.batch(step), two.batch(step))
    assert not np.array_equal(one.batch(3), _plan(700, 300, seed=1).batch(3))


def test_domains_are_balanced_and_each_is_shuffled() -> None:
    plan = _plan(1000, 250, batch=16)
    steps = plan.steps_per_epoch
    assert steps == 125
    taken = [plan.batch(k) for k in range(steps)]
    for dataset, _ in taken:
        assert Counter(dataset.tolist()) == {0: 8, 1: 8}
    target = np.concatenate([p[d == 1] for d, p in taken])
    assert Counter(np.bincount(target).tolist()) == {4: 250}
    assert not np.array_equal(target[:250], np.arange(250))


def test_shares() -> None:
    assert shares(64, [1, 1]) == (32, 32)
    assert shares(10, [2, 1]) == (7, 3)
    assert shares(7, [1, 1]) == (4, 3)
    with pytest.raises(UserError, match="without a place"):
        shares(4, [100, 1])
    with pytest.raises(UserError, match="positive"):
        shares(4, [1, 0])


@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_partition_a_batch(world: int) -> None:
    plan = _plan(500, 500, batch=32)
    slots = [plan.slots(rank, world) for rank in range(world)]
    np.testing.assert_array_equal(np.sort(np.concatenate(slots)), np.arange(32))
    dataset, _ = plan.batch(7)
    assert {int((dataset[s] == 0).sum()) for s in slots} == {16 // world}
    with pytest.raises(UserError, match="does not divide"):
        _plan(500, batch=30).slots(0, 4)


@pytest.mark.parametrize("world", [2, 4, 8])
def test_ranks_read_different_row_groups(world: int) -> None:
    """In the body of an epoch a rank's samples come from its lanes, 1/world of the row groups."""
    plan = BatchPlan.make([_Blocks(*[64] * 64)], 32, 0)
    seen = [{int(p) // 64 for k in range(100) for p in plan.batch(k)[1][plan.slots(r, world)]} for r in range(world)]
    assert all(not (a & b) for i, a in enumerate(seen) for b in seen[:i])
    assert max(map(len, seen)) <= 64 // world
    assert plan.open_groups(world) == plan.window * LANES // world


def test_unshuffled_plan_walks_in_order() -> None:
    plan = BatchPlan.make([_Blocks(64, 10)], 10, 0, shuffle=False)
    np.testing.assert_array_equal(plan.batch(3)[1], np.arange(30, 40))


def _loader(dataset: list[PersonDataset], plan: BatchPlan, level: str = "strong", **options: object) -> list[Batch]:
    return list(make_loader(dataset, plan, LEVELS[level], WH, **options))  # type: ignore[arg-type]


def _keys(batches: list[Batch]) -> list[tuple[int, int]]:
    return [key for b in batches for key in zip(b["frame_id"].tolist(), b["person"].tolist(), strict=True)]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_and_workers_change_nothing(make_folder: MakeFolder, world: int, workers: int) -> None:
    """The reference is one rank without workers; every other split must give the same pixels and labels by slot."""
    dataset = PersonDataset(make_folder(frames=70, persons=2), domain=1)
    plan = BatchPlan.make([dataset], 20, seed=5)
    steps = plan.steps_per_epoch
    whole = _loader([dataset], plan, stop_step=steps)
    assert Counter(_keys(whole)) == Counter((1000 + f, p) for f in range(70) for p in range(2))
    for rank in range(world):
        part = _loader([dataset], plan, rank=rank, world=world, workers=workers, stop_step=steps)
        assert len(part) == steps
        for mine, all_ranks in zip(part, whole, strict=True):
            for name, value in mine.items():
                torch.testing.assert_close(value, all_ranks[name][plan.slots(rank, world)], rtol=0, atol=0)


def test_a_person_is_augmented_anew_each_time(make_folder: MakeFolder) -> None:
    """Steps and slots draw independently: 6 persons, 5 epochs, 30 different crops."""
    dataset = PersonDataset(make_folder(frames=6), domain=1)
    batches = _loader([dataset], BatchPlan.make([dataset], 6, 0), stop_step=5)
    assert len({tuple(row.flatten().tolist()) for b in batches for row in b["affine"]}) == 30
    ranges = np.concatenate([b["affine"][:, :, :2].det().abs().sqrt() / (WH[0] / b["bbox"][:, 2]) for b in batches])
    assert len(np.unique(ranges.round(4))) > 24


def test_resume_continues_the_stream(make_folder: MakeFolder) -> None:
    dataset = PersonDataset(make_folder(frames=40), domain=1)
    plan = BatchPlan.make([dataset], 8, seed=1)
    whole = _loader([dataset], plan, stop_step=9)
    again = BatchPlan.make([dataset], 8, seed=1)
    rest = list(islice(make_loader([dataset], again, LEVELS["strong"], WH, start_step=6), 3))
    for a, b in zip(whole[6:], rest, strict=True):
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=0, atol=0)


def test_loader_leaves_the_global_generator_alone(make_folder: MakeFolder) -> None:
    dataset = PersonDataset(make_folder(frames=8), domain=1)
    plan = BatchPlan.make([dataset], 4, seed=1)
    before = torch.get_rng_state()
    _loader([dataset], plan, workers=1, stop_step=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_batch_contract(make_folder: MakeFolder) -> None:
    source = PersonDataset(make_folder(frames=30), domain=1)
    target = PersonDataset(make_folder(frames=30, domain="real", seed=1), domain=0, labels=0)
    batch = _loader([source, target], BatchPlan.make([source, target], 12, 0), weak_view=True, stop_step=1)[0]
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in batch.items()}
    assert shapes == {
        "image": ((12, 3, 64, 48), torch.uint8),
        "weak_image": ((12, 3, 64, 48), torch.uint8),
        "keypoints": ((12, 17, 2), torch.float32),
        "weight": ((12, 17), torch.float32),
        "domain": ((12,), torch.int64),
        "labelled": ((12,), torch.bool),
        "frame_id": ((12,), torch.int64),
        "person": ((12,), torch.int64),
        "affine": ((12, 2, 3), torch.float32),
        "bbox": ((12, 4), torch.float32),
        "score": ((12,), torch.float32),
    }
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    assert batch["domain"].tolist() == [1] * 6 + [0] * 6
    assert batch["labelled"].tolist() == [True] * 6 + [False] * 6
    hidden = ~batch["labelled"]
    assert batch["weight"][hidden].abs().sum() == 0
    assert batch["keypoints"][hidden].abs().sum() == 0
    assert (batch["image"] != batch["weak_image"]).any()


def test_keypoints_follow_the_affine_and_swap_sides_when_mirrored(make_folder: MakeFolder) -> None:
    dataset = PersonDataset(make_folder(frames=50), domain=1)
    plan = BatchPlan.make([dataset], 50, 0)
    for flip_prob in (0.0, 1.0):
        level = Augmentation(replace(Geometry(scale=0.3, rotation_deg=30, rotation_prob=1), flip_prob=flip_prob))
        batch = next(iter(make_loader([dataset], plan, level, WH)))
        _, positions = plan.batch(0)
        for i, position in enumerate(positions):
            affine = batch["affine"][i].numpy()
            assert (np.linalg.det(affine[:, :2]) < 0) == bool(flip_prob)
            points = apply_affine(dataset.keypoints[position][:, :2], affine)
            if flip_prob:
                points = points[dataset.joint_set.flip_permutation()]
            np.testing.assert_allclose(batch["keypoints"][i].numpy(), points, atol=1e-3)
            seen = ((points >= -0.5) & (points < np.array(WH) - 0.5)).all(axis=1)
            np.testing.assert_array_equal(batch["weight"][i].numpy(), seen)


def test_pixels_belong_to_their_frame(make_folder: MakeFolder) -> None:
    """Green tells the frame, red the column: both must be where the affine says."""
    dataset = PersonDataset(make_folder(frames=150), domain=1)
    plan = BatchPlan.make([dataset], 50, 3)
    for batch in _loader([dataset], plan, "none", stop_step=3):
        for i in range(50):
            number = int(batch["frame_id"][i]) - 1000
            centre = batch["image"][i, :, 32, 24].tolist()
            x = batch["bbox"][i][0] + (batch["bbox"][i][2] - 1) / 2
            assert abs(centre[1] - ((number * 37) % 200 + 20)) <= 4
            assert abs(centre[0] - float(x) / 63 * 255) <= 8


def test_what_is_unusable_is_counted_and_left_out(make_folder: MakeFolder) -> None:
    def spoil(i: int, frame: Frame) -> None:
        one = frame.persons[0]
        if i < 3:
            one.iscrowd = True
        elif i < 5:
            one.keypoints[:] = 0
        elif i == 5:
            one.bbox[2] = 0

    folder = make_folder(frames=20, edit=spoil)
    dataset = PersonDataset(folder, domain=1)
    assert len(dataset) == 14
    assert dataset.counts["crowds"] == 3
    assert dataset.counts["with fewer than 1 keypoints"] == 2
    assert dataset.counts["boxes without area"] == 1
    assert "14 used" in dataset.describe()
    assert len(PersonDataset(folder, domain=0, min_keypoints=0)) == 16
    with pytest.raises(UserError, match=r"frame 1005, person 0 .*boxes without area"):
        PersonDataset(folder, domain=1, on_bad="refuse")
    with pytest.raises(UserError, match="no usable person"):
        PersonDataset(folder, domain=1, min_keypoints=18)


def test_domain_filter_and_several_folders(make_folder: MakeFolder) -> None:
    def mixed(i: int, frame: Frame) -> None:
        frame.domain = "real" if i % 2 else "synthetic"

    folders = [make_folder(frames=70, edit=mixed), make_folder(frames=30, domain="real", seed=2)]
    dataset = PersonDataset(folders, domain=0, domains=["real"])
    assert len(dataset) == 35 + 30
    assert dataset.counts["of other domains"] == 35
    batches = _loader([dataset], BatchPlan.make([dataset], 13, 0), "none", stop_step=5)
    assert len(set(map(tuple, np.concatenate([b["affine"].reshape(-1, 6) for b in batches])))) == 65
    with pytest.raises(UserError, match="no frames of domain 'rael'"):
        PersonDataset(folders, domain=0, domains=["rael"])


def test_limits_are_seeded_and_nested(make_folder: MakeFolder) -> None:
    folder = make_folder(frames=60)
    few, more = (PersonDataset(folder, domain=0, labels=n, label_seed=4) for n in (10, 25))
    assert (few.labelled.sum(), more.labelled.sum(), len(more)) == (10, 25, 60)
    assert not (few.labelled & ~more.labelled).any()
    assert not np.array_equal(few.labelled, PersonDataset(folder, domain=0, labels=10, label_seed=5).labelled)
    limited = PersonDataset(folder, domain=0, limit=20, labels=10, label_seed=4)
    assert (len(limited), limited.labelled.sum()) == (20, 10)
    assert set(limited.frame_id[limited.labelled]) <= set(more.frame_id[more.labelled])


def test_frames_are_drawn_whole_nested_and_by_seed(make_folder: MakeFolder) -> None:
    folder = make_folder(frames=40, persons=2)
    few, more, share = (PersonDataset(folder, domain=1, frame_limit=n, label_seed=4) for n in (8, 20, 0.5))
    assert (few.frames, len(few), more.frames, len(more)) == (8, 16, 20, 40)
    assert set(few.frame_id) < set(more.frame_id)
    np.testing.assert_array_equal(share.frame_id, more.frame_id)
    assert set(few.frame_id) != set(PersonDataset(folder, domain=1, frame_limit=8, label_seed=5).frame_id)
    assert few.counts["in frames left out"] == 64
    with pytest.raises(UserError, match="41 frames asked for, 40 have usable people"):
        PersonDataset(folder, domain=1, frame_limit=41)


def test_unlabelled_crops_do_not_depend_on_hidden_keypoints(make_folder: MakeFolder) -> None:
    def move(i: int, frame: Frame) -> None:
        frame.persons[0].keypoints[:, :2] *= 0.5

    plain, moved = make_folder(frames=40), make_folder(frames=40, edit=move)
    crops = []
    for folder in (plain, moved):
        dataset = PersonDataset(folder, domain=0, labels=0)
        crops.append(_loader([dataset], BatchPlan.make([dataset], 40, 0), stop_step=1)[0]["image"])
    assert torch.equal(*crops)


def test_cache_is_bounded_and_groups_are_read_once(make_folder: MakeFolder, caplog: pytest.LogCaptureFixture) -> None:
    dataset = PersonDataset(make_folder(frames=640, shard=320), domain=1)
    plan = BatchPlan.make([dataset], 32, 0)
    batches = StepBatches([dataset], plan, LEVELS["none"], WH)
    for step in range(plan.steps_per_epoch):
        batches[step]
    assert batches.reads == 10
    size = sum(map(len, dataset.read_group(0)))
    tight = StepBatches([dataset], plan, LEVELS["none"], WH, cache_bytes=3 * size)
    assert "raise cache_bytes" in caplog.text
    for step in range(plan.steps_per_epoch):
        batch = tight[step]
        assert tight._cached <= 3 * size
    torch.testing.assert_close(batch["image"], batches[step]["image"])


def test_broken_picture_names_file_and_frame(make_folder: MakeFolder) -> None:
    def cut(i: int, frame: Frame) -> None:
        frame.image = frame.image[:300] if i == 7 else frame.image

    dataset = PersonDataset(make_folder(frames=10, edit=cut), domain=1)
    for workers in (0, 1):
        with pytest.raises(UserError, match=r"shard-00000.parquet, frame 1007: broken JPEG"):
            _loader([dataset], BatchPlan.make([dataset], 10, 0), workers=workers, stop_step=1)


def test_unlike_data_sets_are_refused(make_folder: MakeFolder) -> None:
    one = PersonDataset(make_folder(frames=8), domain=1)
    with pytest.raises(UserError, match="2 augmentations for 1 data sets"):
        make_loader([one], BatchPlan.make([one], 4, 0), [LEVELS["none"]] * 2, WH)
    with pytest.raises(UserError, match="one number for each"):
        BatchPlan.make([one], 4, 0, ratio=[1, 1])


def test_pickles_for_spawned_workers(make_folder: MakeFolder) -> None:
    dataset = PersonDataset(make_folder(frames=12), domain=1)
    batches = StepBatches([dataset], BatchPlan.make([dataset], 6, 0), LEVELS["strong"], WH)
    first = batches[0]
    again = pickle.loads(pickle.dumps(batches))[0]
    assert torch.equal(first["image"], again["image"])


def test_persons_of_one_frame_share_its_picture(make_folder: MakeFolder) -> None:
    def crowd(i: int, frame: Frame) -> None:
        rng = np.random.default_rng(i)
        frame.persons = [person(rng) for _ in range(i % 4)]

    dataset = PersonDataset(make_folder(frames=100, edit=crowd), domain=1)
    assert len(dataset) == sum(i % 4 for i in range(100))
    assert dataset.blocks.sum() == len(dataset)
    batches = _loader([dataset], BatchPlan.make([dataset], 15, 0), "none", stop_step=10)
    assert Counter(_keys(batches)) == Counter((1000 + i, p) for i in range(100) for p in range(i % 4))
