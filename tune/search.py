"""What is trained next: settings that were begun, the grid or draws of the space, then what Optuna suggests.

Ray Tune asks :class:`Proposals`; whatever it hands out is in the ledger first, so a kill loses no setting.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ray.tune.search import Searcher

from . import halving
from . import space as spaces
from .config import SweepConfig
from .ledger import Ledger, Setting
from .setting import START
from .space import Point
from .trials import setting_name

TRIES = 50  # suggestions in a row that may be known already, before a space counts as exhausted


class Proposals(Searcher):
    """The searcher of a sweep.

    Args:
        config: the sweep.
        ledger: what was proposed and measured before.
        todo: settings that want training, of those that are known or follow from the config; tried first, in this order.
        earlier: points that other sweeps measured, with their values (``warm_start``).
    """

    def __init__(
        self, config: SweepConfig, ledger: Ledger, todo: Sequence[Setting], earlier: Sequence[tuple[Point, list[float]]]
    ) -> None:
        super().__init__()
        self._config, self._ledger = config, ledger
        self._begun = [setting for setting in todo if setting.name in ledger.settings]
        self._fresh = [setting for setting in todo if setting.name not in ledger.settings]
        self._given: dict[str, int] = {}  # settings that were handed out, with the tick from which they go on
        self._optuna = Suggestions(config, ledger, earlier) if config.search == "optuna" else None

    def suggest(self, trial_id: str) -> Any:
        """The parameters of the next setting, or FINISHED; None while it depends on what is in training."""
        setting = self._next()
        if setting is not None:
            self._ledger.propose(setting.name, setting.point)
            self._given[setting.name] = setting.tick
            return {START: start(setting)}
        if self._config.scheduler.kind == "asha":
            if self._training():
                return None
            halving.close(self._ledger)
        return Searcher.FINISHED

    def population(self) -> list[dict[str, Any]]:
        """All that there is to train, at once: a population stands from the beginning."""
        members = []
        while (setting := self._next()) is not None:
            self._ledger.propose(setting.name, setting.point)
            members.append(start(setting))
        return members

    def _next(self) -> Setting | None:
        if self._begun:
            return self._begun.pop(0)
        if promoted := self._promoted():
            return promoted
        if self._fresh:
            return self._fresh.pop(0)
        if suggested := self._suggested():
            return suggested
        return None if self._training() else self._promoted(last=True)

    def _promoted(self, last: bool = False) -> Setting | None:
        if self._config.scheduler.kind != "asha":
            return None
        setting = halving.promotable(self._config, self._ledger, self._training(), last)
        if setting is not None:
            self._ledger.promote(setting.name)
        return setting

    def _suggested(self) -> Setting | None:
        if self._optuna is None or len(self._ledger.settings) >= (self._config.samples or 0):
            return None
        point = self._optuna.suggest()
        return None if point is None else Setting(setting_name(point), point)

    def _training(self) -> set[str]:
        """Settings that were handed out and have neither been measured since nor ended."""
        settings = self._ledger.settings
        return {n for n, tick in self._given.items() if settings[n].ended is None and settings[n].tick == tick}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: what the searcher learns from is the ledger."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a restart reads the ledger."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a restart reads the ledger."""


def start(setting: Setting) -> dict[str, Any]:
    """A setting as its process gets it: its name, what it trains, and where it goes on."""
    last = setting.last
    return {
        "setting": setting.name,
        "point": setting.newest_point,
        "runs": last.runs if last else None,
        "tick": setting.tick,
    }


class Suggestions:
    """Optuna's TPE over the ledger; with several objectives its multi-objective form.

    The model is built anew from the ledger for each suggestion, so a restart knows what the killed driver knew. Settings that
    were not measured yet count as poor (constant liar), so that slots do not train neighbours of one point.
    """

    def __init__(self, config: SweepConfig, ledger: Ledger, earlier: Sequence[tuple[Point, list[float]]]) -> None:
        self._config, self._ledger, self._earlier = config, ledger, earlier
        self._space = {key: distribution(entry) for key, entry in config.space.items()}

    def suggest(self) -> Point | None:
        """A point that was not trained yet; None when there seems to be none left."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        count = len(self._ledger.settings)
        study = optuna.create_study(
            directions=["maximize" if self._config.mode == "max" else "minimize"] * (1 + len(self._config.objectives)),
            sampler=optuna.samplers.TPESampler(
                n_startup_trials=min(10, max(4, (self._config.samples or 0) // 3)),
                seed=self._config.seed * 100_003 + count,
                constant_liar=True,
            ),
        )
        study.add_trials([*self._past(), *self._running()])
        known = [setting.point for setting in self._ledger.settings.values()]
        for _ in range(TRIES):
            trial = study.ask(self._space)
            point = {key: spaces.tidy(trial.params[key], self._config.space[key]) for key in self._config.space}
            if point not in known:
                return point
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return None

    def _past(self) -> Iterator[Any]:
        from optuna.trial import TrialState, create_trial

        for point, values in self._earlier:
            yield create_trial(params=point, distributions=self._space, values=values)
        for setting in self._ledger.settings.values():
            last = setting.last
            if last is None or setting.ended == "failed":
                continue
            if setting.complete:
                values = [last.value, *(last.also[metric] for metric in self._config.objectives)]
                yield create_trial(params=setting.point, distributions=self._space, values=values)
            else:
                yield create_trial(
                    state=TrialState.PRUNED,
                    params=setting.point,
                    distributions=self._space,
                    value=last.value,
                    intermediate_values={report.tick: report.value for report in setting.reports},
                )

    def _running(self) -> Iterator[Any]:
        from optuna.trial import TrialState, create_trial

        for setting in self._ledger.settings.values():
            if setting.ended is None and setting.last is None:
                yield create_trial(state=TrialState.RUNNING, params=setting.point, distributions=self._space)


def distribution(entry: Any) -> Any:
    """An entry of the space as Optuna's distribution; raises ValueError for lists that hold lists (Optuna cannot)."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(entry, list):
        return CategoricalDistribution(entry)
    kind, values = next(iter(entry.items()))
    if kind == "choice":
        return CategoricalDistribution(values)
    return FloatDistribution(float(values[0]), float(values[1]), log=kind == "loguniform")


def begun_or_due(
    config: SweepConfig, ledger: Ledger, finished: Mapping[str, bool], earlier: Sequence[tuple[Point, list[float]]] = ()
) -> list[Setting]:
    """Settings that want training: begun ones first, in the order of the ledger, then those that the config lists.

    Args:
        config: the sweep.
        ledger: a setting that a scheduler stopped stays stopped; one that failed is tried anew.
        finished: setting → whether all its runs are finished, on disk.
        earlier: what other sweeps measured, best first: half of a population starts from it.
    """
    begun = [s for s in ledger.settings.values() if s.ended != "stopped" and not _over(s, config, finished)]
    if config.scheduler.kind == "asha":
        begun = [s for s in begun if not s.waits and not (s.complete and s.ended is None)]
    if config.scheduler.kind == "pbt":
        count = config.samples or 0
        points = [*[point for point, _ in earlier[: count // 2]], *config.points()][:count]
        fresh = [Setting(f"member{i}", point) for i, point in enumerate(points) if f"member{i}" not in ledger.settings]
    elif config.search == "optuna":
        fresh = []
    else:
        listed = [Setting(setting_name(point), point) for point in config.points()]
        if config.scheduler.kind == "asha":  # in the order of a grid, settings that grow better would all go on
            random.Random(config.seed).shuffle(listed)
        fresh = [s for s in listed if s.name not in ledger.settings and not finished.get(s.name, False)]
    return [*begun, *fresh]


def _over(setting: Setting, config: SweepConfig, finished: Mapping[str, bool]) -> bool:
    """Whether a begun setting needs no more: a kill may have come between its last step and the ledger's line."""
    return setting.ended == "finished" and (config.scheduler.kind == "pbt" or finished.get(setting.name, False))
