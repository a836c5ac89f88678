//! The golden numbers of the synthetic study with the micro bundle: tests/data/golden/pipeline.txt,
//! written by tests/golden.rs.

use std::path::{Path, PathBuf};

/// Points of a line that are kept.
pub const POINTS: usize = 8;

pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden/pipeline.txt")
}

/// How far a number of a line may be off: exact for counts and indices.
fn tolerance(key: &str, column: usize) -> f64 {
    match (key, column) {
        ("box", 2..) => 1e-5,
        ("volume_mm3", _) => 200.0,
        ("area", 1) | ("line", 3) => 6.0,
        ("area", 2) | ("line", 4) => 60.0,
        ("point", 2..) => 0.1,
        _ => 0.0,
    }
}

/// Compares lines of `key numbers...` with the golden ones.
pub fn compare(found: &str) {
    let golden = std::fs::read_to_string(path()).unwrap();
    // A study without a lesion would prove nothing of the later stages, one that fills the image as
    // little.
    assert!((3..6).contains(&found.matches("\nline ").count()), "{found}");
    assert_eq!(found.lines().count(), golden.lines().count(), "{found}");
    for (a, b) in found.lines().zip(golden.lines()) {
        let numbers =
            |line: &str| line.split(' ').skip(1).map(|n| n.parse().unwrap()).collect::<Vec<f64>>();
        let key = a.split(' ').next().unwrap();
        assert_eq!(key, b.split(' ').next().unwrap());
        let (x, y) = (numbers(a), numbers(b));
        assert_eq!(x.len(), y.len(), "{a} | {b}");
        for (column, (x, y)) in x.iter().zip(&y).enumerate() {
            assert!((x - y).abs() <= tolerance(key, column), "{a} | {b}");
        }
    }
}
