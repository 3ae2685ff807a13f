"""Prediction: where keypoints land in the picture, scores, flip test, BatchNorm statistics of other pictures."""

from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch
from torch import Tensor, nn

from sim2pose.config import UserError
from sim2pose.datasets.coco import frames_to_coco
from sim2pose.datasets.frames import Frame, Person, dataset_info
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.datasets.shards import FramesFolder
from sim2pose.models.keypoints.networks import build_network
from sim2pose.models.keypoints.weights import freeze, load_weights
from sim2pose.trainers.adaptation.adabn import reestimate_bn
from sim2pose.trainers.evaluation import evaluate_results
from sim2pose.trainers.predict import crop_batches, heatmaps_of, predict

SIZE = (64, 48)


def dot_frame(index: int) -> Frame:
    """A bright disc where all 17 keypoints lie; its persons: a crowd, a good one, a flat box, an unlabelled one."""
    rng = np.random.default_rng(index)
    image = np.full((120, 160, 3), 10, np.uint8)
    x, y = rng.uniform(60, 100), rng.uniform(40, 80)
    grid = np.mgrid[:120, :160]
    image[(grid[0] - y) ** 2 + (grid[1] - x) ** 2 < 36] = 250
    keypoints = np.tile(np.array([x, y, 2], np.float32), (17, 1))
    bbox = np.array([x - rng.uniform(20, 40), y - rng.uniform(15, 30), 60, 45], np.float32)
    persons = [
        Person(np.array([0, 0, 50, 50], np.float32), keypoints, 100.0, iscrowd=True),
        Person(bbox, keypoints, 1800.0),
        Person(np.array([0, 0, 0, 9], np.float32), keypoints, 1.0),
        Person(np.array([5, 5, 30, 30], np.float32), np.zeros((17, 3), np.float32), 900.0),
    ]
    data = simplejpeg.encode_jpeg(image, quality=95)
    return Frame(index, data, 120, 160, "real" if index % 2 else "synthetic", persons=persons)


@pytest.fixture
def folder(tmp_path: Path) -> FramesFolder:
    info = dataset_info("coco17")
    entries = [publish_shard(tmp_path, s, [dot_frame(i) for i in range(5 * s, 5 * s + 5)], info) for s in range(2)]
    write_manifest(tmp_path, entries, info)
    return FramesFolder.open(tmp_path)


class Bright(nn.Module):
    """Heatmaps by brightness: a perfect detector of the disc. Sampled where unbiased coding has its heatmap pixels."""

    def __init__(self, peak: float = 1.0) -> None:
        super().__init__()
        self.peak = nn.Parameter(torch.tensor(peak))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        grey = images.mean(1, keepdim=True)
        low, high = grey.amin((-2, -1), keepdim=True), grey.amax((-2, -1), keepdim=True)
        grey = nn.functional.avg_pool2d((grey - low) / (high - low), 9, 1, 4)
        small = nn.functional.interpolate(grey, scale_factor=0.5, mode="bilinear", align_corners=True)
        return small, self.peak * small.expand(-1, 17, -1, -1) / small.amax((-2, -1), keepdim=True)


@pytest.mark.parametrize("flip_test", [True, False])
@pytest.mark.parametrize("batch", [1, 4, 64])
def test_keypoints_come_back_to_the_picture(folder: FramesFolder, flip_test: bool, batch: int):
    network = Bright().train()
    results = predict(network, folder, SIZE, batch=batch, flip_test=flip_test, threads=2)
    assert network.training
    assert [r["image_id"] for r in results] == list(range(10))
    gt = frames_to_coco(folder)
    truth = {a["id"]: np.array(a["keypoints"]).reshape(17, 3) for a in gt["annotations"]}
    for r in results:
        error = np.array(r["keypoints"]).reshape(17, 3)[:, :2] - truth[r["annotation_id"]][:, :2]
        assert np.abs(error).max() < 0.6
        assert r["score"] == pytest.approx(1.0, abs=1e-3)
    report = evaluate_results(gt, results)
    assert report["counts"]["people"] == 20
    assert report["counts"]["matched"] == 10  # the flat boxes got no prediction
    assert report["oks"] > 0.95


def test_flat_boxes_are_named_and_unlabelled_people_on_request(folder: FramesFolder, caplog):
    network = Bright()
    results = predict(network, folder, SIZE, labelled_only=False, domains=["real"])
    assert len(results) == 10
    assert {r["image_id"] for r in results} == {1, 3, 5, 7, 9}
    assert caplog.text.count("has a box without area") == 5
    assert "frame 3, person 2 has a box without area" in caplog.text


def test_score_is_the_mean_of_confident_keypoints(folder: FramesFolder):
    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            heatmaps = torch.zeros(len(images), 17, 12, 16)
            heatmaps[:, 0, 6, 6], heatmaps[:, 1, 6, 6], heatmaps[:, 2, 6, 6] = 0.9, 0.5, 0.1
            return heatmaps, heatmaps

    result = predict(Three(), folder, SIZE, flip_test=False)[0]
    assert result["score"] == pytest.approx(0.7)
    assert result["keypoints"][2::3] == pytest.approx([0.9, 0.5, 0.1, *[0.0] * 14])


def test_flip_test_averages_with_sides_exchanged():
    def left_and_right(images: Tensor) -> tuple[Tensor, Tensor]:
        width = images.shape[-1]
        ramp = torch.linspace(0, 1, width)
        return images, torch.cat([images[:, :1] * (1 - ramp), images[:, :1] * ramp**2], dim=1)

    images = torch.randint(0, 255, (2, 3, 8, 10), dtype=torch.uint8)
    plain = heatmaps_of(left_and_right, images, None)  # type: ignore[arg-type]
    both = heatmaps_of(left_and_right, images, [1, 0])  # type: ignore[arg-type]
    mirrored = heatmaps_of(left_and_right, images.flip(-1), None)  # type: ignore[arg-type]
    torch.testing.assert_close(both, 0.5 * (plain + mirrored.flip(-1)[:, [1, 0]]))
    assert (both - plain).abs().max() > 0.01


def test_a_network_that_diverged_is_refused(folder: FramesFolder):
    with pytest.raises(UserError, match="frame 0, person 2 is not finite: its weights have diverged"):
        predict(Bright(float("nan")), folder, SIZE)


def test_broken_picture_names_file_and_frame(tmp_path: Path):
    frame = dot_frame(0)
    frame.image = frame.image[:200]
    info = dataset_info("coco17")
    write_manifest(tmp_path, [publish_shard(tmp_path, 0, [frame], info)], info)
    with pytest.raises(UserError, match=r"frame 0: .*import or render it again"):
        predict(Bright(), tmp_path, SIZE)


def test_bfloat16_stays_close(folder: FramesFolder):
    torch.manual_seed(0)
    network = build_network("hrnet_nano", 17)
    images = next(crop_batches(folder, SIZE)).contiguous(memory_format=torch.channels_last)
    network.eval()
    with torch.no_grad():
        exact, rough = (heatmaps_of(network, images, None, bf16=on) for on in (False, True))
    assert rough.dtype == torch.float32
    assert 0 < (exact - rough).abs().max() < 0.05 * exact.abs().max()


def test_reestimated_statistics_are_those_of_the_pictures(folder: FramesFolder):
    torch.manual_seed(0)
    network = build_network("hrnet_nano", 17).train()
    other = build_network("hrnet_nano", 17).state_dict()
    freeze(network, ["stem"], load_weights(network, other))
    batches = list(crop_batches(folder, (64, 64), batch=4, threads=2))
    assert [len(b) for b in batches] == [4] * 5
    weights = {name: p.clone() for name, p in network.named_parameters()}
    modes = [m.training for m in network.modules()]
    assert reestimate_bn(network, ({"image": b} for b in batches)) == 20
    assert modes == [m.training for m in network.modules()]
    assert {m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
    assert all(torch.equal(p, weights[name]) for name, p in network.named_parameters())
    mean = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
    std = torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
    first = network.conv1((torch.cat(batches) / 255 - mean) / std)  # batches of equal size: the mean over all pictures
    torch.testing.assert_close(network.bn1.running_mean, first.mean((0, 2, 3)), atol=1e-4, rtol=1e-4)
    assert reestimate_bn(network, batches, limit=2) == 8


def test_nothing_to_reestimate_is_refused(folder: FramesFolder):
    with pytest.raises(UserError, match="no BatchNorm"):
        reestimate_bn(Bright(), crop_batches(folder, SIZE))
    network = build_network("hrnet_nano", 17)
    before = network.bn1.running_var.clone()
    with pytest.raises(UserError, match="no pictures"):
        reestimate_bn(network, [])
    assert torch.equal(network.bn1.running_var, before)
