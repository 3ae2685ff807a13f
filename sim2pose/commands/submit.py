"""``sim2pose submit -- train …``: any command, on a Ray cluster elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from ..config import UserError, nearest


def submit(
    context: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND …", help="-- train PRESET out=/shared/runs name=first")
    ],
    address: Annotated[str | None, typer.Option(help="http://HEAD:8265; RAY_API_SERVER_ADDRESS if not given")] = None,
    env: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE for the job, or KEY to pass this machine's value")
    ] = None,
    python: Annotated[
        str, typer.Option(help="interpreter on the head node, where PATH has not the right one")
    ] = "python",
    detach: Annotated[bool, typer.Option("--detach", help="do not follow the log")] = False,
) -> None:
    """Run a command on a Ray cluster: ships this package, follows the log, and exits as the command does.

    A cluster with token authentication gets the token that RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH name.
    """
    from ..cluster import jobs

    _check_verb(context, words[0])
    jobs.check_words(words)
    variables = jobs.job_env(env or [])
    place = jobs.find_address(address)
    client = jobs.connect(place)
    job = jobs.submit(client, place, words, variables, python)
    print(f"job      {job.id}\nlog      {jobs.hint(job)}\nstop     ray job stop {job.id} --address {place}", flush=True)
    if not detach:
        code = jobs.follow(client, job)
        print(f"\njob {job.id} {'succeeded' if code == 0 else f'ended with exit code {code}'}")
        raise typer.Exit(code)


def _check_verb(context: typer.Context, verb: str) -> None:
    """Name a mistyped command here rather than after the journey."""
    known = set(getattr(context.find_root().command, "commands", {})) - {"submit"}
    if known and verb not in known:
        raise UserError(f"cannot submit '{verb}': {nearest(verb, known)}")
