"""``sim2pose jobs list|logs|stop``: what was submitted to a cluster."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from . import table, write_json

app = typer.Typer(help="List, read and stop what was submitted to a Ray cluster.", no_args_is_help=True)
COMMAND_WIDTH = 72
Address = Annotated[str | None, typer.Option(help="http://HEAD:8265; RAY_API_SERVER_ADDRESS if not given")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="as 'submit' printed it and 'jobs list' shows it")]


@app.command("list")
def list_jobs(
    address: Address = None,
    every: Annotated[bool, typer.Option("--all", help="not the newest 20 alone")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="write the list to this file")] = None,
) -> None:
    """Jobs with status, start, duration and command, newest first; whole commands are in the --json file."""
    from ..cluster import jobs
    from ..cluster.addresses import connect, find_address

    found = jobs.listed(connect(find_address(address)))
    shown = found if every else found[:20]
    rows = [
        (
            job.id,
            job.status,
            time.strftime("%F %T", time.localtime(job.started)),
            _duration(job.seconds),
            _short(job.command),
        )
        for job in shown
    ]
    print(table(rows, ("job", "status", "started", "took", "command")) if rows else "no jobs")
    if len(shown) < len(found):
        print(f"and {len(found) - len(shown)} older ones: --all")
    write_json(json_file, [asdict(job) for job in found])


@app.command()
def logs(
    job_id: JobId,
    address: Address = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="go on until the job ends, and exit as its command does")
    ] = False,
) -> None:
    """Print what a job's command printed."""
    from ..cluster import jobs
    from ..cluster.addresses import connect, find_address

    place = find_address(address)
    client = connect(place)
    job = jobs.find_job(client, place, job_id)
    if follow:
        raise typer.Exit(jobs.follow(client, job))
    sys.stdout.write(client.get_job_logs(job.id))


@app.command()
def stop(job_id: JobId, address: Address = None) -> None:
    """End a job and what it started in the cluster; a training goes on by the same command with --resume."""
    from ..cluster import jobs
    from ..cluster.addresses import connect, find_address

    place = find_address(address)
    client = connect(place)
    print(f"{job_id} {jobs.stop(client, jobs.find_job(client, place, job_id))}")


def _short(command: str) -> str:
    return command if len(command) <= COMMAND_WIDTH else f"{command[: COMMAND_WIDTH - 1]}…"


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
