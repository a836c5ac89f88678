//! One slice of the preview: three panels and a caption.

use tiny_skia::{Pixmap, StrokeDash};

use super::canvas::{Pen, line, paint, rectangle};
use super::labels::Text;
use super::{
    CONTOUR, CROP_BOX, FINAL_BOX, GAP, PANEL, Preview, TRAJECTORY, WARNING, WORDS, Window,
};
use crate::detect::SliceDetection;
use crate::segment::SliceSegmentation;
use crate::status::SliceStatus;

/// Size of the caption and of the sequences' names, pixels.
const CAPTION_SIZE: f32 = 11.0;

/// Size of the letters for the patient's sides, pixels.
const SIDE_SIZE: f32 = 10.0;

/// The channel that the boxes are drawn on: T1C.
const REFERENCE: usize = 1;

/// What is shown of one slice.
pub(super) struct Cell<'a> {
    pub preview: &'a Preview<'a>,
    pub slice: &'a SliceDetection,
    /// The contours, in pixel edges of the model's grid.
    pub rings: &'a [Vec<[f64; 2]>],
    pub window: &'a Window,
}

impl Cell<'_> {
    /// Draws the cell with its upper left corner at `corner`.
    pub fn draw(&self, canvas: &mut Pixmap, text: &Text, [x, y]: [u32; 2]) {
        for (channel, name) in ["T1", "T1C", "T2"].into_iter().enumerate() {
            let left = x + channel as u32 * (PANEL + GAP);
            self.panel(canvas, channel, [left, y]);
            let (l, t) = (left as f32, y as f32);
            let middle = t + PANEL as f32 / 2.0;
            text.draw(canvas, name, [l + 4.0, t + 13.0], CAPTION_SIZE, WORDS);
            text.draw(canvas, "R", [l + 3.0, middle], SIDE_SIZE, WORDS);
            text.draw(canvas, "L", [l + PANEL as f32 - 10.0, middle], SIDE_SIZE, WORDS);
        }
        self.caption(canvas, text, [x as f32, (y + PANEL) as f32 + 14.0]);
    }

    /// One sequence with what was found on it.
    fn panel(&self, canvas: &mut Pixmap, channel: usize, [left, top]: [u32; 2]) {
        let Cell { preview, slice, rings, window } = self;
        let row = slice.info.slice - preview.prepared.slices.start;
        let shown = ndarray::s![window.y..window.y + window.side, window.x..window.x + window.side];
        let plane = preview.prepared.images.index_axis(ndarray::Axis(0), row);
        paint(canvas, plane.index_axis(ndarray::Axis(0), channel).slice(shown), [left, top]);
        let scale = f64::from(PANEL) / window.side as f64;
        let place = |[x, y]: [f64; 2]| {
            (
                (f64::from(left) + (x - window.x as f64) * scale) as f32,
                (f64::from(top) + (y - window.y as f64) * scale) as f32,
            )
        };
        if channel == REFERENCE {
            self.boxes(canvas, place);
        }
        for ring in *rings {
            let points: Vec<_> = ring.iter().map(|p| place(*p)).collect();
            let pen = Pen { colour: CONTOUR, alpha: 255, width: 1.2, dash: None };
            line(canvas, &points, true, pen);
        }
    }

    /// The agent's trajectory, the final box, and what the segmenter saw.
    fn boxes(&self, canvas: &mut Pixmap, place: impl Fn([f64; 2]) -> (f32, f32)) {
        if let Some(trajectory) = &self.slice.trajectory {
            let n = trajectory.boxes.len();
            for (step, b) in trajectory.boxes.iter().enumerate() {
                // Later boxes are stronger.
                let alpha = 70 + (150 * step / n.max(1)) as u8;
                let pen = Pen { colour: TRAJECTORY, alpha, width: 1.0, dash: None };
                rectangle(canvas, b, &place, pen);
            }
            let centre = |b: &[f64; 4]| place([(b[0] + b[2]) / 2.0, (b[1] + b[3]) / 2.0]);
            let centres: Vec<_> = trajectory.boxes.iter().map(|b| centre(&b.0)).collect();
            let pen = Pen { colour: TRAJECTORY, alpha: 220, width: 1.2, dash: None };
            line(canvas, &centres, false, pen);
        }
        if let Some(b) = self.slice.bounding_box {
            let seen = b.enlarged(self.preview.context_factor, self.preview.detection.grid());
            let dash = StrokeDash::new(vec![3.0, 3.0], 0.0);
            rectangle(
                canvas,
                &seen,
                &place,
                Pen { colour: CROP_BOX, alpha: 230, width: 1.0, dash },
            );
            let pen = Pen { colour: FINAL_BOX, alpha: 255, width: 1.4, dash: None };
            rectangle(canvas, &b, &place, pen);
        }
    }

    /// Number, position, steps and area; then the statuses.
    fn caption(&self, canvas: &mut Pixmap, text: &Text, [x, baseline]: [f32; 2]) {
        let Cell { preview, slice, .. } = self;
        let same = |s: &&SliceSegmentation| s.info.slice == slice.info.slice;
        let result = preview.segmentation.slices.iter().find(same);
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
        text.draw(canvas, &caption, [x, baseline], CAPTION_SIZE, WORDS);
        if !statuses.is_empty() {
            let right = x + text.width(&caption, CAPTION_SIZE) + 14.0;
            let words = SliceStatus::list(statuses);
            text.draw(canvas, &words, [right, baseline], CAPTION_SIZE, WARNING);
        }
    }
}
