"""The people that a keypoint network trains on, and how batches are put together from them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from ..config import UserError
from ..datasets.augment import Augmentation, augmentation
from ..datasets.persons import PersonDataset
from ..datasets.plan import BatchPlan
from ..datasets.stream import make_loader
from ..datasets.streamed_plan import StreamedPlan
from .context import Context
from .keypoint_config import KeypointConfig
from .keypoint_stream import open_stream, with_windows
from .task import Batch

log = logging.getLogger(__name__)

SOURCE, TARGET = 1, 0


def open_datasets(cfg: KeypointConfig, context: Context) -> list[PersonDataset]:
    """The data sets of a batch, source before target; says on rank 0 what was left out and why.

    With ``data.labelled_share`` the target is there twice: its labelled people, then all of them without labels. With
    ``data.stream.window`` the source is as far as its first window, and grows.

    Raises:
        UserError: for missing or damaged folders, joint sets that differ, or no label where the method needs one.
    """
    data, method = cfg.data, cfg.adversarial.method
    named: dict[str, PersonDataset] = {}
    if data.stream.window is not None:
        named[f"source, first {data.stream.window} shards"] = open_stream(
            data.source[0], data.stream.window, data.stream.timeout, SOURCE, context
        )
    elif method != "finetune":
        named["source"] = PersonDataset(
            list(data.source), domain=SOURCE, frame_limit=data.source_frames, label_seed=cfg.seed
        )
    if method == "finetune" or (method != "none" and data.labelled_share is not None):
        named["labelled target"] = PersonDataset(
            list(data.target), domain=TARGET, limit=data.target_labels, label_seed=cfg.seed
        )
    if method not in ("none", "finetune"):
        unlabelled = data.target_labels == 0 or data.labelled_share is not None
        labels = 0 if unlabelled else data.target_labels
        if data.labelled_share is None or data.labelled_share < data.target_share:
            named["target"] = PersonDataset(
                list(data.target),
                domain=TARGET,
                min_keypoints=0 if unlabelled else 1,
                labels=labels,
                label_seed=cfg.seed,
            )
    names = {d.joint_set.name for d in named.values()}
    if len(names) > 1:
        raise UserError(f"source and target have different joint sets: {', '.join(sorted(names))}")
    if context.first:
        for name, dataset in named.items():
            log.info("%s: %s", name, dataset.describe())
    return list(named.values())


def batch_ratio(cfg: KeypointConfig, datasets: Sequence[PersonDataset]) -> list[float]:
    """Shares of the data sets of :func:`open_datasets` in a batch."""
    share, labelled = cfg.data.target_share, cfg.data.labelled_share
    if len(datasets) == 1:
        return [1.0]
    if len(datasets) == 2:
        return [1.0 - share, share]
    assert labelled is not None, "three data sets: source, labelled and unlabelled target"
    return [1.0 - share, labelled, share - labelled]


def make_plan(cfg: KeypointConfig, datasets: Sequence[PersonDataset], seed: int) -> BatchPlan:
    """The order of batches over the data sets of :func:`open_datasets`."""
    kind = BatchPlan.make if cfg.data.stream.window is None else StreamedPlan.over
    return kind(datasets, cfg.batch, seed, batch_ratio(cfg, datasets))


def batches(
    cfg: KeypointConfig,
    context: Context,
    datasets: Sequence[PersonDataset],
    plan: BatchPlan,
    start: int,
    stop: int,
    weak_view: bool = False,
) -> Iterator[Batch]:
    """This rank's batches ``start`` to ``stop`` of a plan, augmented; see ``make_loader``."""
    if start >= stop:
        return
    loader = make_loader(
        datasets,
        plan,
        [augmentation_of(cfg, dataset) for dataset in datasets],
        cfg.data.input,
        rank=context.rank,
        world=context.world,
        workers=cfg.data.loader_workers,
        start_step=start,
        stop_step=stop,
        weak_view=weak_view,
        pin_memory=context.device.type == "cuda",
    )
    yield from with_windows(loader, plan, context, range(start, stop)) if isinstance(plan, StreamedPlan) else loader


def augmentation_of(cfg: KeypointConfig, dataset: PersonDataset) -> Augmentation:
    """``data.augment``, or of the target ``data.augment_target`` where that is given."""
    level = cfg.data.augment_target if dataset.domain == TARGET else None
    return augmentation(level or cfg.data.augment)
