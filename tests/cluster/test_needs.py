"""What a command needs is read from its config, and compared with the cluster before it waits."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sim2pose.cluster.needs import Needs, Node, check, needs_of, nodes_of, settle, with_options
from sim2pose.config import UserError

DATA = ["data.source=/shared/a", "out=/shared/runs"]
SMALL = [Node("10.0.0.1", 2, 0, 8e9), Node("10.0.0.2", 8, 1, 16e9)]


def train(*words: str) -> list[str]:
    return ["train", "infant_source", *DATA, *words]


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        (train(), Needs(1, gpu_if_any=True, because="runtime=local")),
        (train("device=cpu", "threads=4", "data.loader_workers=3"), Needs(7, because="runtime=local")),
        (train("device=cuda"), Needs(1, 1, because="runtime=local, device=cuda")),
        (train("runtime=ray", "workers=4"), Needs(0, workers=4, because="workers=4")),
        (
            train("runtime=ray", "workers=[1, 2]", "device=cuda"),
            Needs(0, workers=1, gpus_each=1, because="workers=1, device=cuda"),
        ),
        (["render", "infant", "out=/s", "workers=0"], Needs(1)),
        (
            ["render", "infant", "out=/s", "workers=64", "--gpus-per-worker", "0.5"],
            Needs(0, workers=1, gpus_each=0.5, because="one actor"),
        ),
        (
            ["tune", "lambda", "out=/s", "fixed.data.source=/shared/a", "fixed.data.target=/shared/b", "cpus=3"],
            Needs(0, workers=1, cpus_each=3, because="one trial"),
        ),
        (["train", "/not/seen/here.yaml", "out=/s"], Needs(1)),
        (["evaluate", "/shared/run", "/shared/photos"], Needs(1)),
    ],
)
def test_needs_come_from_the_config(words: list[str], needs: Needs) -> None:
    assert needs_of(words) == needs


def test_a_mistyped_key_is_told_before_the_journey() -> None:
    with pytest.raises(UserError, match=r"unknown key 'optim\.lrr': did you mean 'lr'"):
        needs_of(train("optim.lrr=1"))
    with pytest.raises(UserError, match="--gpus-per-worker takes a number, found 'two'"):
        needs_of(["render", "infant", "out=/s", "workers=2", "--gpus-per-worker=two"])


def test_auto_takes_a_gpu_where_there_is_one_beside_the_cpus() -> None:
    auto = Needs(2, gpu_if_any=True)
    assert settle(auto, SMALL).gpus == 1
    assert settle(auto, SMALL[:1]).gpus == 0
    assert settle(Needs(16, gpu_if_any=True), SMALL).gpus == 0


@pytest.mark.parametrize(
    ("needs", "sentence"),
    [
        (
            Needs(0, workers=4, gpus_each=1, because="workers=4, device=cuda"),
            r"needs 4 GPUs \(workers=4, device=cuda\), the cluster has 10 CPUs, 1 GPU "
            r"\(10\.0\.0\.1: 2 CPUs, 10\.0\.0\.2: 8 CPUs, 1 GPU\); ask for less, or give --autoscaling",
        ),
        (Needs(0, workers=16), "needs 16 CPUs, the cluster has 10 CPUs, 1 GPU"),
        (Needs(9), "needs 9 CPUs on one node, the cluster has 10 CPUs"),
        (Needs(4, 2), "needs 4 CPUs, 2 GPUs on one node"),
        (Needs(1, memory=64e9), "needs 1 CPU, 64 GB of memory on one node"),
        (Needs(0, workers=2, cpus_each=5), "needs 10 CPUs, the cluster has 10 CPUs.* with room for 1 of 2"),
    ],
)
def test_more_than_there_is_is_refused_with_what_there_is(needs: Needs, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        check(needs, SMALL)


def test_what_there_is_may_be_asked_for() -> None:
    for needs in (
        Needs(8, 1),
        Needs(0, workers=10),
        Needs(0, workers=2, gpus_each=0.5),
        Needs(0),
        Needs(1, memory=9e9),
    ):
        check(needs, SMALL)


def test_needs_read_well() -> None:
    assert Needs(1, 1).text == "1 CPU, 1 GPU"
    assert Needs(0, workers=4, gpus_each=1).text == "4 workers of 1 CPU, 1 GPU"
    assert Needs(2, 0, 4e9).text == "2 CPUs, 4 GB of memory"


def test_nodes_that_are_gone_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray.util.state

    def list_nodes(address: str, limit: int) -> list[SimpleNamespace]:
        there = {"CPU": 8.0, "GPU": 1.0, "memory": 1e9, "node:10.0.0.1": 1.0}
        return [
            SimpleNamespace(node_ip="10.0.0.1", state="ALIVE", resources_total=there),
            SimpleNamespace(node_ip="10.0.0.2", state="DEAD", resources_total=there),
            SimpleNamespace(node_ip="10.0.0.3", state="ALIVE", resources_total=None),
        ]

    monkeypatch.setattr(ray.util.state, "list_nodes", list_nodes)
    assert nodes_of("http://head:8265") == [Node("10.0.0.1", 8, 1, 1e9), Node("10.0.0.3", 0)]


def test_options_go_before_the_config() -> None:
    auto = Needs(2, gpu_if_any=True)
    assert with_options(auto, None, None, None) == auto
    assert with_options(auto, 4, 0, 16) == Needs(4, 0, 16e9)
    assert settle(with_options(auto, None, 0, None), SMALL).gpus == 0, "none is none, wherever there is one"
