//! Images, lines and rectangles on a picture.

use ndarray::ArrayView2;
use tiny_skia::{
    Paint, PathBuilder, Pixmap, PremultipliedColorU8, Rect, Stroke, StrokeDash, Transform,
};

use super::PANEL;
use crate::detect::BoundingBox;

/// How a line is drawn.
#[derive(Default)]
pub(super) struct Pen {
    pub colour: [u8; 3],
    pub alpha: u8,
    /// Pixels.
    pub width: f32,
    pub dash: Option<StrokeDash>,
}

/// Part of a slice on a panel: averaged if it shrinks, nearest pixel if it grows.
pub(super) fn paint(canvas: &mut Pixmap, plane: ArrayView2<'_, f32>, [left, top]: [u32; 2]) {
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

/// A box whose corners `place` maps to the canvas.
pub(super) fn rectangle(
    canvas: &mut Pixmap,
    bounding_box: &BoundingBox,
    place: impl Fn([f64; 2]) -> (f32, f32),
    pen: Pen,
) {
    let [x0, y0, x1, y1] = bounding_box.0;
    let corners: Vec<_> = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]].into_iter().map(place).collect();
    line(canvas, &corners, true, pen);
}

/// A line through points of the canvas.
pub(super) fn line(canvas: &mut Pixmap, points: &[(f32, f32)], closed: bool, pen: Pen) {
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
    let Pen { colour, alpha, width, dash } = pen;
    let stroke = Stroke { width, dash, ..Default::default() };
    canvas.stroke_path(&path, &ink(colour, alpha), &stroke, Transform::identity(), None);
}

/// A filled rectangle: left, top, width, height.
pub(super) fn fill(canvas: &mut Pixmap, [x, y, w, h]: [f32; 4], colour: [u8; 3], alpha: u8) {
    if let Some(rect) = Rect::from_xywh(x, y, w, h) {
        canvas.fill_rect(rect, &ink(colour, alpha), Transform::identity(), None);
    }
}

fn ink(colour: [u8; 3], alpha: u8) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Default::default() };
    paint.set_color_rgba8(colour[0], colour[1], colour[2], alpha);
    paint
}
