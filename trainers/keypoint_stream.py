"""Ranks that train on a source which is still being rendered: they wait together, and give up together.

When a step needs a further window is the same on all ranks, so that each of these waits is one exchange: rank 0 watches
the folder, the others hear from it. Loader processes read windows by themselves, ahead of the step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..config import UserError
from ..datasets.patience import Patience, Stalled, await_folder, await_shards
from ..datasets.streamed import StreamedPeople
from ..datasets.streamed_plan import StreamedPlan
from .context import Context
from .task import Batch

SLICE_S = 60.0
"""So often ranks hear from rank 0 while it waits; process groups take a long silence for a loss."""


def open_stream(path: str | Path, window: int, timeout_s: float, domain: int, context: Context) -> StreamedPeople:
    """The source as far as its first window; waits for the farm to begin, if need be.

    Raises:
        UserError: whatever is wrong with the folder.
        Stalled: if nothing comes, on every rank.
    """
    patience = Patience(path, timeout_s)
    _together(context, lambda: await_folder(patience, SLICE_S) is not None)
    with _seen_by_all():
        live = await_folder(patience)
    assert live is not None
    first = min(window, live.shards)
    _together(context, lambda: await_shards(live, 0, first, patience, SLICE_S))
    with _seen_by_all():
        return StreamedPeople(live, window, domain=domain, patience=patience)


def with_windows(loader: Iterable[Batch], plan: StreamedPlan, context: Context, steps: range) -> Iterator[Batch]:
    """The batches of a loader of these steps, each when the windows that it needs are there."""
    batches = iter(loader)
    for step in steps:
        while plan.lacks(step):
            read_window(plan.source, context)
        yield next(batches)


def read_window(people: StreamedPeople, context: Context) -> None:
    """Wait for the next window and read its labels, on every rank.

    Raises:
        Stalled: if it does not come, on every rank.
    """
    _together(context, lambda: people.wait(SLICE_S))
    with _seen_by_all():
        people.wait()
    people.grow()


def restore(people: StreamedPeople, state: dict[str, Any], context: Context) -> None:
    """Read as many windows as the run had read when ``state`` was saved, and see that they are the same.

    Raises:
        UserError: if the folder holds other frames now.
    """
    while len(people.window_blocks) < min(state["windows"], people.windows):
        read_window(people, context)
    people.check(state)


@contextlib.contextmanager
def _seen_by_all() -> Iterator[None]:
    """A rank looks at what rank 0 has seen; a network file system may show it a little later."""
    try:
        yield
    except Stalled as error:
        raise UserError(f"{error}. Rank 0 sees it: the folder must lie on storage that all nodes share") from error


def _together(context: Context, wait: Callable[[], bool]) -> None:
    """Rank 0 waits, slice by slice; all ranks go on, or raise the same."""
    answer: bool | str = False
    while answer is False:
        if context.first:
            try:
                answer = wait()
            except Stalled as error:
                answer = str(error)
        answer = context.broadcast(answer)
    if isinstance(answer, str):
        raise Stalled(answer)
