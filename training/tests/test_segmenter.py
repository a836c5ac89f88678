"""RANet's shapes, the loss on known masks, the sampled crops."""

import dataclasses

import numpy as np
import pytest
import torch

from nasoseg_train.networks import RANet, RoiCrop
from nasoseg_train.run.presets import DEMO, MICRO, PAPER, SegmenterTraining
from nasoseg_train.segmenter.crop_batches import sample_crops
from nasoseg_train.segmenter.losses import border_weights, segmentation_loss


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"cram": False},
        {"rram": False},
        {"rram_deep_first": False},
        {"cram": False, "rram": False},
    ],
)
def test_ranet_gives_one_logit_per_pixel_with_each_switch(change):
    net = RANet(dataclasses.replace(MICRO.ranet, **change)).eval()
    assert (net.cram is None) == (change.get("cram") is False)
    assert (net.rram is None) == (change.get("rram") is False)
    assert net(torch.rand(2, 3, 32, 32)).shape == (2, 1, 32, 32)


@pytest.mark.parametrize("encoder", ["resnet18", "resnet50"])
def test_ranet_on_torchvision_encoders(encoder):
    config = dataclasses.replace(PAPER.ranet, encoder=encoder, crop=128)
    assert RANet(config).eval()(torch.rand(1, 3, 128, 128)).shape == (1, 1, 128, 128)


def test_regions_must_divide_the_maps():
    net = RANet(dataclasses.replace(MICRO.ranet, regions=3)).eval()
    with pytest.raises(ValueError, match="do not divide"):
        net(torch.rand(1, 3, 32, 32))
    for preset in (PAPER, DEMO, MICRO):
        assert preset.ranet.crop // 8 % preset.ranet.regions == 0


def test_rram_order_matters():
    torch.manual_seed(0)
    config = MICRO.ranet
    one = RANet(config).eval()
    other = RANet(dataclasses.replace(config, rram_deep_first=False)).eval()
    other.load_state_dict(one.state_dict())
    x = torch.rand(1, 3, 32, 32)
    assert not torch.allclose(one(x), other(x), atol=1e-7)


def square(side=64, low=20, high=44):
    mask = torch.zeros(1, 1, side, side)
    mask[..., low:high, low:high] = 1
    return mask


def test_border_weights_of_a_square():
    weights = border_weights(square(), k=3, border_weight=20.0)[0, 0]
    assert set(weights.unique().tolist()) == {1.0, 20.0}
    assert weights[32, 32] == 1 and weights[2, 2] == 1
    row = torch.nonzero(weights[32, :32] > 1).flatten()
    # The step lies between pixels 19 and 20 and Canny marks both; the cross adds k = 3 on either
    # side.
    assert row.tolist() == list(range(16, 24))


def test_the_cross_keeps_corners_square():
    # One pixel's edge dilated by a cross reaches along the axes and not along the diagonals.
    weights = border_weights(square(low=28, high=36), k=6, border_weight=5.0)[0, 0]
    assert weights[32, 20] == 1 or weights[32, 22] == 5
    assert weights[21, 21] == 1


def test_empty_masks_weigh_one_everywhere():
    assert (border_weights(torch.zeros(2, 1, 32, 32), 5, 20.0) == 1).all()


def test_dbw_is_normalised_by_the_sum_of_weights():
    mask = square()
    # The same cross entropy on every pixel: any normalised weighting gives it back.
    logits = torch.where(mask > 0, 2.0, -2.0)
    expected = float(np.log1p(np.exp(-2.0)))
    for kind in ("dbw", "ce", "weighted"):
        assert float(segmentation_loss(logits, mask, kind, 5, 20.0)) == pytest.approx(
            expected, rel=1e-5
        )


def test_dbw_punishes_the_border_more():
    mask = square()
    near, far = torch.where(mask > 0, 4.0, -4.0), torch.where(mask > 0, 4.0, -4.0)
    near[..., 20:44, 20] = -4.0
    far[..., 20:44, 2] = 4.0
    assert segmentation_loss(near, mask, "dbw", 5, 20.0) > 3 * segmentation_loss(
        far, mask, "dbw", 5, 20.0
    )


def test_perfect_dice_loss_is_small():
    mask = square()
    assert (
        float(segmentation_loss(torch.where(mask > 0, 20.0, -20.0), mask, "dice", 5, 20.0)) < 1e-3
    )


def test_training_crops_without_augmentation_are_the_graphs_crops():
    rng = np.random.default_rng(0)
    images = torch.rand(2, 3, 96, 96)
    boxes = np.array([[10.0, 20, 70.5, 60.25], [30, 5.5, 90, 80]])
    plain = SegmenterTraining(rotation_degrees=0.0, flip=0.0, scale=0.0)
    got = sample_crops(images, boxes, 32, rng, plain)
    expected = RoiCrop(32, 2)(images, torch.from_numpy(boxes).float(), torch.arange(2))
    assert torch.allclose(got, expected, atol=1e-4)
    flipped = sample_crops(
        images, boxes, 32, rng, SegmenterTraining(rotation_degrees=0.0, flip=1.0, scale=0.0)
    )
    assert torch.allclose(flipped, expected.flip(-1), atol=1e-4)


def test_crop_pixels_are_centred_half_a_pixel_in():
    # A ramp along x: crop pixel u of C lies at x0 + (u + 0.5) w / C in edges, whose index is half
    # less.
    ramp = torch.arange(96, dtype=torch.float32).expand(1, 3, 96, 96).contiguous()
    crop = RoiCrop(8, 2)(ramp, torch.tensor([[10.5, 20.0, 42.5, 52.0]]), torch.tensor([0]))
    expected = 10.5 + (torch.arange(8) + 0.5) * 4 - 0.5
    assert torch.allclose(crop[0, 0, 3], expected, atol=1e-4)
