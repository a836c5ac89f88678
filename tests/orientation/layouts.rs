//! The patient and the storage layouts of its images.

use nasoseg::geometry::Grid;
use ndarray::Array3;

pub type Affine = [[f64; 4]; 4];

/// Odd and even sizes, all different; pixels that are not square.
pub const SIZE: [usize; 3] = [61, 66, 7];
const STEP: [f64; 3] = [3.5, 3.3, 6.0];

/// Turns about x, y and z, degrees.
pub const STRAIGHT: [f64; 3] = [0.0; 3];
pub const OBLIQUE: [f64; 3] = [12.0, 0.0, 0.0];
pub const DOUBLE_OBLIQUE: [f64; 3] = [11.0, -7.0, 9.0];

/// A grid of `size` voxels `step` mm apart about `centre`, turned.
pub fn affine(size: [usize; 3], step: [f64; 3], turns: [f64; 3], centre: [f64; 3]) -> Affine {
    let [x, y, z] = turns.map(f64::to_radians);
    let about = |a: usize, angle: f64| {
        let (s, c) = angle.sin_cos();
        let (p, q) = ((a + 1) % 3, (a + 2) % 3);
        let mut m = [[0.0; 3]; 3];
        (m[a][a], m[p][p], m[q][q], m[p][q], m[q][p]) = (1.0, c, c, -s, s);
        m
    };
    let times = |a: [[f64; 3]; 3], b: [[f64; 3]; 3]| {
        [0, 1, 2].map(|r| [0, 1, 2].map(|c| (0..3).map(|n| a[r][n] * b[n][c]).sum::<f64>()))
    };
    let turn = times(about(2, z), times(about(1, y), about(0, x)));
    let mut out = [[0.0; 4]; 4];
    out[3][3] = 1.0;
    for r in 0..3 {
        for c in 0..3 {
            out[r][c] = turn[r][c] * step[c];
        }
        out[r][3] = centre[r] - (0..3).map(|c| out[r][c] * (size[c] - 1) as f64 / 2.0).sum::<f64>();
    }
    out
}

/// T1C in its usual order: columns to the left, rows to the back, slices to the head.
pub fn t1c(turns: [f64; 3]) -> Stored {
    filled(1, SIZE, affine(SIZE, STEP, turns, [0.4, -3.1, 3.7]))
}

/// T1 and T2, each on its own grid.
pub fn others() -> [Stored; 2] {
    let size = [72, 76, 17];
    [
        filled(0, size, affine(size, [3.4, 3.4, 6.0], [3.0, 1.0, -2.0], [1.0, -2.0, 2.0])),
        filled(2, size, affine(size, [3.4, 3.4, 6.0], [-1.0, 2.0, 1.0], [-1.0, -4.0, 3.0])),
    ]
}

fn filled(sequence: usize, size: [usize; 3], affine: Affine) -> Stored {
    let grid = Grid::from_affine(size, &affine).unwrap();
    Stored { size, affine, voxels: crate::common::head_voxels(sequence, &grid) }
}

/// Voxels [k, j, i] and the affine (i, j, k, 1) -> LPS mm.
#[derive(Clone)]
pub struct Stored {
    pub size: [usize; 3],
    pub affine: Affine,
    pub voxels: Array3<f32>,
}

impl Stored {
    /// The same image in another storage order.
    pub fn turned(&self, layout: &Layout) -> Stored {
        let Layout { axes, flips } = layout;
        let size = axes.map(|a| self.size[a]);
        let voxels = Array3::from_shape_fn((size[2], size[1], size[0]), |(k, j, i)| {
            let mut at = [0; 3];
            for (s, v) in [i, j, k].into_iter().enumerate() {
                at[axes[s]] = if flips[s] { size[s] - 1 - v } else { v };
            }
            self.voxels[[at[2], at[1], at[0]]]
        });
        Stored { size, affine: self.turned_affine(layout), voxels }
    }

    pub fn turned_affine(&self, Layout { axes, flips }: &Layout) -> Affine {
        let mut affine = self.affine;
        for (row, usual) in affine.iter_mut().zip(&self.affine).take(3) {
            for s in 0..3 {
                let step = usual[axes[s]];
                row[s] = if flips[s] { -step } else { step };
                if flips[s] {
                    row[3] += step * (self.size[axes[s]] - 1) as f64;
                }
            }
        }
        affine
    }
}

/// Storage axis s is axis `axes[s]` of the usual order, backwards if `flips[s]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layout {
    pub axes: [usize; 3],
    pub flips: [bool; 3],
}

impl Layout {
    pub const USUAL: Layout = Layout { axes: [0, 1, 2], flips: [false; 3] };

    pub fn all() -> Vec<Layout> {
        let axes = [[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0], [2, 1, 0]];
        axes.into_iter()
            .flat_map(|axes| {
                (0..8).map(move |n| Layout { axes, flips: [0, 1, 2].map(|s| n >> s & 1 == 1) })
            })
            .collect()
    }

    /// Whether the storage's slices are axial.
    pub fn is_axial(&self) -> bool {
        self.axes[2] == 2
    }

    /// Whether i, j, k are right-handed.
    pub fn is_right_handed(&self) -> bool {
        let even = [[0, 1, 2], [1, 2, 0], [2, 0, 1]].contains(&self.axes);
        even == (self.flips.iter().filter(|f| **f).count() % 2 == 0)
    }

    pub fn name(&self) -> String {
        self.axes
            .iter()
            .zip(self.flips)
            .map(|(a, f)| format!("{}{}", if f { "-" } else { "+" }, ["L", "P", "S"][*a]))
            .collect()
    }
}
