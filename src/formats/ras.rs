//! RAS and other patient axes, for formats that do not use LPS.

/// Converts an affine into RAS mm to one into LPS mm, or back: x and y change sign.
pub(crate) fn ras_to_lps(affine: [[f64; 4]; 4]) -> [[f64; 4]; 4] {
    mirror(affine, [-1.0, -1.0, 1.0])
}

/// Converts a point in RAS mm to LPS mm, or back.
pub(crate) fn ras_point_to_lps([x, y, z]: [f64; 3]) -> [f64; 3] {
    [-x, -y, z]
}

/// Changes the sign of the patient axes whose entry is -1.
pub(crate) fn mirror(mut affine: [[f64; 4]; 4], signs: [f64; 3]) -> [[f64; 4]; 4] {
    for (row, sign) in affine.iter_mut().zip(signs) {
        for value in row.iter_mut() {
            // Adding zero turns -0 into 0.
            *value = *value * sign + 0.0;
        }
    }
    affine
}
