from __future__ import annotations

import pytest

from sim2pose.benchmarks import predict
from sim2pose.benchmarks.predict import BenchConfig, run


def test_the_row_compares_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    build = predict.build_network

    def counting(name: str, joints: int) -> object:
        network = build(name, joints)
        network.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
        return network

    monkeypatch.setattr(predict, "build_network", counting)
    config = BenchConfig(network="hrnet_nano", input=(32, 64), batch=4, pictures=6, size=(80, 60), rounds=1)
    (row,) = run(config)
    assert seen == 4 * [4, 4, 2, 2], "two rounds of two: the same forward passes with and without files"
    assert row.unit == "people/s"
    assert row.value > 0
    assert row.ratio is not None and row.ratio > 0
