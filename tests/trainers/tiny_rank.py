"""One rank of runs of the tiny task on gloo: ``tiny_rank.py RANK WORLD FOLDER VARIANT …``; saves weights or errors."""

from __future__ import annotations

import gc
import os
import sys
from importlib import util
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from sim2pose.trainers import checkpoints, loop
from sim2pose.trainers.config import DeepSpeedConfig
from sim2pose.trainers.context import Context, seed_everything
from sim2pose.trainers.deepspeed_engine import prepare
from sim2pose.trainers.task import LoopSettings
from sim2pose.trainers.updates import NonFiniteLoss

SPLIT = {"stage3_param_persistence_threshold": 0}  # divide small weights too
VARIANTS = {
    "clean": (-1, DeepSpeedConfig()),
    "poisoned": (5, DeepSpeedConfig()),
    **{f"zero{zero}": (-1, DeepSpeedConfig(zero=zero)) for zero in (0, 1, 2)},
    "zero3": (-1, DeepSpeedConfig(zero=3, options=SPLIT)),
    "poisoned_zero1": (5, DeepSpeedConfig(zero=1)),
    "poisoned_zero3": (5, DeepSpeedConfig(zero=3, options=SPLIT)),
}


def main() -> None:
    rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    spec = util.spec_from_file_location("tiny_conftest", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    os.environ["LOCAL_RANK"] = str(rank)
    answers: dict[str, Any] = {}
    for name in sys.argv[4:]:
        poison, deepspeed = VARIANTS[name]
        context = Context(rank, world, deepspeed=deepspeed)
        if deepspeed.enabled:
            prepare(context)
        (folder / name).mkdir(exist_ok=True)
        seed_everything(3, 0)
        task = module.TinyTask(context, dropout=0.0, poison=poison)
        run = LoopSettings(name, folder / name, {}, validate_every=100, log_every=2, save_every=3, keep=2)
        answer: int | str
        try:
            answer = loop.run(task, run, context).samples
        except NonFiniteLoss as error:
            answer = str(error)
        modules = {n: m.state_dict() for n, m in task.modules.items()}
        if deepspeed.zero == 3:  # each rank has only its part of them
            dist.barrier()
            found = checkpoints.newest(folder / name / ("failed" if poison >= 0 else "checkpoints"))
            assert found is not None
            modules = found.modules
        answers[name] = (answer, {f"{n}.{k}": v for n, state in modules.items() for k, v in state.items()})
        del task
    torch.save(answers, folder / f"rank{rank}.pt")
    dist.barrier()
    gc.collect()  # a DDP wrapper that outlives its process group can abort the interpreter's exit
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
