"""Devices, precision, processes and optimiser of a training loop.

Lightning Fabric handles devices, mixed precision and several processes (under torchrun: one per
GPU, or gloo on CPUs). It was chosen over accelerate because it wraps only a module and an
optimiser, reads torchrun's environment without a configuration file, and has no hub client among
its dependencies.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from .network_config import ProposalConfig
from .options import RunOptions
from .training_config import DetectorTraining

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Net = TypeVar("Net", bound=nn.Module)


def device_named(name: str) -> str:
    """cpu or cuda; `auto` is cuda if there is a GPU."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise SystemExit(
            "--device cuda: PyTorch finds no GPU. Use --device cpu, or install PyTorch's CUDA "
            "build and a driver"
        )
    return name


@contextmanager
def first_on_this_machine(options: RunOptions) -> Iterator[None]:
    """Under torchrun, let the first process of a machine run the block before the others."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    with launch(options, False).rank_zero_first(local=True):
        yield


def launch(options: RunOptions, mixed: bool) -> Fabric:
    """The Fabric of one training loop; `mixed` says whether the preset uses bfloat16."""
    from lightning_fabric import Fabric

    device = device_named(options.device)
    if device == "cpu" and options.precision == "fp16":
        raise SystemExit(
            "--precision fp16 needs a GPU, as PyTorch's CPU kernels do not support it. Use bf16 "
            "or 32"
        )
    chosen = options.precision if options.precision != "preset" else "bf16" if mixed else "32"
    precision: Any = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[chosen]
    world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    fabric = Fabric(
        accelerator=device,
        devices=local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        precision=precision,
    )
    fabric.launch()
    return fabric


def placed(net: Net, device: torch.device) -> Net:
    """A network on a device, with the channels last in memory, which convolutions prefer."""
    # torch's own stubs do not know the two arguments together.
    return net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def optimiser_of(
    weights: Iterable[nn.Parameter], config: DetectorTraining | ProposalConfig
) -> torch.optim.Optimizer:
    """SGD with momentum or Adam, as the settings say."""
    if config.optimiser == "sgd":
        return torch.optim.SGD(
            weights, config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
    return torch.optim.Adam(weights, config.lr, weight_decay=config.weight_decay)


def share_of(total: int, fabric: Fabric, what: str) -> int:
    """This process's part of a batch or of an experience pool; it must be at least one."""
    if total % fabric.world_size:
        raise SystemExit(
            f"{what} is {total}, which {fabric.world_size} processes do not share evenly. Choose "
            "a multiple of their number"
        )
    return total // fabric.world_size


def seeds(fabric: Fabric, *numbers: int) -> list[int]:
    """The seeds of this process's random stream; the first process has that of a single-process
    run.
    """
    return [*numbers, fabric.global_rank] if fabric.global_rank else list(numbers)


def total(fabric: Fabric, *numbers: int) -> list[int]:
    """The sums over all processes."""
    if fabric.world_size == 1:
        return list(numbers)
    summed = fabric.all_reduce(torch.tensor(numbers, device=fabric.device), reduce_op="sum")
    assert isinstance(summed, torch.Tensor)
    return summed.tolist()


def equalise(fabric: Fabric, *modules: nn.Module) -> None:
    """Copy the first process's batch-normalisation statistics to all; DDP keeps the weights
    equal.
    """
    if fabric.world_size > 1:
        for module in modules:
            for buffer in module.buffers():
                torch.distributed.broadcast(buffer, 0)


def gather(fabric: Fabric, state: Any) -> list[Any] | None:
    """Every process's state on the first process; None on the others."""
    if fabric.world_size == 1:
        return [state]
    out: list[Any] | None = [None] * fabric.world_size if fabric.global_rank == 0 else None
    torch.distributed.gather_object(state, out, 0)
    return out
