"""``sim2pose tune SWEEP key=value …``: many runs, ranked by their mean over seeds; the best is registered."""

from __future__ import annotations

from typing import Annotated

import typer

from ..config import dump_yaml
from . import split, table


def tune(
    items: Annotated[
        list[str],
        typer.Argument(metavar="SWEEP key=value …", help="lambda fixed.data.source=DIR seeds=[0,1,2] concurrent=2"),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print the resolved sweep and its trials, and stop")
    ] = False,
) -> None:
    """Train the settings of a sweep with every seed, rank them by their means, and register the best one's median run.

    The same command again goes on with what is missing; further seeds, samples or another metric may be asked for.
    Exits with 1 if a trial failed; the others are ranked all the same.
    """
    from ..tune.config import load_sweep, make_trials

    (preset,), overrides = split(items, ("SWEEP",))
    config = load_sweep(preset, overrides)
    if dry_run:
        print(dump_yaml(config), end="")
        for trial in make_trials(config):
            print(f"# {trial.name}")
        return
    from ..cluster.winners import register_winner, registry_uri
    from ..tune.ranking import rows
    from ..tune.report import write_sweep_report
    from ..tune.sweep import run_sweep

    result = run_sweep(config)
    against = "to control" if any(s.to_control for s in result.standings) else "to best"
    print(f"\n{table(rows(result.standings, len(config.seeds)), ('rank', 'point', config.metric, 'seeds', against))}")
    print(f"mean ± sample deviation over seeds; * not told from the best\n\n{result.verdict}")
    print(f"table    {result.folder / 'sweep.json'}\nreport   {write_sweep_report(config, result)}")
    version = register_winner(config, result)
    if version is not None:
        uri = registry_uri(config)
        print(f"model    {version.reference} (median seed of the best setting), in {uri}")
        print(f"next     sim2pose models promote {version.name} uri={uri}")
    for outcome in result.failed:
        print(f"failed   {outcome.name}: {outcome.note}")
    if result.failed:
        raise typer.Exit(1)
