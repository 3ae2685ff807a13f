"""Published weights: every container, nothing loaded by half, nothing random frozen."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sim2pose.config import UserError
from sim2pose.models.keypoints.networks import build_network
from sim2pose.models.keypoints.weights import freeze, load_weights, read_state


def nano(seed: int = 0, joints: int = 17):
    torch.manual_seed(seed)
    return build_network("hrnet_nano", joints)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("form", ["plain", "nested", "module", "safetensors"])
def test_every_container_loads(tmp_path: Path, form: str):
    source, network = nano(1), nano(2)
    state, path = source.state_dict(), tmp_path / "pose.pth"
    if form == "nested":
        torch.save({"epoch": 3, "state_dict": state, "optimizer": {"state": {}}}, path)
    elif form == "module":
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
    elif form == "safetensors":
        path = tmp_path / "pose.safetensors"
        save_file(state, path)
    else:
        torch.save(state, path)
    report = load_weights(network, path)
    assert same(source, network)
    assert len(report.matched) == len(state)
    assert not report.missing
    assert not report.unexpected
    assert "loaded" in report.describe()


def test_other_head_is_refused_unless_allowed():
    network = nano(1, joints=19)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError, match=r"2 mismatched \(final_layer.weight \(17, 16, 1, 1\) for \(19, 16, 1, 1\)"):
        load_weights(network, nano(2).state_dict())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    report = load_weights(network, nano(2).state_dict(), allow=("final_layer.*",))
    assert len(report.mismatched) == 2
    assert torch.equal(network.final_layer.weight, before["final_layer.weight"])
    assert torch.equal(network.conv1.weight, nano(2).conv1.weight)


def test_missing_and_unexpected_keys_are_refused():
    state = nano(2).state_dict()
    state["classifier.weight"] = torch.zeros(3)
    del state["bn1.running_mean"]
    with pytest.raises(UserError, match=r"1 missing \(bn1.running_mean\), 1 unexpected \(classifier.weight\)"):
        load_weights(nano(), state)
    assert load_weights(nano(), state, allow=("bn1.*", "classifier.*")).unexpected == ("classifier.weight",)


def test_old_files_lack_batch_counters():
    state = {key: value for key, value in nano(2).state_dict().items() if not key.endswith("num_batches_tracked")}
    assert load_weights(nano(), state).missing == ()


def test_another_networks_weights_never_load():
    with pytest.raises(UserError, match="another network's weights"):
        load_weights(nano(), {"encoder.weight": torch.zeros(2)}, allow=("*",))


class Evil:
    """Creates a file when unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_files_with_code_are_not_read(tmp_path: Path):
    trace = tmp_path / "trace"
    torch.save({"state_dict": Evil(trace)}, tmp_path / "torch.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Evil(trace)))
    for name in ("torch.pth", "plain.pth"):
        with pytest.raises(UserError, match=f"{name} holds more than tensors"):
            read_state(tmp_path / name)
    assert not trace.exists()


def test_missing_damaged_and_empty_files(tmp_path: Path):
    with pytest.raises(UserError, match="no weights file at"):
        read_state(tmp_path / "none.pth")
    for name in ("cut.pth", "cut.safetensors"):
        torch.save(nano().state_dict(), tmp_path / "whole.pth")
        (tmp_path / name).write_bytes((tmp_path / "whole.pth").read_bytes()[:1000])
        with pytest.raises(UserError, match=name):
            read_state(tmp_path / name)
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(UserError, match="holds no tensors; its keys are epoch"):
        read_state(tmp_path / "empty.pth")


def test_frozen_stages_change_neither_parameters_nor_statistics():
    network = nano()
    report = load_weights(network, nano(3).state_dict())
    assert freeze(network, ["stem", "stage2"], report) == ["conv1", "bn1", "conv2", "bn2", "stage2"]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.train()
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 1e-2)
    for _ in range(2):
        network.train()
        network(torch.randn(4, 3, 64, 64))[1].square().mean().backward()
        optimiser.step()
    changed = {key.split(".")[0] for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"transition1", "transition2", "stage3", "final_layer"}
    assert network.stage3.training
    assert not any(module.training for module in network.stage2.modules())


def test_freezing_random_layers_is_refused():
    network = nano()
    with pytest.raises(UserError, match=r"would freeze random layers: conv1\.weight, bn1\.weight"):
        freeze(network, ["stem"], None)
    partly = load_weights(network, {"conv1.weight": torch.zeros(16, 3, 3, 3)}, allow=("*",))
    with pytest.raises(UserError, match=r"random layers: bn1.weight"):
        freeze(network, ["stem"], partly)
    assert all(p.requires_grad for p in network.parameters())
    with pytest.raises(UserError, match="cannot freeze 'stage7'"):
        freeze(network, ["stage7"], partly)
