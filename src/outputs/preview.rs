//! A picture that a physician can check a run by.
//!
//! In: the prepared slices, the detection, the segmentation, the contours. Out: a PNG: one cell per
//! slice in range with T1, T1C and T2 side by side (patient's right on the left), the agent's walk
//! and final box on T1C, the contour on all three, a caption, and the model's name.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::ArrayView2;
use tiny_skia::{
    Color, Paint, PathBuilder, Pixmap, PremultipliedColorU8, Rect, Stroke, StrokeDash, Transform,
};

use crate::contour::{Contours, contours_of_level};
use crate::detect::{BoundingBox, Detection, SliceDetection};
use crate::error::{Error, Result};
use crate::formats::write::write_atomically;
use crate::geometry::Point;
use crate::outputs::labels::Text;
use crate::provenance::Provenance;
use crate::segment::Segmentation;
use crate::status::SliceStatus;
use crate::study::{Prepared, Study};

/// Side of one panel, pixels.
const PANEL: u32 = 208;
const GAP: u32 = 2;
const CAPTION: u32 = 20;
/// What is brighter than this on T1C (of 1) belongs to the head.
const HEAD: f32 = 0.08;
/// Height of a line of the header.
const LINE: u32 = 18;
const MARGIN: u32 = 10;

/// Size of the header's words, pixels.
const NOTE: f32 = 12.0;

const BACKGROUND: [u8; 3] = [16, 18, 22];
const WALK: [u8; 3] = [90, 170, 255];
const FINAL_BOX: [u8; 3] = [255, 214, 10];
const CROP_BOX: [u8; 3] = [170, 170, 170];
const OUTLINE: [u8; 3] = [255, 70, 90];
const WORDS: [u8; 3] = [225, 228, 232];
const WARNING: [u8; 3] = [255, 150, 60];

/// What the preview shows.
pub struct Preview<'a> {
    pub study: &'a Study,
    pub prepared: &'a Prepared,
    pub detection: &'a Detection,
    pub segmentation: &'a Segmentation,
    pub contours: &'a Contours,
    pub provenance: &'a Provenance,
    /// The segmenter's context factor, to draw the box that it saw.
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
    let notes = notes(preview, &text, (width - 2 * MARGIN) as f32);
    let header = MARGIN + LINE * notes.len() as u32 + MARGIN / 2;
    let height = header + rows * (cell_height + MARGIN) + MARGIN;
    let mut canvas = Pixmap::new(width, height)
        .ok_or_else(|| Error::Internal("the preview is too large".into()))?;
    canvas.fill(rgb(BACKGROUND));
    draw_notes(&mut canvas, &text, &notes);
    let window = window(preview);
    let outlines = outlines(preview)?;
    for (at, slice) in slices.iter().enumerate() {
        let x = MARGIN + (at as u32 % columns) * (cell_width + MARGIN);
        let y = header + (at as u32 / columns) * (cell_height + MARGIN);
        cell(
            &mut canvas,
            &text,
            preview,
            slice,
            outlines.get(&slice.info.slice).map_or(&[], Vec::as_slice),
            &window,
            [x, y],
        );
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
        let walk = slice.trajectory.iter().flat_map(|t| t.boxes.iter().copied());
        let seen = slice.bounding_box.map(|b| b.enlarged(preview.context_factor, grid));
        for b in walk.chain(seen) {
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
fn outlines(preview: &Preview<'_>) -> Result<BTreeMap<usize, Vec<Vec<[f64; 2]>>>> {
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

/// A piece of the header: words, their colour, and a swatch before them.
struct Note {
    words: String,
    colour: [u8; 3],
    swatch: Option<[u8; 3]>,
}

/// The header, broken into lines that fit `width`: no warning is ever cut.
fn notes(preview: &Preview<'_>, text: &Text, width: f32) -> Vec<Vec<Note>> {
    let p = preview.provenance;
    let hash = p.model_hash.get(..12).unwrap_or_default();
    let volume = preview.segmentation.volume_mm3 / 1000.0;
    let warning = p.warning().unwrap_or_else(|| format!("Not a medical device. {}", p.statement));
    let mut lines = Vec::new();
    let resliced = preview.study.resliced().map(|r| {
        (
            format!(
                "{}. The contour shown here is the one on the axial slices.",
                r.summary.warning()
            ),
            WARNING,
        )
    });
    for (words, colour) in [
        (
            format!(
                "nasoseg {}   model {} {} ({hash})   volume {volume:.1} cm\u{b3}",
                p.library_version, p.model_name, p.model_version
            ),
            WORDS,
        ),
        (warning, WARNING),
    ]
    .into_iter()
    .chain(resliced)
    {
        lines.extend(
            text.wrapped(&words, NOTE, width)
                .into_iter()
                .map(|words| vec![Note { words, colour, swatch: None }]),
        );
    }
    // Other detectors than the agent walk nowhere.
    let walked = preview.detection.slices().iter().any(|slice| slice.trajectory.is_some());
    let legend = [
        ("the agent's walk", Some(WALK)),
        ("final box", Some(FINAL_BOX)),
        ("what the segmenter saw", Some(CROP_BOX)),
        ("contour", Some(OUTLINE)),
        ("T1 | T1C | T2, seen from the feet: the patient's right (R) is on the left", None),
    ];
    let mut line = Vec::new();
    let mut used = 0.0;
    for (words, swatch) in legend.into_iter().skip(usize::from(!walked)) {
        let wide = text.width(words, NOTE) + 34.0;
        if used + wide > width && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
            used = 0.0;
        }
        used += wide;
        line.push(Note { words: words.into(), colour: WORDS, swatch });
    }
    lines.push(line);
    lines
}

fn draw_notes(canvas: &mut Pixmap, text: &Text, lines: &[Vec<Note>]) {
    for (n, line) in lines.iter().enumerate() {
        let mut x = MARGIN as f32;
        let baseline = (MARGIN + LINE * (n as u32 + 1)) as f32 - 6.0;
        for note in line {
            if let Some(colour) = note.swatch {
                fill(canvas, [x, baseline - 9.0, 12.0, 9.0], colour, 255);
                x += 16.0;
            }
            text.draw(canvas, &note.words, x, baseline, NOTE, note.colour);
            x += text.width(&note.words, NOTE) + 18.0;
        }
    }
}

fn cell(
    canvas: &mut Pixmap,
    text: &Text,
    preview: &Preview<'_>,
    slice: &SliceDetection,
    rings: &[Vec<[f64; 2]>],
    window: &Window,
    [x, y]: [u32; 2],
) {
    let row = slice.info.slice - preview.prepared.slices.start;
    let grid = preview.detection.grid();
    let scale = f64::from(PANEL) / window.side as f64;
    let shown = ndarray::s![window.y..window.y + window.side, window.x..window.x + window.side];
    for (channel, name) in ["T1", "T1C", "T2"].into_iter().enumerate() {
        let left = x + channel as u32 * (PANEL + GAP);
        let plane = preview.prepared.images.index_axis(ndarray::Axis(0), row);
        paint(canvas, plane.index_axis(ndarray::Axis(0), channel).slice(shown), [left, y]);
        let place = |[px, py]: [f64; 2]| {
            (
                (f64::from(left) + (px - window.x as f64) * scale) as f32,
                (f64::from(y) + (py - window.y as f64) * scale) as f32,
            )
        };
        if channel == 1 {
            if let Some(trajectory) = &slice.trajectory {
                let n = trajectory.boxes.len();
                for (step, b) in trajectory.boxes.iter().enumerate() {
                    // Later boxes are stronger.
                    let alpha = 70 + (150 * step / n.max(1)) as u8;
                    outline(canvas, b, place, WALK, alpha, 1.0, None);
                }
                let centres: Vec<_> = trajectory
                    .boxes
                    .iter()
                    .map(|b| place([(b.0[0] + b.0[2]) / 2.0, (b.0[1] + b.0[3]) / 2.0]))
                    .collect();
                line(canvas, &centres, false, WALK, 220, 1.2, None);
            }
            if let Some(b) = slice.bounding_box {
                outline(
                    canvas,
                    &b.enlarged(preview.context_factor, grid),
                    place,
                    CROP_BOX,
                    230,
                    1.0,
                    StrokeDash::new(vec![3.0, 3.0], 0.0),
                );
                outline(canvas, &b, place, FINAL_BOX, 255, 1.4, None);
            }
        }
        for ring in rings {
            let points: Vec<_> = ring.iter().map(|p| place(*p)).collect();
            line(canvas, &points, true, OUTLINE, 255, 1.2, None);
        }
        let (l, t) = (left as f32, y as f32);
        text.draw(canvas, name, l + 4.0, t + 13.0, 11.0, WORDS);
        text.draw(canvas, "R", l + 3.0, t + PANEL as f32 / 2.0, 10.0, WORDS);
        text.draw(canvas, "L", l + PANEL as f32 - 10.0, t + PANEL as f32 / 2.0, 10.0, WORDS);
    }
    let result = preview.segmentation.slices.iter().find(|s| s.info.slice == slice.info.slice);
    let statuses = result.map_or(slice.statuses.as_slice(), |s| s.statuses.as_slice());
    let mut caption = format!("slice {}  z {:.1} mm", slice.info.slice, slice.info.position_mm);
    if let Some(trajectory) = &slice.trajectory {
        let steps = trajectory.steps();
        caption += &format!("  {steps} step{}", if steps == 1 { "" } else { "s" });
    }
    if slice.edited {
        caption += "  edited";
    }
    if let Some(result) = result.filter(|r| r.pixels > 0) {
        caption += &format!("  {:.0} mm\u{b2}", result.area_mm2);
    }
    let baseline = (y + PANEL) as f32 + 14.0;
    text.draw(canvas, &caption, x as f32, baseline, 11.0, WORDS);
    if !statuses.is_empty() {
        text.draw(
            canvas,
            &SliceStatus::list(statuses),
            x as f32 + text.width(&caption, 11.0) + 14.0,
            baseline,
            11.0,
            WARNING,
        );
    }
}

/// Part of a slice on a panel: box-averaged where it shrinks, nearest where it grows.
fn paint(canvas: &mut Pixmap, plane: ArrayView2<'_, f32>, [left, top]: [u32; 2]) {
    let (rows, columns) = plane.dim();
    let width = canvas.width();
    let span = |at: u32, n: usize| {
        let low = (at as usize * n / PANEL as usize).min(n - 1);
        let high = ((at as usize + 1) * n).div_ceil(PANEL as usize).clamp(low + 1, n);
        low..high
    };
    for y in 0..PANEL {
        for x in 0..PANEL {
            let (rs, cs) = (span(y, rows), span(x, columns));
            let block = plane.slice(ndarray::s![rs, cs]);
            let value = (block.sum() / block.len() as f32 * 255.0).clamp(0.0, 255.0) as u8;
            let at = ((top + y) * width + left + x) as usize;
            if let Some(colour) = PremultipliedColorU8::from_rgba(value, value, value, 255) {
                canvas.pixels_mut()[at] = colour;
            }
        }
    }
}

fn outline(
    canvas: &mut Pixmap,
    b: &BoundingBox,
    place: impl Fn([f64; 2]) -> (f32, f32),
    colour: [u8; 3],
    alpha: u8,
    width: f32,
    dash: Option<StrokeDash>,
) {
    let [x0, y0, x1, y1] = b.0;
    let corners: Vec<_> = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]].into_iter().map(place).collect();
    line(canvas, &corners, true, colour, alpha, width, dash);
}

fn line(
    canvas: &mut Pixmap,
    points: &[(f32, f32)],
    closed: bool,
    colour: [u8; 3],
    alpha: u8,
    width: f32,
    dash: Option<StrokeDash>,
) {
    let Some((first, rest)) = points.split_first() else { return };
    let mut builder = PathBuilder::new();
    builder.move_to(first.0, first.1);
    for (x, y) in rest {
        builder.line_to(*x, *y);
    }
    if closed {
        builder.close();
    }
    let Some(path) = builder.finish() else { return };
    let stroke = Stroke { width, dash, ..Default::default() };
    canvas.stroke_path(&path, &ink(colour, alpha), &stroke, Transform::identity(), None);
}

fn fill(canvas: &mut Pixmap, [x, y, w, h]: [f32; 4], colour: [u8; 3], alpha: u8) {
    if let Some(rect) = Rect::from_xywh(x, y, w, h) {
        canvas.fill_rect(rect, &ink(colour, alpha), Transform::identity(), None);
    }
}

fn ink(colour: [u8; 3], alpha: u8) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Default::default() };
    paint.set_color_rgba8(colour[0], colour[1], colour[2], alpha);
    paint
}

fn rgb([r, g, b]: [u8; 3]) -> Color {
    Color::from_rgba8(r, g, b, 255)
}
