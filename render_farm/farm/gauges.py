"""What a cluster's dashboard shows of us: Ray metrics of the farm and of training; without Ray nothing is done.

Ray collects them on every node and serves them to Prometheus as ``ray_<name>``, counters as ``ray_<name>_total``.
``cluster/grafana/sim2pose.json`` draws them. Values are given where progress is noted anyway: once a shard, and once in
``log_every`` steps.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A metric of ours.

    Attributes:
        name: without Ray's prefix.
        about: what it tells, and its unit.
        label: by which its series are told apart: the farm's folder, or the run.
        counts: a sum that only grows (Prometheus takes its rate); else the value now.
        part: a second label, within the first.
    """

    name: str
    about: str
    label: str
    counts: bool = False
    part: str | None = None

    @property
    def series(self) -> str:
        """Its name in Prometheus."""
        return f"ray_{self.name}_total" if self.counts else f"ray_{self.name}"


FRAMES = Metric("sim2pose_farm_frames", "frames in finished shards, those in quarantine not counted", "folder", True)
SHARDS = Metric("sim2pose_farm_shards", "finished shards", "folder", True)
RETRIES = Metric("sim2pose_farm_shard_retries", "attempts at a shard that failed", "folder", True)
QUARANTINED = Metric("sim2pose_farm_quarantined", "frames that could not be made", "folder", True)
QUEUE = Metric("sim2pose_farm_queue", "shards that are not finished", "folder")
RATE = Metric("sim2pose_train_images_per_second", "samples a second, all ranks together, since the last log", "run")
STEP = Metric("sim2pose_train_step", "steps done", "run")
WAIT = Metric("sim2pose_train_data_wait", "share of the time since the last log spent waiting for batches", "run")
LOSS = Metric("sim2pose_train_loss", "mean loss of a network since the last log", "run", part="network")
METRICS = (FRAMES, SHARDS, RETRIES, QUARANTINED, QUEUE, RATE, STEP, WAIT, LOSS)


def record(metric: Metric, value: float, where: str, part: str | None = None) -> None:
    """Set a metric, or add to one that counts, if this process is in a Ray cluster.

    Args:
        metric: one of :data:`METRICS`.
        value: the value now, or what is added.
        where: the value of its label.
        part: the value of its second label.
    """
    if not _in_cluster():
        return
    labels = {metric.label: where}
    if metric.part is not None and part is not None:
        labels[metric.part] = part
    made = _made(metric)
    if metric.counts:
        if value:  # Ray refuses to count nothing
            made.inc(value, labels)
    else:
        made.set(value, labels)


def record_training(run: str, step: int, metrics: Mapping[str, float]) -> None:
    """Give the dashboard what the loop logs: ``train/<name>`` values of all ranks, on rank 0."""
    if not _in_cluster():
        return
    record(STEP, step, run)
    record(RATE, metrics["train/samples_per_second"], run)
    record(WAIT, metrics["train/data_wait"], run)
    for name, value in metrics.items():
        if name.startswith("train/loss_"):
            record(LOSS, value, run, name.removeprefix("train/loss_"))


def _in_cluster() -> bool:
    """Whether this process uses Ray; never imports it."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


@cache
def _made(metric: Metric) -> Any:
    """Ray's object for a metric: one a process."""
    from ray.util.metrics import Counter, Gauge

    kind = Counter if metric.counts else Gauge
    labels = (metric.label,) if metric.part is None else (metric.label, metric.part)
    return kind(metric.name, description=metric.about, tag_keys=labels)
