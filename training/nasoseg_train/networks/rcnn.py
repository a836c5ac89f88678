"""torchvision's Faster R-CNN and Mask R-CNN, with inference as graphs of fixed size.

Ren et al.: Faster R-CNN, NeurIPS 2015; Lin et al.: Feature Pyramid Networks for Object Detection,
CVPR 2017; He et al.: Mask R-CNN, ICCV 2017. Training runs torchvision's own models. torchvision's
inference gives lists of any length; it is reimplemented here over the same layers with a fixed
number of boxes per slice, so that it exports with a dynamic number of slices.

torchvision counts pixel centres and nasoseg pixel edges, so boxes are half a pixel smaller inside
the model.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign, nms, roi_align
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from ..run.presets import Preset, ProposalConfig
from .resnet import SmallEncoder
from .roi_crop import RoiCrop

RATIOS = (0.5, 1.0, 2.0)
MASK_SIDE = 28
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SmallPyramid(nn.Module):
    """Images [S, 3, H, W] -> maps at 1/4, 1/8, 1/16 and, pooled once more, 1/32, all with
    `out_channels`.
    """

    def __init__(self, widths: tuple[int, ...], out_channels: int) -> None:
        super().__init__()
        self.body = SmallEncoder(widths)
        self.fpn = FeaturePyramidNetwork(
            list(self.body.channels[1:]), out_channels, LastLevelMaxPool()
        )
        self.out_channels = out_channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.fpn(OrderedDict((str(i), x) for i, x in enumerate(self.body(images)[1:])))


def _backbone(config: ProposalConfig, weights: str | None, imagenet: bool) -> nn.Module:
    """The pyramid; unless it starts from ImageNet, every layer is trained with its own batch
    statistics.
    """
    if config.backbone == "small":
        if imagenet:
            raise ValueError(
                "found ImageNet weights for backbone small, expected none. Choose a ResNet or "
                "leave `weights` out"
            )
        return SmallPyramid(config.widths, config.pyramid)
    if config.pyramid != 256:
        raise ValueError(
            f"found pyramid {config.pyramid} for backbone {config.backbone}, expected "
            "torchvision's 256 channels. Set `pyramid` to 256"
        )
    if imagenet:
        return resnet_fpn_backbone(backbone_name=config.backbone, weights=weights)
    return resnet_fpn_backbone(
        backbone_name=config.backbone, weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )


def torchvision_model(
    config: ProposalConfig, masks: bool, weights: str | None, imagenet: bool
) -> FasterRCNN:
    """The model that is trained: two classes, background and tumour. ImageNet's statistics are used
    only with its weights.
    """
    if config.image_size % 32:
        raise ValueError(
            f"found image_size {config.image_size}, expected a multiple of 32. Choose "
            f"{-(-config.image_size // 32) * 32}"
        )
    backbone = _backbone(config, weights, imagenet)
    channels: Any = backbone.out_channels
    levels = [str(i) for i in range(len(config.anchors) - 1)]

    def pool(side: int) -> MultiScaleRoIAlign:
        # The pyramid paper's 224 is for images of 800 pixels.
        return MultiScaleRoIAlign(
            levels, side, 2, canonical_scale=round(224 * config.image_size / 800)
        )

    options = {
        "min_size": config.image_size,
        "max_size": config.image_size,
        "image_mean": IMAGENET_MEAN if imagenet else (0.0,) * 3,
        "image_std": IMAGENET_STD if imagenet else (1.0,) * 3,
        "rpn_anchor_generator": _anchor_generator(config),
        "rpn_pre_nms_top_n_train": 2 * config.pre_nms,
        "rpn_pre_nms_top_n_test": config.pre_nms,
        "rpn_post_nms_top_n_train": 2 * config.post_nms,
        "rpn_post_nms_top_n_test": config.post_nms,
        "rpn_batch_size_per_image": config.rpn_batch,
        "box_batch_size_per_image": config.box_batch,
        "box_nms_thresh": config.box_nms,
        "box_detections_per_img": config.detections,
        "box_score_thresh": config.score_threshold,
        "box_roi_pool": pool(7),
        "box_head": TwoMLPHead(channels * 49, config.head),
        "box_predictor": FastRCNNPredictor(config.head, 2),
    }
    if not masks:
        return FasterRCNN(backbone, **options)
    last = config.mask_head[-1]
    return MaskRCNN(
        backbone,
        mask_roi_pool=pool(MASK_SIDE // 2),
        mask_head=MaskRCNNHeads(channels, config.mask_head, 1),
        mask_predictor=MaskRCNNPredictor(last, last, 2),
        **options,
    )


def _anchor_generator(config: ProposalConfig) -> AnchorGenerator:
    return AnchorGenerator(
        tuple((side,) for side in config.anchors), (RATIOS,) * len(config.anchors)
    )


def _anchors(config: ProposalConfig) -> list[Tensor]:
    """Each level's anchors [n, 4]; level i halves the side of the one before, from 1/4 on."""
    # On the CPU even if the weights are on another device: these are constants of the graph.
    with torch.device("cpu"):
        size = config.image_size
        sides = [-(-size // 2 ** (i + 2)) for i in range(len(config.anchors))]
        maps = [torch.zeros(1, 1, s, s) for s in sides]
        every = _anchor_generator(config)(
            ImageList(torch.zeros(1, 3, size, size), [(size, size)]), maps
        )[0]
        return list(every.split([s * s * len(RATIOS) for s in sides]))


def _keep(boxes: Tensor, scores: Tensor, group: Tensor, threshold: float, size: int) -> Tensor:
    """Boxes [S, n, 4], scores [S, n], groups [n] -> which survive non-maximum suppression within
    slice and group [S, n].

    One call for all: every slice has a row and every group a column of its own in the plane, so
    boxes of two never overlap. (One offset along a diagonal would lose more of float32's
    precision.)
    """
    s, n = scores.shape
    row = (
        torch.arange(s, device=boxes.device, dtype=boxes.dtype)
        .mul(size + 1)
        .reshape(s, 1)
        .expand(s, n)
    )
    column = group.to(boxes.dtype).mul(size + 1).reshape(1, n).expand(s, n)
    apart = (boxes + torch.stack([column, row, column, row], dim=-1)).reshape(-1, 4)
    kept = nms(apart, scores.reshape(-1), threshold)
    flags = torch.zeros_like(scores).reshape(-1)
    return flags.scatter(0, kept, torch.ones_like(kept, dtype=flags.dtype)).reshape(s, n) > 0.5


def _best(boxes: Tensor, scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest scores of each slice [S, count] and their boxes [S, count, 4]; fewer if
    there are fewer.
    """
    top, where = scores.topk(min(count, scores.shape[1]), dim=1)
    return boxes.gather(1, where.unsqueeze(-1).expand(-1, -1, 4)), top


class RCNN(nn.Module):
    """images [S, 3, G, G] -> boxes [S, K, 4] (pixel edges of the grid) and scores [S, K], highest
    first; unused entries are 0.

    `weights` starts a ResNet from ImageNet; `imagenet` without weights has the same architecture,
    to load a checkpoint into.
    """

    def __init__(self, preset: Preset, weights: str | None = None, imagenet: bool = False) -> None:
        super().__init__()
        self.config, self.grid = preset.proposals, preset.input.grid
        self.masks = preset.ranet.network == "mask_rcnn"
        self.model = torchvision_model(
            self.config, self.masks, weights, imagenet or weights is not None
        )
        self.crop = RoiCrop(self.config.image_size, 2)
        for i, anchors in enumerate(_anchors(self.config)):
            self.register_buffer(f"anchors_{i}", anchors, persistent=False)

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """Slices as the model sees them -> the pyramid."""
        s = images.shape[0]
        whole = torch.tensor([[0.0, 0.0, self.grid, self.grid]], device=images.device).expand(s, 4)
        x = self.crop(images, whole, torch.arange(s, device=images.device))
        transform = self.model.transform
        mean, std = (
            images.new_tensor(v).reshape(1, 3, 1, 1)
            for v in (transform.image_mean, transform.image_std)
        )
        return self.model.backbone((x - mean) / std)

    def pooled(self, maps: dict[str, Tensor], rois: Tensor, pool: MultiScaleRoIAlign) -> Tensor:
        """The result of `pool` for rois [M, 5] (slice, box): every level is sampled, the box's own
        level is taken.
        """
        side = ((rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])).clamp(min=0).sqrt()
        names = pool.featmap_names
        out: Tensor | None = None
        for i, name in enumerate(names):
            # Level 4 (1/16) is for the canonical side, each level below for half of the one above.
            least = pool.canonical_scale * 2.0 ** (i + 2 - pool.canonical_level)
            here = roi_align(
                maps[name], rois, pool.output_size, 2.0 ** -(i + 2), pool.sampling_ratio
            )
            out = (
                here
                if out is None
                else torch.where((side >= least).reshape(-1, 1, 1, 1), here, out)
            )
        assert out is not None
        return out

    def _region_proposals(self, maps: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The pyramid -> boxes [S, P, 4] and whether each is one [S, P]."""
        c, rpn = self.config, self.model.rpn
        objectness, deltas = rpn.head(list(maps.values()))
        boxes, scores, levels = [], [], []
        for i, (o, d) in enumerate(zip(objectness, deltas, strict=True)):
            anchors = getattr(self, f"anchors_{i}")
            s, (h, w) = o.shape[0], o.shape[2:]
            d = d.reshape(s, len(RATIOS), 4, h, w).permute(0, 3, 4, 1, 2).reshape(s, -1, 4)
            top, where = (
                o.permute(0, 2, 3, 1).reshape(s, -1).topk(min(c.pre_nms, len(anchors)), dim=1)
            )
            d = d.gather(1, where.unsqueeze(-1).expand(-1, -1, 4))
            decoded = rpn.box_coder.decode_single(d.reshape(-1, 4), anchors[where.reshape(-1)])
            boxes.append(decoded.reshape(s, -1, 4))
            scores.append(torch.sigmoid(top))
            levels.append(torch.full((top.shape[1],), i, device=o.device))
        box, score, level = (
            torch.cat(boxes, 1).clamp(0, c.image_size),
            torch.cat(scores, 1),
            torch.cat(levels),
        )
        score = torch.where(_sides(box) >= rpn.min_size, score, torch.full_like(score, -1.0))
        kept = _keep(box, score, level, rpn.nms_thresh, c.image_size)
        box, score = _best(box, torch.where(kept, score, torch.full_like(score, -1.0)), c.post_nms)
        return box, score >= 0

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        c, heads = self.config, self.model.roi_heads
        maps = self.maps(images)
        proposals, real = self._region_proposals(maps)
        s, p = proposals.shape[:2]
        index = (
            torch.arange(s, device=images.device)
            .to(proposals.dtype)
            .reshape(s, 1, 1)
            .expand(s, p, 1)
        )
        rois = torch.cat([index, proposals], dim=2).reshape(-1, 5)
        logits, deltas = heads.box_predictor(
            heads.box_head(self.pooled(maps, rois, heads.box_roi_pool))
        )
        boxes = (
            heads.box_coder.decode_single(deltas, rois[:, 1:])
            .reshape(s, p, 2, 4)[:, :, 1]
            .clamp(0, c.image_size)
        )
        scores = torch.softmax(logits, dim=1)[:, 1].reshape(s, p)
        # The last half pixel here is outside the slice in pixel edges.
        usable = real & (_sides(boxes.clamp(max=c.image_size - 0.5)) >= 1e-2)
        scores = torch.where(usable, scores, torch.full_like(scores, -1.0))
        kept = _keep(boxes, scores, torch.zeros(p, device=boxes.device), c.box_nms, c.image_size)
        boxes, scores = _best(
            boxes, torch.where(kept, scores, torch.full_like(scores, -1.0)), c.detections
        )
        used = scores > 0
        boxes = ((boxes + 0.5) * (self.grid / c.image_size)).clamp(0, self.grid)
        boxes = torch.where(used.unsqueeze(-1), boxes, torch.zeros_like(boxes))
        return boxes, torch.where(used, scores, torch.zeros_like(scores))


def _sides(boxes: Tensor) -> Tensor:
    """The shorter side of boxes [..., 4]."""
    return torch.minimum(boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1])


class MaskSegmenter(nn.Module):
    """images [S, 3, G, G], boxes [N, 4], image_index [N] -> probability [N, 1, 28, 28]: Mask
    R-CNN's mask of a given box.
    """

    def __init__(self, rcnn: RCNN) -> None:
        super().__init__()
        if not rcnn.masks:
            raise ValueError(
                "a Faster R-CNN has no masks. Its preset's ranet.network must be mask_rcnn"
            )
        self.rcnn = rcnn

    def forward(self, images: Tensor, boxes: Tensor, image_index: Tensor) -> Tensor:
        heads = self.rcnn.model.roi_heads
        inside = boxes * (self.rcnn.config.image_size / self.rcnn.grid) - 0.5
        # A caller may pass a whole study and one box: the backbone runs only on the slices of the
        # boxes.
        row = torch.arange(boxes.shape[0], device=boxes.device).to(boxes.dtype).unsqueeze(1)
        maps = self.rcnn.maps(images.index_select(0, image_index))
        pooled = self.rcnn.pooled(maps, torch.cat([row, inside], dim=1), heads.mask_roi_pool)
        return torch.sigmoid(heads.mask_predictor(heads.mask_head(pooled))[:, 1:2])
