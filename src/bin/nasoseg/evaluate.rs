//! `nasoseg evaluate`: how far an edited structure set lies from the automatic result.

use std::path::PathBuf;

use clap::Args;
use nasoseg::Result;
use nasoseg::compare::{Comparison, DEFAULT_TOLERANCE_MM, Pooled, compare};
use nasoseg::formats::rtstruct::SliceBy;
use nasoseg::outputs::evaluation::{Drawing, Evaluation};

use crate::arguments::ReferenceChoice;
use crate::{inputs, warnings};

/// Compare an edited structure set with the automatic result
///
/// Prints a table of overlap, distances and added path length, slice by slice and pooled,
/// and writes evaluation.json.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Structure set that came back from the planning system
    #[arg(long, value_name = "FILE")]
    rtstruct: PathBuf,
    /// ROI of the structure set, by name or number, if it has several
    #[arg(long, value_name = "NAME")]
    roi: Option<String>,
    /// Series that it was drawn on: a DICOM folder, DICOM files, .nii, .nii.gz or .nrrd
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    reference: Vec<PathBuf>,
    #[command(flatten)]
    choice: ReferenceChoice,
    /// Automatic result to compare with
    ///
    /// The output folder of run, segment or contour; another structure set; or a mask on the
    /// reference's grid.
    #[arg(verbatim_doc_comment, long = "ours", value_name = "PATH")]
    automatic: PathBuf,
    /// Region of the automatic structure set, by name or number, if it has several
    #[arg(long = "ours-roi", value_name = "NAME")]
    automatic_roi: Option<String>,
    /// Find the slice of a contour by its plane alone, whatever image it names
    #[arg(long)]
    by_plane: bool,
    /// Distance in mm up to which contours count as the same
    ///
    /// It applies to contour Dice and surface Dice.
    #[arg(long, value_name = "MM", default_value_t = DEFAULT_TOLERANCE_MM)]
    tolerance_mm: f64,
    /// Folder for evaluation.json; created if it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub fn evaluate(arguments: &Arguments) -> Result<()> {
    let reference = inputs::reference(&arguments.reference, &arguments.choice)?;
    let by = if arguments.by_plane { SliceBy::Plane } else { SliceBy::Image };
    let (path, roi) = (&arguments.rtstruct, arguments.roi.as_deref());
    let edited = Drawing::of_structure_set(path, roi, &reference, by)?;
    let (path, roi) = (&arguments.automatic, arguments.automatic_roi.as_deref());
    let automatic = Drawing::of_result(path, roi, &reference, by)?;
    let tolerance_mm = arguments.tolerance_mm;
    let comparison = compare(automatic.mask.view(), edited.mask.view(), &reference, tolerance_mm)?;
    let evaluation = Evaluation {
        edited: &edited,
        automatic: &automatic,
        reference: &reference,
        comparison: &comparison,
    };
    evaluation.write(&arguments.out)?;

    warnings::print(&evaluation.warnings(), evaluation.demo());
    println!("edited     {}\nautomatic  {}", edited.name, automatic.name);
    print!("{}", slice_table(&comparison));
    print!("{}", pooled_table(&comparison.pooled, tolerance_mm));
    Ok(())
}

fn share(value: Option<f64>) -> String {
    value.map_or("-".into(), |v| format!("{v:.3}"))
}

fn mm(value: Option<f64>) -> String {
    value.map_or("-".into(), |v| format!("{v:.1}"))
}

fn cm3(value_mm3: Option<f64>) -> String {
    value_mm3.map_or("-".into(), |v| format!("{:.2} cm3", v / 1000.0))
}

/// One line per slice.
fn slice_table(found: &Comparison) -> String {
    let mut text = String::from(
        "slice      z mm  auto mm2  edited mm2   Dice  contour Dice  HD95 mm  added mm  added px  \
         of contour px\n",
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
    text
}

/// The pooled figures.
fn pooled_table(p: &Pooled, tolerance_mm: f64) -> String {
    let part = match p.edited_path_pixels {
        0 => String::new(),
        n => {
            let percent = 100.0 * p.added_path_pixels as f64 / n as f64;
            format!(", {percent:.0} % of the edited contour")
        }
    };
    format!(
        "volume        automatic {}, edited {}\n\
         Dice          {}\n\
         surface Dice  {} (at {tolerance_mm} mm, in space)\n\
         contour Dice  {} (at {tolerance_mm} mm, within slices)\n\
         HD95          {} mm (in space)\n\
         added path    {:.1} mm ({} pixels{part})\n",
        cm3(p.ours_mm3),
        cm3(p.edited_mm3),
        share(p.dice),
        share(p.surface_dice),
        share(p.contour_dice),
        mm(p.hausdorff95_mm),
        p.added_path_mm,
        p.added_path_pixels,
    )
}
