"""A patient of a seed: voxels of T1, T1C and T2 on their own grids, and the tumour's true mask.

Arrays are [k, j, i]: k slices from inferior to superior, j rows from anterior to posterior, i
columns from the patient's right to left. Affines map voxel (i, j, k) to LPS millimetres. Everything
follows from the seed.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from . import anatomy as head
from . import tumour as growth
from .noise import expand, linear_taps, smooth_noise
from .tissue import CODE, SEQUENCES, patient_tissues, signals

MIN_AREA_PX = 25  # a slice with less tumour than this is a slice without
_SLICE_BLUR = np.array([0.12, 0.76, 0.12], np.float32)  # a 5 mm profile over planes 3 mm apart


def _rotation(x_deg: float, y_deg: float, z_deg: float) -> np.ndarray:
    a, b, c = np.deg2rad([x_deg, y_deg, z_deg])
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx


class _Grid:
    """shape (nk, nj, ni) and an affine about a centre in LPS mm."""

    def __init__(
        self,
        shape: Sequence[int],
        spacing_mm: Sequence[float],
        direction: np.ndarray,
        centre_mm: np.ndarray,
    ):
        nk, nj, ni = (int(n) for n in shape)
        dk, dj, di = (float(s) for s in spacing_mm)
        self.shape = (nk, nj, ni)
        self.spacing_mm = (dk, dj, di)
        axes = direction * np.array(self.spacing_mm)[::-1]
        middle = (np.array(self.shape)[::-1] - 1) / 2.0
        self.affine = np.eye(4)
        self.affine[:3, :3] = axes
        self.affine[:3, 3] = np.asarray(centre_mm) - axes @ middle


class Phantom:
    """A synthetic patient. `tumour=False` gives the same kind of head without a tumour."""

    def __init__(self, seed: int, *, tumour: bool = True):
        self.seed = int(seed)
        rng = np.random.Generator(np.random.PCG64(self.seed))
        self._tissues = patient_tissues(rng)
        self._table = signals(self._tissues)
        side = 1.0 if rng.random() < 0.5 else -1.0
        category = growth.draw_category(rng)
        # Both a tumour and lopsided lymphatic tissue narrow the lumen: its asymmetry gives nothing
        # away.
        narrow = rng.uniform(0.0, 5.0) if tumour else rng.uniform(0.0, 4.0) * (rng.random() < 0.6)
        self._anatomy = head.build(rng, self._table, self._tissues, (side, narrow))
        self._place(rng)
        self._tumour = growth.grow(rng, self._anatomy, category, side) if tumour else None
        self._render_seed = int(rng.integers(2**63))
        self._bias_seed = int(rng.integers(2**63))
        self._signal = self._tumour_signal(rng)
        self._label = self._anatomy.label  # before the tumour, for those who ask what it grew from
        del self._anatomy
        self._mask = self._true_mask()
        self._images: np.ndarray | None = None

    # ------------------------------------------------------------------ what callers ask for

    @property
    def shape(self) -> tuple[int, int, int]:
        return self._grids["T1C"].shape

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(between slices, between rows, between columns), mm."""
        return self._grids["T1C"].spacing_mm

    @property
    def affine(self) -> np.ndarray:
        """T1C's voxel (i, j, k) to LPS mm, 4 x 4."""
        return self._grids["T1C"].affine.copy()

    @property
    def t_category(self) -> str | None:
        """T1 to T4, None without a tumour."""
        return self._tumour.category if self._tumour else None

    @property
    def tumour_slices(self) -> list[int]:
        return [int(k) for k in np.nonzero(self._mask.any(axis=(1, 2)))[0]]

    def mask(self) -> np.ndarray:
        """The true tumour on T1C's grid, bool [nk, nj, ni]."""
        return self._mask.copy()

    def images(self) -> np.ndarray:
        """T1, T1C, T2 as measured but sampled on T1C's grid, whole-numbered float32 [3, nk, nj,
        ni].
        """
        if self._images is None:
            grid = self._grids["T1C"]
            self._images = np.stack([self._measure(sequence, grid, 0) for sequence in SEQUENCES])
        return self._images.copy()

    def sequence(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """One sequence on its own grid: uint16 [nk, nj, ni] and its affine, voxel (i, j, k) to LPS
        mm, 4 x 4.
        """
        grid = self._grids[name]
        if name == "T1C":
            return self.images()[1].astype(np.uint16), grid.affine.copy()
        return self._measure(name, grid, 1).astype(np.uint16), grid.affine.copy()

    def spacing_of(self, name: str) -> tuple:
        """(between slices, between rows, between columns) of one sequence, mm."""
        return self._grids[name].spacing_mm

    # ------------------------------------------------------------------ placing

    def _place(self, rng: np.random.Generator) -> None:
        """Pose of the head in the scanner, the sequences' grids, and how the head moved between
        them.
        """
        size = np.exp(np.clip(rng.normal(0.0, 0.035, 3), -0.08, 0.08)) * rng.uniform(0.95, 1.04)
        matrix = int(rng.choice([384, 320, 352], p=[0.7, 0.15, 0.15]))
        slices = int(rng.choice([32, 36], p=[0.68, 0.32]))
        room = (matrix - 320) * 0.37
        shift_x = rng.uniform(-38.0 - room, 38.0 + room)
        shift_y = rng.uniform(-20.0 - room, 12.0 + 0.5 * room)
        pose = _rotation(
            rng.normal(0.0, 3.0), rng.normal(0.0, 2.0), np.clip(rng.normal(0.0, 5.0), -12, 12)
        )
        # The patient lies anywhere on the table; the grid is planned about the head and misses its
        # middle by the shift.
        isocentre = np.array([rng.normal(0, 5), rng.normal(0, 8), rng.normal(0, 12)])
        tilt = _rotation(rng.normal(0.0, 3.0), rng.normal(0.0, 0.8), rng.normal(0.0, 0.8))
        middle_z = rng.normal(-20.0 if slices == 32 else -23.0, 4.0)
        head_middle = pose @ (size * np.array([0.0, 9.0, middle_z]))
        self._to_lps = np.eye(4)  # head mm (x, y, z) to LPS mm
        self._to_lps[:3, :3] = pose * size
        self._to_lps[:3, 3] = isocentre - head_middle
        centre = isocentre - tilt @ np.array([shift_x, shift_y, 0.0])

        t2_matrix = int(np.ceil(matrix * 0.74 / 0.6 / 32.0) * 32) + 32
        grids = {"T1C": _Grid((slices, matrix, matrix), (6.0, 0.74, 0.74), tilt, centre)}
        offset = tilt @ np.array([rng.uniform(-2, 2), rng.uniform(-2, 2), rng.uniform(-1.5, 1.5)])
        grids["T1"] = _Grid((slices + 1, matrix, matrix), (6.0, 0.74, 0.74), tilt, centre + offset)
        turned = (
            _rotation(rng.uniform(-1.2, 1.2), rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.8)) @ tilt
        )
        offset = tilt @ np.array([rng.uniform(-3, 3), rng.uniform(-3, 3), rng.uniform(-2.0, 2.0)])
        spacing = float(rng.choice([5.8, 6.2, 6.3]))
        t2_slices = int(np.ceil(slices * 6.0 / spacing)) + 2
        grids["T2"] = _Grid(
            (t2_slices, t2_matrix, t2_matrix), (spacing, 0.6, 0.6), turned, centre + offset
        )
        self._grids = grids

        # The head moved a little between the sequences; T1C is the reference.
        self._motion = {"T1C": np.eye(4)}
        for name, scale in (("T1", 0.55), ("T2", 0.7)):
            turn = np.clip(rng.normal(0.0, 0.3, 3), -0.7, 0.7)
            move = np.eye(4)
            move[:3, :3] = _rotation(*turn)
            move[:3, 3] = (
                isocentre - move[:3, :3] @ isocentre + np.clip(rng.normal(0.0, scale, 3), -1.3, 1.3)
            )
            self._motion[name] = move

    def _head_index(self, name: str, grid: _Grid) -> tuple[np.ndarray, np.ndarray]:
        """Matrix and offset from the grid's (k, j, i) to the anatomy's (z, y, x) index."""
        to_head = np.linalg.inv(self._motion[name] @ self._to_lps) @ grid.affine
        swap = np.eye(4)[[2, 1, 0, 3]]
        full = swap @ to_head @ swap
        scale = 1.0 / head.STEP_MM
        return full[:3, :3] * scale[:, None], (full[:3, 3] - head.ORIGIN_MM) * scale

    # ------------------------------------------------------------------ rendering

    def _tumour_signal(self, rng: np.random.Generator) -> np.ndarray:
        """Signals [3, z, y, x] of the head with its tumour, averaged over a slice's thickness."""
        anatomy = self._anatomy
        signal = anatomy.signal[:3]
        if self._tumour is not None:
            window = self._tumour.window
            local = signal[(slice(None), *window)]
            uneven = anatomy.noise[window] * np.float32(self._tissues["tumour"].texture)
            perfusion = np.float32(0.05) * smooth_noise(rng, local.shape[1:], (3, 8, 8))
            fraction, necrosis = self._tumour.fraction, self._tumour.necrosis
            for channel in range(3):
                value = self._table[CODE["tumour"], channel] * (
                    1.0 + uneven + (perfusion if channel == 1 else 0.0)
                )
                value += necrosis * (self._table[CODE["necrosis"], channel] - value)
                local[channel] += fraction * (value - local[channel])
        return ndimage.correlate1d(signal, _SLICE_BLUR, axis=1, mode="nearest")

    def _true_mask(self) -> np.ndarray:
        grid = self._grids["T1C"]
        mask = np.zeros(grid.shape, bool)
        if self._tumour is None:
            return mask
        matrix, offset = self._head_index("T1C", grid)
        window = self._tumour.window
        start = np.array([w.start for w in window])
        fraction = ndimage.correlate1d(self._tumour.fraction, _SLICE_BLUR, axis=0, mode="constant")
        box = _covering(matrix, offset - start, fraction.shape, grid.shape)
        part = ndimage.affine_transform(
            fraction,
            matrix,
            offset - start + matrix @ [b.start for b in box],
            [b.stop - b.start for b in box],
            order=1,
        )
        mask[box] = part >= 0.5
        for k in np.nonzero(mask.any(axis=(1, 2)))[0]:
            label, count = ndimage.label(mask[k])
            areas = np.bincount(label.ravel(), minlength=count + 1)
            areas[0] = 0
            mask[k] = (areas >= MIN_AREA_PX)[label]
        return mask

    def _measure(self, name: str, grid: _Grid, repeat: int) -> np.ndarray:
        """Sample one sequence on a grid: coil bias, a faint ghost, Rician noise, scanner units,
        rounded.
        """
        channel = SEQUENCES.index(name)
        rng = np.random.Generator(np.random.PCG64([self._render_seed, channel, repeat]))
        matrix, offset = self._head_index(name, grid)
        volume = self._signal[channel]
        box = _covering(matrix, offset, volume.shape, grid.shape)
        image = np.zeros(grid.shape, np.float32)
        image[box] = ndimage.affine_transform(
            volume,
            matrix,
            offset + matrix @ [b.start for b in box],
            [b.stop - b.start for b in box],
            order=1,
            mode="nearest",
        )
        image *= self._bias(name, grid)
        own = np.random.Generator(np.random.PCG64([self._bias_seed, channel]))
        gain, ghost, noise = (
            own.uniform(1800.0, 2600.0),
            own.uniform(0.0, 0.012),
            own.uniform(0.008, 0.014),
        )
        if name == "T2":
            gain *= 1.5
            noise *= 0.55
        # Swallowing and breathing repeat the head along the phase direction (rows), half a field of
        # view away.
        image += np.float32(ghost) * np.roll(image, grid.shape[1] // 2, axis=1)
        real = rng.standard_normal(grid.shape, dtype=np.float32)
        imaginary = rng.standard_normal(grid.shape, dtype=np.float32)
        image += np.float32(noise) * real
        imaginary *= np.float32(noise)
        image *= image
        imaginary *= imaginary
        image += imaginary
        np.sqrt(image, out=image)
        image *= np.float32(gain)
        np.rint(image, out=image)
        return np.minimum(image, np.float32(4095.0))

    def _bias(self, name: str, grid: _Grid) -> np.ndarray:
        """Receive sensitivity [nk, nj, ni]: smooth in the scanner's frame, the same on every grid
        of a sequence.
        """
        rng = np.random.Generator(np.random.PCG64([self._bias_seed, 7, SEQUENCES.index(name)]))
        coarse = np.float32(0.11) * smooth_noise(rng, (12, 12, 12), (3.0, 4.0, 4.0))
        # 12 nodes, 30 mm apart, about the scanner's origin.
        swap = np.eye(4)[[2, 1, 0, 3]]
        full = swap @ grid.affine @ swap
        steps = np.array(
            [4.0, 8.0, 8.0]
        )  # evaluated on every 4th slice and 8th pixel, then stretched
        shape = [int(np.ceil(n / s)) + 1 for n, s in zip(grid.shape, steps, strict=True)]
        small = ndimage.affine_transform(
            coarse,
            full[:3, :3] * steps / 30.0,
            full[:3, 3] / 30.0 + 5.5,
            shape,
            order=3,
            mode="nearest",
        )
        return expand(
            np.exp(small),
            [linear_taps(n, step) for n, step in zip(grid.shape, steps, strict=True)],
        )


def _covering(
    matrix: np.ndarray,
    offset: np.ndarray,
    source_shape: tuple[int, ...],
    grid_shape: tuple[int, ...],
) -> tuple:
    """Slices of the grid that can meet a source of `source_shape`, whose index is matrix @ (k, j,
    i) + offset.

    Some planes beyond the source's first and last count: a small head's neck goes on below the
    atlas.
    """
    corners = np.array(
        [
            [a, b, c]
            for a in (-8, source_shape[0] + 7)
            for b in (-1, source_shape[1])
            for c in (-1, source_shape[2])
        ],
        float,
    )
    inside = (corners - offset) @ np.linalg.inv(matrix).T
    low = np.clip(np.floor(inside.min(axis=0)), 0, np.array(grid_shape) - 1).astype(int)
    high = np.clip(np.ceil(inside.max(axis=0)) + 1, low + 1, grid_shape).astype(int)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True))
