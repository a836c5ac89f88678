//! What a person changed: an edited structure set against ours, as a table and evaluation.json.

use std::path::Path;

use nasoseg::compare::{Comparison, compare};
use nasoseg::formats::read::is_dicom;
use nasoseg::formats::rtstruct::{DEMO_NAME, DEMO_WARNING};
use nasoseg::formats::rtstruct::{Roi, SliceBy, StructureSet};
use nasoseg::formats::write::write_atomically;
use nasoseg::formats::{ReadOptions, read};
use nasoseg::geometry::Grid;
use nasoseg::geometry::orientation::Orientation;
use nasoseg::geometry::raster::rings_mask;
use nasoseg::geometry::transfer::{Sampling, transfer};
use nasoseg::provenance::DEMO_MARK;
use nasoseg::volume::Source;
use nasoseg::{Error, Result, Volume};
use ndarray::Array3;
use serde_json::{Value, json};

use crate::args::Evaluation;
use crate::inputs;

/// A region on the reference's grid, and what must be said about it.
struct Drawn {
    /// File and region, for people.
    name: String,
    mask: Array3<u8>,
    warnings: Vec<String>,
    /// Set where a demonstration model made it.
    demo: Option<String>,
}

pub fn evaluate(arguments: &Evaluation) -> Result<()> {
    let options = inputs::read_options(
        &arguments.reference_series,
        &arguments.reference_pick,
        arguments.allow_gaps,
    );
    let reference = read(&arguments.reference, &options).map_err(|e| e.within("reference"))?;
    let by = if arguments.by_plane { SliceBy::Plane } else { SliceBy::Image };
    let edited = structure_set(&arguments.rtstruct, arguments.roi.as_deref(), &reference, by)?;
    let ours = ours(&arguments.ours, arguments.ours_roi.as_deref(), &reference, by)?;
    let found = compare(ours.mask.view(), edited.mask.view(), &reference, arguments.tolerance_mm)?;
    let demo = ours.demo.as_ref().or(edited.demo.as_ref());
    let warnings: Vec<&String> = edited.warnings.iter().chain(&ours.warnings).collect();

    let mut record = json!({
        "format": "nasoseg-evaluation",
        "format_version": 1,
        "warning": demo,
        "library_version": env!("CARGO_PKG_VERSION"),
        "edited": edited.name,
        "ours": ours.name,
        "reference": reference.place(),
        "warnings": warnings,
    });
    if let (Value::Object(record), Value::Object(found)) =
        (&mut record, serde_json::to_value(&found).map_err(|e| Error::Internal(e.to_string()))?)
    {
        record.extend(found);
    }
    let text = serde_json::to_string_pretty(&record).map_err(|e| Error::Internal(e.to_string()))?;
    std::fs::create_dir_all(&arguments.out).map_err(|e| {
        Error::write_caused(
            &arguments.out,
            "the output folder cannot be made. Choose another with --out",
            e,
        )
    })?;
    write_atomically(&arguments.out.join("evaluation.json"), |f| {
        std::io::Write::write_all(f, text.as_bytes())
    })?;

    for warning in warnings {
        eprintln!("nasoseg: warning: {warning}");
    }
    if let Some(demo) = demo {
        eprintln!("nasoseg: {demo}");
    }
    println!("edited  {}\nours    {}", edited.name, ours.name);
    print!("{}", table(&found));
    Ok(())
}

fn structure_set(
    path: &Path,
    choice: Option<&str>,
    reference: &Volume,
    by: SliceBy,
) -> Result<Drawn> {
    let set = StructureSet::read(path)?;
    let region = set.roi(choice)?;
    let drawn = set.mask(region, reference, by)?;
    Ok(Drawn {
        name: format!("{}, {region}", absolute(path)),
        mask: drawn.mask,
        warnings: drawn.warnings,
        demo: demo(region),
    })
}

/// What a demonstration model's region says of itself.
fn demo(region: &Roi) -> Option<String> {
    match region.description.contains(DEMO_WARNING) {
        true => Some(region.description.clone()),
        false => (region.name == DEMO_NAME).then(|| DEMO_WARNING.to_owned()),
    }
}

/// What nasoseg made: a run's folder, a structure set, or a mask on the reference's grid.
fn ours(path: &Path, choice: Option<&str>, reference: &Volume, by: SliceBy) -> Result<Drawn> {
    if path.is_dir() {
        return of_run(path, reference);
    }
    match is_dicom(path)? {
        true => structure_set(path, choice, reference, by),
        false => of_mask(path, reference),
    }
}

fn of_mask(path: &Path, reference: &Volume) -> Result<Drawn> {
    let region = read(&[path.to_owned()], &ReadOptions::default())?;
    let voxels = transfer(&region.view(), &reference.view(), Sampling::Refused)?.voxels;
    if let Some(value) = voxels.iter().find(|v| **v != 0.0 && **v != 1.0) {
        return Err(Error::Argument(format!(
            "{}: holds the value {value}; a mask of 0 and 1 was expected",
            path.display()
        )));
    }
    let demo = match region.source() {
        Source::File { description, .. } if description.starts_with(DEMO_MARK) => {
            Some(description.clone())
        }
        _ => None,
    };
    Ok(Drawn { name: absolute(path), mask: voxels.mapv(|v| v as u8), warnings: Vec::new(), demo })
}

/// The mask of a run, or its contours where there is no mask (unevenly spaced slices).
fn of_run(folder: &Path, reference: &Volume) -> Result<Drawn> {
    let (mask, contours) = (folder.join("mask.nii.gz"), folder.join("contours.json"));
    let mut drawn = match (mask.exists(), contours.exists()) {
        (true, _) => of_mask(&mask, reference)?,
        (false, true) => of_contours(&contours, reference)?,
        (false, false) => {
            return Err(Error::Argument(format!(
                "{}: holds neither mask.nii.gz nor contours.json; the output folder of nasoseg run, segment or contour was expected",
                folder.display()
            )));
        }
    };
    let record = folder.join("run.json");
    if record.exists() {
        let record = json_of(&record)?;
        let reference_sha = reference.sha256();
        if record
            .pointer("/inputs/1/sha256")
            .and_then(Value::as_str)
            .is_some_and(|sha| sha != reference_sha)
        {
            drawn
                .warnings
                .push(format!("{}: run.json was made from a T1C with other voxels than the reference, on the same grid", folder.display()));
        }
        if record.pointer("/provenance/demo") == Some(&Value::Bool(true)) && drawn.demo.is_none() {
            drawn.demo = Some(DEMO_WARNING.to_owned());
        }
    }
    Ok(drawn)
}

/// The part of contours.json that is read back.
#[derive(serde::Deserialize)]
struct ContourFile {
    warning: Option<String>,
    grid: ContourGrid,
    contours: Vec<ContourRing>,
}

#[derive(serde::Deserialize)]
struct ContourGrid {
    size: [usize; 3],
    axis_i_mm: [f64; 3],
    axis_j_mm: [f64; 3],
    origins_mm: Vec<[f64; 3]>,
}

#[derive(serde::Deserialize)]
struct ContourRing {
    slice: usize,
    indices: Vec<[f64; 2]>,
}

fn of_contours(path: &Path, reference: &Volume) -> Result<Drawn> {
    let file: ContourFile = serde_json::from_value(json_of(path)?).map_err(|e| {
        Error::read_caused(
            path,
            "not the contours.json that nasoseg writes. Give the output folder of a run",
            e,
        )
    })?;
    let ContourGrid { size, axis_i_mm, axis_j_mm, origins_mm } = file.grid;
    let grid =
        Grid::new(size, axis_i_mm, axis_j_mm, origins_mm).map_err(|e| e.within(path.display()))?;
    if Orientation::between(&grid, reference.grid()) != Some(Orientation::CANONICAL) {
        return Err(Error::Geometry(format!(
            "{}: was drawn on another grid than {}. Give the series that the run was made on",
            path.display(),
            reference.place()
        )));
    }
    let rings = file.contours.iter().map(|c| (c.slice, &c.indices[..]));
    let mask = rings_mask(rings, reference.grid()).map_err(|e| e.within(path.display()))?;
    Ok(Drawn { name: absolute(path), mask, warnings: Vec::new(), demo: file.warning })
}

fn json_of(path: &Path) -> Result<Value> {
    let text = std::fs::read(path)
        .map_err(|e| Error::read_caused(path, "cannot be read; check its permissions", e))?;
    serde_json::from_slice(&text)
        .map_err(|e| Error::read_caused(path, "not the JSON that nasoseg writes", e))
}

/// A record must mean something elsewhere too.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// One line per slice and the pooled figures.
fn table(found: &Comparison) -> String {
    let share = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.3}"));
    let mm = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.1}"));
    let mut text = String::from(
        "slice      z mm  ours mm2  edited mm2   Dice  contour Dice  HD95 mm  added mm  added px  of outline px\n",
    );
    for s in &found.slices {
        text += &format!(
            "{:>5}  {:>8.1}  {:>8.0}  {:>10.0}  {:>5}  {:>12}  {:>7}  {:>8.1}  {:>8}  {:>13}\n",
            s.info.slice,
            s.info.position_mm,
            s.ours_mm2,
            s.edited_mm2,
            share(s.dice),
            share(s.contour_dice),
            mm(s.hausdorff95_mm),
            s.added_path_mm,
            s.added_path_pixels,
            s.edited_path_pixels
        );
    }
    let p = &found.pooled;
    let cm3 = |v: Option<f64>| v.map_or("-".into(), |v| format!("{:.2} cm3", v / 1000.0));
    let part = match p.edited_path_pixels {
        0 => String::new(),
        n => format!(
            ", {:.0} % of the edited outline",
            100.0 * p.added_path_pixels as f64 / n as f64
        ),
    };
    text += &format!(
        "volume        ours {}, edited {}\n\
         Dice          {}\n\
         surface Dice  {} (at {} mm, in space)\n\
         contour Dice  {} (at {} mm, within slices)\n\
         HD95          {} mm (in space)\n\
         added path    {:.1} mm ({} pixels{part})\n",
        cm3(p.ours_mm3),
        cm3(p.edited_mm3),
        share(p.dice),
        share(p.surface_dice),
        found.tolerance_mm,
        share(p.contour_dice),
        found.tolerance_mm,
        mm(p.hausdorff95_mm),
        p.added_path_mm,
        p.added_path_pixels,
    );
    text
}
