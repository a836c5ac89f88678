//! A picture that a physician can check a run by.
//!
//! In: the prepared slices, the detection, the segmentation, the contours. Out: a PNG: one cell per
//! slice in range with T1, T1C and T2 side by side (patient's right on the left), the agent's
//! trajectory and the final box on T1C, the contour on all three, a caption, and the model's name.

mod canvas;
mod cell;
mod header;
mod labels;

use std::collections::BTreeMap;
use std::path::Path;

use tiny_skia::{Color, Pixmap};

use crate::contour::{Contours, contours_of_level};
use crate::detect::Detection;
use crate::error::{Error, Result};
use crate::formats::write::write_atomically;
use crate::geometry::Point;
use crate::provenance::Provenance;
use crate::segment::Segmentation;
use crate::study::{Prepared, Study};
use cell::Cell;
use labels::Text;

/// Side of one panel, pixels.
const PANEL: u32 = 208;
const GAP: u32 = 2;
const CAPTION: u32 = 20;
const MARGIN: u32 = 10;

/// What is brighter than this on T1C (of 1) belongs to the head.
const HEAD: f32 = 0.08;

const BACKGROUND: [u8; 3] = [16, 18, 22];
const TRAJECTORY: [u8; 3] = [90, 170, 255];
const FINAL_BOX: [u8; 3] = [255, 214, 10];
const CROP_BOX: [u8; 3] = [170, 170, 170];
const CONTOUR: [u8; 3] = [255, 70, 90];
const WORDS: [u8; 3] = [225, 228, 232];
const WARNING: [u8; 3] = [255, 150, 60];

/// What the preview shows.
pub struct Preview<'a> {
    /// The three sequences.
    pub study: &'a Study,
    /// The slices of the detection as the networks saw them.
    pub prepared: &'a Prepared,
    /// The boxes.
    pub detection: &'a Detection,
    /// Statistics and statuses of the slices.
    pub segmentation: &'a Segmentation,
    /// The contours.
    pub contours: &'a Contours,
    /// The library and the model.
    pub provenance: &'a Provenance,
    /// The segmenter's context factor, which enlarges a box to what the segmenter saw.
    pub context_factor: f64,
}

/// Writes the preview as PNG.
///
/// # Errors
/// [`Error::Write`].
pub fn write_preview(path: &Path, preview: &Preview<'_>) -> Result<()> {
    let png = draw(preview)?
        .encode_png()
        .map_err(|e| Error::Internal(format!("the preview cannot be encoded: {e}")))?;
    write_atomically(path, |file| std::io::Write::write_all(file, &png))
}

fn draw(preview: &Preview<'_>) -> Result<Pixmap> {
    let slices = preview.detection.slices();
    let (cell_width, cell_height) = (3 * PANEL + 2 * GAP, PANEL + CAPTION);
    let columns = columns(slices.len() as u32);
    let rows = (slices.len() as u32).div_ceil(columns);
    let width = MARGIN + columns * (cell_width + MARGIN);
    let text = Text::new()?;
    let notes = header::notes(preview, &text, (width - 2 * MARGIN) as f32);
    let header = header::height(&notes);
    let height = header + rows * (cell_height + MARGIN) + MARGIN;
    let mut canvas = Pixmap::new(width, height)
        .ok_or_else(|| Error::Internal("the preview is too large".into()))?;
    let [r, g, b] = BACKGROUND;
    canvas.fill(Color::from_rgba8(r, g, b, 255));
    header::draw(&mut canvas, &text, &notes);
    let window = window(preview);
    let rings = rings(preview)?;
    for (at, slice) in slices.iter().enumerate() {
        let x = MARGIN + (at as u32 % columns) * (cell_width + MARGIN);
        let y = header + (at as u32 / columns) * (cell_height + MARGIN);
        let rings = rings.get(&slice.info.slice).map_or(&[][..], Vec::as_slice);
        let cell = Cell { preview, slice, rings, window: &window };
        cell.draw(&mut canvas, &text, [x, y]);
    }
    Ok(canvas)
}

/// About three cells in a row for a usual study, fewer for few slices.
fn columns(slices: u32) -> u32 {
    match slices {
        0..=3 => 1,
        4..=12 => 2,
        _ => 3,
    }
}

/// The square of the grid that the panels show.
struct Window {
    x: usize,
    y: usize,
    side: usize,
}

/// The smallest square with the head and every box of all slices, so that neither is shown smaller
/// than need be.
fn window(preview: &Preview<'_>) -> Window {
    let grid = preview.detection.grid();
    let (mut low, mut high) = ([grid as f64; 2], [0.0f64; 2]);
    let mut take = |x: f64, y: f64| {
        for (n, v) in [x, y].into_iter().enumerate() {
            low[n] = low[n].min(v);
            high[n] = high[n].max(v);
        }
    };
    let t1c = preview.prepared.images.index_axis(ndarray::Axis(1), 1);
    for ((_, y, x), value) in t1c.indexed_iter() {
        if *value > HEAD {
            take(x as f64, y as f64);
            take(x as f64 + 1.0, y as f64 + 1.0);
        }
    }
    for slice in preview.detection.slices() {
        let visited = slice.trajectory.iter().flat_map(|t| t.boxes.iter().copied());
        let seen = slice.bounding_box.map(|b| b.enlarged(preview.context_factor, grid));
        for b in visited.chain(seen) {
            take(b.0[0], b.0[1]);
            take(b.0[2], b.0[3]);
        }
    }
    let side = (high[0] - low[0]).max(high[1] - low[1]).ceil().clamp(8.0, grid as f64) as usize;
    let start = |n: usize| {
        let centred = ((low[n] + high[n] - side as f64) / 2.0).round().max(0.0) as usize;
        centred.min(grid - side)
    };
    Window { x: start(0), y: start(1), side }
}

/// Rings of every canonical slice in grid coordinates.
fn rings(preview: &Preview<'_>) -> Result<BTreeMap<usize, Vec<Vec<[f64; 2]>>>> {
    let Preview { study, segmentation, .. } = preview;
    // The contours of a resliced T1C lie on other planes than the slices shown here.
    let axial = match &segmentation.axial {
        Some(axial) => {
            Some(contours_of_level(axial.view(), study.grid(), segmentation.threshold, None)?)
        }
        None => None,
    };
    let contours = axial.as_ref().unwrap_or(preview.contours);
    let locator = preview.study.grid().locator();
    let slices = preview.study.slices();
    let mut rings: BTreeMap<usize, Vec<Vec<[f64; 2]>>> = BTreeMap::new();
    for contour in contours.all() {
        let at = |point: &Point| {
            let [i, j, k] = locator.index(*point);
            (preview.prepared.fit.to_grid(i + 0.5, j + 0.5), k)
        };
        let Some(first) = contour.points.first() else { continue };
        let k = (at(first).1.round().max(0.0) as usize).min(slices - 1);
        rings.entry(k).or_default().push(contour.points.iter().map(|p| at(p).0).collect());
    }
    Ok(rings)
}
