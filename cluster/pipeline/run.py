"""Runs a pipeline: makes what is not made yet, each step as the command that a user would type."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ... import __version__
from ...config import UserError, nearest
from ...datasets.locks import driver_lock
from . import children
from .children import Child
from .config import PipelineConfig
from .folder import CONTROL
from .graph import descendants
from .plan import Plan, Step, make_plan
from .show import Screen
from .state import Outcome, Result, reasons_to_run, short
from .verbs import Verb

POLL_S = 0.1


def run_pipeline(
    pipeline: PipelineConfig,
    verbs: Mapping[str, Verb],
    only: str | None = None,
    begin: str | None = None,
    screen: Screen | None = None,
) -> Result:
    """Make every step that is not made yet, in the order of what they use, ``pipeline.jobs`` side by side.

    Args:
        pipeline: the steps.
        verbs: what they may be.
        only: make this step alone; what it uses must be made.
        begin: make this step and all that depend on it anew, even if nothing changed.
        screen: where to say what happens.

    Raises:
        UserError: for whatever is wrong with the pipeline, before anything runs; a folder in use by another.
    """
    plan = make_plan(pipeline, verbs)
    for option, name in (("--only", only), ("--from", begin)):
        if name is not None and name not in plan.steps:
            raise UserError(f"{option}: no step '{name}': {nearest(name, plan.steps)}")
    with driver_lock(pipeline.out), _ended_by_sigterm():
        (pipeline.out / CONTROL).mkdir(exist_ok=True)
        (pipeline.out / "pipeline.yaml").write_text(pipeline.text, encoding="utf-8")
        driver = _Driver(plan, only, begin, screen or Screen())
        try:
            driver.run()
        finally:
            driver.close()
            plan.digests.save()
    return Result(plan, driver.outcomes)


class _Driver:
    """The state of a run: what became of each step, and what runs now."""

    def __init__(self, plan: Plan, only: str | None, begin: str | None, screen: Screen) -> None:
        self.plan, self.screen = plan, screen
        self.outcomes = {name: Outcome() for name in plan.steps}
        graph = {name: step.uses for name, step in plan.steps.items()}
        self.forced = descendants(graph, begin) if begin else set[str]()
        self.running: dict[str, Child] = {}
        self.told: set[str] = set()
        if only is not None:
            self._leave_all_but(only)

    def _leave_all_but(self, only: str) -> None:
        for name, outcome in self.outcomes.items():
            if name != only:
                outcome.state = "not asked for"
        for other in self.plan.steps[only].needs:
            if why := reasons_to_run(self.plan.steps[other], self.plan):
                raise UserError(f"'{only}' uses '{other}', which must be made first ({why[0]}): leave --only out")
            self._take(other)

    def run(self) -> None:
        """Until no step is left."""
        waiting = [name for name, outcome in self.outcomes.items() if outcome.state == "waiting"]
        while waiting or self.running:
            for name in list(waiting):
                if self._settled(name):
                    waiting.remove(name)
            for name, child in list(self.running.items()):
                if child.process.poll() is not None:
                    del self.running[name]
                    self._ended(child)
                elif newest := children.last_lines(self.plan.steps[name].product.log, 1):
                    self.screen.doing(name, child.seconds, newest[0])
            time.sleep(POLL_S if self.running or waiting else 0)

    def _settled(self, name: str) -> bool:
        """Whether a step needs no more waiting: it is whole, left out, or runs now."""
        step, outcome = self.plan.steps[name], self.outcomes[name]
        states = {other: self.outcomes[other].state for other in step.needs}
        if lost := [other for other, state in states.items() if state in ("failed", "left out")]:
            outcome.state, outcome.reasons = "left out", [f"'{lost[0]}' was not made"]
            self.screen.line(f"── {name}: left out, '{lost[0]}' was not made")
            return True
        if any(state == "waiting" for state in states.values()) or len(self.running) >= self.plan.pipeline.jobs:
            return False
        outcome.reasons = reasons_to_run(step, self.plan, name in self.forced)
        if not outcome.reasons:
            self._take(name)
            self.screen.line(f"── {name}: unchanged")
            return True
        return self._start(step)

    def _take(self, name: str) -> None:
        """A product that is there already."""
        product, outcome = self.plan.steps[name].product, self.outcomes[name]
        record = product.record()
        assert record is not None, "only a whole product can be taken"
        outcome.state, outcome.facts, outcome.seconds = "unchanged", record["facts"], record["seconds"]
        product.point()

    def _start(self, step: Step) -> bool:
        """Begin, or go on with, making a step; False while a process of a killed pipeline still makes it."""
        product, hold = step.product, contextlib.ExitStack()
        lock = hold.enter_context(product.held())
        begun = product.begun()
        if lock is None:
            if step.name not in self.told:
                pid = (begun or {}).get("pid")
                self.screen.line(
                    f"── {step.name}: pid {pid} of a pipeline that was killed still makes it: waiting for it"
                )
                self.told.add(step.name)
            hold.close()
            return False
        words = self.plan.words(step.name)
        self.screen.line(f"── {step.name}: {'; '.join(self.outcomes[step.name].reasons)}")
        goes_on = begun is not None and product.record() is None
        if goes_on and step.verb.settle is not None and self._settle(step, words) is None:
            hold.close()
            self._finish(step, words, float(begun["started"]) if begun else time.time(), 0.0)
            return True
        self._make_room(step, goes_on)
        if step.verb.again == "--resume" and (product.folder / "config.yaml").is_file():
            words.append("--resume")
        self.screen.line(f"   {children.typed(words)}")
        self.running[step.name] = children.start(step.name, words, product, lock, hold, goes_on)
        return True

    def _make_room(self, step: Step, goes_on: bool) -> None:
        product = step.product
        if goes_on and step.verb.again == "fresh":
            product.clear()
        elif not goes_on and product.folder.is_dir() and any(product.folder.iterdir()):
            self.screen.line(f"   what was there is now {product.set_aside().name}")
        product.folder.mkdir(exist_ok=True)

    def _ended(self, child: Child) -> None:
        step, code = self.plan.steps[child.name], child.process.returncode
        child.hold.close()
        log = step.product.log
        problem = self._problem(step, child.words, code)
        if problem is None:
            self._finish(step, child.words, child.started, child.seconds)
            return
        outcome, said = self.outcomes[child.name], children.last_lines(log, 8)
        errors = [line for line in said if line.startswith("error:")]
        outcome.state, outcome.reasons = "failed", errors[-1:] or [problem]
        self.screen.line(f"   {child.name} failed ({problem}); it said:")
        self.screen.lines(said, "   │ ")
        self.screen.line(
            f"   log     {log}\n   remedy  mend the cause and give the same command again: what is made stays made"
        )

    def _problem(self, step: Step, words: list[str], code: int) -> str | None:
        """What went wrong with a step that has ended, or None."""
        product, expected = step.product, step.verb.outcomes.get(code)
        if code and not (expected and re.search(expected, product.log.read_text("utf-8", "replace"))):
            return f"ended by signal {-code}" if code < 0 else f"exit code {code}"
        if step.verb.settle is not None and (problem := self._settle(step, words)):
            return problem
        if not product.files(self.plan.digests):
            return f"it ended well but left no {', '.join(step.verb.product)}"
        return None

    def _settle(self, step: Step, words: list[str]) -> str | None:
        """Complete a product; what prevents it, or None."""
        assert step.verb.settle is not None, "only some verbs have something to complete"
        try:
            done = step.product.folder.is_dir() and step.verb.settle(step.product.folder, words)
        except UserError as error:
            return str(error)
        return None if done else "it ended well but what it should have done is not there"

    def _finish(self, step: Step, words: list[str], started: float, seconds: float) -> None:
        outcome, product = self.outcomes[step.name], step.product
        outcome.state, outcome.seconds, outcome.facts = "made", round(seconds, 2), step.verb.facts(product.folder)
        values = {
            "step": step.name,
            "command": children.typed(words),
            "address": step.key.address,
            "key": asdict(step.key),
            "uses": {other: self.plan.steps[other].product.digest() for other in step.uses},
            "facts": outcome.facts,
            "started": round(started, 3),
            "seconds": outcome.seconds,
            "log": str(product.log.relative_to(product.out)),
            "host": socket.gethostname(),
            "version": __version__,
        }
        product.finish(self.plan.digests, values)
        self.screen.line(f"   {step.name} made in {seconds:.1f} s: {short(outcome.facts) or product.label}")

    def close(self) -> None:
        """End what still runs; it goes on with the next run."""
        if self.running:
            names = ", ".join(self.running)
            self.screen.line(f"ending {names}; the same command goes on from there")
            children.end(list(self.running.values()))


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """A stopped job (SIGTERM) ends as by Ctrl-C: children first."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
