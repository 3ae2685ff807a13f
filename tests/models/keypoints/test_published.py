"""Weights in the layouts of published files. Names and shapes are written down from the published code, not from ours."""

from __future__ import annotations

import logging
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sim2pose.config import UserError
from sim2pose.models.keypoints.backbones import load_backbone
from sim2pose.models.keypoints.heatmaps import decode, encode
from sim2pose.models.keypoints.networks import build_network
from sim2pose.models.keypoints.weights import load_weights, read_state

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def norm(name: str, channels: int) -> Shapes:
    for kind in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{kind}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def conv(name: str, bn: str, out: int, inputs: int, kernel: int) -> Shapes:
    yield f"{name}.weight", (out, inputs, kernel, kernel)
    yield from norm(bn, out)


def bottlenecks(name: str, inputs: int, planes: int, count: int) -> Shapes:
    for i in range(count):
        at = f"{name}.{i}"
        yield from conv(f"{at}.conv1", f"{at}.bn1", planes, inputs, 1)
        yield from conv(f"{at}.conv2", f"{at}.bn2", planes, planes, 3)
        yield from conv(f"{at}.conv3", f"{at}.bn3", 4 * planes, planes, 1)
        if i == 0:
            yield from conv(f"{at}.downsample.0", f"{at}.downsample.1", 4 * planes, inputs, 1)
        inputs = 4 * planes


def pose_hrnet(width: int) -> Shapes:
    """``pose_hrnet.PoseHighResolutionNet`` of leoxiaobin/deep-high-resolution-net.pytorch; DarkPose's and FiDIP's too."""
    yield from conv("conv1", "bn1", 64, 3, 3)
    yield from conv("conv2", "bn2", 64, 64, 3)
    yield from bottlenecks("layer1", 64, 64, 4)
    widths = [width * 2**i for i in range(4)]
    yield from conv("transition1.0.0", "transition1.0.1", width, 256, 3)
    for stage, modules in ((2, 1), (3, 4), (4, 3)):
        new = stage - 1  # the branch that this stage opens
        before = 256 if stage == 2 else widths[new - 1]
        yield from conv(f"transition{new}.{new}.0.0", f"transition{new}.{new}.0.1", widths[new], before, 3)
        for module in range(modules):
            at = f"stage{stage}.{module}"
            for branch in range(stage):
                for block in range(4):
                    for k in (1, 2):
                        here = f"{at}.branches.{branch}.{block}"
                        yield from conv(f"{here}.conv{k}", f"{here}.bn{k}", widths[branch], widths[branch], 3)
            yield from fuse(at, widths[:stage], 1 if (stage, module) == (4, 2) else stage)
    yield "final_layer.weight", (17, width, 1, 1)
    yield "final_layer.bias", (17,)


def fuse(at: str, widths: list[int], outputs: int) -> Shapes:
    for i in range(outputs):
        for j, inputs in enumerate(widths):
            here = f"{at}.fuse_layers.{i}.{j}"
            if j > i:
                yield from conv(f"{here}.0", f"{here}.1", widths[i], inputs, 1)
            for k in range(i - j):
                out = widths[i] if k == i - j - 1 else inputs
                yield from conv(f"{here}.{k}.0", f"{here}.{k}.1", out, inputs, 3)


def pose_resnet_50() -> Shapes:
    """``pose_resnet.PoseResNet`` of microsoft/human-pose-estimation.pytorch."""
    yield from conv("conv1", "bn1", 64, 3, 7)
    inputs = 64
    for i, count in enumerate((3, 4, 6, 3)):
        yield from bottlenecks(f"layer{i + 1}", inputs, 64 * 2**i, count)
        inputs = 256 * 2**i
    for i, inputs in enumerate((2048, 256, 256)):
        yield f"deconv_layers.{3 * i}.weight", (inputs, 256, 4, 4)
        yield from norm(f"deconv_layers.{3 * i + 1}", 256)
    yield "final_layer.weight", (17, 256, 1, 1)
    yield "final_layer.bias", (17,)


def fidip_mobilenet() -> Shapes:
    """``adaptive_pose_mobile.PoseMobileNet`` of ostadabbas/Infant-Pose-Estimation."""
    yield from conv("features.0.0", "features.0.1", 32, 3, 3)
    inputs, number = 32, 1
    for expansion, out, count in ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)):
        for _ in range(count):
            at, wide = f"features.{number}.conv", inputs * expansion
            place = 0
            if expansion > 1:
                yield from conv(f"{at}.0", f"{at}.1", wide, inputs, 1)
                place = 3
            yield from conv(f"{at}.{place}", f"{at}.{place + 1}", wide, 1, 3)
            yield from conv(f"{at}.{place + 3}", f"{at}.{place + 4}", out, wide, 1)
            inputs, number = out, number + 1
    yield from conv("features.18.0", "features.18.1", 1280, 320, 1)
    yield "conv_compress.weight", (256, 1280, 1, 1)
    for i, inputs in enumerate((256, 128, 64)):
        yield from conv(f"duc{i + 1}.conv", f"duc{i + 1}.bn", 2 * inputs, inputs, 3)
    yield "hm_conv.weight", (17, 32, 1, 1)


def filled(shapes: Shapes) -> dict[str, Tensor]:
    """Tensors that are told apart by their first value; large ones share memory, so that files stay small."""
    return {name: torch.full((1,) * len(s), float(i)).expand(s) for i, (name, s) in enumerate(shapes)}


def under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


def contents(layout: str, state: dict[str, Tensor]) -> Any:
    optimizer = {"state": {0: {"step": 5, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3, "params": [0]}]}
    about = {"epoch": 100, "perf": np.float64(0.936), "optimizer": optimizer}
    if layout == "plain":  # pose_hrnet_w32_256x192.pth, model_best.pth, final_state.pth
        return state
    if layout == "module":  # FiDIP's model_best.pth.tar of its first release: the state dict of a DataParallel model
        return under(state, "module.")
    if layout == "checkpoint":  # checkpoint.pth of HRNet, DarkPose and FiDIP: both dicts, and the AP as a numpy number
        both = {"state_dict": under(state, "module."), "best_state_dict": state}
        return {**about, "model": "pose_hrnet", **both}
    assert layout == "first release", layout  # FiDIP's checkpoint.pth.tar: no best_state_dict, the name as a pair
    return {**about, "model": ("pose_resnet_50", "256x192_pose_resnet_50"), "state_dict": under(state, "module.")}


PUBLISHED: dict[str, Callable[[], Shapes]] = {
    "hrnet_w32": lambda: pose_hrnet(32),
    "hrnet_w48": lambda: pose_hrnet(48),
    "resnet_50": pose_resnet_50,
    "mobilenet_v2": fidip_mobilenet,
}


@pytest.mark.parametrize(
    ("name", "layout", "file"),
    [
        ("hrnet_w32", "plain", "pose_hrnet_w32_256x192.pth"),
        ("hrnet_w48", "checkpoint", "w48_384x288_dark.pth"),
        ("resnet_50", "plain", "pose_resnet_50_256x192.pth.tar"),
        ("resnet_50", "module", "model_best.pth.tar"),
        ("resnet_50", "first release", "checkpoint.pth.tar"),
        ("mobilenet_v2", "plain", "fidip_mobile.pth"),
        ("mobilenet_v2", "checkpoint", "checkpoint.pth"),
    ],
)
def test_published_layouts_load_whole(tmp_path: Path, name: str, layout: str, file: str) -> None:
    state = filled(PUBLISHED[name]())
    torch.save(contents(layout, state), tmp_path / file)
    with torch.device("meta"):
        empty = build_network(name, 17)
    network = empty.to_empty(device="cpu")
    report = load_weights(network, tmp_path / file)
    bias = int(name == "mobilenet_v2")  # FiDIP's last layer has none: zero
    assert (len(report.matched), report.missing, report.unexpected, report.mismatched) == (
        len(state) + bias,
        (),
        (),
        (),
    )
    assert f"{file}: {len(state) + bias} tensors loaded, 0 missing, 0 unexpected, 0 mismatched" in report.describe()
    for (key, value), (_, given) in zip(network.state_dict().items(), ordered(name, state), strict=True):
        assert value.shape == given.shape and bool((value == given.flatten()[0]).all()), key


def ordered(name: str, state: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    """The file's tensors in our order: both list layers as they are built, but for HRNet's transitions."""
    if name == "mobilenet_v2":
        return [*state.items(), ("final_layer.bias", torch.zeros(17))]
    with torch.device("meta"):
        keys = list(build_network(name, 17).state_dict())
    return [(key, state[key]) for key in keys]


def test_simple_baselines_of_pytorch_0_4_lack_batch_counters(tmp_path: Path) -> None:
    state = {k: v for k, v in filled(pose_resnet_50()).items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)  # their container, too
    with torch.device("meta"):
        network = build_network("resnet_50", 17).to_empty(device="cpu")
    assert load_weights(network, tmp_path / "old.pth.tar").missing == ()


def test_another_topology_is_refused_and_says_which_tensors() -> None:
    with torch.device("meta"):
        narrow, deep = build_network("hrnet_w32", 17), build_network("resnet_101", 17)
    with pytest.raises(UserError, match=r"mismatched \(transition1.0.0.weight \(48, 256, 3, 3\) for \(32, 256, 3, 3\)"):
        load_weights(narrow, filled(pose_hrnet(48)))
    with pytest.raises(UserError, match=r"255 missing \(layer3.6.conv1.weight, .* and 252 more\), 0 unexpected"):
        load_weights(deep, filled(pose_resnet_50()))
    with pytest.raises(UserError) as raised:
        load_weights(narrow, filled(pose_resnet_50()))
    for part in (
        "missing (conv2.weight, ",
        "unexpected (layer2.0.conv1.",
        "(conv1.weight (64, 3, 7, 7) for (64, 3, 3, 3)",
    ):
        assert part in str(raised.value)


def test_a_part_loads_where_it_is_allowed_and_the_log_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from sim2pose.config import merge, validate
    from sim2pose.trainers.initial_weights import load_start
    from sim2pose.trainers.keypoint_config import KeypointConfig

    network = build_network("hrnet_nano", 17)
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("stage3")}
    torch.save({"state_dict": under(state, "module.")}, tmp_path / "part.pth")
    values: dict[str, Any] = {"name": "x", "steps": 1, "model": {"weights": str(tmp_path / "part.pth")}}
    with pytest.raises(UserError, match=r"missing \(stage3.0.branches"):
        load_start(validate(KeypointConfig, values), network, True)
    with caplog.at_level(logging.INFO):
        load_start(validate(KeypointConfig, merge(values, {"model": {"allow": ["stage3.*"]}})), network, True)
    assert f"part.pth: {len(state)} tensors loaded, " in caplog.text
    assert "missing (stage3.0.branches" in caplog.text


def test_fidips_mobilenet_is_a_backbone_too() -> None:
    with torch.device("meta"):
        network = build_network("mobilenet_v2", 5).to_empty(device="cpu")
    report = load_backbone(network, filled(fidip_mobilenet()))
    assert {key.partition(".")[0] for key in report.missing} == {"compress", "up", "final_layer"}
    assert {key.partition(".")[0] for key in report.matched} == {"features"}


def test_softmax_heatmaps_have_the_peak_of_their_targets() -> None:
    """FiDIP's weights give logits of a softmax. Scaled by 2πσ², a right answer equals its target, and DARK decodes it."""
    torch.manual_seed(0)
    network = build_network("mobilenet_v2", 3, softmax=2.0).eval()
    _, heatmaps = network(torch.randn(2, 3, 64, 64))
    torch.testing.assert_close(heatmaps.sum((-2, -1)), torch.full((2, 3), 8 * torch.pi))
    points = torch.tensor([[[100.0, 120.0], [90.5, 80.25], [60.0, 150.0]]])
    target = encode(points, torch.ones(1, 3), (224, 224), (56, 56), 2.0)
    shares = target / target.sum((-2, -1), keepdim=True)
    torch.testing.assert_close(8 * torch.pi * shares, target, atol=1e-3, rtol=1e-3)
    found, scores = decode(8 * torch.pi * shares, (224, 224))
    assert (found - points).abs().max() < 0.3
    assert scores.min() > 0.9


@pytest.mark.parametrize("value", [np.float64(0.5), np.float32(0.5), np.int64(7), np.bool_(True)])
@pytest.mark.parametrize("core", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
def test_numbers_of_numpy_beside_weights_are_read_by_any_numpys_name(tmp_path: Path, value: Any, core: bytes) -> None:
    torch.save({"state_dict": {"a.weight": torch.ones(2)}, "perf": value}, tmp_path / "c.pth", pickle_protocol=2)
    path = tmp_path / "c.pth"
    if core == b"numpy.core.multiarray":  # as numpy 1 wrote it
        torch.save(
            {"state_dict": {"a.weight": torch.ones(2)}, "perf": value},
            path,
            pickle_module=Renaming,
            _use_new_zipfile_serialization=True,
        )
    with zipfile.ZipFile(path) as archive:
        assert core in archive.read("c/data.pkl")
    assert list(read_state(path)) == ["a.weight"]


class Renaming:
    """A pickle module that writes numpy 1's module name."""

    class Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
        def save_global(self, obj: Any, name: str | None = None) -> None:
            if getattr(obj, "__module__", "") == "numpy._core.multiarray":
                self.write(pickle.GLOBAL + b"numpy.core.multiarray\nscalar\n")
                self.memoize(obj)
            else:
                super().save_global(obj, name)

        dispatch = {**pickle._Pickler.dispatch, type(struct.pack): save_global}  # type: ignore[attr-defined]


def test_other_objects_of_numpy_are_still_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a.weight": torch.ones(2)}, "extra": np.array(["text"], object)}, tmp_path / "c.pth")
    with pytest.raises(UserError, match="holds more than tensors"):
        read_state(tmp_path / "c.pth")
