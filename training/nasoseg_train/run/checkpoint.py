"""States of a run in, files out, and back: written beside and renamed, refused by name where they
do not fit.

A best checkpoint holds a network, its preset, seed and validation figures; it is NAME_best.pt while
its stage is at work and NAME.pt when that is over, so that nobody goes on from half a training. A
`_last.pt` holds whatever the loop needs to go on as if it had never stopped: networks, optimiser,
random states, queue, experience pool, log.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .presets import Preset
from .training_run import difference


def write(path: Path, state: dict[str, Any]) -> None:
    """A file that is whole or not there."""
    partial = path.with_suffix(".part")
    torch.save(state, partial)
    partial.replace(path)


def read(path: Path, **expected: Any) -> dict[str, Any]:
    """A checkpoint on the CPU; each of `expected` must be what the file says."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise SystemExit(
            f"{path}: not a checkpoint that can be read ({error}); remove it to start anew"
        ) from error
    for key, want in expected.items():
        if state.get(key) != want:
            where = difference(state.get(key), want, key)
            raise SystemExit(
                f"{path}: was made otherwise: {where}. Go on as it was begun, or start in an empty folder"
            )
    return state


def best_path(out: Path, name: str) -> Path:
    """Where the best checkpoint of a stage at work is."""
    return out / f"{name}_best.pt"


def begin(out: Path, name: str) -> None:
    """A stage begins from nothing: what an earlier training of it left must not be taken for its
    own, nor be lost.
    """
    final = out / f"{name}.pt"
    if final.exists():
        raise SystemExit(
            f"{final}: is there without {name}_last.pt, so nothing says what it was trained from. Remove or move it to train anew, or train in an"
            " empty folder"
        )
    best_path(out, name).unlink(missing_ok=True)


def finish(out: Path, name: str) -> Path:
    """Give the best checkpoint of a stage that is over the name by which the next stages know it;
    returns it.
    """
    best, final = best_path(out, name), out / f"{name}.pt"
    if best.exists():
        best.replace(final)
    if not final.exists():
        raise SystemExit(
            f"{final}: is missing, though {name} has taken all its steps; no validation gave a score, or the file was removed"
        )
    return final


def weights_hash(net: torch.nn.Module) -> str:
    """A short hash of a network's weights, to know it again."""
    digest = hashlib.sha256()
    for value in net.state_dict().values():
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def plain(preset: Preset) -> dict[str, Any]:
    """The preset as it looks in a checkpoint: lists for tuples."""
    return json.loads(json.dumps(preset.to_dict()))


def best_state(
    net: torch.nn.Module, preset: Preset, seed: int, figures: dict[str, float]
) -> dict[str, Any]:
    """What a best checkpoint holds."""
    return {"net": net.state_dict(), "preset": plain(preset), "seed": seed, "validation": figures}


def random_state(**streams: np.random.Generator) -> dict[str, Any]:
    """PyTorch's random states and those of numpy's named streams."""
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    # numpy's states hold integers of 128 bits, which a safe load does not know.
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
