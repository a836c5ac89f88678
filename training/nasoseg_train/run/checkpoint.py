"""Checkpoints of a training run: complete or missing on disk, validated when read.

A best checkpoint holds a network, its preset, seed and validation figures; it is NAME_best.pt while
its stage is running and NAME.pt once the stage has finished, so no later stage starts from an
unfinished one. A `_last.pt` holds all that the loop needs to resume with the same result: networks,
optimiser, random states, queue, experience pool, log.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .files import replacing
from .presets import Preset
from .training_run import difference


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint: the file is complete or does not exist."""
    with replacing(path) as partial:
        torch.save(state, partial)


def read(path: Path, **expected: Any) -> dict[str, Any]:
    """Load a checkpoint onto the CPU; it must hold the values of `expected`."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise SystemExit(
            f"{path}: cannot be read as a checkpoint ({error}). Remove it to start again"
        ) from error
    for key, value in expected.items():
        if state.get(key) != value:
            where = difference(state.get(key), value, key)
            raise SystemExit(
                f"{path}: was made with other inputs: {where}. Resume with the old ones, or start "
                "in an empty folder"
            )
    return state


def best_path(out: Path, name: str) -> Path:
    """The best checkpoint of a stage that has not finished."""
    return out / f"{name}_best.pt"


def begin(out: Path, name: str) -> None:
    """Start a stage afresh: what an earlier training left is neither taken for this one's nor
    lost.
    """
    final = out / f"{name}.pt"
    if final.exists():
        raise SystemExit(
            f"{final}: exists without {name}_last.pt, so its inputs are unknown. Remove or move "
            "it to train again, or train in an empty folder"
        )
    best_path(out, name).unlink(missing_ok=True)


def finish(out: Path, name: str) -> Path:
    """Rename the best checkpoint of a finished stage to NAME.pt, which later stages read; returns
    it.
    """
    best, final = best_path(out, name), out / f"{name}.pt"
    if best.exists():
        best.replace(final)
    if not final.exists():
        raise SystemExit(
            f"{final}: is missing, though {name} has taken all its steps. No validation gave a "
            "score, or the file was removed"
        )
    return final


def weights_hash(net: torch.nn.Module) -> str:
    """A short hash that identifies a network's weights."""
    digest = hashlib.sha256()
    for value in net.state_dict().values():
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def plain(preset: Preset) -> dict[str, Any]:
    """The preset as a checkpoint holds it: lists for tuples."""
    return json.loads(json.dumps(preset.to_dict()))


def best_state(
    net: torch.nn.Module, preset: Preset, seed: int, figures: dict[str, float]
) -> dict[str, Any]:
    """The content of a best checkpoint."""
    return {"net": net.state_dict(), "preset": plain(preset), "seed": seed, "validation": figures}


def random_state(**streams: np.random.Generator) -> dict[str, Any]:
    """PyTorch's random states and those of numpy's named streams."""
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    # numpy's states hold 128-bit integers, which torch's safe loading rejects.
    return state | {
        name: json.dumps(stream.bit_generator.state) for name, stream in streams.items()
    }


def restore_random(state: dict[str, Any], **streams: np.random.Generator) -> None:
    """The inverse of `random_state`."""
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    for name, stream in streams.items():
        stream.bit_generator.state = json.loads(state[name])
