//! From a heap of images to a stack.
//!
//! In: frames in any order. Out: their order along the slice normal, and a refusal where they are not one stack.
//!
//! The normal is row direction x column direction; slices ascend along it. Names and instance numbers play no part.

use std::collections::BTreeMap;
use std::path::Path;

use super::header::Frame;
use crate::error::{Error, Result};
use crate::study::grid::{Point, add, cross, dot, norm, scale, sub};

/// Two images nearer than this lie in one plane, mm.
const SAME_PLANE_MM: f64 = 0.01;
/// Direction cosines that differ more are different orientations.
const SAME_COSINE: f64 = 1e-4;
/// Pixel sizes that differ more (relative) are different.
const SAME_SPACING: f64 = 1e-4;
/// A step this near (relative to the usual step) to 2, 3, ... usual steps means missing slices.
const GAP: f64 = 0.1;
/// How far neighbouring origins may lie off the common normal, mm: rounded positions, not a tilted stack.
const DRIFT_STEP_MM: f64 = 0.1;
/// The same from the first slice to any other.
const DRIFT_TOTAL_MM: f64 = 1.0;

/// An image as this module sees it.
pub(super) struct Image<'a> {
    pub(super) path: &'a Path,
    pub(super) sop_instance_uid: &'a str,
    /// Columns, rows.
    pub(super) matrix: [u32; 2],
    pub(super) frame: &'a Frame,
}

impl Image<'_> {
    fn name(&self) -> String {
        match self.frame.multi {
            true => format!("{} frame {}", self.path.display(), self.frame.index + 1),
            false => self.path.display().to_string(),
        }
    }
}

/// Indices of `images` in the order of the volume's slices. `series` stands in messages.
///
/// # Errors
/// [`Error::Image`] where the images are not one stack of parallel slices.
pub(super) fn order(images: &[Image], series: &str) -> Result<Vec<usize>> {
    let wrong = |text: String| Err(Error::Image(format!("{series}: {text}")));
    let Some(first) = images.first() else {
        return wrong("no image".into());
    };
    if images.len() < 2 {
        return wrong(format!(
            "one image only ({}); a volume of at least 2 slices was expected. Give the folder of the whole series",
            first.name()
        ));
    }
    for image in images {
        same_kind(first, image, series)?;
    }
    let normal = cross(first.frame.row, first.frame.column);
    let normal = scale(normal, 1.0 / norm(normal));
    let position = |n: usize| dot(images[n].frame.origin, normal);
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by(|a, b| position(*a).total_cmp(&position(*b)));

    let mut steps: Vec<f64> = Vec::with_capacity(order.len());
    for pair in order.windows(2) {
        let (a, b) = (&images[pair[0]], &images[pair[1]]);
        let step = position(pair[1]) - position(pair[0]);
        if step < SAME_PLANE_MM {
            return wrong(same_plane(a, b));
        }
        steps.push(step);
    }
    let mut seen: BTreeMap<&str, &Image> = BTreeMap::new();
    for image in images.iter().filter(|i| !i.frame.multi && !i.sop_instance_uid.is_empty()) {
        if let Some(other) = seen.insert(image.sop_instance_uid, image) {
            return wrong(format!(
                "two images carry the same SOP Instance UID ({}): {} and {}. A result could not say which one it lies on. Export the series again",
                image.sop_instance_uid,
                other.name(),
                image.name()
            ));
        }
    }
    // The lower median, so that one large gap among few slices is not taken for the rule.
    let mut sorted = steps.clone();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted[(sorted.len() - 1) / 2];
    for (pair, step) in order.windows(2).zip(&steps) {
        let ratio = step / usual;
        if ratio.round() >= 2.0 && (ratio - ratio.round()).abs() <= GAP {
            return wrong(format!(
                "{} slice(s) are missing after {}: the next one, {}, is {step:.3} mm away and the usual distance is {usual:.3} mm. Give the whole series",
                ratio.round() - 1.0,
                images[pair[0]].name(),
                images[pair[1]].name()
            ));
        }
    }
    straight(images, &order, normal, series)?;
    Ok(order)
}

/// The images must share matrix, pixel size and orientation.
fn same_kind(a: &Image, b: &Image, series: &str) -> Result<()> {
    let differ = |what: String| {
        Err(Error::Image(format!(
            "{series}: the images are not one stack: {what} ({} and {}). Give the files of one stack (a localizer is none)",
            a.name(),
            b.name()
        )))
    };
    if a.matrix != b.matrix {
        return differ(format!("sizes {} x {} and {} x {} pixels", a.matrix[0], a.matrix[1], b.matrix[0], b.matrix[1]));
    }
    let (p, q) = (a.frame, b.frame);
    if p.row.iter().chain(&p.column).zip(q.row.iter().chain(&q.column)).any(|(x, y)| (x - y).abs() > SAME_COSINE) {
        return differ(format!("mixed orientations {:?} {:?} and {:?} {:?}", p.row, p.column, q.row, q.column));
    }
    if p.spacing.iter().zip(&q.spacing).any(|(x, y)| (x - y).abs() > SAME_SPACING * x) {
        return differ(format!("pixel spacing {:?} and {:?} mm", p.spacing, q.spacing));
    }
    Ok(())
}

/// Two images in one plane: says what tells them apart.
fn same_plane(a: &Image, b: &Image) -> String {
    let pair = format!("{} and {} lie in the same plane", a.name(), b.name());
    if a.sop_instance_uid == b.sop_instance_uid && !a.frame.multi {
        return format!("{pair} and are the same image (SOP Instance UID {}). Leave one out", a.sop_instance_uid);
    }
    let value = |image: &Image, name: &str| image.frame.marks.iter().find(|(n, _)| *n == name).map_or(String::new(), |(_, v)| v.clone());
    let mut differing: Vec<String> = Vec::new();
    for (name, _) in a.frame.marks.iter().chain(&b.frame.marks) {
        let (x, y) = (value(a, name), value(b, name));
        let text = format!("{name} {x} / {y}");
        if x != y && !differing.contains(&text) {
            differing.push(text);
        }
    }
    match differing.is_empty() {
        true => format!("{pair}; one image per plane was expected. Leave duplicates out"),
        false => format!(
            "{pair} and differ in {}; one image per plane was expected (not several echoes, b-values or time points). Give the files of one of them",
            differing.join(", ")
        ),
    }
}

/// Refuses a stack whose origins leave the common normal, as with a tilted gantry.
fn straight(images: &[Image], order: &[usize], normal: Point, series: &str) -> Result<()> {
    let drift = |a: &Image, b: &Image| {
        let step = sub(b.frame.origin, a.frame.origin);
        norm(sub(step, scale(normal, dot(step, normal))))
    };
    for pair in order.windows(2) {
        let (first, a, b) = (&images[order[0]], &images[pair[0]], &images[pair[1]]);
        let (step, total) = (drift(a, b), drift(first, b));
        if step > DRIFT_STEP_MM || total > DRIFT_TOTAL_MM {
            let along = add(a.frame.origin, scale(normal, dot(sub(b.frame.origin, a.frame.origin), normal)));
            return Err(Error::Image(format!(
                "{series}: a sheared stack: {} lies {step:.3} mm beside the normal through its neighbour {} (expected near {along:.3?}), {total:.3} mm beside the first slice's. \
                 Resample the series to a stack of straight slices",
                b.name(),
                a.name()
            )));
        }
    }
    Ok(())
}
