"""``sim2pose submit -- train …``: any command, on a Ray cluster elsewhere."""

from __future__ import annotations

import tempfile
from pathlib import Path
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
    python: Annotated[str, typer.Option(help="interpreter on the node, where PATH has not the right one")] = "python",
    cpus: Annotated[float | None, typer.Option(help="of the command's process; else from its config")] = None,
    gpus: Annotated[float | None, typer.Option(help="of the command's process; else from its config")] = None,
    memory: Annotated[float | None, typer.Option(help="of the command's process, in GB")] = None,
    autoscaling: Annotated[
        bool, typer.Option("--autoscaling", help="the cluster grows when asked: do not compare with what it has")
    ] = False,
    wheel: Annotated[Path | None, typer.Option(help="ship this wheel of sim2pose instead of the code here")] = None,
    pip: Annotated[
        str | None, typer.Option(help="install on the nodes first: 'pinned', or a requirements file; slow once")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="do not follow the log")] = False,
) -> None:
    """Run a command on a Ray cluster: ships this package, follows the log, and exits as the command does.

    A cluster with token authentication gets the token that RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH name.
    """
    from ..cluster import jobs, needs, shipping
    from ..cluster.addresses import connect, find_address
    from ..trainers.ray_runtime import AUTOSCALING

    _check_verb(context, words[0])
    jobs.check_words(words)
    variables = shipping.job_env(env or []) | ({AUTOSCALING: "1"} if autoscaling else {})
    packages = shipping.requirements(pip) if pip else ()
    wanted = needs.with_options(needs.needs_of(words), cpus, gpus, memory)
    with tempfile.TemporaryDirectory() as folder:
        package = shipping.unpack(wheel, Path(folder)) if wheel else shipping.PACKAGE
        place = find_address(address)
        client = connect(place)
        nodes = needs.nodes_of(place)
        wanted = needs.settle(wanted, nodes)
        if not autoscaling:
            needs.check(wanted, nodes)
        shipped = shipping.runtime_env(variables, package, packages)
        job = jobs.submit(client, place, words, shipped, wanted, python)
    print(f"job      {job.id}\nneeds    {wanted.text}\nlog      {jobs.hint(job)}", flush=True)
    print(f"stop     sim2pose jobs stop {job.id} --address {place}", flush=True)
    if not detach:
        code = jobs.follow(client, job)
        print(f"\njob {job.id} {'succeeded' if code == 0 else f'ended with exit code {code}'}")
        raise typer.Exit(code)


def _check_verb(context: typer.Context, verb: str) -> None:
    """Name a mistyped command here rather than after the journey."""
    known = set(getattr(context.find_root().command, "commands", {})) - {"submit", "jobs"}
    if known and verb not in known:
        raise UserError(f"cannot submit '{verb}': {nearest(verb, known)}")
