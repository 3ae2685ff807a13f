"""Who trains: a fixed number of warm worker processes, and the desk that hands them runs.

A runner imports torch once and trains one run after another; it holds the CPUs and GPUs of one trial for as long as the
sweep lasts. A lost runner is replaced, and its run goes on from its newest checkpoint.
"""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROUNDING = 1e-3  # shares of a run are rounded to its steps
TrainFunction = Callable[..., Any]  # of a config, resume and until, as `trainers.runtimes.train`


@dataclass(frozen=True)
class Job:
    """One run, up to some share of its steps.

    Attributes:
        values: its config.
        until: share of its steps at which it pauses, or 1.
        parent: run folder and step to branch from, where the run does not exist yet; None for a run of its own.
    """

    values: Mapping[str, Any]
    until: float
    parent: tuple[str, int] | None = None


@dataclass(frozen=True)
class Outcome:
    """What a job came to: the metrics of its last validation, or why it failed."""

    metrics: Mapping[str, float] | None = None
    step: int = 0
    progress: float = 0.0
    stopped: str | None = None
    error: str | None = None
    details: str = ""


class Runner:
    """A process that trains."""

    def __init__(self, function: TrainFunction | None) -> None:
        from ..trainers import runtimes

        self._train = function or runtimes.train

    def ready(self) -> bool:
        """Answers when the process stands."""
        return True

    def run(self, job: Job) -> Outcome:
        """Train; an error of the run's own comes back as an outcome, as the same run would fail again."""
        from ..trainers import runfolder
        from ..trainers.recipes import validate_run

        try:
            cfg = validate_run(job.values)
            run_dir = Path(cfg.out) / cfg.name
            if job.parent is not None:
                runfolder.branch(Path(job.parent[0]), cfg, job.parent[1])
            known = runfolder.result(run_dir) or runfolder.paused(run_dir)
            if known is not None and known.progress >= job.until - ROUNDING:
                return Outcome(known.metrics, known.step, known.progress, known.stopped)
            resume = (run_dir / "config.yaml").is_file()
            result = self._train(cfg, resume, None if job.until >= 1 else job.until)
        except Exception as error:
            return Outcome(error=f"{type(error).__name__}: {error}", details=traceback.format_exc())
        finally:
            gc.collect()
        return Outcome(result.metrics, result.step, result.progress, result.stopped)


class Desk:
    """Hands jobs to runners, first come first served; an asynchronous actor.

    Args:
        slots: number of runners.
        resources: Ray options of each: ``num_cpus``, ``num_gpus``.
        function: what runners call.
        max_failures: fresh starts of a run whose runner was lost.
    """

    def __init__(
        self, slots: int, resources: dict[str, float], function: TrainFunction | None, max_failures: int
    ) -> None:
        import ray

        self._make = lambda: ray.remote(Runner).options(**resources).remote(function)
        self._slots, self._max_failures = slots, max_failures
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        self._joining: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start the runners: while they load, Tune does."""
        for _ in range(self._slots):
            self._hire()

    async def run(self, job: Job) -> Outcome:
        """Wait for a free runner and train there; a lost runner costs one of ``max_failures`` fresh starts."""
        from ray.exceptions import RayActorError

        lost = ""
        for _ in range(self._max_failures + 1):
            runner = await self._free.get()
            try:
                outcome: Outcome = await runner.run.remote(job)
            except RayActorError as error:
                lost = str(error).strip().splitlines()[0]
                self._hire()
            else:
                self._free.put_nowait(runner)
                return outcome
        return Outcome(error=f"its process was lost {self._max_failures + 1} times: {lost}")

    def _hire(self) -> None:
        """Start a runner; it gets work once it stands, so none waits for a place that the cluster does not have."""
        task = asyncio.get_running_loop().create_task(self._join(self._make()))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    async def _join(self, runner: Any) -> None:
        await asyncio.wait(
            [asyncio.ensure_future(runner.ready.remote())]
        )  # one that died at its start fails its first run
        self._free.put_nowait(runner)
