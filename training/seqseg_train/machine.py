"""Where and how a run computes in, a Fabric and the few things that several processes must agree on out.

Lightning Fabric carries devices, mixed precision and several processes (under torchrun: one per GPU, or gloo on CPUs). It
was chosen over accelerate because it wraps a module and an optimiser and nothing else, takes its place from torchrun's
environment without a configuration file, and brings no hub client with it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class RunOptions:
    """What a run may change without changing what is learned."""

    device: Literal["auto", "cpu", "cuda"] = "cpu"
    """cpu, cuda, or auto: a GPU where there is one. Under torchrun every process takes one GPU."""
    precision: Literal["preset", "32", "bf16", "fp16"] = "preset"
    """Of the networks' forward pass; weights stay float32. `preset` is bf16 for the agent where the preset says
    mixed_precision. fp16 is for GPUs alone."""
    tensorboard: bool = False
    """Write tensorboard/ beside the CSV logs (needs the extra `tensorboard`)."""
    pictures_every: int = 0
    """Every so many validations, write pictures of predictions; 0 writes none."""
    checkpoint_every: int = 1
    """Every so many validations or epochs, write the checkpoint to go on from; the last one is always written."""
    progress: bool = False
    """Progress bars on a terminal."""


def launch(options: RunOptions, mixed: bool) -> Fabric:
    """The Fabric of one training loop; `mixed` is the preset's wish for bfloat16."""
    from lightning_fabric import Fabric

    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device cuda: PyTorch sees no GPU here; use --device cpu, or install PyTorch's CUDA build and a driver")
    if device == "cpu" and options.precision == "fp16":
        raise SystemExit("--precision fp16 needs a GPU: PyTorch's CPU kernels lack it; use bf16 or 32")
    chosen = options.precision if options.precision != "preset" else "bf16" if mixed else "32"
    precision: Any = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[chosen]
    world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    fabric = Fabric(
        accelerator=device, devices=local, num_nodes=world // local, strategy="ddp" if world > 1 else "auto", precision=precision
    )
    fabric.launch()
    return fabric


def share_of(total: int, fabric: Fabric, what: str) -> int:
    """This process's part of a batch or of an experience pool; it must be at least one."""
    if total % fabric.world_size:
        raise SystemExit(f"{what} is {total}, which {fabric.world_size} processes do not share evenly; choose a multiple of their number")
    return total // fabric.world_size


def seeds(fabric: Fabric, *numbers: int) -> list[int]:
    """A random stream of this process; the first process has the stream of a run alone."""
    return [*numbers, fabric.global_rank] if fabric.global_rank else list(numbers)


def total(fabric: Fabric, *numbers: int) -> list[int]:
    """The sums over all processes."""
    if fabric.world_size == 1:
        return list(numbers)
    return fabric.all_reduce(torch.tensor(numbers, device=fabric.device), reduce_op="sum").tolist()


def equalise(fabric: Fabric, *modules: nn.Module) -> None:
    """Give every process the first one's statistics of batch normalisation; DDP keeps the weights equal."""
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
