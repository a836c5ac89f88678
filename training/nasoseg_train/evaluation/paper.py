"""The paper's Tables 1 to 8 as printed (Tao et al., Med Image Anal 2022;82:102381): rows in its
order, with our system for each.

Shares are fractions (66.71 % is 0.6671), HD is as printed, whose unit the paper does not give. If
the paper gives two figures for the same thing, both are here, the table's first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

RECALL_IOU = ("Recall min", "Recall max", "Recall mean", "IoU min", "IoU max", "IoU mean")
FOUR = ("Dice", "Precision", "Recall", "CC")
FIVE = (*FOUR, "HD")


@dataclass(frozen=True)
class PaperRow:
    """One printed row."""

    label: str
    system: str  # folder of its runs; in Tables 7 and 8 always `seqseg`
    printed: tuple[float, ...]
    also: dict[str, tuple[float, str]] = field(
        default_factory=dict
    )  # column -> another figure for it, and where it is from
    sample: int | None = None


@dataclass(frozen=True)
class PaperTable:
    """One printed table."""

    number: int
    title: str
    head: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    covariate: str = ""  # Tables 7 and 8


def _percent(*values: float) -> tuple[float, ...]:
    return tuple(round(v / 100, 6) for v in values)


def _row(
    label: str,
    system: str,
    percents: tuple[float, ...],
    hd: float | None = None,
    also: dict | None = None,
    sample: int | None = None,
) -> PaperRow:
    return PaperRow(
        label, system, _percent(*percents) + (() if hd is None else (hd,)), also or {}, sample
    )


_DICE_3 = {"Dice": (0.727, "from its own P, R and CC")}
_DICE_4 = {"Dice": (0.7331, "from its own P and R")}
_UNET = (66.71, 70.89, 62.99, 0.18)
_SEQSEG_BOX = (49.00, 100.00, 95.13, 7.53, 81.73, 49.41)

TABLES: tuple[PaperTable, ...] = (
    PaperTable(
        1,
        "Experimental results for exploration algorithm",
        "ε_priori",
        RECALL_IOU,
        (
            _row("0.8", "seqseg", _SEQSEG_BOX),
            _row("0.4", "agent_priori_04", (34.66, 100.00, 87.47, 6.19, 79.60, 48.95)),
            _row("ε-greedy", "agent_priori_00", (29.91, 100.00, 86.74, 5.83, 82.90, 43.05)),
        ),
    ),
    PaperTable(
        2,
        "Experimental results for comparison with Faster R-CNN",
        "Model",
        RECALL_IOU,
        (
            _row("Ours", "seqseg", _SEQSEG_BOX),
            _row("Faster R-CNN", "faster_rcnn", (0.0, 100.00, 93.54, 0.0, 98.57, 69.66)),
        ),
    ),
    PaperTable(
        3,
        "Experiments to demonstrate the capability of the proposed recurrent attention modules",
        "Model",
        FOUR,
        (
            _row("U-Net", "unet", _UNET),
            _row("U-Net+SE", "unet_se", (69.76, 72.27, 67.41, 13.29)),
            _row("U-Net+cRAM", "unet_cram", (71.87, 73.20, 70.58, 21.71)),
            _row("U-Net+rRAM", "unet_rram", (71.10, 70.27, 71.94, 18.70)),
            _row("U-Net+cRAM+rRAM", "unet_cram_rram", (72.31, 70.27, 75.38, 25.02), None, _DICE_3),
        ),
    ),
    PaperTable(
        4,
        "Experiments to compare the performance of RANet by different loss functions",
        "Loss function",
        FIVE,
        (
            _row("Cross entropy", "unet", _UNET, 19.01),
            _row("Category weighted", "unet_weighted", (61.47, 47.25, 94.31, -25.36), 22.18),
            _row("Dice loss", "unet_dice", (66.96, 66.89, 67.05, 1.34), 18.98),
            _row(
                "Dilated border weighted", "unet_dbw", (71.65, 69.17, 77.99, 20.87), 16.75, _DICE_4
            ),
        ),
    ),
    PaperTable(
        5,
        "Experiments to compare RANet (weighted loss) with existing methods",
        "Model",
        FIVE,
        (
            _row(
                "U-Net",
                "unet",
                (66.71, 70.89, 62.90, 0.18),
                19.01,
                {"Recall": (0.6299, "Tables 3 and 4")},
            ),
            _row(
                "DenseNet",
                "densenet",
                (60.63, 53.32, 70.25, -29.90),
                22.74,
                {"Dice": (0.7098, "text")},
            ),
            _row("DDNN", "ddnn", (70.98, 69.85, 72.14, 18.22), 18.08),
            _row(
                "Att Unet",
                "attention_unet",
                (73.43, 70.39, 75.61, 25.68),
                16.85,
                {"Dice": (0.7291, "text")},
            ),
            _row("RANet", "ranet", (77.66, 75.54, 79.91, 42.48), 14.72),
            _row("RANet (weighted loss)", "ranet_weighted", (79.63, 78.24, 81.07, 48.84), 13.11),
        ),
    ),
    PaperTable(
        6,
        "Quantitative measurements on five segmentation methods",
        "Model",
        FIVE,
        (
            _row("RANet-S", "ranet_weighted", (79.63, 78.24, 81.07, 48.84), 13.11),
            _row("Mask R-CNN", "mask_rcnn", (76.91, 73.84, 83.00, 39.96), 14.34),
            _row("Lin et al. (2019)", "lin", (78.39, 73.00, 86.75, 44.87), 13.78),
            _row("Tang et al. (2021)", "tang", (77.98, 73.45, 85.00, 43.52), 13.16),
            _row("SeqSeg (Ours)", "seqseg", (80.32, 75.53, 87.57, 51.00), 12.25),
        ),
    ),
    PaperTable(
        7,
        "The performance of our method in different chemotherapy condition (Chemo). Dice: P-value "
        "= 0.29; HD: P-value < 0.001",
        "Chemo",
        FIVE,
        (
            _row("0", "seqseg", (80.65, 76.09, 87.50, 52.01), 11.42, sample=235),
            _row("1", "seqseg", (79.73, 74.77, 87.57, 49.15), 13.38, sample=169),
        ),
        "chemotherapy",
    ),
    PaperTable(
        8,
        "The performance of our method in different T-category. Dice: P-value = 0.97; HD: P-value "
        "< 0.001",
        "T-category",
        FIVE,
        (
            _row("T1+T2", "seqseg", (79.84, 75.01, 86.63, 49.50), 9.459, sample=51),
            _row("T3+T4", "seqseg", (80.33, 75.61, 87.66, 51.03), 12.65, sample=353),
        ),
        "T category",
    ),
)
