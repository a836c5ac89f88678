"""The presets: values for every number that a training run depends on.

`paper` is section 4.2 unchanged, `demo` is small enough for two CPU cores and a few megabytes,
`small` trains every system of the paper's tables in minutes each, `micro` is for tests of the
runtime, `tiny` for tests of the training. A system of the tables is a base preset with its own
networks (systems.py). Checkpoints and reports hold the preset as a dictionary.
"""

from __future__ import annotations

from dataclasses import replace

from .config import Baselines, InputConfig, Preset
from .network_config import ProposalConfig, SegmenterConfig, TrunkConfig, VolumeConfig
from .training_config import DetectorTraining, Schedule, SegmenterTraining

__all__ = [
    "DEMO",
    "MICRO",
    "PAPER",
    "PRESETS",
    "SMALL",
    "TINY",
    "Baselines",
    "DetectorTraining",
    "InputConfig",
    "Preset",
    "ProposalConfig",
    "SegmenterConfig",
    "SegmenterTraining",
    "TrunkConfig",
    "VolumeConfig",
]

PAPER = Preset(name="paper", input=InputConfig(fit="stretch", scaling="dataset_max"))

# Every U-Net-like network below has the U-Net's widths, so that architectures are compared and not
# sizes; `nasoseg-train list-systems` prints the numbers of weights.
_SMALL_BASELINES = Baselines(
    whole_crop=96,
    whole_regions=6,
    whole_border_k=3,
    unet=SegmenterConfig(network="unet", widths=(8, 16, 32, 64, 96), lstm_hidden=64),
    densenet=SegmenterConfig(
        network="densenet", widths=(8,), blocks=(1, 2, 3, 6, 10), growth=8, dropout=0.1
    ),
    ddnn=SegmenterConfig(network="ddnn", widths=(8, 16, 32, 64, 96), blocks=(2, 2, 2, 2, 2)),
    attention_unet=SegmenterConfig(network="attention_unet", widths=(8, 16, 32, 64, 96)),
    da_dsunet=SegmenterConfig(
        network="da_dsunet", widths=(8, 16, 32, 64, 96), blocks=(1, 1, 2, 2, 2), growth=8
    ),
)

_SMALL_PROPOSALS = ProposalConfig(
    backbone="small",
    widths=(16, 24, 48, 96),
    image_size=192,
    pyramid=32,
    anchors=(12, 24, 48, 96),
    head=128,
    mask_head=(32, 32),
    pre_nms=200,
    post_nms=64,
    rpn_batch=64,
    box_batch=64,
    detections=8,
    steps=500,
    batch=8,
    lr=1e-3,
    optimiser="adam",
    validate_every=100,
    validation_slices=120,
)
_SMALL_VOLUME = VolumeConfig(
    patch=(16, 64, 64),
    spacing_mm=(6.0, 2.0, 2.0),
    widths=(8, 16),
    steps=800,
    batch=2,
    validate_every=200,
    validation_patients=12,
)

DEMO = Preset(
    name="demo",
    trunk=TrunkConfig(
        kind="small",
        crop=64,
        context=1.5,
        widths=(20, 40, 80, 160),
        blocks=(1, 1, 1),
        pool=4,
        project_hidden=(256,),
        mask=True,
        feature_size=128,
    ),
    ranet=SegmenterConfig(
        encoder="small",
        crop=96,
        widths=(8, 16, 24, 40, 80),
        decoder=(8, 12, 20, 32),
        lstm_hidden=128,
        regions=6,
        fused=8,
    ),
    detector=DetectorTraining(
        epochs=18,
        episodes_per_epoch=2000,
        tumour_free_share=0.2,
        parallel=64,
        decisions_per_update=24,
        batch=128,
        per_episode=4,
        optimiser="adam",
        loss="huber",
        lr=1e-3,
        cosine=True,
        weight_decay=1e-5,
        target_update=200,
        schedule=Schedule(priori_min=0.2),
        auxiliary=1.0,
        auxiliary_floor=0.3,
        auxiliary_mask=2.0,
        ema=0.998,
        mixed_precision=True,
        shift=24.0,
        scale=0.12,
        intensity=0.1,
        calibrate=True,
        validate_every=2,
        validation_slices=240,
    ),
    segmenter=SegmenterTraining(
        steps=9000,
        agent_steps=3000,
        late_after=0.7,
        border_k=4,
        tumour_free_share=0.45,
        scale=0.1,
        intensity=0.1,
        jitter=0.15,
        ema=0.995,
        validate_every=500,
    ),
    patients_train=200,
    patients_validation=40,
    patients_test=104,
    baselines=_SMALL_BASELINES,
    proposals=_SMALL_PROPOSALS,
    volume=_SMALL_VOLUME,
)

_TINY_BASELINES = Baselines(
    whole_crop=64,
    whole_regions=4,
    whole_border_k=2,
    unet=SegmenterConfig(network="unet", widths=(4, 6, 8, 10), lstm_hidden=8, regions=4),
    densenet=SegmenterConfig(
        network="densenet", widths=(6,), blocks=(1, 2, 2), growth=4, dropout=0.1
    ),
    ddnn=SegmenterConfig(network="ddnn", widths=(4, 6, 8), blocks=(1, 1, 2)),
    attention_unet=SegmenterConfig(network="attention_unet", widths=(4, 6, 8, 10)),
    da_dsunet=SegmenterConfig(network="da_dsunet", widths=(4, 6, 8), blocks=(1, 2, 2), growth=4),
)
_TINY_PROPOSALS = ProposalConfig(
    backbone="small",
    widths=(8, 12, 16, 24),
    image_size=96,
    pyramid=16,
    anchors=(8, 16, 24, 32),
    head=32,
    mask_head=(8,),
    pre_nms=50,
    post_nms=16,
    rpn_batch=32,
    box_batch=16,
    detections=4,
    steps=8,
    batch=4,
    lr=2e-3,
    optimiser="adam",
    validate_every=4,
    validation_slices=20,
)
_TINY_VOLUME = VolumeConfig(
    patch=(8, 16, 16),
    spacing_mm=(6.0, 4.0, 4.0),
    widths=(4, 6),
    steps=6,
    batch=2,
    validate_every=3,
    validation_patients=2,
)

MICRO = Preset(
    name="micro",
    input=InputConfig(grid=96, pixel_mm=2.96),
    trunk=TrunkConfig(
        kind="small", crop=32, widths=(6, 8, 12, 16), blocks=(1, 1, 1), pool=2, feature_size=16
    ),
    min_side=4.0,
    ranet=SegmenterConfig(
        encoder="small",
        crop=32,
        widths=(4, 6, 8, 10, 12),
        decoder=(4, 6, 8, 8),
        lstm_hidden=8,
        regions=4,
        fused=4,
    ),
    detector=DetectorTraining(
        epochs=12,
        episodes_per_epoch=512,
        tumour_free_share=0.2,
        parallel=64,
        batch=64,
        optimiser="adam",
        loss="huber",
        lr=2e-3,
        cosine=True,
        weight_decay=1e-5,
        target_update=200,
        ema=0.99,
        shift=24.0,
        scale=0.1,
        validate_every=4,
        validation_slices=200,
    ),
    segmenter=SegmenterTraining(
        steps=500,
        agent_steps=200,
        border_k=2,
        tumour_free_share=0.3,
        jitter=0.15,
        ema=0.99,
        validate_every=350,
        validation_slices=100,
    ),
    patients_train=60,
    patients_validation=12,
    patients_test=10,
    baselines=_TINY_BASELINES,
    proposals=_TINY_PROPOSALS,
    volume=_TINY_VOLUME,
)

# A few CPU minutes per system: every table can be filled on two cores in two hours. No system is
# trained to convergence.
SMALL = replace(
    DEMO,
    name="small",
    trunk=replace(DEMO.trunk, widths=(16, 32, 64, 128)),
    # The paper's exploration unchanged: the prior's returns must not reach the agents that explore
    # without it.
    detector=replace(
        DEMO.detector,
        schedule=Schedule(),
        auxiliary=0.0,
        auxiliary_floor=0.0,
        epochs=12,
        episodes_per_epoch=400,
        tumour_free_share=0.0,
        validate_every=1,
        validation_slices=120,
    ),
    # Tumour slices only, as in the paper.
    segmenter=replace(
        DEMO.segmenter,
        steps=500,
        agent_steps=170,
        late_after=0.85,
        start_at_share=True,
        tumour_free_share=0.0,
        validate_every=100,
        validation_slices=120,
    ),
    patients_train=60,
    patients_validation=12,
    patients_test=24,
)

# For tests: seconds.
TINY = replace(
    MICRO,
    name="tiny",
    detector=replace(
        MICRO.detector,
        epochs=1,
        episodes_per_epoch=64,
        parallel=32,
        warmup=64,
        validation_slices=20,
    ),
    segmenter=replace(
        MICRO.segmenter, steps=8, agent_steps=4, batch=4, validate_every=4, validation_slices=20
    ),
    patients_train=4,
    patients_validation=2,
    patients_test=2,
)

PRESETS: dict[str, Preset] = {p.name: p for p in (PAPER, DEMO, MICRO, SMALL, TINY)}
