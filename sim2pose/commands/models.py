"""``sim2pose models …``: the networks, and the registry of checkpoints: versions, champion, export, prediction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import Field

from ..config import Config, load_config
from . import split, table, write_json

if TYPE_CHECKING:
    from ..cluster.registry import Version

app = typer.Typer(no_args_is_help=True, help="Networks and their cost; registered models: versions, figures, champion.")


class RegistryConfig(Config):
    """Where the registry is, and what decides.

    Attributes:
        uri: MLflow tracking URI; by default the database that training writes under ``runs/``.
        name: of the registered model, for ``register``; by default that of its kind.
        data: name under which figures are kept, such as ``target``.
        on: data set whose figures decide a promotion.
        metric: the figure that is shown and decides; by default AP of networks, nats_per_dim (less is better) of priors.
        out: in ``pull``, where the files are copied to; by default they stay where the registry, or the cache, has them.
    """

    uri: str | None = None
    name: str | None = None
    data: str = "target"
    on: str | None = None
    metric: str | None = None
    out: Path | None = None


class ListConfig(RegistryConfig):
    """What is listed, and for what the networks' cost is stated."""

    input: tuple[int, int] = Field((192, 256), description="width and height of the input, pixels, multiples of 32")
    joints: int = Field(17, ge=1, description="number of heatmaps")
    latency: bool = Field(True, description="also measure one image's forward pass on this machine")
    device: str = Field("cpu", description="where to measure: cpu, cuda")


def _uri(config: RegistryConfig) -> str:
    from ..trainers.tracking import default_uri

    return config.uri or default_uri(Path("runs"))


def _resolve(overrides: list[str]) -> tuple[str, RegistryConfig]:
    config = load_config(RegistryConfig, None, overrides)
    return _uri(config), config


@app.command("list")
def list_models(
    items: Annotated[list[str] | None, typer.Argument(metavar="[uri=URI input=[W,H] latency=false]")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write both lists to this file")] = None,
) -> None:
    """All networks with their cost, and all registered versions with their aliases and figures."""
    from ..cluster import registry

    _, overrides = split(items or [], ())
    config = load_config(ListConfig, None, overrides)
    uri = _uri(config)
    networks = _networks(config)
    print(table(networks, ("network", "M parameters", "GFLOPs", f"ms an image ({config.device})")))
    versions = registry.list_versions(uri)
    rows = [(v.reference, v.kind, " ".join(v.aliases), _figures(v, config.metric), v.source) for v in versions]
    header = ("version", "kind", "aliases", config.metric or "figures", "files")
    print("\n" + (table(rows, header) if rows else f"no models in {uri}"))
    keys = ("network", "parameters_m", "gflops", "latency_ms")
    listed = [{"version": v.reference, "aliases": v.aliases, "evaluation": v.evaluation} for v in versions]
    write_json(json_file, {"networks": [dict(zip(keys, row, strict=True)) for row in networks], "versions": listed})


def _networks(config: ListConfig) -> list[tuple[str, float, float, float | None]]:
    """Name, millions of parameters, GFLOPs as the papers count them, milliseconds measured here (one thread)."""
    from ..models.keypoints.cost import network_cost, network_latency
    from ..models.keypoints.networks import NETWORKS
    from ..models.threads import torch_threads

    rows = []
    for name in NETWORKS:
        cost = network_cost(name, config.input, config.joints)
        with torch_threads(1):
            took = network_latency(name, config.input, config.device) if config.latency else None
        rows.append((name, cost.parameters / 1e6, cost.gflops, took))
    return rows


@app.command("show")
def show(items: Annotated[list[str], typer.Argument(metavar="NAME[@ALIAS_OR_VERSION]")]) -> None:
    """One version: its files, aliases, run, code and figures; and who was champion of its name when."""
    from ..cluster import registry
    from ..cluster.registry.code import difference

    (reference,), overrides = split(items, ("NAME",))
    uri, _ = _resolve(overrides)
    version = registry.get(uri, reference)
    print(f"{version.reference}  {' '.join(version.aliases)}\nkind   {version.kind}\nfiles  {version.source}")
    print(
        f"run    {version.run_id or '–'}\ncode   {version.code.get('version', '–')} ({version.code.get('source', '–')})"
    )
    told = difference(version.code, version.reference)
    if told:
        print(f"note: {told}")
    for name, entry in version.evaluation.items():
        print(f"\non {name} ({entry['data']})")
        print(
            table([(k, v) for k, v in entry["metrics"].items() if not isinstance(v, dict | list)], ("figure", "value"))
        )
    reigns = registry.history(uri, version.name)
    if reigns:
        rows = [(f"{version.name}@{r.version}", r.at, _why(r)) for r in reigns]
        print("\n" + table(rows, ("champion", "since", "on what figures")))


def _why(reign: Any) -> str:
    figures = "not known" if reign.score is None else f"{reign.metric} {reign.score:.3f} on {reign.on} ({reign.data})"
    return figures if reign.rolled_back is None else f"{figures}; rolled back from @{reign.rolled_back}"


@app.command("register")
def register(items: Annotated[list[str], typer.Argument(metavar="RUN key=value …")]) -> None:
    """Register what a run trained, measured on what it was validated on, as the new candidate."""
    from ..cluster.evaluations import register_run

    (run,), overrides = split(items, ("RUN",))
    uri, config = _resolve(overrides)
    version = register_run(uri, Path(run), name=config.name)
    print(f"{version.reference} is candidate\nfiles {version.source}")


@app.command("evaluate")
def evaluate(items: Annotated[list[str], typer.Argument(metavar="NAME@VERSION DATA [data=target]")]) -> None:
    """Measure a registered version on a frames folder and keep the figures with it."""
    from ..cluster.evaluations import evaluate_version

    (reference, folder), overrides = split(items, ("NAME@VERSION", "DATA"))
    uri, config = _resolve(overrides)
    version = evaluate_version(uri, reference, Path(folder), config.data)
    print(f"{version.reference}: {_figures(version, config.metric)}")


@app.command("promote")
def promote(items: Annotated[list[str], typer.Argument(metavar="NAME[@VERSION] [on=target metric=AP]")]) -> None:
    """Make a version (the candidate by default) champion, if it measures better than the present one."""
    from ..cluster import registry

    (reference,), overrides = split(items, ("NAME",))
    uri, config = _resolve(overrides)
    decision = registry.promote(uri, registry.get(uri, reference), on=config.on, metric=config.metric)
    print(decision.reason)
    if not decision.promoted:
        raise typer.Exit(1)


@app.command("rollback")
def rollback(items: Annotated[list[str], typer.Argument(metavar="NAME")]) -> None:
    """Put champion back to the version that was champion before."""
    from ..cluster import registry

    (name,), overrides = split(items, ("NAME",))
    uri, _ = _resolve(overrides)
    left, back = registry.rollback(uri, name)
    print(f"{name}: champion goes back from @{left.version} ({_why(left)}) to @{back.version} ({_why(back)})")


@app.command("pull")
def pull(items: Annotated[list[str], typer.Argument(metavar="NAME[@ALIAS_OR_VERSION] [out=DIR]")]) -> None:
    """Bring a version's files to this machine, checked by SHA-256; prints the folder."""
    from ..cluster import using

    (reference,), overrides = split(items, ("NAME",))
    uri, config = _resolve(overrides)
    print(using.pull(uri, reference, config.out))


@app.command("card")
def card(items: Annotated[list[str], typer.Argument(metavar="NAME[@ALIAS_OR_VERSION]")]) -> None:
    """Print a version's model card: data, licences, figures beside baselines, limits. With all that was measured since."""
    from ..cluster import using

    (reference,), overrides = split(items, ("NAME",))
    uri, _ = _resolve(overrides)
    print(using.card(uri, reference), end="")


@app.command("export")
def export(
    items: Annotated[list[str], typer.Argument(metavar="NAME@ALIAS|RUN|FOLDER out=DIR formats=[pt2,onnx]")],
) -> None:
    """Export a network to torch.export (pt2) and ONNX, checked against it for several batch sizes."""
    from ..cluster import using

    (what,), overrides = split(items, ("NAME@ALIAS|RUN|FOLDER",))
    config = load_config(using.ExportConfig, None, overrides)
    gaps = using.export(what, config)
    for name, gap in gaps.items():
        print(f"{name}: heatmaps differ from the network's by {gap:.1e} at most")
    print(f"in {config.out}: {', '.join(sorted(path.name for path in config.out.iterdir()))}")


@app.command("predict")
def predict(
    items: Annotated[list[str], typer.Argument(metavar="NAME@ALIAS|RUN|FOLDER IMAGE_OR_FOLDER out=DIR key=value …")],
) -> None:
    """Find keypoints in photographs of your own: pictures with skeletons, and COCO results.

    boxes=FILE gives a detector's boxes; without it each whole picture is taken as one person's box.
    """
    from ..cluster import using

    (what, pictures), overrides = split(items, ("NAME@ALIAS|RUN|FOLDER", "IMAGE_OR_FOLDER"))
    for line in using.predict(what, Path(pictures), load_config(using.PredictConfig, None, overrides)):
        print(line)


def _figures(version: Version, metric: str | None) -> str:
    from ..cluster.registry.promotion import BY_KIND

    key = metric or BY_KIND[version.kind]
    values = {name: entry["metrics"].get(key) for name, entry in version.evaluation.items()}
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items() if value is not None)
