"""Features on disk: streamed by batch, whole or absent, read by domain; losses and OKS of each person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.datasets.coco_export import frames_to_coco
from sim2pose.datasets.shards import FramesFolder
from sim2pose.models.joints import joint_set
from sim2pose.models.keypoints.heatmaps import encode
from sim2pose.models.keypoints.losses import joints_mse
from sim2pose.trainers.analysis.features import (
    FeatureWriter,
    Rows,
    collect,
    feature_files,
    matrix,
    person_losses,
    read_features,
    sample_people,
)
from sim2pose.trainers.evaluation import evaluate_results
from sim2pose.trainers.predict import predict


def rows(count: int, start: int = 0) -> Rows:
    ids = np.arange(start, start + count)
    feature = np.repeat(ids[:, None], 6, axis=1).astype(np.float32)
    return Rows(ids, ids * 0, ids + 500, feature, ids * 0.1, ids * 0.01)


def test_each_batch_becomes_a_row_group_before_the_next_is_there(tmp_path: Path) -> None:
    with FeatureWriter(tmp_path, 40, 1.5) as writer:
        for domain in ("source", "target"):
            for start in (0, 8, 16):
                writer.write(domain, rows(8, start))
        assert feature_files(tmp_path) == [], "a half-written file is not shown"
    ((step, path),) = feature_files(tmp_path)
    file = pq.ParquetFile(path)
    assert step == 40
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [8] * 6
    table = file.read()
    assert set(table.column("domain").to_pylist()) == {"source", "target"}
    assert set(table.column("step").to_pylist()) == {40}
    assert table.column("epoch")[0].as_py() == 1.5
    limited = read_features(path, limit=10)
    assert {name: len(t) for name, t in limited.items()} == {"source": 10, "target": 10}
    np.testing.assert_array_equal(matrix(limited["target"])[:, 3], np.arange(10))
    assert list(read_features(path, domains=["target"])) == ["target"]


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> None:
        with FeatureWriter(tmp_path, 40, 0.0) as writer:
            writer.write("source", rows(4))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        interrupted()
    assert list((tmp_path / "features").iterdir()) == []


def test_a_damaged_or_foreign_file_is_named(tmp_path: Path, frames: dict[str, str]) -> None:
    bad = tmp_path / "step_00000001.parquet"
    bad.write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match="step_00000001"):
        read_features(bad)
    shard = next(Path(frames["source"]).glob("*.parquet"))
    with pytest.raises(UserError, match="holds no features"):
        read_features(shard)


class Oracle(torch.nn.Module):
    """Heatmaps of the true keypoints shifted by ``off`` crop pixels, whatever is fed; features say how bright it is."""

    def __init__(self, points: torch.Tensor, off: float) -> None:
        super().__init__()
        self.points, self.off, self.seen = points + off, off, 0
        self.none = torch.nn.Parameter(torch.zeros(()))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        points = self.points[self.seen : self.seen + len(images)]
        self.seen += len(images)
        heat = encode(points, torch.ones(points.shape[:2]), (64, 64), (16, 16), 1.5)
        return images.mean(1, keepdim=True).repeat(1, 2, 1, 1), heat


@pytest.mark.parametrize("off", [0.0, 4.0])
def test_people_are_sampled_once_and_scored_as_the_evaluation_scores_them(frames: dict[str, str], off: float) -> None:
    folder = FramesFolder.open(frames["target_val"])
    truth = frames_to_coco(folder)
    people = sample_people("target", folder, truth, 100)
    assert len(people.labels) == 12
    few = sample_people("target", folder, truth, 5)
    assert few.labels.keys() == sample_people("target", folder, truth, 5).labels.keys()
    assert few.labels.keys() < people.labels.keys()

    joints = joint_set("coco17")
    in_crops = []
    for frame in folder.iterate():
        from sim2pose.datasets.crops import apply_affine, crop_affine

        person = frame.persons[0]
        in_crops.append(apply_affine(person.keypoints[:, :2], crop_affine(person.bbox, (64, 64))))
    points = torch.from_numpy(np.stack(in_crops))
    found = list(collect(Oracle(points, off), people, joints, (64, 64), 1.5, device=torch.device("cpu"), batch=5))
    assert [len(r.frame_id) for r in found] == [5, 5, 2]
    assert found[0].feature.shape == (5, 4)
    results = predict(Oracle(points, off), folder, (64, 64), batch=5, flip_test=False)
    report = evaluate_results(truth, results, joints)
    assert np.concatenate([r.oks for r in found]).mean() == pytest.approx(report["oks"], abs=1e-4)
    assert (np.concatenate([r.loss for r in found]) > 1e-4).all() == (off > 0)


def test_losses_of_people_average_to_the_training_loss_and_unlabelled_ones_have_none() -> None:
    torch.manual_seed(0)
    heatmaps, keypoints = torch.rand(3, 4, 8, 8), torch.rand(3, 4, 3) * 20
    keypoints[..., 2] = 2
    keypoints[0, 1, 2] = 0
    weight = (keypoints[..., 2] > 0).float()
    target = encode(keypoints[..., :2], weight, (32, 32), (8, 8), 1.0)
    each = person_losses(heatmaps, keypoints.numpy(), (32, 32), 1.0)
    assert each.mean() == pytest.approx(float(joints_mse(heatmaps, target, weight)), rel=1e-5)
    keypoints[2, :, 2] = 0
    assert np.isnan(person_losses(heatmaps, keypoints.numpy(), (32, 32), 1.0)[2])
