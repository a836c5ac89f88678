//! The order of a stack's images.
//!
//! In: frames in any order. Out: their order along the slice normal, or an error if they are not
//! one stack.
//!
//! The normal is row direction x column direction; slices ascend along it. File names and instance
//! numbers play no part.

use std::collections::BTreeMap;

use dicom_dictionary_std::tags;

use super::choose::differences;
use super::file::{DicomFile, Frame};
use crate::geometry::grid::{Point, add, cross, dot, norm, scale, sub};

/// Two images nearer to each other than this lie in one plane, mm.
const SAME_PLANE_MM: f64 = 0.01;
/// Direction cosines that differ more are different orientations.
const SAME_COSINE: f64 = 1e-4;
/// Pixel sizes that differ more (relative) are different.
const SAME_SPACING: f64 = 1e-4;
/// A step this close to 2, 3, ... times the usual step (relative to it) means missing slices.
const GAP: f64 = 0.1;
/// How far neighbouring origins may lie off the common normal, mm: within it positions were
/// rounded, beyond it the stack is tilted.
const DRIFT_STEP_MM: f64 = 0.1;
/// The same from the first slice to any other.
const DRIFT_TOTAL_MM: f64 = 1.0;

/// An image of a series.
pub(super) struct Image<'a> {
    pub(super) file: &'a DicomFile,
    /// Columns, rows.
    pub(super) matrix: [u32; 2],
    pub(super) frame: &'a Frame,
}

impl Image<'_> {
    fn name(&self) -> String {
        match self.frame.multi {
            true => format!("{} frame {}", self.file.path.display(), self.frame.index + 1),
            false => self.file.path.display().to_string(),
        }
    }

    fn sop_instance_uid(&self) -> &str {
        self.file.text(tags::SOP_INSTANCE_UID)
    }

    /// Row direction x column direction, of length 1.
    fn normal(&self) -> Point {
        let normal = cross(self.frame.row, self.frame.column);
        scale(normal, 1.0 / norm(normal))
    }
}

/// Why images are not one stack.
#[derive(Debug)]
pub(super) enum Trouble {
    /// They may be several.
    Mixed(String),
    Other(String),
}

/// A stack: indices of its images in the order of the slices, and warnings for the user.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) order: Vec<usize>,
    pub(super) warnings: Vec<String>,
}

/// Puts images in order. Missing slices are an error, or a warning if `allow_gaps`.
///
/// # Errors
/// [`Trouble`] if the images are not one stack of parallel slices.
pub(super) fn order(images: &[Image], allow_gaps: bool) -> Result<Stack, Trouble> {
    let Some(first) = images.first() else {
        return Err(Trouble::Other("no image".into()));
    };
    if images.len() < 2 {
        return Err(Trouble::Other(format!(
            "one image only ({}), expected a volume of at least 2 slices. Give the folder of the \
             whole series",
            first.name()
        )));
    }
    for image in images {
        if let Some(what) = different_kind(first, image) {
            return Err(Trouble::Mixed(format!(
                "the images are not one stack: {what} ({} and {}). Give the files of one stack (a \
                 localizer is not one).",
                first.name(),
                image.name()
            )));
        }
    }
    let normal = first.normal();
    let position = |n: usize| dot(images[n].frame.origin, normal);
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by(|a, b| position(*a).total_cmp(&position(*b)));

    let mut steps: Vec<f64> = Vec::with_capacity(order.len());
    for pair in order.windows(2) {
        let (a, b) = (&images[pair[0]], &images[pair[1]]);
        let step = position(pair[1]) - position(pair[0]);
        if step < SAME_PLANE_MM {
            return Err(same_plane(a, b));
        }
        steps.push(step);
    }
    check_unique(images)?;
    let warnings = check_gaps(images, &order, &steps, allow_gaps)?;
    check_straight(images, &order, normal).map_err(Trouble::Other)?;
    Ok(Stack { order, warnings })
}

/// Refuses two single-frame images with one SOP Instance UID.
fn check_unique(images: &[Image]) -> Result<(), Trouble> {
    let mut seen: BTreeMap<&str, &Image> = BTreeMap::new();
    for image in images.iter().filter(|i| !i.frame.multi && !i.sop_instance_uid().is_empty()) {
        if let Some(other) = seen.insert(image.sop_instance_uid(), image) {
            return Err(Trouble::Other(format!(
                "two images have the same SOP Instance UID ({}), so results could not refer to one \
                 of them: {} and {}. Export the series again",
                image.sop_instance_uid(),
                other.name(),
                image.name()
            )));
        }
    }
    Ok(())
}

/// Finds missing slices by the `steps` between the images in `order`: warnings if `allow_gaps`,
/// else an error.
fn check_gaps(
    images: &[Image],
    order: &[usize],
    steps: &[f64],
    allow_gaps: bool,
) -> Result<Vec<String>, Trouble> {
    // The lower median, so that one large gap among few slices does not count as the usual step.
    let mut sorted = steps.to_vec();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted[(sorted.len() - 1) / 2];
    let mut warnings = Vec::new();
    for (pair, step) in order.windows(2).zip(steps) {
        let ratio = step / usual;
        if ratio.round() >= 2.0 && (ratio - ratio.round()).abs() <= GAP {
            let gap = format!(
                "{} slice(s) are missing after {}: the next one, {}, is {step:.3} mm away, and the \
                 usual distance is {usual:.3} mm",
                ratio.round() - 1.0,
                images[pair[0]].name(),
                images[pair[1]].name()
            );
            if !allow_gaps {
                return Err(Trouble::Other(format!(
                    "{gap}. Give the whole series, or use --allow-gaps if it was acquired so"
                )));
            }
            warnings.push(format!("{gap}; allowed"));
        }
    }
    Ok(warnings)
}

/// Pairs of images that cannot be of one stack: of another kind than the first, or neighbours in
/// one plane. Empty if all are one stack.
pub(super) fn clashes(images: &[&Image]) -> Vec<(usize, usize)> {
    let Some(first) = images.first() else { return Vec::new() };
    let others: Vec<_> = (1..images.len())
        .filter(|n| different_kind(first, images[*n]).is_some())
        .map(|n| (0, n))
        .collect();
    if !others.is_empty() {
        return others;
    }
    let normal = first.normal();
    let mut order: Vec<(f64, usize)> =
        images.iter().map(|i| dot(i.frame.origin, normal)).zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    order
        .windows(2)
        .filter(|pair| pair[1].0 - pair[0].0 < SAME_PLANE_MM)
        .map(|pair| (pair[0].1, pair[1].1))
        .collect()
}

/// The difference of two images in matrix, orientation or pixel size, if there is one.
fn different_kind(a: &Image, b: &Image) -> Option<String> {
    if a.matrix != b.matrix {
        return Some(format!(
            "sizes {} x {} and {} x {} pixels",
            a.matrix[0], a.matrix[1], b.matrix[0], b.matrix[1]
        ));
    }
    let (p, q) = (a.frame, b.frame);
    if p.row
        .iter()
        .chain(&p.column)
        .zip(q.row.iter().chain(&q.column))
        .any(|(x, y)| (x - y).abs() > SAME_COSINE)
    {
        return Some(format!(
            "mixed orientations {:?} {:?} and {:?} {:?}",
            p.row, p.column, q.row, q.column
        ));
    }
    if p.spacing.iter().zip(&q.spacing).any(|(x, y)| (x - y).abs() > SAME_SPACING * x) {
        return Some(format!("pixel spacing {:?} and {:?} mm", p.spacing, q.spacing));
    }
    None
}

/// The error for two images in one plane, which names the marks by which they differ.
fn same_plane(a: &Image, b: &Image) -> Trouble {
    let pair = format!("{} and {} lie in the same plane", a.name(), b.name());
    if a.sop_instance_uid() == b.sop_instance_uid() && !a.frame.multi {
        return Trouble::Other(format!(
            "{pair} and are the same image (SOP Instance UID {}). Leave one out",
            a.sop_instance_uid()
        ));
    }
    let differing = differences(a, b);
    match differing.is_empty() {
        true => {
            Trouble::Other(format!("{pair}, expected one image per plane. Leave duplicates out"))
        }
        false => Trouble::Mixed(format!(
            "{pair} and differ in {}, expected one image per plane (not several echoes, b-values \
             or time points).",
            differing.join(", ")
        )),
    }
}

/// Refuses a stack whose origins leave the common normal, as with a tilted gantry.
fn check_straight(images: &[Image], order: &[usize], normal: Point) -> Result<(), String> {
    let drift = |a: &Image, b: &Image| {
        let step = sub(b.frame.origin, a.frame.origin);
        norm(sub(step, scale(normal, dot(step, normal))))
    };
    for pair in order.windows(2) {
        let (first, a, b) = (&images[order[0]], &images[pair[0]], &images[pair[1]]);
        let (step, total) = (drift(a, b), drift(first, b));
        if step > DRIFT_STEP_MM || total > DRIFT_TOTAL_MM {
            let along = add(
                a.frame.origin,
                scale(normal, dot(sub(b.frame.origin, a.frame.origin), normal)),
            );
            return Err(format!(
                "a sheared stack: {} lies {step:.3} mm beside the normal through its neighbour {} \
                 (expected near {along:.3?}), {total:.3} mm beside the first slice's. Resample the \
                 series to a stack of straight slices",
                b.name(),
                a.name()
            ));
        }
    }
    Ok(())
}
