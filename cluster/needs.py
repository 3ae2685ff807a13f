"""What a command needs of a cluster, from its resolved config, and whether the cluster has it: asked before it is sent.

Ray lets a job that asks for more than there is wait for ever, so it is refused here, unless the cluster grows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..config import UserError
from ..render_farm.kinds.registry import load_render_config
from ..trainers.config import TrainConfig
from ..trainers.recipes import load_run
from ..tune.config import load_sweep
from .addresses import only_address

GB = 1e9


@dataclass(frozen=True)
class Needs:
    """What must be there at least.

    Attributes:
        cpus, gpus, memory: of the command's own process (bytes); it starts when a node has them free.
        gpu_if_any: it takes a GPU too where a node has one (``device=auto``).
        workers: processes that it starts in the cluster; each with cpus_each, gpus_each.
        because: the keys that say so.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory: float = 0.0
    gpu_if_any: bool = False
    workers: int = 0
    cpus_each: float = 1.0
    gpus_each: float = 0.0
    because: str = ""

    @property
    def text(self) -> str:
        """For the terminal: ``1 CPU, 1 GPU; 4 workers of 1 CPU, 1 GPU``."""
        own = _amount(self.cpus, self.gpus, self.memory)
        if not self.workers:
            return own
        each = f"{self.workers} worker{'s' if self.workers > 1 else ''} of {_amount(self.cpus_each, self.gpus_each)}"
        return each if not (self.cpus or self.gpus or self.memory) else f"{own}; {each}"


@dataclass(frozen=True)
class Node:
    """A node that is alive: its address and what it offers in all (memory in bytes)."""

    ip: str
    cpus: float
    gpus: float = 0.0
    memory: float = 0.0


def needs_of(words: Sequence[str]) -> Needs:
    """The needs of ``train``, ``render`` and ``tune`` from their configs; one CPU for any other command.

    A preset that is a file which this machine does not see is judged like any other command.

    Raises:
        UserError: what is wrong with the config; so it is told before the journey.
    """
    verb, rest = words[0], list(words[1:])
    overrides = [word for word in rest if "=" in word and not word.startswith("-")]
    presets = [word for word in rest if "=" not in word and not word.startswith("-")]
    if verb not in ("train", "render", "tune") or not presets:
        return Needs()
    preset = presets[0]
    if preset.endswith((".yaml", ".yml")) and not Path(preset).is_file():
        return Needs()
    if verb == "train":
        return _of_training(load_run(preset, overrides))
    if verb == "render":
        workers = load_render_config(preset, overrides).workers
        share = _option(rest, "--gpus-per-worker")
        # actors beyond the free CPUs stay parked and hold up nobody: one is enough
        return Needs(0, 0, workers=1, gpus_each=share, because="one actor") if workers else Needs()
    sweep = load_sweep(preset, overrides)
    return Needs(0, 0, workers=sweep.ranks, cpus_each=sweep.cpus, gpus_each=sweep.gpus, because="one trial")


def with_options(needs: Needs, cpus: float | None, gpus: float | None, memory_gb: float | None) -> Needs:
    """What the command's process is given by hand, instead of what its config says."""
    return replace(
        needs,
        cpus=needs.cpus if cpus is None else cpus,
        gpus=needs.gpus if gpus is None else gpus,
        memory=needs.memory if memory_gb is None else memory_gb * GB,
        gpu_if_any=needs.gpu_if_any and gpus is None,
    )


def _of_training(cfg: TrainConfig) -> Needs:
    cuda = cfg.device == "cuda"
    if cfg.runtime == "ray":
        least = cfg.ranks[0]
        because = f"workers={least}{', device=cuda' if cuda else ''}"
        return Needs(0, 0, workers=least, gpus_each=float(cuda), because=because)
    loaders = getattr(getattr(cfg, "data", None), "loader_workers", 0)
    cpus = (cfg.threads or 1) + loaders
    because = f"runtime=local{', device=cuda' if cuda else ''}"
    return Needs(cpus, float(cuda), gpu_if_any=cfg.device == "auto", because=because)


def _option(words: Sequence[str], name: str) -> float:
    """The value of ``--name VALUE`` or ``--name=VALUE``; 0 where it is not given."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word == name or word.startswith(f"{name}="):
            text = after if word == name else word.partition("=")[2]
            try:
                return float(text)
            except ValueError:
                raise UserError(f"{name} takes a number, found '{text}'") from None
    return 0.0


def nodes_of(address: str) -> list[Node]:
    """The nodes of a cluster that are alive, by the state API of its job server.

    Raises:
        UserError: if it does not tell.
    """
    from ray.util.state import list_nodes
    from ray.util.state.exception import RayStateApiException

    with only_address(address):
        try:
            found = list_nodes(address=address, limit=10_000)
        except RayStateApiException as error:
            raise UserError(f"{address} does not list its nodes: {str(error).splitlines()[0]}") from error
    return [_node(node.node_ip, node.resources_total or {}) for node in found if node.state == "ALIVE"]


def _node(ip: str, resources: dict[str, float]) -> Node:
    return Node(ip, resources.get("CPU", 0.0), resources.get("GPU", 0.0), resources.get("memory", 0.0))


def settle(needs: Needs, nodes: Sequence[Node]) -> Needs:
    """A GPU for ``device=auto`` where a node has one beside the CPUs."""
    if needs.gpu_if_any and any(n.gpus >= 1 and n.cpus >= needs.cpus for n in nodes):
        return replace(needs, gpus=1.0)
    return needs


def check(needs: Needs, nodes: Sequence[Node]) -> None:
    """Refuse what would wait for ever.

    Raises:
        UserError: what is needed, and what the cluster has, node by node.
    """
    has = f"the cluster has {_listing(nodes)}"
    way = "; ask for less, or give --autoscaling if it grows when it is asked"
    if not any(n.cpus >= needs.cpus and n.gpus >= needs.gpus and n.memory >= needs.memory for n in nodes):
        own = _amount(needs.cpus, needs.gpus, needs.memory)
        raise UserError(f"the command needs {own} on one node{_why(needs)}, {has}{way}")
    room = sum(_slots(node, needs) for node in nodes)
    if room < needs.workers:
        each = needs.gpus_each or needs.cpus_each
        unit = "GPU" if needs.gpus_each else "CPU"
        total = sum(node.gpus if needs.gpus_each else node.cpus for node in nodes)
        room_for = "" if total < each * needs.workers else f" with room for {room} of {needs.workers}"
        raise UserError(f"the command needs {_count(each * needs.workers, unit)}{_why(needs)}, {has}{room_for}{way}")


def _slots(node: Node, needs: Needs) -> int:
    """How many workers a node holds."""
    by_gpu = node.gpus / needs.gpus_each if needs.gpus_each else math.inf
    by_cpu = node.cpus / needs.cpus_each if needs.cpus_each else math.inf
    return math.floor(min(by_gpu, by_cpu, needs.workers) + 1e-9)


def _why(needs: Needs) -> str:
    return f" ({needs.because})" if needs.because else ""


def _listing(nodes: Sequence[Node], most: int = 8) -> str:
    total = _amount(sum(n.cpus for n in nodes), sum(n.gpus for n in nodes), always_gpu=True)
    each = [f"{n.ip}: {_amount(n.cpus, n.gpus)}" for n in nodes[:most]]
    more = [f"and {len(nodes) - most} more"] if len(nodes) > most else []
    return f"{total} ({', '.join([*each, *more])})"


def _amount(cpus: float, gpus: float, memory: float = 0.0, always_gpu: bool = False) -> str:
    parts = [_count(cpus, "CPU")] if cpus or not (gpus or memory) or always_gpu else []
    parts += [_count(gpus, "GPU")] if gpus or always_gpu else []
    return ", ".join(parts + ([f"{memory / GB:g} GB of memory"] if memory else []))


def _count(number: float, unit: str) -> str:
    return f"{number:g} {unit}{'' if number == 1 else 's'}"
