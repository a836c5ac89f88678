"""One patient's anatomy: a signal volume on a head grid, from a random generator and tissue
signals.

The volume lives in head coordinates (atlas.py) at 1 mm in plane and 3 mm between planes; arrays are
[z, y, x]. Borders are painted with soft edges over the signals themselves, as partial volumes
affect a measured signal.
"""

from dataclasses import dataclass

import numpy as np

from .atlas import STRUCTURES, Structure
from .noise import smooth_noise
from .tissue import CODE, NAMES

ORIGIN_MM = np.array([-135.0, -106.0, -96.0])  # (z, y, x) of voxel (0, 0, 0)
STEP_MM = np.array([3.0, 1.0, 1.0])
SHAPE = (80, 232, 193)
EDGE_MM = 1.1  # width of a painted border
WARP_MM = 7.0  # the deformation stays below this

_BRAIN = "brain"


def plane_of(z_mm: float) -> float:
    """Index of the plane at height z, a fraction."""
    return (z_mm - ORIGIN_MM[0]) / STEP_MM[0]


@dataclass
class Anatomy:
    """`signal` float32 [channel, z, y, x]: T1, T1C, T2 and the fraction of air; `label` uint8 [z,
    y, x], CODE's numbers.

    `noise` is the texture field that the tissues share, `warp` the deformation (dy, dx) in mm.
    """

    signal: np.ndarray
    label: np.ndarray
    noise: np.ndarray
    warp: tuple


class _Painter:
    """Paints structures plane by plane in warped coordinates."""

    def __init__(self, rng: np.random.Generator, table: np.ndarray, tissues: dict):
        self.rng = rng
        air = np.zeros((len(NAMES), 1), np.float32)
        air[CODE["air"]] = 1.0
        self.table = np.concatenate([table, air], axis=1)
        self.texture = {name: t.texture for name, t in tissues.items()}
        self.fatty = {name: t.fatty for name, t in tissues.items()}
        nz, ny, nx = SHAPE
        z = ORIGIN_MM[0] + STEP_MM[0] * np.arange(nz)
        self.z = z
        self.y0, self.x0 = ORIGIN_MM[1], ORIGIN_MM[2]
        # The deformation: broad differences of build, then the small waviness of real borders.
        warp = []
        for _ in range(2):
            broad = smooth_noise(rng, SHAPE, (16, 45, 45))
            fine = smooth_noise(rng, SHAPE, (5, 13, 13))
            warp.append(np.clip(1.7 * broad + 0.75 * fine, -WARP_MM, WARP_MM))
        self.warp = tuple(warp)
        y = ORIGIN_MM[1] + np.arange(ny, dtype=np.float32)
        x = ORIGIN_MM[2] + np.arange(nx, dtype=np.float32)
        self.y = y[None, :, None] + warp[0]
        self.x = x[None, None, :] + warp[1]
        self.noise = smooth_noise(rng, SHAPE, (1.5, 2.4, 2.4)) * np.float32(0.8)
        self.noise += np.float32(0.6) * smooth_noise(rng, SHAPE, (3, 7, 7))
        self.folds = smooth_noise(rng, SHAPE, (3.5, 7.5, 7.5))
        self.signal = np.empty((4, *SHAPE), np.float32)
        self.signal[:] = self.table[CODE["air"]][:, None, None, None]
        self.label = np.zeros(SHAPE, np.uint8)

    def paint(self, structure: Structure, rows: np.ndarray, insets: dict) -> None:
        """rows: float [n, 6] as in the atlas, already this patient's."""
        order = np.argsort(rows[:, 0])
        rows = rows[order]
        cap = structure.cap
        low, high = rows[0, 0] - cap / 2.0, rows[-1, 0] + cap / 2.0
        for plane in np.nonzero((self.z > low) & (self.z < high))[0]:
            z = self.z[plane]
            cx, cy, rx, ry, angle = (np.interp(z, rows[:, 0], rows[:, c]) for c in range(1, 6))
            end = min(z - low, high - z)
            if end < cap:
                shrink = np.sqrt(max(1.0 - (1.0 - end / cap) ** 2, 1e-3))
                rx, ry = rx * shrink, ry * shrink
            self._plane(structure, plane, cx, cy, rx, ry, np.deg2rad(angle), insets)

    def _plane(
        self,
        structure: Structure,
        plane: int | np.integer,
        cx: float,
        cy: float,
        rx: float,
        ry: float,
        angle: float,
        insets: dict,
    ) -> None:
        c, s = np.cos(angle), np.sin(angle)
        grow = 1.0 if structure.power <= 2.0 else 2.0 ** (0.5 - 1.0 / structure.power)
        half_x = np.hypot(rx * c, ry * s) * grow + WARP_MM
        half_y = np.hypot(rx * s, ry * c) * grow + WARP_MM
        i0, i1 = int(max(cx - half_x - self.x0, 0)), int(min(cx + half_x - self.x0 + 2, SHAPE[2]))
        j0, j1 = int(max(cy - half_y - self.y0, 0)), int(min(cy + half_y - self.y0 + 2, SHAPE[1]))
        if i1 <= i0 or j1 <= j0:
            return
        window = (plane, slice(j0, j1), slice(i0, i1))
        dx, dy = self.x[window] - np.float32(cx), self.y[window] - np.float32(cy)
        u = np.abs(np.float32(c) * dx + np.float32(s) * dy)
        v = np.abs(np.float32(c) * dy - np.float32(s) * dx)
        depth = _depth(u, v, rx, ry, structure.power)
        if structure.y_max is not None:
            depth = np.minimum(depth, np.float32(structure.y_max) - self.y[window])
        for tissue, inset in structure.layers:
            inside = depth - np.float32(insets.get(tissue, 0.0) + inset) if inset else depth
            alpha = np.clip(inside * np.float32(1.0 / EDGE_MM) + np.float32(0.5), 0.0, 1.0)
            if not alpha.any():
                break
            if tissue == _BRAIN:
                self._brain(window, inside, alpha)
            else:
                self._blend(window, alpha, tissue)

    def _blend(self, window: tuple, alpha: np.ndarray, tissue: str) -> None:
        code = CODE[tissue]
        noise = self.noise[window]
        weight = self.texture[tissue]
        fatty = self.fatty[tissue]
        target = self.signal[(slice(None), *window)]
        if fatty:
            mix = np.clip((noise - np.float32(0.25)) * np.float32(fatty), 0.0, 0.7)
        gain = 1.0 + np.float32(weight) * noise if weight else None
        for channel in range(4):
            value = self.table[code, channel]
            if fatty and channel < 3:
                value = value + mix * (self.table[CODE["fat"], channel] - value)
            if gain is not None and channel < 3:
                value = value * gain
            target[channel] += alpha * (value - target[channel])
        self.label[window][alpha > 0.5] = code

    def _brain(self, window: tuple, depth: np.ndarray, alpha: np.ndarray) -> None:
        """White matter under a folded ribbon of grey, fluid in the folds near the surface."""
        self._blend(window, alpha, "white")
        fold = np.abs(self.folds[window])
        z = self.z[window[0]]
        if z < 26.0:
            # Cerebellum behind, temporal lobes in front: the cerebellum's folds are finer, parallel
            # leaves.
            behind = np.clip((self.y[window] - 34.0) / 4.0, 0.0, 1.0)
            leaves = np.abs(np.sin(depth * np.float32(0.75) + 2.5 * self.folds[window])) * 0.6 + 0.1
            fold = behind * leaves + (1.0 - behind) * fold
        ribbon = np.clip((0.42 - fold) * 4.0, 0.0, 1.0)
        ribbon = np.maximum(ribbon, np.clip((3.5 - depth) / 1.5, 0.0, 1.0))
        ribbon *= np.clip((22.0 - depth) / 4.0, 0.0, 1.0)
        self._blend(window, alpha * ribbon, "grey")
        depth_of_fold = np.float32(0.85)
        if z < 26.0:
            depth_of_fold = depth_of_fold - np.float32(0.74) * behind
        sulcus = np.clip((0.13 - fold) * 9.0, 0.0, 1.0) * np.clip((15.0 - depth) / 4.0, 0.0, 1.0)
        self._blend(window, alpha * sulcus * depth_of_fold, "csf")


def _depth(u: np.ndarray, v: np.ndarray, rx: float, ry: float, power: float) -> np.ndarray:
    """Distance to an ellipse's border along the ray from its centre, positive inside; u, v >= 0."""
    radius = np.sqrt(u * u + v * v) + np.float32(1e-3)
    a, b = u * np.float32(1.0 / max(rx, 0.05)), v * np.float32(1.0 / max(ry, 0.05))
    if power == 2.0:
        q = np.sqrt(a * a + b * b)
    else:
        q = (a**power + b**power) ** np.float32(1.0 / power)
    q = np.maximum(q, np.float32(1e-3))
    # Along the ray a thin ellipse's long axis looks steep; its short radius bounds the distance at
    # the centre.
    return np.minimum(radius * (1.0 / q - 1.0), np.float32(max(min(rx, ry), 0.05)))


def _patient_rows(
    rng: np.random.Generator, structure: Structure, side: float, stretch: dict
) -> np.ndarray:
    rows = np.array(structure.rows, float)
    rows[:, 1] *= side
    rows[:, 5] *= side
    if structure.jitter:
        rows[:, 1:3] += np.clip(
            rng.normal(0.0, structure.jitter, 2), -2.2 * structure.jitter, 2.2 * structure.jitter
        )
        rows[:, 3:5] *= np.exp(np.clip(rng.normal(0.0, 0.05, 2), -0.12, 0.12))
    factor = stretch.get(structure.name)
    if factor is not None:
        rows[:, 3:5] *= factor
    return rows


def build(rng: np.random.Generator, table: np.ndarray, tissues: dict, narrowing: tuple) -> Anatomy:
    """Paint one patient. `narrowing` is (side, mm): the nasopharyngeal lumen gives way by so much
    on that side.
    """
    painter = _Painter(rng, table, tissues)
    side_in, narrow_mm = narrowing
    fat_mm = rng.uniform(-0.5, 5.0)
    stretch = {
        "adenoid": rng.uniform(0.6, 1.35),
        "retropharyngeal node": rng.uniform(0.6, 1.3),
        "node II": rng.uniform(0.6, 1.3),
        "inferior turbinate": rng.uniform(0.85, 1.25),
        "jugular vein": rng.uniform(0.8, 1.2),
        "lateral ventricle": rng.uniform(0.7, 1.5),
    }
    for structure in STRUCTURES:
        sides = (1.0, -1.0) if structure.paired else (1.0,)
        for side in sides:
            rows = _patient_rows(rng, structure, side, stretch)
            if rng.random() >= structure.chance:
                continue
            if structure.name == "lumen":
                rows[:, 1] -= side_in * narrow_mm / 2.0
                rows[:, 3] -= narrow_mm / 2.0
            if structure.name == "fossa of Rosenmueller" and side == side_in and narrow_mm > 2.0:
                continue
            if structure.name == "adenoid":
                rows[:, 1] += rng.normal(0.0, 3.0)
            painter.paint(structure, rows, {})
            if structure.name == "outline":
                _deep_face(painter, rows, fat_mm)
    return Anatomy(painter.signal, painter.label, painter.noise, painter.warp)


def _deep_face(painter: _Painter, rows: np.ndarray, fat_mm: float) -> None:
    """Thin muscle sheet (platysma, facial muscles) under the skin's fat, then the deep fat that
    muscles lie in.
    """
    sheet = rows.copy()
    inset = np.interp(rows[:, 0], [-135, -60, -20, 20, 50, 100], [5.0, 5.0, 7.0, 5.0, 4.0, 4.0])
    inset += fat_mm * np.interp(rows[:, 0], [-135, -20, 30, 60], [1.0, 1.0, 0.5, 0.15])
    sheet[:, 3:5] -= inset[:, None]
    painter.paint(Structure("sheet", (("muscle", 0.0), ("fat", 1.5)), (), power=2.25), sheet, {})
