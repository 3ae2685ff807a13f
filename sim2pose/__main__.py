"""``sim2pose``: the command line. Commands import what they need when they run, so ``--help`` stays instant."""

from __future__ import annotations

import sys

import typer

from .commands import (
    analyse,
    bench,
    bodies,
    data,
    demo,
    doctor,
    evaluate,
    fit,
    jobs,
    models,
    prior,
    render,
    run,
    submit,
    train,
    tune,
)
from .config import UserError

app = typer.Typer(
    name="sim2pose",
    help="Train pose models on synthetic people and make them work on real ones.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("render")(render.render)
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("fit")(fit.fit)
app.add_typer(prior.app, name="prior")
app.command("evaluate")(evaluate.evaluate)
app.command("analyse")(analyse.analyse)
app.add_typer(models.app, name="models")
app.add_typer(bodies.app, name="bodies")
app.command("tune")(tune.tune)
app.command("run")(run.run)
app.command("submit")(submit.submit)
app.add_typer(jobs.app, name="jobs")
app.command("bench")(bench.bench)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command line; a user's mistake is one sentence on stderr and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
