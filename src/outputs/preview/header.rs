//! The head of the preview: the model, warnings, and a legend.

use tiny_skia::Pixmap;

use super::canvas::fill;
use super::labels::Text;
use super::{CONTOUR, CROP_BOX, FINAL_BOX, MARGIN, Preview, TRAJECTORY, WARNING, WORDS};

/// Height of a line, pixels.
const LINE: u32 = 18;

/// Size of the words, pixels.
const NOTE: f32 = 12.0;

/// A piece of the header: words, their colour, and a swatch before them.
pub(super) struct Note {
    words: String,
    colour: [u8; 3],
    swatch: Option<[u8; 3]>,
}

/// What the head says, broken into lines that fit `width`: no warning is ever cut.
pub(super) fn notes(preview: &Preview<'_>, text: &Text, width: f32) -> Vec<Vec<Note>> {
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
    // Only an agent leaves a trajectory.
    let has_trajectory = preview.detection.slices().iter().any(|slice| slice.trajectory.is_some());
    let legend = [
        ("the agent's trajectory", Some(TRAJECTORY)),
        ("final box", Some(FINAL_BOX)),
        ("what the segmenter saw", Some(CROP_BOX)),
        ("contour", Some(CONTOUR)),
        ("T1 | T1C | T2, seen from the feet: the patient's right (R) is on the left", None),
    ];
    let mut line = Vec::new();
    let mut used = 0.0;
    for (words, swatch) in legend.into_iter().skip(usize::from(!has_trajectory)) {
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

/// Height of the head, pixels.
pub(super) fn height(lines: &[Vec<Note>]) -> u32 {
    MARGIN + LINE * lines.len() as u32 + MARGIN / 2
}

/// Draws the lines at the top of the canvas.
pub(super) fn draw(canvas: &mut Pixmap, text: &Text, lines: &[Vec<Note>]) {
    for (n, line) in lines.iter().enumerate() {
        let mut x = MARGIN as f32;
        let baseline = (MARGIN + LINE * (n as u32 + 1)) as f32 - 6.0;
        for note in line {
            if let Some(colour) = note.swatch {
                fill(canvas, [x, baseline - 9.0, 12.0, 9.0], colour, 255);
                x += 16.0;
            }
            text.draw(canvas, &note.words, [x, baseline], NOTE, note.colour);
            x += text.width(&note.words, NOTE) + 18.0;
        }
    }
}
