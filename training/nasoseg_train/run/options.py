"""What a run may change without changing what is learned: its device, its precision, what it writes
on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RunOptions:
    """Where a training loop runs and what it shows."""

    device: Literal["auto", "cpu", "cuda"] = "cpu"
    """cpu, cuda, or auto: a GPU where there is one. Under torchrun every process takes one GPU."""
    precision: Literal["preset", "32", "bf16", "fp16"] = "preset"
    """Of the networks' forward pass; weights stay float32. `preset` is bf16 for the agent where the
    preset says mixed_precision. fp16 is for GPUs alone.
    """
    tensorboard: bool = False
    """Write tensorboard/ beside the CSV logs (needs the extra `tensorboard`)."""
    pictures_every: int = 0
    """Every so many validations, write pictures of predictions; 0 writes none."""
    checkpoint_every: int = 1
    """Every so many validations or epochs, write the checkpoint to go on from; the last one is
    always written.
    """
    progress: bool = False
    """Progress bars on a terminal."""
