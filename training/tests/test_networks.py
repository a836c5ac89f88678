"""The networks that RANet is compared with: shapes, gradients, what their papers fix, what their
attention does; losses.
"""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasoseg_train.networks import crop_network
from nasoseg_train.networks.attention import RegionAttention
from nasoseg_train.networks.da_dsunet import (
    ChannelLikeness,
    PositionAttention,
    pool_with_places,
    unpool,
)
from nasoseg_train.networks.unet import UNet
from nasoseg_train.networks.voxresnet import VolumeSegmenter, VoxResNet
from nasoseg_train.run.presets import PAPER, TINY, SegmenterConfig
from nasoseg_train.segmenter.losses import segmentation_loss

PLAIN = {"cram": False, "rram": False}
NETWORKS = {
    "unet": dataclasses.replace(TINY.baselines.unet, **PLAIN),
    "unet_se": dataclasses.replace(TINY.baselines.unet, **PLAIN, squeeze_excitation=True),
    "unet_cram": dataclasses.replace(TINY.baselines.unet, cram=True, rram=False),
    "unet_rram": dataclasses.replace(TINY.baselines.unet, cram=False, rram=True),
    "unet_both": TINY.baselines.unet,
    "densenet": dataclasses.replace(TINY.baselines.densenet, dropout=0.0),
    "ddnn": TINY.baselines.ddnn,
    "attention_unet": TINY.baselines.attention_unet,
    "da_dsunet": TINY.baselines.da_dsunet,
    "ranet": TINY.ranet,
}


def made(name):
    torch.manual_seed(0)
    net = crop_network(NETWORKS[name])
    # The dual attention's gains begin at 0, where nothing flows through it.
    for module in net.modules():
        if isinstance(module, (PositionAttention, ChannelLikeness)):
            nn.init.constant_(module.gain, 0.5)
    return net


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("crop", [32, 64, 96])
def test_one_logit_per_pixel(name, crop):
    net = made(name).eval()
    with torch.no_grad():
        assert net(torch.rand(2, 3, crop, crop)).shape == (2, 1, crop, crop)


def example():
    """Two crops with a bright square each, and its mask."""
    rng = torch.Generator().manual_seed(0)
    images, masks = torch.rand(2, 3, 32, 32, generator=rng) * 0.3, torch.zeros(2, 1, 32, 32)
    for n, low in enumerate((6, 14)):
        masks[n, :, low : low + 10, low : low + 8] = 1
    return images + 0.5 * masks, masks


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_reach_every_weight_and_steps_lower_the_loss(name):
    images, masks = example()
    net = made(name).train()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for step in range(12):
        loss = segmentation_loss(net(images), masks, "ce", 2, 20.0)
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            for weight, p in net.named_parameters():
                assert p.grad is not None and torch.isfinite(p.grad).all(), weight
                # A bias before a normalisation moves nothing; every other weight does.
                assert p.grad.abs().max() > 0 or weight.endswith("bias"), weight
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0], losses


def test_the_papers_sizes():
    with torch.device("meta"):
        sizes = {
            name: crop_network(getattr(PAPER.baselines, name))
            for name in ("unet", "densenet", "ddnn", "attention_unet")
        }
    layers = {
        name: [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
        for name, net in sizes.items()
    }
    # FC-DenseNet103 is named after its convolutions; its paper says 9.4 million weights.
    assert len(layers["densenet"]) == 103
    assert sum(p.numel() for p in sizes["densenet"].parameters()) == pytest.approx(9.4e6, rel=0.01)
    # VGG-16 has thirteen 3x3 convolutions.
    assert sum(isinstance(m, nn.Conv2d) for m in sizes["ddnn"].encoder.modules()) == 13
    assert [m.out_channels for m in layers["unet"] if m.in_channels == 3] == [64]
    assert len(sizes["unet"].encoder) == 5


@pytest.mark.parametrize("name", ["unet_se", "unet_cram", "unet_rram", "unet_both", "ranet"])
def test_attention_changes_what_comes_out(name):
    images, _ = example()
    config, net = NETWORKS[name], made(name).train()
    without = crop_network(dataclasses.replace(config, **PLAIN, squeeze_excitation=False)).train()
    left = without.load_state_dict(net.state_dict(), strict=False)
    assert not left.missing_keys and left.unexpected_keys
    with torch.no_grad():
        assert (net(images) - without(images)).abs().max() > 1e-3


def test_attention_sees_every_level_deepest_first():
    seen = []
    net = made("unet_both").eval()
    net.cram.register_forward_pre_hook(lambda _, args: seen.extend(args[0]))
    net(torch.rand(1, 3, 32, 32))
    assert [tuple(x.shape[1:]) for x in seen] == [(10, 4, 4), (8, 8, 8), (6, 16, 16), (4, 32, 32)]
    assert len(net.rram.squeeze) == 3


def test_channel_attention_carries_its_state_up():
    # The shallowest level's weights must depend on the deepest level, which an SE block's cannot.
    torch.manual_seed(0)
    net = made("unet_cram")
    levels = [torch.rand(1, c, s, s) for c, s in ((10, 4), (8, 8), (6, 16), (4, 32))]
    other = [levels[0] + 1, *levels[1:]]
    with torch.no_grad():
        assert (net.cram(levels)[3] - net.cram(other)[3]).abs().max() > 1e-6


def test_squeeze_and_excitation_by_hand():
    net = made("unet_se")
    block = net.squeeze[0]
    x = torch.rand(2, 10, 4, 4)
    mean = x.mean((2, 3))
    hidden = torch.relu(mean @ block.fc1.weight[:, :, 0, 0].T + block.fc1.bias)
    scale = torch.sigmoid(hidden @ block.fc2.weight[:, :, 0, 0].T + block.fc2.bias)
    assert torch.allclose(block(x), x * scale[:, :, None, None], atol=1e-6)
    wide = UNet(SegmenterConfig(network="unet", widths=(64, 128), squeeze_excitation=True, **PLAIN))
    assert [b.fc1.out_channels for b in wide.squeeze] == [8, 4]  # a sixteenth, deepest first


def test_regions_are_attended_step_by_step_as_all_at_once():
    torch.manual_seed(0)
    rram = RegionAttention((5, 4, 3), 4, True)
    levels = [torch.rand(2, c, s, s) for c, s in ((5, 4), (4, 8), (3, 16))]
    state, one_by_one = None, []
    for i, x in enumerate(levels):
        y, state = rram.attend(i, x, state)
        one_by_one.append(y)
    for a, b in zip(rram(levels), one_by_one, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    "change, error",
    [
        ({"squeeze_excitation": True, "cram": True}, "Choose one"),
        ({"rram_deep_first": False}, "deepest first"),
    ],
)
def test_a_unet_refuses_what_it_cannot_be(change, error):
    with pytest.raises(ValueError, match=error):
        UNet(dataclasses.replace(TINY.baselines.unet, **change))


def test_unpooling_is_torchs():
    x = (
        torch.randperm(2 * 3 * 8 * 8, generator=torch.Generator().manual_seed(0)).reshape(
            2, 3, 8, 8
        )
        / 100.0
    )
    value, index = F.max_pool2d(x, 2, return_indices=True)
    got, places = pool_with_places(x)
    assert torch.equal(got, value)
    assert torch.equal(unpool(got * 2, places), F.max_unpool2d(value * 2, index, 2))
    # Rounding in a flat place does not choose.
    flat = torch.ones(1, 1, 4, 4) + 1e-6 * torch.rand(1, 1, 4, 4)
    assert torch.equal(pool_with_places(flat)[1][:, :, 0], torch.ones(1, 1, 2, 2))


def test_position_attention_by_hand():
    torch.manual_seed(0)
    attention = PositionAttention(8)
    x = torch.rand(1, 8, 2, 2)
    assert torch.equal(attention(x), x)  # as it begins
    nn.init.constant_(attention.gain, 1.0)
    flat = x.reshape(8, 4)

    def project(layer):
        return layer.weight[:, :, 0, 0] @ flat + layer.bias[:, None]

    query, key, value = project(attention.query), project(attention.key), project(attention.value)
    expected = flat.clone()
    for i in range(4):
        alike = torch.softmax(torch.stack([query[:, i] @ key[:, j] for j in range(4)]), 0)
        expected[:, i] += sum(alike[j] * value[:, j] for j in range(4))
    assert torch.allclose(attention(x).reshape(8, 4), expected, atol=1e-5)


def test_voxresnet_sums_four_resolutions():
    torch.manual_seed(0)
    net = VoxResNet(TINY.volume).eval()
    patch = torch.rand(2, 3, *TINY.volume.patch)
    every = net.every(patch)
    assert len(every) == 4 and all(x.shape == (2, 1, *TINY.volume.patch) for x in every)
    assert torch.allclose(net(patch), sum(every), atol=1e-5)
    net.train()
    sum(x.mean() for x in net.every(patch)).backward()
    assert all(p.grad is not None for p in net.parameters())
    p = VolumeSegmenter(TINY.volume).eval()(patch)
    assert p.min() >= 0 and p.max() <= 1
    with pytest.raises(ValueError, match="multiple of 8"):
        VoxResNet(dataclasses.replace(TINY.volume, patch=(8, 12, 16)))


def test_losses_by_hand():
    logits = torch.tensor([[[[2.0, -1.0], [0.5, -3.0]]]])
    masks = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    p = 1 / (1 + np.exp(-logits.numpy().ravel()))
    y = masks.numpy().ravel()
    entropy = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    dice = 1 - (2 * (p * y).sum() + 1) / ((p + y).sum() + 1)
    weight = 1 + 6 * y
    weighted = (weight * entropy).sum() / weight.sum()
    expected = {
        "ce": entropy.mean(),
        "dice": dice,
        "dice_ce": dice + entropy.mean(),
        "weighted": weighted,
    }
    for kind, value in expected.items():
        assert float(
            segmentation_loss(logits, masks, kind, 1, 20.0, positive_weight=7.0)
        ) == pytest.approx(value, rel=1e-5)
    with pytest.raises(ValueError, match="is not known"):
        segmentation_loss(logits, masks, "focal", 1, 20.0)


@pytest.mark.parametrize("kind", ["dice", "dice_ce"])
def test_dice_of_two_empty_masks_is_no_loss(kind):
    empty = torch.zeros(1, 1, 16, 16)
    assert float(segmentation_loss(torch.full_like(empty, -30.0), empty, kind, 1, 20.0)) < 1e-6
