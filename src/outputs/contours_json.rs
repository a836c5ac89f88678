//! contours.json: the contours of a region, for programs.
//!
//! In: [`Contours`], or a file that nasoseg wrote. Out: the other; of a file, what a mask needs.

use std::path::Path;

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::formats::json::{JsonFormat, read_json};
use crate::geometry::grid::{Grid, Point};
use crate::geometry::orientation::Orientation;
use crate::geometry::raster::rings_mask;
use crate::geometry::{Contour, ContourKind, Contours};
use crate::provenance::Provenance;
use crate::volume::Volume;

const FORMAT: JsonFormat = JsonFormat { name: "nasoseg-contours", version: 1 };

/// What the numbers mean, for whoever opens the file.
const AXES: &str = "points are LPS mm; indices are continuous (i, j) of slice k of the grid below; \
                    rings are closed";

/// The file but for its format.
#[derive(Serialize)]
struct File<'a> {
    warning: Option<&'a str>,
    provenance: Option<&'a Provenance>,
    axes: &'static str,
    grid: GridFields,
    kind: ContourKind,
    threshold: Option<f64>,
    contours: &'a [Contour],
}

/// The part of a file that is read back.
#[derive(Deserialize)]
struct Parsed {
    warning: Option<String>,
    grid: GridFields,
    contours: Vec<ParsedRing>,
}

#[derive(Serialize, Deserialize)]
struct GridFields {
    size: [usize; 3],
    axis_i_mm: Point,
    axis_j_mm: Point,
    origins_mm: Vec<Point>,
}

#[derive(Deserialize)]
struct ParsedRing {
    slice: usize,
    indices: Vec<[f64; 2]>,
}

/// Contours as they were read from a file.
#[derive(Debug, Clone)]
pub struct ContoursFile {
    /// What people must read beside the contours.
    pub warning: Option<String>,
    /// The grid that the contours were drawn on.
    pub grid: Grid,
    /// Slice k and continuous voxel indices (i, j) of every ring, outer rings and holes.
    pub rings: Vec<(usize, Vec<[f64; 2]>)>,
}

/// Writes `contours` to `path`; `warning` is what people must read beside them.
///
/// # Errors
/// [`Error::Write`] if `path` cannot be written.
pub fn write(path: &Path, contours: &Contours, warning: Option<&str>) -> Result<()> {
    let grid = contours.grid();
    let file = File {
        warning,
        provenance: contours.model().map(|(provenance, _)| provenance),
        axes: AXES,
        grid: GridFields {
            size: grid.size(),
            axis_i_mm: grid.axis_i(),
            axis_j_mm: grid.axis_j(),
            origins_mm: grid.origins().to_vec(),
        },
        kind: contours.kind(),
        threshold: contours.threshold().map(f64::from),
        contours: contours.all(),
    };
    FORMAT.write_on_one_line(path, &file)
}

impl ContoursFile {
    /// Reads a file that [`write()`] wrote.
    ///
    /// # Errors
    /// [`Error::Read`] if it cannot be read or is of another format; [`Error::Image`] or
    /// [`Error::Geometry`] if its grid makes no sense.
    pub fn read(path: &Path) -> Result<Self> {
        let json = read_json(path)?;
        FORMAT.check(&json).map_err(|e| e.within(path.display()))?;
        let Parsed { warning, grid, contours } = Parsed::deserialize(json).map_err(|e| {
            Error::read_caused(
                path,
                "found another structure, expected the contours.json that nasoseg writes. Give its \
                 output folder",
                e,
            )
        })?;
        let GridFields { size, axis_i_mm, axis_j_mm, origins_mm } = grid;
        let grid = Grid::new(size, axis_i_mm, axis_j_mm, origins_mm)
            .map_err(|e| e.within(path.display()))?;
        let rings = contours.into_iter().map(|ring| (ring.slice, ring.indices)).collect();
        Ok(ContoursFile { warning, grid, rings })
    }

    /// The region inside the rings, [k, j, i] in the storage order of `reference`, by the even-odd
    /// rule. Messages do not name the file.
    ///
    /// # Errors
    /// [`Error::Geometry`] if `reference` has another grid; [`Error::Argument`] if a ring lies on
    /// no slice.
    pub fn mask(&self, reference: &Volume) -> Result<Array3<u8>> {
        if Orientation::between(&self.grid, reference.grid()) != Some(Orientation::CANONICAL) {
            return Err(Error::Geometry(format!(
                "drawn on another grid than {}, expected the same. Give the series that the run \
                 was made on",
                reference.place()
            )));
        }
        let rings = self.rings.iter().map(|(slice, indices)| (*slice, &indices[..]));
        rings_mask(rings, reference.grid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contour::contours_of_mask;
    use crate::volume::Source;

    fn reference() -> Volume {
        let origins = [0.0, 3.0, 7.0].map(|z| [1.0, 2.0, z]).to_vec();
        let grid = Grid::new([8, 9, 3], [0.5, 0.0, 0.0], [0.0, 0.5, 0.0], origins).unwrap();
        Volume::new(Array3::zeros(grid.shape()), grid, Source::Memory, "reference").unwrap()
    }

    #[test]
    fn what_was_written_comes_back_as_the_same_mask() {
        let reference = reference();
        // A square with a hole.
        let mask = Array3::from_shape_fn(reference.grid().shape(), |(k, j, i)| {
            u8::from(k == 1 && (1..7).contains(&j) && (2..7).contains(&i) && (i, j) != (4, 4))
        });
        let contours = contours_of_mask(mask.view(), reference.grid()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contours.json");
        write(&path, &contours, Some("read me")).unwrap();
        let file = ContoursFile::read(&path).unwrap();
        assert_eq!(file.warning.as_deref(), Some("read me"));
        assert_eq!(file.rings.len(), 2);
        assert_eq!(file.mask(&reference).unwrap(), mask);

        let text = std::fs::read_to_string(&path).unwrap();
        let refused = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            ContoursFile::read(&path)
                .and_then(|file| file.mask(&reference))
                .unwrap_err()
                .to_string()
        };
        for (from, to, says) in [
            ("nasoseg-contours", "nasoseg-run", "found format nasoseg-run 1, expected nasoseg-con"),
            ("\"indices\"", "\"points_px\"", "expected the contours.json that nasoseg writes"),
            ("\"size\":[8,9,3]", "\"size\":[9,8,3]", "drawn on another grid than"),
            ("\"slice\":1", "\"slice\":3", "found a ring on slice k 3"),
        ] {
            let error = refused(from, to);
            assert!(error.contains(says), "{to}: {error}");
        }
    }
}
