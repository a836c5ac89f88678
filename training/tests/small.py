"""Presets and slice sets that train in seconds, for the tests of the loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nasoseg_train.data.slice_set import SliceSet, build_cache
from nasoseg_train.data.standin import standin_patient
from nasoseg_train.run.presets import MICRO, Preset

SMALL = replace(
    MICRO,
    name="test",
    detector=replace(
        MICRO.detector,
        epochs=3,
        episodes_per_epoch=24,
        parallel=12,
        batch=16,
        replay=256,
        warmup=32,
        decisions_per_update=24,
        target_update=3,
        validate_every=1,
        validation_slices=12,
        mixed_precision=False,
        auxiliary=0.5,
    ),
    segmenter=replace(
        MICRO.segmenter,
        steps=12,
        agent_steps=0,
        batch=4,
        validate_every=4,
        validation_slices=12,
        intensity=0.1,
    ),
)


def slice_sets(
    folder: Path, preset: Preset = SMALL, train: int = 4, validation: int = 2
) -> tuple[SliceSet, SliceSet]:
    """Stand-in patients as training and validation slices."""
    seeds = list(range(10, 10 + train)), list(range(50, 50 + validation))
    one, two = (
        build_cache(folder / name, some, preset.input, 3, 1, standin_patient)
        for name, some in zip(("train", "validation"), seeds, strict=True)
    )
    return one, two
