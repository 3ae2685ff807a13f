"""Ray Train as an adapter: it starts the ranks, restarts them after a loss, and relays metrics. Checkpoints are ours.

Every rank runs ``runtimes.work``, which goes on from the newest whole checkpoint in the run folder; a restarted group
therefore loses at most one checkpoint interval. The run folder must be visible to all nodes.
"""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from ..config import UserError
from ..datasets.patience import Stalled
from ..datasets.remote import Unreachable
from . import runfolder
from .config import TrainConfig
from .context import CPU, Context
from .failures import OutOfMemory
from .follow import following
from .recipes import validate_run
from .tracking import MlflowSender
from .updates import NonFiniteLoss

log = logging.getLogger(__name__)

AUTOSCALING = "SIM2POSE_AUTOSCALING"  # set in clusters that grow: GPUs that are not there yet may be asked for
ENVIRONMENT = {
    # Otherwise each report() blocks for 1-2 s (Ray 2.50 to 2.60); also how soon a lost worker is noticed.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # Helpers that only cloud clusters need; each is one more process to start.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_ENABLE_STATE_ACTOR_RECONCILIATION": "0",
}


def train_on_ray(
    cfg: TrainConfig, run_dir: Path, sender: MlflowSender | None = None, until: float | None = None
) -> None:
    """Run ``cfg.workers`` ranks (one CPU each, or one GPU) under Ray Train; joins a Ray that is already there.

    Where it gives a range, Ray starts as many as it finds room for, and again with more or fewer when nodes come and go.
    The data of a step do not depend on how many there are.

    Raises:
        UserError: what a rank refused (without restarts), or GPUs that the cluster does not have.
        NonFiniteLoss: what the ranks agreed on.
        RuntimeError: after ``max_failures`` restarts, with the first cause.
    """
    from ..render_farm.farm.ray_session import ray_session

    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with ray_session(num_cpus=cfg.ranks[1]):
        if sender is not None:
            sender.ready.wait(30)
        with following(run_dir, cfg.name):
            _fit(cfg, run_dir, until)
    if runfolder.result(run_dir) is None and runfolder.failures(run_dir):  # the ranks agreed to end, and noted why
        raise _as_error(runfolder.failures(run_dir)[-1])


def _fit(cfg: TrainConfig, run_dir: Path, until: float | None) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    from .runtimes import COLLECTIVE_TIMEOUT

    gpu = _use_gpu(cfg)
    resources = {"CPU": 1, "GPU": 1} if gpu else {"CPU": 1}
    scratch = run_dir / ".ray"
    trainer = TorchTrainer(
        _rank,
        train_loop_config={"config": cfg.model_dump(mode="json"), "run_dir": str(run_dir), "gpu": gpu, "until": until},
        scaling_config=ScalingConfig(
            num_workers=cfg.workers,  # type: ignore[arg-type]  # a pair is elastic; its annotation forgets that
            use_gpu=gpu,
            resources_per_worker=resources,
        ),
        torch_config=TorchConfig(backend="nccl" if gpu else "gloo", timeout_s=int(COLLECTIVE_TIMEOUT.total_seconds())),
        # Ray resumes silently from a run of the same name and folder, by its own bookkeeping: never let it find one
        run_config=RunConfig(
            name=f"{cfg.name}-{uuid.uuid4().hex[:8]}",
            storage_path=str(scratch),
            failure_config=FailureConfig(max_failures=cfg.max_failures),
            callbacks=[_no_restart_after_mistakes()],
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        noted = runfolder.failures(run_dir)
        if noted:
            raise _as_error(noted[0]) from error
        last = str(error).strip().splitlines()[-1:]
        raise RuntimeError(
            f"a rank was lost {cfg.max_failures + 1} times (killed, or out of memory); max_failures={cfg.max_failures} "
            f"restarts are used up. Ray says: {''.join(last)}. --resume goes on from the newest checkpoint"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _no_restart_after_mistakes() -> Any:
    """A callback of Ray's controller that ends the run when a rank found a user's mistake, which would meet it again.

    A store that does not answer may come back, so that one is tried again.
    """
    from ray.train import UserCallback

    class NoRestart(UserCallback):
        def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
            for error in worker_exceptions.values():
                if isinstance(error, UserError) and not isinstance(error, Unreachable):
                    raise error  # Ray retries lost workers, not what its callbacks raise

    return NoRestart()


def _use_gpu(cfg: TrainConfig) -> bool:
    """Whether each rank gets a GPU: asked for, or ``auto`` and the cluster has enough of them."""
    import ray

    found = int(ray.cluster_resources().get("GPU", 0))
    if cfg.device == "cuda" and os.environ.get(AUTOSCALING):
        return True
    if cfg.device == "cuda" and found < cfg.ranks[0]:
        raise UserError(
            f"device=cuda with workers={cfg.workers}, but the Ray cluster has {found} GPUs: use device=auto, or set "
            f"{AUTOSCALING}=1 where the cluster grows"
        )
    return cfg.device != "cpu" and found >= cfg.ranks[0]


def _as_error(noted: dict[str, Any]) -> Exception:
    """A noted failure as the exception it was, where callers tell it from others."""
    for kind in (UserError, OutOfMemory, NonFiniteLoss, Stalled):
        if noted["kind"] == kind.__name__:
            return kind(noted["message"])
    return RuntimeError(f"first failure, on rank {noted['rank']}: {noted['kind']}: {noted['message']}")


def _rank(values: dict[str, Any]) -> None:
    """One rank in a Ray worker. What all ranks agree on (a non-finite loss, a source whose farm is dead) ends the run
    without useless restarts."""
    import ray.train
    from ray.train.torch import get_device

    from .runtimes import work

    logging.getLogger("ray.train").setLevel(logging.WARNING)
    run_dir = Path(values["run_dir"])
    here = ray.train.get_context()
    rank, world = here.get_world_rank(), here.get_world_size()

    def report(metrics: dict[str, float]) -> None:
        ray.train.report(dict(metrics))

    try:
        cfg = validate_run(values["config"])
        device = get_device() if values["gpu"] else CPU
        work(cfg, run_dir, Context(rank, world, device, False, report, cfg.deepspeed), values["until"])
    except (NonFiniteLoss, Stalled) as error:
        if rank == 0:
            runfolder.note_failure(run_dir, rank, error)
    except Exception as error:
        runfolder.note_failure(run_dir, rank, error)
        raise
