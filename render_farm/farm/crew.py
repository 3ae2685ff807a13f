"""The farm on Ray: actors that render shards, and the driver's loop that survives whatever happens to them.

The pattern: actors restart by themselves but tasks are never retried by Ray (``max_restarts=-1, max_task_retries=0``);
the driver keeps a queue of shards, waits on running tasks **and** on pings of parked actors, puts a shard back when its
actor dies, and parks the actor until a ping answers. An attempt may thus happen twice, but a shard appears once, since
publishing is exclusive. Actors that never answer (more actors than CPUs, a lost node) stay parked and hold up nobody.
Each actor has one shard in flight, and of the queue no more is held than the next shard and those that failed: the
driver's memory does not grow with the job.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ...config import UserError
from ...datasets import storage
from ...datasets.records import ShardEntry
from ...datasets.remote import Unreachable
from .gauges import RETRIES, record
from .job import FarmJob, is_visible
from .worker import ShardWorker

POLL_S = 0.5
PING_AGAIN_S = 0.5
VISIBLE_WITHIN_S = 10.0  # network file systems cache what a folder holds for some seconds


class FarmError(RuntimeError):
    """The farm gave up: the sentence says on which shard, after how many attempts, and with which last cause."""


@dataclass(frozen=True)
class Limits:
    """When to lose patience.

    Attributes:
        deadline_s: a shard that takes longer is taken away, and its actor is killed.
        max_attempts: attempts at a shard (or at starting workers, in a row) before giving up.
        silence_s: give up if no worker has been ready for so long.
    """

    deadline_s: float = 120.0
    max_attempts: int = 5
    silence_s: float = 300.0


@dataclass
class _Busy:
    actor: Any
    shard_id: int
    since: float


class Crew:
    """The actors of one run and what each of them is doing: idle, busy with a shard, or parked behind a ping."""

    def __init__(self, job: FarmJob, workers: int, gpus_per_worker: float = 0.0) -> None:
        import ray

        self._make = ray.remote(max_restarts=-1, max_task_retries=0, num_cpus=1, num_gpus=gpus_per_worker)(ShardWorker)
        self.job = job
        self.idle: list[Any] = []
        self.busy: dict[Any, _Busy] = {}
        self.parked: dict[Any, Any] = {}
        self.due: list[tuple[float, Any]] = []  # actors to be pinged again, and when
        for _ in range(workers):
            self.park(self._make.remote(job))

    def park(self, actor: Any, after_s: float = 0.0) -> None:
        """Send a ping now or later; the actor gets no work until it answers."""
        if after_s:
            self.due.append((time.monotonic() + after_s, actor))
        else:
            self.parked[actor.prepare.remote()] = actor

    def assign(self, shard_id: int) -> None:
        """Give a shard to an idle actor."""
        actor = self.idle.pop()
        self.busy[actor.render.remote(shard_id)] = _Busy(actor, shard_id, time.monotonic())

    def replace(self, actor: Any) -> None:
        """Kill an actor for good and start another."""
        import ray

        ray.kill(actor, no_restart=True)
        self.park(self._make.remote(self.job))

    def ping_due(self) -> None:
        """Send the pings whose time has come."""
        now = time.monotonic()
        ready = [actor for when, actor in self.due if when <= now]
        self.due = [(when, actor) for when, actor in self.due if when > now]
        for actor in ready:
            self.park(actor)

    def wait(self) -> list[Any]:
        """References that have resolved, after at most half a second."""
        import ray

        refs = [*self.busy, *self.parked]
        if not refs:
            time.sleep(PING_AGAIN_S)
            return []
        ready, _ = ray.wait(refs, num_returns=1, timeout=POLL_S)
        if not ready:
            return []
        return list(ray.wait(refs, num_returns=len(refs), timeout=0)[0])

    def dismiss(self) -> None:
        """Kill all actors."""
        import ray

        everyone = [
            *self.idle,
            *(b.actor for b in self.busy.values()),
            *self.parked.values(),
            *(a for _, a in self.due),
        ]
        for actor in everyone:
            ray.kill(actor, no_restart=True)


class Drive:
    """The driver's loop: from a queue of shards to the entries of all of them."""

    def __init__(
        self, crew: Crew, shards: Iterable[int], limits: Limits, on_shard: Callable[[int, ShardEntry], None],
        note: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.crew, self.limits, self.on_shard, self.note = crew, limits, on_shard, note
        self._fresh = iter(shards)
        self._again: deque[int] = deque()
        self._next = next(self._fresh, None)
        self.attempts: Counter[int] = Counter()
        self.failed_starts = 0
        self.last_cause = ""
        self.last_ready = time.monotonic()

    def run(self) -> None:
        """Until every shard is there.

        Raises:
            FarmError: for a shard that failed too often, or if no worker can be had.
            UserError: what a worker found wrong with the config, the disk or the folder; not tried again.
        """
        while self._has_more() or self.crew.busy:
            while self._has_more() and self.crew.idle:
                self.crew.assign(self._take())
            self.crew.ping_due()
            for ref in self.crew.wait():
                if ref in self.crew.busy:
                    self._finish(ref)
                else:
                    self._answered(ref)
            self._check_deadlines()
            self._check_silence()

    def _has_more(self) -> bool:
        return bool(self._again) or self._next is not None

    def _take(self) -> int:
        """The next shard; those that failed come first, so that parts fill up and poison shows early."""
        if self._again:
            return self._again.popleft()
        assert self._next is not None
        shard_id, self._next = self._next, next(self._fresh, None)
        return shard_id

    def _finish(self, ref: Any) -> None:
        import ray

        task = self.crew.busy.pop(ref)
        try:
            entry: ShardEntry = ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            # A fresh process: this one's graphics may be broken, and a sick node that fails at once would otherwise
            # take shard after shard and use up their attempts.
            self.crew.replace(task.actor)
            self._failed(task.shard_id, _cause(error), error)
        except ray.exceptions.RayError as error:
            self.crew.park(task.actor)
            self._failed(task.shard_id, f"its worker died ({_gist(error)})", error)
        else:
            self.last_ready = time.monotonic()
            self.crew.idle.append(task.actor)
            self._wait_visible(entry)
            self.on_shard(task.shard_id, entry)

    def _answered(self, ref: Any) -> None:
        import ray

        actor = self.crew.parked.pop(ref)
        try:
            ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            self._failed_start(_cause(error), error)
            self.crew.park(actor, PING_AGAIN_S)
        except ray.exceptions.ActorDiedError as error:
            self._failed_start(_gist(error), error)
            self.crew.replace(actor)
        except ray.exceptions.RayError as error:
            self.last_cause = _gist(error)
            self.crew.park(actor, PING_AGAIN_S)
        else:
            self.failed_starts = 0
            self.last_ready = time.monotonic()
            self.crew.idle.append(actor)

    def _failed(self, shard_id: int, cause: BaseException | str, error: BaseException) -> None:
        if isinstance(cause, UserError) and not isinstance(cause, Unreachable):  # a store may come back
            raise UserError(str(cause)) from error
        self.attempts[shard_id] += 1
        count, most = self.attempts[shard_id], self.limits.max_attempts
        if count >= most:
            raise FarmError(
                f"shard {shard_id} failed {count} times, the last time because {_sentence(cause)}; finished shards are "
                "kept: mend the cause and run the same command again"
            ) from error
        record(RETRIES, 1, storage.show(self.crew.job.folder))
        self.note(f"shard {shard_id}: attempt {count} of {most} failed: {_sentence(cause)}")
        self._again.append(shard_id)

    def _failed_start(self, cause: BaseException | str, error: BaseException) -> None:
        if isinstance(cause, UserError):
            raise UserError(str(cause)) from error
        self.failed_starts += 1
        self.last_cause = _sentence(cause)
        if self.failed_starts >= self.limits.max_attempts and not self.crew.busy and not self.crew.idle:
            raise FarmError(
                f"workers failed to start {self.failed_starts} times in a row: {self.last_cause}"
            ) from error

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for ref, task in list(self.crew.busy.items()):
            if now - task.since > self.limits.deadline_s:
                del self.crew.busy[ref]
                self.crew.replace(task.actor)
                cause = f"it took longer than deadline_s={self.limits.deadline_s:g}"
                self._failed(task.shard_id, cause, TimeoutError(cause))

    def _check_silence(self) -> None:
        if self.crew.busy or self.crew.idle:
            return
        if time.monotonic() - self.last_ready > self.limits.silence_s:
            last = f"; last cause: {self.last_cause}" if self.last_cause else ""
            raise FarmError(
                f"no worker has been ready for {self.limits.silence_s:g} s: does the cluster have a free CPU "
                f"(and the GPUs asked for) for one{last}?"
            )

    def _wait_visible(self, entry: ShardEntry) -> None:
        until = time.monotonic() + VISIBLE_WITHIN_S
        while not is_visible(self.crew.job, entry):
            if time.monotonic() > until:
                raise UserError(
                    f"a worker wrote {entry.file}, but it cannot be seen in {storage.show(self.crew.job.folder)} from here: "
                    "out must lie on storage that all nodes share"
                )
            time.sleep(0.1)


def _cause(error: Any) -> BaseException | str:
    """The worker's own exception in Ray's wrapping."""
    return error.cause if isinstance(getattr(error, "cause", None), BaseException) else str(error)


def _gist(error: BaseException) -> str:
    """The first and the last line of Ray's long messages: what happened, and why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0][:300] if len(lines) == 1 else f"{lines[0][:300]} {lines[-1][:300]}"


def _sentence(cause: BaseException | str) -> str:
    return cause if isinstance(cause, str) else f"{type(cause).__name__}: {cause}"
