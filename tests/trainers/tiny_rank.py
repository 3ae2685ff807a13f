"""One rank of runs of the tiny task on gloo: ``tiny_rank.py RANK WORLD FOLDER``; saves weights or errors."""

from __future__ import annotations

import gc
import sys
from importlib import util
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from sim2pose.trainers import loop
from sim2pose.trainers.context import Context, seed_everything
from sim2pose.trainers.updates import NonFiniteLoss


def main() -> None:
    rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    spec = util.spec_from_file_location("tiny_conftest", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = Context(rank, world)
    answers: dict[str, Any] = {}
    for name, poison in (("clean", -1), ("poisoned", 5)):
        (folder / name).mkdir(exist_ok=True)
        seed_everything(3, 0)
        task = module.TinyTask(context, dropout=0.0, poison=poison)
        run = loop.LoopSettings(name, folder / name, {}, validate_every=100, log_every=2, save_every=3, keep=2)
        answer: int | str
        try:
            answer = loop.run(task, run, context).images
        except NonFiniteLoss as error:
            answer = str(error)
        weights = {f"{n}.{k}": v for n, m in task.modules.items() for k, v in m.state_dict().items()}
        answers[name] = (answer, weights)
        del task
    torch.save(answers, folder / f"rank{rank}.pt")
    dist.barrier()
    gc.collect()  # a DDP wrapper that outlives its process group can abort the interpreter's exit
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
