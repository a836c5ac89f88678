//! To come.
pub(crate) fn ras_to_lps(a: [[f64; 4]; 4]) -> [[f64; 4]; 4] {
    [a[0].map(|v| -v), a[1].map(|v| -v), a[2], a[3]]
}
