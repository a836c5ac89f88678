//! Drawing an ROI on the slices of a series.
//!
//! In: the contours of an ROI, in patient millimetres. Out: rings on their slices, and the mask
//! that they enclose together; or the reason why a contour belongs to no slice.

use std::collections::{BTreeMap, HashMap};

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ndarray::{Array3, Axis};

use super::decimal::decimals;
use super::element::{CLOSED_PLANAR, CLOSED_PLANAR_XOR, items, text};
use super::read::{Roi, RoiMask, SliceBy, StructureSet, geometric_type};
use crate::error::{Error, Result};
use crate::geometry::grid::{Grid, Point, dot, sub};
use crate::geometry::raster::{Span, common, count, spans, toggle};
use crate::volume::{DicomSeries, Volume};

/// How far (mm) a contour's points may lie from the plane of their slice: planning systems round to
/// hundredths or tenths. The tolerance is at most a quarter of the distance to the next slice.
pub const PLANE_TOLERANCE_MM: f64 = 0.5;

/// One closed contour on its slice.
struct Ring {
    /// 1-based position in the Contour Sequence.
    number: usize,
    slice: usize,
    points: Vec<[f64; 2]>,
    /// CLOSEDPLANAR_XOR: overlap always means exclusive-or.
    xor: bool,
}

/// Draws an ROI on the grid of `reference`, to which it belongs.
pub(super) fn draw(
    set: &StructureSet,
    roi: &Roi,
    reference: &Volume,
    by: SliceBy,
) -> Result<RoiMask> {
    let grid = reference.grid();
    let mut drawing = Drawing { set, roi, grid, reference, by, warnings: Vec::new() };
    let [ni, nj, nk] = grid.size();
    let mut mask = Array3::zeros((nk, nj, ni));
    let mut slices: BTreeMap<usize, Vec<(Ring, Vec<Span>)>> = BTreeMap::new();
    for ring in drawing.rings()? {
        let spans = spans(&ring.points, ni, nj);
        slices.entry(ring.slice).or_default().push((ring, spans));
    }
    for (k, mut rings) in slices {
        drawing.drop_repeated(k, &mut rings);
        drawing.warn_of_overlaps(k, &rings);
        let mut slice = mask.index_axis_mut(Axis(0), k);
        rings.iter().for_each(|(_, spans)| toggle(spans, &mut slice));
    }
    Ok(RoiMask { mask, warnings: drawing.warnings })
}

/// Numbers of contours that deserve a warning.
#[derive(Default)]
struct Counts {
    /// Contours that are not closed, by type.
    skipped: BTreeMap<String, usize>,
    /// Contours of fewer than three points.
    flat: usize,
    /// Contours whose slice was found from their plane alone.
    unnamed: usize,
    /// Contours that reach beyond the image.
    beyond: usize,
}

/// The state of drawing one ROI.
struct Drawing<'a> {
    set: &'a StructureSet,
    roi: &'a Roi,
    grid: &'a Grid,
    reference: &'a Volume,
    by: SliceBy,
    warnings: Vec<String>,
}

impl Drawing<'_> {
    /// All closed contours on their slices.
    fn rings(&mut self) -> Result<Vec<Ring>> {
        let planes = Planes::new(self.grid);
        let [ni, nj, _] = self.grid.size().map(|n| n as f64);
        let images = self.reference.dicom().map(images).unwrap_or_default();
        let mut rings = Vec::new();
        let mut counts = Counts::default();
        for (n, contour) in self.set.contours(self.roi).iter().enumerate() {
            let number = n + 1;
            let kind = geometric_type(contour);
            if !matches!(kind.as_str(), CLOSED_PLANAR | CLOSED_PLANAR_XOR) {
                *counts.skipped.entry(kind).or_default() += 1;
                continue;
            }
            let points = self.points(contour, number)?;
            if points.len() < 3 {
                counts.flat += 1;
                continue;
            }
            let named = match self.by {
                SliceBy::Image if !images.is_empty() => {
                    self.referenced_slice(contour, number, &images)?
                }
                _ => None,
            };
            counts.unnamed += usize::from(named.is_none());
            let slice = self.slice(&points, number, named, &planes)?;
            let points: Vec<[f64; 2]> = points.iter().map(|p| planes.index(*p, slice)).collect();
            let outside =
                |[i, j]: &[f64; 2]| *i < -0.51 || *j < -0.51 || *i > ni - 0.49 || *j > nj - 0.49;
            counts.beyond += usize::from(points.iter().any(outside));
            rings.push(Ring { number, slice, points, xor: kind == CLOSED_PLANAR_XOR });
        }
        self.warn_of(counts, rings.is_empty(), images.is_empty())?;
        Ok(rings)
    }

    /// Turns counts into warnings.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the ROI has contours, but no closed planar one.
    fn warn_of(&mut self, counts: Counts, no_ring: bool, no_image: bool) -> Result<()> {
        let place = format!("{}: {}", self.set.path().display(), self.roi);
        let Counts { skipped, flat, unnamed, beyond } = counts;
        if !skipped.is_empty() {
            let list = skipped
                .iter()
                .map(|(kind, n)| format!("{n} {kind}"))
                .collect::<Vec<_>>()
                .join(", ");
            if no_ring {
                return Err(Error::Unsupported(format!(
                    "{place}: its contours are {list}, expected closed planar contours \
                     ({CLOSED_PLANAR} or {CLOSED_PLANAR_XOR}). Export the ROI as closed contours"
                )));
            }
            self.warnings
                .push(format!("{place}: left out, as they enclose no area of a slice: {list}"));
        }
        if flat > 0 {
            self.warnings
                .push(format!("{place}: left out: {flat} contours of fewer than three points"));
        }
        if unnamed > 0 {
            let why = match (self.by, no_image) {
                (SliceBy::Plane, _) => "as requested",
                (_, true) => "the reference is not DICOM",
                (_, false) => "they reference no image",
            };
            self.warnings.push(format!(
                "{place}: the slices of {unnamed} contours were found from their planes alone: \
                 {why}"
            ));
        }
        if beyond > 0 {
            self.warnings.push(format!(
                "{place}: {beyond} contours reach beyond the image; their parts outside are not \
                 counted"
            ));
        }
        Ok(())
    }

    /// How messages name a contour.
    fn contour_name(&self, number: usize) -> String {
        format!("{}: contour {number} of {}", self.set.path().display(), self.roi)
    }

    /// The points of a contour, LPS mm.
    fn points(&self, contour: &InMemDicomObject, number: usize) -> Result<Vec<Point>> {
        let values = decimals(contour, tags::CONTOUR_DATA);
        let damaged = |what: &str| {
            Error::read(format!(
                "{}: {what}: the structure set is damaged. Export it again",
                self.contour_name(number)
            ))
        };
        let values = values
            .ok_or_else(|| damaged("its Contour Data holds something other than finite numbers"))?;
        if values.len() % 3 != 0 {
            return Err(damaged(&format!("{} coordinates, expected triplets", values.len())));
        }
        let promised = text(contour, tags::NUMBER_OF_CONTOUR_POINTS);
        if promised.parse::<usize>().is_ok_and(|n| n != values.len() / 3) {
            return Err(damaged(&format!(
                "{} points, expected {promised} by Number of Contour Points",
                values.len() / 3
            )));
        }
        Ok(values.chunks_exact(3).map(|v| [v[0], v[1], v[2]]).collect())
    }

    /// The slice whose image the contour references; `None` if it references none.
    fn referenced_slice(
        &self,
        contour: &InMemDicomObject,
        number: usize,
        images: &Images<'_>,
    ) -> Result<Option<usize>> {
        let Some(image) = items(contour, tags::CONTOUR_IMAGE_SEQUENCE).first() else {
            return Ok(None);
        };
        let uid = text(image, tags::REFERENCED_SOP_INSTANCE_UID);
        if uid.is_empty() {
            return Ok(None);
        }
        let unknown = || {
            Error::Geometry(format!(
                "{} references image {uid}, which is not one of the reference series' {}. {}",
                self.contour_name(number),
                images.values().map(Vec::len).sum::<usize>(),
                self.set.series_advice()
            ))
        };
        let frames = images.get(uid.as_str()).ok_or_else(unknown)?;
        let frame = text(image, tags::REFERENCED_FRAME_NUMBER).parse::<u32>().ok();
        Ok(match (&frames[..], frame) {
            ([(None, k)], _) => Some(*k),
            // A multi-frame image is referenced as a whole: the planes decide.
            (_, None) => None,
            (frames, Some(_)) => {
                Some(frames.iter().find(|(f, _)| *f == frame).ok_or_else(unknown)?.1)
            }
        })
    }

    /// The slice on whose plane the contour lies.
    fn slice(
        &self,
        points: &[Point],
        number: usize,
        named: Option<usize>,
        planes: &Planes,
    ) -> Result<usize> {
        let nearest = planes.nearest(points);
        let slice = named.unwrap_or(nearest);
        let off = planes.off(points, slice);
        if off <= planes.tolerance {
            return Ok(slice);
        }
        let tolerance = planes.tolerance;
        let found = match named {
            Some(k) if planes.off(points, nearest) <= tolerance => format!(
                "references the image of slice k {k}, but lies up to {off:.3} mm off its plane, on \
                 that of slice k {nearest} (--by-plane uses planes alone)"
            ),
            Some(k) => {
                format!(
                    "references the image of slice k {k}, but lies up to {off:.3} mm off its plane"
                )
            }
            None => format!(
                "lies on no slice: up to {off:.3} mm off the plane of the nearest, k {nearest}"
            ),
        };
        Err(Error::Geometry(format!(
            "{} {found}, expected at most {tolerance:.3} mm. Structures must be drawn on the \
             reference series' own slices: export them on it, or give the series that they were \
             drawn on",
            self.contour_name(number)
        )))
    }

    /// Drops repeated contours, as a contour drawn twice would cancel itself.
    fn drop_repeated(&mut self, k: usize, rings: &mut Vec<(Ring, Vec<Span>)>) {
        let key = |ring: &Ring| {
            let mut bits: Vec<[u64; 2]> = ring.points.iter().map(|p| p.map(f64::to_bits)).collect();
            bits.sort_unstable();
            bits
        };
        let mut seen = HashMap::new();
        let (roi, path, warnings) = (self.roi, self.set.path().display(), &mut self.warnings);
        rings.retain(|(ring, _)| {
            let first = *seen.entry(key(ring)).or_insert(ring.number);
            if first != ring.number {
                warnings.push(format!(
                    "{path}: {roi}: contour {} on slice k {k} repeats contour {first}; counted \
                     once",
                    ring.number
                ));
            }
            first == ring.number
        });
    }

    /// Warns of rings that overlap without one lying inside the other: some systems mean the union.
    fn warn_of_overlaps(&mut self, k: usize, rings: &[(Ring, Vec<Span>)]) {
        for (n, (a, first)) in rings.iter().enumerate() {
            for (b, second) in rings[n + 1..].iter().filter(|(b, _)| !(a.xor && b.xor)) {
                let both = common(first, second);
                if both > 0 && both < count(first) && both < count(second) {
                    self.warnings.push(format!(
                        "{}: {}: contours {} and {} on slice k {k} overlap and neither lies inside \
                         the other; the {both} voxels that both enclose count as outside (even-odd \
                         rule)",
                        self.set.path().display(),
                        self.roi,
                        a.number,
                        b.number
                    ));
                }
            }
        }
    }
}

/// Frame number and slice of every frame, by SOP Instance UID.
type Images<'a> = HashMap<&'a str, Vec<(Option<u32>, usize)>>;

fn images(series: &DicomSeries) -> Images<'_> {
    let mut images: Images<'_> = HashMap::new();
    for (k, slice) in series.slices.iter().enumerate() {
        images.entry(&slice.sop_instance_uid).or_default().push((slice.frame, k));
    }
    images
}

/// The planes of a grid's slices.
struct Planes<'a> {
    grid: &'a Grid,
    normal: Point,
    positions: Vec<f64>,
    tolerance: f64,
}

impl<'a> Planes<'a> {
    fn new(grid: &'a Grid) -> Self {
        let positions = grid.positions();
        let step = positions.windows(2).map(|w| (w[1] - w[0]).abs()).fold(f64::INFINITY, f64::min);
        Planes {
            grid,
            normal: grid.normal(),
            positions,
            tolerance: PLANE_TOLERANCE_MM.min(step / 4.0),
        }
    }

    /// Largest distance of the points from the plane of slice k, mm.
    fn off(&self, points: &[Point], k: usize) -> f64 {
        points.iter().map(|p| (dot(*p, self.normal) - self.positions[k]).abs()).fold(0.0, f64::max)
    }

    /// The slice nearest to the points.
    fn nearest(&self, points: &[Point]) -> usize {
        let mean = points.iter().map(|p| dot(*p, self.normal)).sum::<f64>() / points.len() as f64;
        let far = |k: &usize| (self.positions[*k] - mean).abs();
        (0..self.positions.len()).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(0)
    }

    /// Continuous index (i, j) of a point on slice k.
    fn index(&self, point: Point, k: usize) -> [f64; 2] {
        let (a, b, d) =
            (self.grid.axis_i(), self.grid.axis_j(), sub(point, self.grid.origins()[k]));
        // By the normal equations, as axes may be skewed.
        let (aa, ab, bb, u, v) = (dot(a, a), dot(a, b), dot(b, b), dot(d, a), dot(d, b));
        let det = aa * bb - ab * ab;
        [(bb * u - ab * v) / det, (aa * v - ab * u) / det]
    }
}
