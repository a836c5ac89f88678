"""Draws docs/images/geometry.svg: the conventions of docs/explanation/geometry.md in four panels.

usage: python docs/images/geometry.py     (plain Python, nothing to install)
"""

import math
from pathlib import Path

INK, FAINT, GRID, BLUE, YELLOW, RED = (
    "#20262e",
    "#69737f",
    "#c3cad2",
    "#2563c9",
    "#c98a00",
    "#d2263f",
)
WIDTH, HEIGHT, GAP = 560, 400, 20


class Panel:
    """Collects shapes; coordinates are the panel's own."""

    def __init__(self, column, row, title):
        self.x, self.y = GAP + column * (WIDTH + GAP), GAP + row * (HEIGHT + GAP)
        self.shapes = []
        self.add(
            f'<rect x="0" y="0" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff" '
            f'stroke="{GRID}"/>'
        )
        self.text(20, 32, title, size=18, weight="bold")

    def add(self, shape):
        self.shapes.append(shape)

    def text(self, x, y, words, size=14, colour=INK, anchor="start", weight="normal"):
        words = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        self.add(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}" font-weight="{weight}">{words}</text>'
        )

    def line(
        self, points, colour=INK, width=1.5, closed=False, fill="none", dash=None, arrow=False
    ):
        path = " ".join(f"{'ML'[n > 0]}{x:.1f},{y:.1f}" for n, (x, y) in enumerate(points)) + (
            " Z" if closed else ""
        )
        more = f' stroke-dasharray="{dash}"' if dash else ""
        more += f' marker-end="url(#arrow-{colour[1:]})"' if arrow else ""
        self.add(f'<path d="{path}" fill="{fill}" stroke="{colour}" stroke-width="{width}"{more}/>')

    def dot(self, x, y, colour=INK, radius=3.0):
        self.add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def svg(self):
        return f'<g transform="translate({self.x},{self.y})">' + "\n".join(self.shapes) + "</g>"


def pixels(panel):
    """Indices name centres, boxes use edges; the two kinds of contour."""
    left, top, side = 60, 78, 46
    columns, rows = 6, 5

    def at(x, y):
        return left + x * side, top + y * side

    inside = [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2), (2, 3)]
    for i, j in inside:
        x, y = at(i, j)
        panel.add(f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="#fbe3e6"/>')
    for n in range(columns + 1):
        panel.line([at(n, 0), at(n, rows)], GRID, 1)
        panel.text(*at(n, rows + 0.42), str(n), 12, YELLOW, "middle")
    for n in range(rows + 1):
        panel.line([at(0, n), at(columns, n)], GRID, 1)
        panel.text(at(0, 0)[0] - 8, at(0, n)[1] + 4, str(n), 12, YELLOW, "end")
    for i in range(columns):
        panel.text(
            at(i + 0.5, 0)[0], top - 8, f"i = {i}" if i == 0 else str(i), 12, FAINT, "middle"
        )
        for j in range(rows):
            panel.dot(*at(i + 0.5, j + 0.5), colour=RED if (i, j) in inside else FAINT, radius=2.6)
    edges = [(1, 1), (4, 1), (4, 3), (3, 3), (3, 4), (2, 4), (2, 3), (1, 3)]
    panel.line([at(*p) for p in edges], RED, 1.4, closed=True, dash="5 3")
    level = [
        (0.85, 1.5),
        (1.5, 0.8),
        (2.5, 0.72),
        (3.5, 0.9),
        (4.2, 1.5),
        (4.15, 2.5),
        (3.5, 3.2),
        (3.25, 3.5),
        (2.5, 4.1),
        (1.8, 3.5),
        (1.5, 3.1),
        (0.9, 2.5),
    ]
    panel.line([at(*p) for p in level], RED, 2.2, closed=True)
    panel.line(
        [at(*p) for p in [(0.4, 0.35), (5.3, 0.35), (5.3, 4.65), (0.4, 4.65)]],
        YELLOW,
        2.2,
        closed=True,
    )
    x = left + columns * side + 22
    for n, (words, colour) in enumerate(
        [
            ("voxel (i, j, k) is its centre", FAINT),
            ("its edges are i and i + 1,", YELLOW),
            ("its centre i + 0.5", YELLOW),
            ("box x0, y0, x1, y1", YELLOW),
            ("0.4, 0.35, 5.3, 4.65", YELLOW),
            ("level contour:", RED),
            ("between centres, where", RED),
            ("p passes the threshold", RED),
            ("voxel contour (dashed):", RED),
            ("edges of the mask", RED),
        ]
    ):
        panel.text(
            x,
            top + 14 + 21 * n + 8 * (n > 0) + 8 * (n > 2) + 8 * (n > 4) + 8 * (n > 7),
            words,
            13,
            colour,
        )
    panel.text(
        20,
        384,
        "No ring passes through a centre; both hold exactly the centres of the mask.",
        13,
        FAINT,
    )


def patient(panel):
    """LPS, and how a canonical slice lies in it."""
    cx, cy = 170, 205
    panel.add(f'<ellipse cx="{cx}" cy="{cy}" rx="92" ry="112" fill="#eef2f7" stroke="{FAINT}"/>')
    panel.line([(cx - 12, cy - 110), (cx, cy - 128), (cx + 12, cy - 110)], FAINT, 1.5)
    for words, x, y in [
        ("R", cx - 118, cy + 5),
        ("L", cx + 118, cy + 5),
        ("A", cx, cy - 136),
        ("P", cx, cy + 134),
    ]:
        panel.text(x, y, words, 16, INK, "middle", "bold")
    panel.line([(cx, cy), (cx + 66, cy)], BLUE, 2.4, arrow=True)
    panel.line([(cx, cy), (cx, cy + 66)], BLUE, 2.4, arrow=True)
    panel.text(cx + 14, cy - 12, "x, i", 13, BLUE)
    panel.text(cx + 8, cy + 50, "y, j", 13, BLUE)
    panel.add(f'<circle cx="{cx}" cy="{cy}" r="8" fill="#fff" stroke="{BLUE}" stroke-width="2"/>')
    panel.line([(cx - 5, cy - 5), (cx + 5, cy + 5)], BLUE, 2)
    panel.line([(cx - 5, cy + 5), (cx + 5, cy - 5)], BLUE, 2)
    panel.text(cx - 14, cy + 5, "z", 13, BLUE, "end")
    x, y = 350, 300
    for k in range(5):
        d = 38 * k
        panel.line(
            [(x, y - d), (x + 110, y - d), (x + 150, y - d - 26), (x + 40, y - d - 26)],
            INK if k in (0, 4) else FAINT,
            1.4,
            True,
            "#eef2f7",
        )
        panel.text(x - 8, y - d + 2, f"k = {k}" if k == 0 else str(k), 13, INK, "end")
    panel.line([(x + 168, y), (x + 168, y - 176)], BLUE, 2.4, arrow=True)
    panel.text(x + 168, y + 18, "feet", 13, FAINT, "middle")
    panel.text(x + 168, y - 186, "head", 13, FAINT, "middle")
    panel.text(
        20,
        372,
        "LPS mm; a slice seen from the feet. Canonical: columns to L, rows to P,",
        13,
        FAINT,
    )
    panel.text(
        20,
        390,
        "slices to the head, whatever the storage. Slices count from 0 at the feet.",
        13,
        FAINT,
    )


def transforms(panel):
    """The way into the networks and back."""

    def block(x, y, w, h, title, *notes, fill="#eef2f7"):
        panel.add(
            f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="6" fill="{fill}" '
            f'stroke="{FAINT}"/>'
        )
        panel.text(x + w / 2, y + 22, title, 14, INK, "middle", "bold")
        for n, words in enumerate(notes):
            panel.text(x + w / 2, y + 41 + 17 * n, words, 12.5, FAINT, "middle")

    block(20, 60, 150, 96, "storage", "any of 48 orders,", "oblique or not,", "an origin per slice")
    block(
        205,
        60,
        150,
        96,
        "canonical slices",
        "T1C's own voxels;",
        "T1, T2: one trilinear",
        "interpolation each",
    )
    block(390, 60, 150, 96, "model's grid", "G x G pixels", "fit: stretch, pad", "or mm per pixel")
    block(
        390,
        226,
        150,
        96,
        "crop",
        "C x C pixels of a box",
        "1.5 x the detector's,",
        "cut inside the graph",
    )
    block(
        20,
        226,
        150,
        96,
        "T1C's voxels",
        "probability, mask,",
        "contours, RTSTRUCT,",
        "in storage order",
    )
    for x0, x1 in [(170, 203), (355, 388)]:
        panel.line([(x0, 108), (x1, 108)], BLUE, 2.2, arrow=True)
    panel.text(187, 178, "permute, flip:", 12.5, BLUE, "middle")
    panel.text(187, 194, "no voxel changes", 12.5, BLUE, "middle")
    panel.text(372, 178, "one bilinear", 12.5, BLUE, "middle")
    panel.text(372, 194, "interpolation", 12.5, BLUE, "middle")
    panel.line([(500, 156), (500, 224)], BLUE, 2.2, arrow=True)
    panel.line([(390, 274), (172, 274)], RED, 2.6, arrow=True)
    panel.text(281, 250, "back in one step: crop, grid and", 12.5, RED, "middle")
    panel.text(281, 266, "slice transforms are composed,", 12.5, RED, "middle")
    panel.text(281, 296, "one bilinear interpolation of", 12.5, RED, "middle")
    panel.text(281, 312, "p at T1C's pixel centres", 12.5, RED, "middle")
    panel.text(
        20,
        356,
        "slice = (grid - G / 2) * scale + size / 2, x and y each, in pixel edges",
        13,
        FAINT,
    )
    panel.text(20, 376, "crop pixel u lies at x0 + (u + 0.5)(x1 - x0) / C on the grid", 13, FAINT)


def reslicing(panel):
    """Original planes, axial slices, and a voxel between two of them."""
    tilt = math.radians(62)
    along, across = (math.cos(tilt), -math.sin(tilt)), (math.sin(tilt), math.cos(tilt))
    cx, cy = 200, 205

    def at(u, v):
        return cx + u * along[0] + v * across[0], cy + u * along[1] + v * across[1]

    slices = [cy + 150 - 30 * n for n in range(11)]
    for y in slices:
        panel.line([(36, y), (364, y)], BLUE, 1.3)
    for n in range(-4, 5):
        panel.line([at(-130, 26 * n), at(130, 26 * n)], FAINT, 1.3)
        for m in range(-6, 7):
            panel.dot(*at(20 * m, 26 * n), FAINT, 1.6)
    ring = [at(62 * math.cos(t), 52 * math.sin(t)) for t in (math.tau * n / 60 for n in range(60))]
    panel.line(ring, RED, 1.4, True, dash="4 3")
    for n in range(-1, 2):
        half = 62 * math.sqrt(1 - (26 * n / 52) ** 2)
        panel.line([at(-half, 26 * n), at(half, 26 * n)], RED, 4)
    vx, vy = at(10, 52)
    below = min(y for y in slices if y >= vy)
    panel.dot(vx, vy, INK, 4.5)
    panel.line([(vx, vy), (vx, below)], INK, 1.6)
    panel.line([(vx, vy), (vx, below - 30)], INK, 1.6)
    panel.text(vx + 7, (vy + below) / 2 + 5, "t", 13)
    panel.text(vx + 7, (vy + below - 30) / 2 + 4, "1 - t", 13)
    x = 384
    for n, (words, colour) in enumerate(
        [
            ("seen from the side", FAINT),
            ("T1C's own planes, here", FAINT),
            ("coronal and tilted", FAINT),
            ("axial slices, 3 mm apart:", BLUE),
            ("what the model sees", BLUE),
            ("at T1C's voxel centres:", INK),
            ("p = (1 - t) p(below)", INK),
            ("  + t p(above)", INK),
            ("contours lie on T1C's", RED),
            ("own planes", RED),
        ]
    ):
        panel.text(
            x,
            80 + 21 * n + 10 * (n > 0) + 10 * (n > 2) + 10 * (n > 4) + 10 * (n > 7),
            words,
            13,
            colour,
        )
    panel.text(
        20, 384, "--reslice axial. In the plane p is still read from the crop itself.", 13, FAINT
    )


def main():
    panels = [
        Panel(0, 0, "Voxel centres, pixel edges"),
        Panel(1, 0, "The patient's axes, canonical slices"),
        Panel(0, 1, "Into the networks and back"),
        Panel(1, 1, "Reslicing"),
    ]
    for panel, draw in zip(panels, (pixels, patient, transforms, reslicing)):
        draw(panel)
    width, height = 2 * WIDTH + 3 * GAP, 2 * HEIGHT + 3 * GAP
    markers = "".join(
        f'<marker id="arrow-{c[1:]}" viewBox="0 0 8 8" refX="6.5" refY="4" markerWidth="5" '
        'markerHeight="5" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 Z" fill="{c}"/></marker>'
        for c in (BLUE, RED)
    )
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" '
        f'font-family="DejaVu Sans, Helvetica, Arial, sans-serif">\n<defs>{markers}</defs>\n'
        f'<rect width="{width}" height="{height}" fill="#f4f6f8"/>\n'
        + "\n".join(p.svg() for p in panels)
        + "\n</svg>\n"
    )
    (Path(__file__).parent / "geometry.svg").write_text(text)


if __name__ == "__main__":
    main()
