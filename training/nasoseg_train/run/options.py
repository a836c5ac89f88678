"""Options of a training run that do not change what is learned: device, precision, output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RunOptions:
    """Where a training loop runs and what it writes."""

    device: Literal["auto", "cpu", "cuda"] = "cpu"
    """cpu, cuda, or auto: a GPU if there is one. Under torchrun every process takes one GPU."""
    precision: Literal["preset", "32", "bf16", "fp16"] = "preset"
    """Precision of the networks' forward pass; weights stay float32. `preset` is bf16 for the agent
    if the preset says mixed_precision. fp16 requires a GPU.
    """
    tensorboard: bool = False
    """Write tensorboard/ beside the CSV logs (requires the extra `tensorboard`)."""
    pictures_every: int = 0
    """Validations between two sets of pictures of predictions; 0 writes none."""
    checkpoint_every: int = 1
    """Validations or epochs between two checkpoints to resume from; the last one is always written.
    """
    progress: bool = False
    """Show progress bars on a terminal."""
