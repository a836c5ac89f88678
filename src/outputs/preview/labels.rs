//! Words on a picture: DejaVu Sans, anti-aliased.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use tiny_skia::{Pixmap, PremultipliedColorU8};

use crate::error::{Error, Result};

/// Draws and measures text.
pub struct Text {
    font: FontRef<'static>,
}

impl Text {
    /// Loads the built-in font.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is damaged.
    pub fn new() -> Result<Self> {
        let font = FontRef::try_from_slice(dejavu::sans::regular())
            .map_err(|e| Error::Internal(format!("the built-in font: {e}")))?;
        Ok(Text { font })
    }

    /// Width in pixels.
    pub fn width(&self, words: &str, size: f32) -> f32 {
        let font = self.font.as_scaled(PxScale::from(size));
        words.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
    }

    /// Breaks `words` at spaces into lines of at most `width` pixels.
    pub fn wrapped(&self, words: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = vec![String::new()];
        for word in words.split(' ') {
            let last = lines.len() - 1;
            let longer = if lines[last].is_empty() {
                word.to_owned()
            } else {
                format!("{} {word}", lines[last])
            };
            if self.width(&longer, size) <= width || lines[last].is_empty() {
                lines[last] = longer;
            } else {
                lines.push(word.to_owned());
            }
        }
        lines
    }

    /// Draws `words` from `x` on with the baseline at `y`; what lies outside the canvas is cut.
    pub fn draw(
        &self,
        canvas: &mut Pixmap,
        words: &str,
        [x, y]: [f32; 2],
        size: f32,
        colour: [u8; 3],
    ) {
        let scale = PxScale::from(size);
        let font = self.font.as_scaled(scale);
        let (width, height) = (canvas.width() as i32, canvas.height() as i32);
        let mut pen = x;
        for c in words.chars() {
            let id = font.glyph_id(c);
            let glyph = id.with_scale_and_position(scale, point(pen, y));
            pen += font.h_advance(id);
            let Some(outlined) = self.font.outline_glyph(glyph) else { continue };
            let bounds = outlined.px_bounds();
            let pixels = canvas.pixels_mut();
            outlined.draw(|gx, gy, coverage| {
                let (px, py) = (bounds.min.x as i32 + gx as i32, bounds.min.y as i32 + gy as i32);
                if px < 0 || py < 0 || px >= width || py >= height {
                    return;
                }
                let pixel = &mut pixels[(py * width + px) as usize];
                let mix = |below: u8, ink: u8| {
                    (f32::from(below)
                        + (f32::from(ink) - f32::from(below)) * coverage.clamp(0.0, 1.0))
                        as u8
                };
                let mixed = PremultipliedColorU8::from_rgba(
                    mix(pixel.red(), colour[0]),
                    mix(pixel.green(), colour[1]),
                    mix(pixel.blue(), colour[2]),
                    255,
                );
                if let Some(mixed) = mixed {
                    *pixel = mixed;
                }
            });
        }
    }
}
