"""Print how hard the patients of a range of seeds are: python -m nasoseg_train.phantom.hardness
--patients 40.

All figures are over tumour slices, on the 384 x 384 grid of 0.74 mm about the slice's centre. The
initial box is centred and has 42 % of the grid's height and width; the tumour's own box is its
bounding box.
"""

import argparse
import time
from collections.abc import Iterable

import numpy as np

from .patient import Phantom

GRID = 384
INITIAL_BOX = (GRID * 0.29, GRID * 0.29, GRID * 0.71, GRID * 0.71)  # x0, y0, x1, y1, pixel edges


def to_grid(array: np.ndarray) -> np.ndarray:
    """Pad [..., nj, ni] about its centre to [..., 384, 384]; the pixel size is the grid's
    already.
    """
    before = [(GRID - n) // 2 for n in array.shape[-2:]]
    after = [GRID - n - b for n, b in zip(array.shape[-2:], before, strict=True)]
    return np.pad(array, [(0, 0)] * (array.ndim - 2) + list(zip(before, after, strict=True)))


def recall_of_initial_box(mask: np.ndarray) -> float:
    """area(initial box and tumour's box) / area(tumour's box), mask bool [384, 384]."""
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    x0, x1, y0, y1 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    b = INITIAL_BOX
    width = max(min(x1, b[2]) - max(x0, b[0]), 0.0)
    height = max(min(y1, b[3]) - max(y0, b[1]), 0.0)
    return width * height / ((x1 - x0) * (y1 - y0))


def best_threshold_dice(image: np.ndarray, mask: np.ndarray) -> float:
    """The best Dice that any threshold, either way, reaches inside the initial box; image [384,
    384], mask bool.
    """
    x0, y0, x1, y1 = (round(v) for v in INITIAL_BOX)
    values, truth = image[y0:y1, x0:x1].ravel(), mask[y0:y1, x0:x1].ravel()
    order = np.argsort(values, kind="stable")
    values, truth = values[order], truth[order]
    total = int(mask.sum())  # tumour outside the box is missed by every threshold
    below = np.cumsum(truth)
    count = np.arange(1, len(values) + 1)
    last = np.append(values[1:] != values[:-1], True)  # a threshold cannot separate equal values
    dark = 2.0 * below / (count + total)
    bright = 2.0 * (below[-1] - below) / (len(values) - count + total)
    return float(max(dark[last].max(), bright[last].max()))


def measure(seeds: Iterable[int]) -> dict:
    """Figures per tumour slice and per patient, as arrays by name."""
    area, recall, best, slices, seconds, categories = [], [], [], [], [], []
    for seed in seeds:
        start = time.perf_counter()
        phantom = Phantom(seed)
        images = phantom.images()
        seconds.append(time.perf_counter() - start)
        chosen = phantom.tumour_slices
        slices.append(len(chosen))
        categories.append(phantom.t_category)
        images, masks = to_grid(images[:, chosen]), to_grid(phantom.mask()[chosen])
        for n in range(len(chosen)):
            area.append(masks[n].sum() / GRID**2 * 100.0)
            recall.append(recall_of_initial_box(masks[n]))
            best.append([best_threshold_dice(images[c, n], masks[n]) for c in range(3)])
    return {
        "area": np.array(area),
        "recall": np.array(recall),
        "best": np.array(best),
        "slices": np.array(slices),
        "seconds": np.array(seconds),
        "category": np.array(categories),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m nasoseg_train.phantom.hardness", description=__doc__
    )
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    m = measure(range(arguments.first_seed, arguments.first_seed + arguments.patients))
    names, counts = np.unique(m["category"], return_counts=True)
    print(
        f"patients {arguments.patients}, first seed {arguments.first_seed}, tumour slices "
        f"{len(m['area'])}"
    )
    print("T categories " + ", ".join(f"{n} {c}" for n, c in zip(names, counts, strict=True)))
    print(
        f"tumour slices per patient: mean {m['slices'].mean():.1f}, {m['slices'].min()} to "
        f"{m['slices'].max()}"
    )
    tenth, half, nine = np.percentile(m["area"], [10, 50, 90])
    print(
        f"tumour area, % of the slice: mean {m['area'].mean():.2f}, 10th {tenth:.2f}, median "
        f"{half:.2f}, 90th {nine:.2f}"
    )
    print(f"slices below 0.25 %: {(m['area'] < 0.25).mean():.1%}")
    print(
        f"untouched initial box: recall below 0.95 on {(m['recall'] < 0.95).mean():.1%} of "
        f"slices, mean {m['recall'].mean():.3f}, "
        f"0 on {(m['recall'] == 0).mean():.1%}"
    )
    print(
        "oracle threshold inside it, mean Dice: "
        + ", ".join(
            f"{n} {v:.3f}" for n, v in zip(("T1", "T1C", "T2"), m["best"].mean(axis=0), strict=True)
        )
        + f", best of the three per slice {m['best'].max(axis=1).mean():.3f}"
    )
    print(f"seconds per patient: mean {m['seconds'].mean():.2f}, longest {m['seconds'].max():.2f}")


if __name__ == "__main__":
    main()
