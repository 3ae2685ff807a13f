"""DeepSpeed as an adapter: an engine for each network, behind the same small methods as any :class:`~.updates.Updater`.

The task calls its networks as ever, not the engines: what DeepSpeed does, it does in hooks on modules and parameters, and
in ``backward`` and ``step``. That suits adversarial training, where one forward pass of the pose network serves two
updates, a gradient norm is taken half-way back, and the classifier is at times a fixed function (its parameters then
take no gradients, so its engine sees nothing of the pose network's backward pass). Under ZeRO 3 each module's weights
are gathered when it runs, whoever calls it, and evaluation and saving run with all weights gathered.

Checkpoints stay as they are: weights and optimiser states are whole, so any number of ranks, any stage and any other
runtime can go on with them. Checked with DeepSpeed 0.19.8.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parameter import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..config import UserError
from .context import Context
from .updates import Guard, Updater

MOMENTS = ("exp_avg", "exp_avg_sq")
# How many backward passes through a module may fetch its weights. ZeRO 3 counts one for each forward pass and then runs
# on weights that are gone (a crash): after a gradient norm at the feature map there comes a second one.
ALWAYS = 1 << 60


def prepare(context: Context) -> None:
    """See to what engines need: DeepSpeed, and a process group (of one) where no launcher made one.

    That group stays until the process ends, as DeepSpeed remembers the first it met.

    Raises:
        UserError: if DeepSpeed is not installed.
    """
    _import_deepspeed(context.device)
    if not dist.is_initialized():
        backend = "nccl" if context.device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
        atexit.register(dist.destroy_process_group)
        os.environ.setdefault("LOCAL_RANK", "0")  # it asks for the variable


def _import_deepspeed(device: torch.device) -> Any:
    os.environ.setdefault("DS_ACCELERATOR", device.type)
    try:
        import deepspeed

        backend = import_module("deepspeed.comm.torch")  # the attribute of that name is torch itself
    except ImportError as error:
        raise UserError(
            f"deepspeed.zero needs DeepSpeed ({error}): pip install 'sim2pose[deepspeed]', or set deepspeed.zero=null"
        ) from error
    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    # On a CPU it would compile an operator for shared memory at the first start (half a minute, and a C++ compiler must
    # be there); without it, gloo exchanges the gradients as it does under DDP.
    backend.build_shm_op = lambda: None  # type: ignore[attr-defined]
    return deepspeed


def unhooked(module: nn.Module) -> nn.Module:
    """A network called past the hooks that ZeRO 3 hangs on it, unless it has weights of its own; its parts keep theirs.

    They would return copies of its feature map and heatmaps, and no gradient of the heatmaps could then be taken at the
    feature map.
    """
    return module if any(True for _ in module.parameters(recurse=False)) else _Unhooked(module)


class _Unhooked(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Any) -> Any:
        return self.module.forward(*inputs)


class EngineUpdater(Updater):
    """Moves one network through a DeepSpeed engine of its own.

    The optimiser is the task's: DeepSpeed lets it step on this rank's part of the flattened weights. Learning rates,
    accumulation, clipping and the finite check mean what they mean elsewhere. BatchNorm's running statistics are
    rank 0's on every rank after each step, as under DDP.
    """

    def __init__(
        self,
        name: str,
        optimiser: Optimizer,
        scheduler: LambdaLR,
        guard: Guard,
        clip: float | None,
        module: nn.Module,
    ) -> None:
        super().__init__(name, optimiser, scheduler, guard, clip)
        self.module, self.context = module, guard.context
        self.zero = self.context.deepspeed.zero or 0
        self.groups = optimiser.state_dict()["param_groups"]  # before the engine puts flat weights in their place
        restored = {p: dict(optimiser.state[p]) for p in self.parameters if p in optimiser.state}
        if self.zero:
            optimiser.state.clear()
        self.engine = self._start()
        if self.zero == 3:
            for part in self.module.modules():
                part.applied_pre_backward_ref_cnt = ALWAYS  # type: ignore[assignment]
        if self.zero:
            self._make_state()
            self._restore(restored)

    def _start(self) -> Any:
        deepspeed = _import_deepspeed(self.context.device)
        config = {
            "train_micro_batch_size_per_gpu": 1,  # it must be told one; batches and their parts are the loop's matter
            "gradient_clipping": self.clip or 0.0,
            # its linear layers would replace torch's for the whole process
            "zero_optimization": {
                "stage": self.zero,
                "memory_efficient_linear": False,
                **self.context.deepspeed.options,
            },
            "zero_allow_untested_optimizer": True,
        }
        for parameter in self.module.parameters():  # it flattens weights, and views them as bytes
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
        return deepspeed.initialize(model=self.module, optimizer=self.optimiser, config=config)[0]

    def clear(self) -> None:
        """Forget all gradients."""
        self.engine.optimizer.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor, last: bool) -> None:
        """Add the gradients of a micro-batch; after the ``last`` one all ranks hold their part of the mean."""
        engine = self.engine
        engine.set_gradient_accumulation_boundary(last)
        if self.zero:
            engine.optimizer.clear_backward_seen_flag()
        # The engine hangs this on what its own forward returned; there it would also fire for gradients that are
        # taken only to be measured.
        loss.register_hook(lambda gradient: engine._backward_prologue())
        engine.backward(loss)

    def step(self, loss: Tensor) -> Tensor:
        """Check, clip and update; returns the gradient norm before clipping.

        Raises:
            NonFiniteLoss: then nothing was updated: under ZeRO the engine itself skips a step whose norm is not finite.
        """
        if self.zero:
            self._let_go()
            self.engine.step()
            norm = torch.as_tensor(self.engine.get_global_grad_norm(), device=loss.device)
            self.guard.check(self.name, loss, norm, self.optimiser)
        else:
            norm = super().step(loss)
        self._broadcast_statistics()
        return norm

    def _let_go(self) -> None:
        """End ZeRO 3's account of a step, which a second backward pass leaves open."""
        if self.zero == 3:
            for parameter in self.module.parameters():
                parameter.ds_active_sub_modules.clear()  # type: ignore[attr-defined]
            self.engine.optimizer.parameter_offload.get_param_coordinator().reset_step()

    def _broadcast_statistics(self) -> None:
        buffers = [b for b in self.module.buffers() if b.is_floating_point()]
        if self.context.world == 1 or not buffers:
            return
        flat = torch.cat([b.flatten() for b in buffers])
        dist.broadcast(flat, src=0)
        parts = flat.split([b.numel() for b in buffers])
        torch._foreach_copy_(buffers, [part.view_as(b) for part, b in zip(parts, buffers, strict=True)])

    def optimiser_state(self) -> dict[str, Any]:
        """The optimiser's whole ``state_dict``, with a state for each weight; every rank calls this."""
        if not self.zero:
            return self.optimiser.state_dict()
        from deepspeed.utils import safe_get_full_optimizer_state

        current = [
            {**now, "params": of["params"]} for now, of in zip(self.optimiser.param_groups, self.groups, strict=True)
        ]
        done = next(iter(self.optimiser.state.values()))["step"].clone()
        state = {}
        for index, parameter in enumerate(self.parameters):
            moments = {key: safe_get_full_optimizer_state(parameter, key) for key in MOMENTS}
            state[index] = {"step": done.clone(), **moments}
        return {"state": state, "param_groups": current}

    def _make_state(self) -> None:
        """Give this rank's flat weights their moments now: DeepSpeed ties them to the weights when the first group has
        stepped, and so never finds those of the second.
        """
        zero = self.engine.optimizer
        for flat in zero.fp32_partitioned_groups_flat if self.zero == 3 else zero.single_partition_of_fp32_groups:
            moments = {key: torch.zeros_like(flat, requires_grad=False) for key in MOMENTS}
            self.optimiser.state[flat] = {"step": torch.zeros((), device=flat.device), **moments}
        if self.zero < 3:
            zero._lazy_init_hp_params_optimizer_state()

    def _restore(self, states: dict[Parameter, dict[str, Tensor]]) -> None:
        """Put whole states (of :meth:`optimiser_state`, or of any other runtime) into this rank's flat parts."""
        from deepspeed.utils import safe_get_local_optimizer_state, safe_set_full_optimizer_state

        for parameter, state in states.items():
            for flat_state in self.optimiser.state.values():
                flat_state["step"].copy_(state["step"])
            for key in MOMENTS:
                if self.zero < 3:
                    safe_set_full_optimizer_state(parameter, state[key], key)
                else:  # its own function for this refuses weights whose number the ranks do not divide
                    part = safe_get_local_optimizer_state(parameter, key)
                    padded = torch.zeros(part.numel() * self.context.world, dtype=part.dtype, device=part.device)
                    padded[: state[key].numel()] = state[key].flatten()
                    part.copy_(padded[part.numel() * self.context.rank :][: part.numel()].view_as(part))

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Inside, every rank holds all weights of the network (ZeRO 3 divides them), and modules run without hooks."""
        if self.zero < 3:
            yield
            return
        import deepspeed

        self._let_go()
        offload = self.engine.optimizer.parameter_offload
        offload._remove_module_hooks()  # they would gather and give back weights on rank 0 alone, and wait for the others
        offload.forward_hooks.clear()
        offload.backward_hooks.clear()
        try:
            with deepspeed.zero.GatheredParameters(list(self.module.parameters())):
                yield
        finally:
            offload.setup_zero_stage3_hooks()
