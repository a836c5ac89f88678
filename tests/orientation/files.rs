//! NIfTI and NRRD in all 48 layouts, and views of one buffer in memory; the files are written here,
//! by hand.

use std::fmt::Write as _;
use std::path::Path;

use crate::abi::{Engine, Input, View};
use crate::layouts::{Affine, DOUBLE_OBLIQUE, Layout, OBLIQUE, STRAIGHT, Stored, others, t1c};
use crate::outcome::Outcome;

fn bytes(stored: &Stored) -> Vec<u8> {
    stored.voxels.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Changes the sign of x and y: LPS to RAS.
fn ras(affine: &Affine) -> Affine {
    std::array::from_fn(|r| affine[r].map(|v| if r < 2 { -v } else { v }))
}

/// NIfTI-1, float32, with an sform alone or, as older programs write it, with a qform alone.
pub fn write_nifti(path: &Path, stored: &Stored, qform: bool) {
    let affine = ras(&stored.affine);
    let column = |c: usize| [affine[0][c], affine[1][c], affine[2][c]];
    let length = |c: usize| column(c).iter().map(|v| v * v).sum::<f64>().sqrt();
    let mut header = vec![0u8; 352];
    let mut put = |at: usize, raw: &[u8]| header[at..at + raw.len()].copy_from_slice(raw);
    put(0, &348i32.to_le_bytes());
    for (n, v) in
        [3, stored.size[0], stored.size[1], stored.size[2], 1, 1, 1, 1].into_iter().enumerate()
    {
        put(40 + 2 * n, &(v as i16).to_le_bytes());
    }
    put(70, &16i16.to_le_bytes());
    put(72, &32i16.to_le_bytes());
    let float = |v: f64| (v as f32).to_le_bytes();
    for c in 0..3 {
        put(80 + 4 * c, &float(length(c)));
    }
    put(108, &float(352.0));
    put(123, &[2]);
    put(344, b"n+1\0");
    if qform {
        let mut m = [0, 1, 2].map(|r| [0, 1, 2].map(|c| affine[r][c] / length(c)));
        let det = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
        m.iter_mut().for_each(|row| row[2] *= det.signum());
        put(76, &float(det.signum()));
        put(252, &1i16.to_le_bytes());
        for (n, v) in quaternion(m)[1..].iter().enumerate() {
            put(256 + 4 * n, &float(*v));
        }
        for (r, row) in affine[..3].iter().enumerate() {
            put(268 + 4 * r, &float(row[3]));
        }
    } else {
        put(76, &float(1.0));
        put(254, &1i16.to_le_bytes());
        for (n, v) in affine[..3].iter().flatten().enumerate() {
            put(280 + 4 * n, &float(*v));
        }
    }
    header.extend(bytes(stored));
    std::fs::write(path, header).unwrap();
}

/// (a, b, c, d) of a rotation: the eigenvector to the largest eigenvalue of its 4 x 4 matrix, by
/// repeated multiplication.
fn quaternion(m: [[f64; 3]; 3]) -> [f64; 4] {
    let symmetric = [
        [m[0][0] + m[1][1] + m[2][2], m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]],
        [0.0, m[0][0] - m[1][1] - m[2][2], m[0][1] + m[1][0], m[0][2] + m[2][0]],
        [0.0, 0.0, m[1][1] - m[0][0] - m[2][2], m[1][2] + m[2][1]],
        [0.0, 0.0, 0.0, m[2][2] - m[0][0] - m[1][1]],
    ];
    let at = |r: usize, c: usize| symmetric[r.min(c)][r.max(c)] + if r == c { 1.0 } else { 0.0 };
    let mut q = [0.9, 0.31, 0.23, 0.17];
    for _ in 0..60 {
        let next: [f64; 4] = std::array::from_fn(|r| (0..4).map(|c| at(r, c) * q[c]).sum());
        let length = next.iter().map(|v| v * v).sum::<f64>().sqrt();
        q = next.map(|v| v / length);
    }
    if q[0] < 0.0 { q.map(|v| -v) } else { q }
}

/// NRRD, float32, raw; its space is LPS or RAS.
pub fn write_nrrd(path: &Path, stored: &Stored, right_anterior: bool) {
    let (space, a) = match right_anterior {
        true => ("right-anterior-superior", ras(&stored.affine)),
        false => ("left-posterior-superior", stored.affine),
    };
    let vector = |c: usize| format!("({},{},{})", a[0][c], a[1][c], a[2][c]);
    let [ni, nj, nk] = stored.size;
    let mut text =
        format!("NRRD0005\ntype: float\ndimension: 3\nspace: {space}\nsizes: {ni} {nj} {nk}\n");
    write!(
        text,
        "space directions: {} {} {}\nkinds: domain domain domain\n",
        vector(0),
        vector(1),
        vector(2)
    )
    .unwrap();
    write!(text, "endian: little\nencoding: raw\nspace origin: {}\n\n", vector(3)).unwrap();
    let mut file = text.into_bytes();
    file.extend(bytes(stored));
    std::fs::write(path, file).unwrap();
}

/// Compares every layout with the usual order: as a view of one buffer, as NIfTI and as NRRD, or as
/// one of these in turn from `first` on. The largest difference of each is printed.
fn check(turns: [f64; 3], first: Option<usize>) {
    let engine = Engine::new();
    let (patient, others) = (t1c(turns), others());
    let expected = engine.run(&others, &Input::View(View::of(&patient)), None).unwrap();
    expected.must_be_worth_comparing();
    let dir = tempfile::tempdir().unwrap();
    let (nifti, nrrd) = (dir.path().join("t1c.nii"), dir.path().join("t1c.nrrd"));
    let mut worst = [("memory", 0, 0.0f64, 0.0f64), ("NIfTI", 0, 0.0, 0.0), ("NRRD", 0, 0.0, 0.0)];
    for (n, layout) in Layout::all().iter().enumerate() {
        let stored = patient.turned(layout);
        write_nifti(&nifti, &stored, n % 4 < 2);
        write_nrrd(&nrrd, &stored, n % 5 < 2);
        let inputs = [
            Input::View(View::turned(&patient, layout, n % 2 == 0)),
            Input::Path(&nifti),
            Input::Path(&nrrd),
        ];
        for (kind, input) in inputs
            .iter()
            .enumerate()
            .filter(|(kind, _)| first.is_none_or(|first| (first + n) % 3 == *kind))
        {
            let found: Outcome = engine.run(&others, input, None).unwrap();
            let (name, runs, probability, contour) = &mut worst[kind];
            let name = format!("{name} {}", layout.name());
            assert_eq!(
                found.grid.size(),
                stored.size,
                "{name}: the result lies in the input's own order"
            );
            let off = expected.must_be(&found, &name);
            (*runs, *probability, *contour) =
                (*runs + 1, probability.max(off.0), contour.max(off.1));
        }
    }
    for (name, runs, probability, contour) in worst {
        println!(
            "{turns:?} {name}, {runs} layouts: probability within {probability:.1e}, contours \
             within {contour:.1e} mm"
        );
    }
}

/// All 48 layouts of each tilt, every one in one of the three forms.
#[test]
fn forty_eight_layouts_are_one_patient() {
    for (first, turns) in [STRAIGHT, OBLIQUE, DOUBLE_OBLIQUE].into_iter().enumerate() {
        check(turns, Some(first));
    }
}

#[test]
#[ignore = "every layout in every form: make test-orientation"]
fn forty_eight_layouts_in_every_form() {
    for turns in [STRAIGHT, OBLIQUE, DOUBLE_OBLIQUE] {
        check(turns, None);
    }
}
