//! Whether the three sequences belong together.
//!
//! In: the three volumes. Out: warnings, or an error. Geometry can be forced, identity never.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::sequence::Sequence;
use crate::volume::{DicomSeries, Volume};

/// Checks identity, frames of reference, duplicates and swapped sequences; returns warnings.
///
/// # Errors
/// [`Error::Identity`] for another patient; [`Error::Geometry`] for the same series twice, or for
/// another frame of reference unless `force_geometry`; [`Error::Image`] for a constant volume.
pub fn validate_sequences(volumes: &[Arc<Volume>; 3], force_geometry: bool) -> Result<Vec<String>> {
    check_contrast(volumes)?;
    let mut warnings = Vec::new();
    for (sequence, volume) in Sequence::ALL.into_iter().zip(volumes) {
        warnings.extend(
            volume
                .dicom()
                .into_iter()
                .flat_map(|s| &s.warnings)
                .map(|w| format!("{sequence}: {w}")),
        );
    }
    // The others are compared with T1C, and T1 and T2 with one another in case T1C does not name
    // the patient.
    for (a, b) in [(1, 0), (1, 2), (0, 2)] {
        if let (Some(x), Some(y)) = (volumes[a].dicom(), volumes[b].dicom()) {
            let names = (Sequence::ALL[a], Sequence::ALL[b]);
            check_patient(x, y, names)?;
            if let Some(warning) = check_frame(x, y, names, force_geometry)?.filter(|_| a == 1) {
                warnings.push(warning);
            }
        }
    }
    let foreign: Vec<&str> = Sequence::ALL
        .iter()
        .zip(volumes)
        .filter(|(_, v)| v.dicom().is_none())
        .map(|(s, _)| s.name())
        .collect();
    if !foreign.is_empty() && foreign.len() < 3 {
        warnings.push(format!(
            "{} did not come from DICOM: patient and frame of reference could not be compared",
            foreign.join(" and ")
        ));
    }
    check_distinct(volumes)?;
    warnings.extend(swapped(volumes));
    Ok(warnings)
}

/// Refuses a volume whose voxels all have one value.
fn check_contrast(volumes: &[Arc<Volume>; 3]) -> Result<()> {
    for (sequence, volume) in Sequence::ALL.into_iter().zip(volumes) {
        if let Some(value) = volume.constant() {
            return Err(Error::Image(format!(
                "{sequence}: {}: every voxel has the value {value}, expected an MR image with \
                 contrast. Check that the right file was given",
                volume.place()
            )));
        }
    }
    Ok(())
}

/// Refuses the same series, or the same voxels, given twice.
fn check_distinct(volumes: &[Arc<Volume>; 3]) -> Result<()> {
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let same_series = match (volumes[a].dicom(), volumes[b].dicom()) {
            (Some(x), Some(y)) => x.series_instance_uid == y.series_instance_uid,
            _ => false,
        };
        if same_series
            || (volumes[a].grid() == volumes[b].grid()
                && volumes[a].voxels() == volumes[b].voxels())
        {
            return Err(Error::Geometry(format!(
                "{} and {} are the same series ({}), expected three different sequences: T1, \
                 contrast-enhanced T1 and T2. Choose the right series",
                Sequence::ALL[a],
                Sequence::ALL[b],
                volumes[b].place()
            )));
        }
    }
    Ok(())
}

/// Refuses sequences that differ in patient ID, name or birth date, if both give it.
fn check_patient(
    first: &DicomSeries,
    other: &DicomSeries,
    (name, sequence): (Sequence, Sequence),
) -> Result<()> {
    let pairs = [
        ("patient ID", &first.patient_id, &other.patient_id),
        ("patient name", &first.patient_name, &other.patient_name),
        ("birth date", &first.patient_birth_date, &other.patient_birth_date),
    ];
    for (what, a, b) in pairs {
        let (a, b) = (a.trim().trim_end_matches('^'), b.trim().trim_end_matches('^'));
        if !a.is_empty() && !b.is_empty() && a != b {
            return Err(Error::Identity(format!(
                "{sequence} belongs to another patient than {name}: {what} {b:?} against {a:?}, \
                 expected three sequences of one patient; no option overrides this. Choose the \
                 right series"
            )));
        }
    }
    Ok(())
}

/// The warning about two frames of reference, if there is one.
///
/// # Errors
/// [`Error::Geometry`] if they differ and are not forced.
fn check_frame(
    first: &DicomSeries,
    other: &DicomSeries,
    (name, sequence): (Sequence, Sequence),
    force: bool,
) -> Result<Option<String>> {
    let problem = match (&first.frame_of_reference_uid, &other.frame_of_reference_uid) {
        (Some(a), Some(b)) if a == b => return Ok(None),
        (Some(a), Some(b)) => {
            format!("{sequence} has another frame of reference ({b}) than {name} ({a})")
        }
        _ if first.study_instance_uid == other.study_instance_uid => {
            return Ok(Some(format!(
                "{sequence} or {name} carries no frame of reference; they are assumed to share \
                 one, \
                 as they are of one study"
            )));
        }
        _ => format!(
            "{sequence} or {name} carries no frame of reference, and they are of different studies"
        ),
    };
    if force {
        return Ok(Some(format!("{problem}; forced: assumed to be aligned")));
    }
    Err(Error::Geometry(format!(
        "{problem}: their positions cannot be compared. Register them first and store the result \
         in \
         {name}'s frame of reference, or use --force-geometry if you know that they are aligned"
    )))
}

/// Warnings about echo times and contrast agents that contradict the sequences' names.
fn swapped(volumes: &[Arc<Volume>; 3]) -> Vec<String> {
    let mut warnings = Vec::new();
    let [t1, t1c, t2] = [volumes[0].dicom(), volumes[1].dicom(), volumes[2].dicom()];
    let echo = |s: Option<&DicomSeries>| s.and_then(|s| s.echo_time_ms);
    if let (Some(a), Some(b)) = (echo(t1), echo(t2))
        && a > b
    {
        warnings.push(format!(
            "T1 and T2 look swapped: T1's echo time ({a} ms) is longer than T2's ({b} ms)"
        ));
    }
    if let (Some(a), Some(b)) = (echo(t1c), echo(t2))
        && a > b
    {
        warnings.push(format!(
            "T1C and T2 look swapped: T1C's echo time ({a} ms) is longer than T2's ({b} ms)"
        ));
    }
    if let (Some(a), Some(b)) = (t1, t1c)
        && !a.contrast_agent.trim().is_empty()
        && b.contrast_agent.trim().is_empty()
    {
        warnings.push(format!(
            "T1 and T1C look swapped: T1 names a contrast agent ({:?}), T1C none",
            a.contrast_agent.trim()
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::grid::Grid;
    use crate::volume::Source;
    use ndarray::Array3;

    fn series(uid: &str) -> DicomSeries {
        DicomSeries {
            series_instance_uid: uid.into(),
            study_instance_uid: "1.2".into(),
            frame_of_reference_uid: Some("1.3".into()),
            patient_id: "P1".into(),
            patient_name: "DOE^JANE".into(),
            ..Default::default()
        }
    }

    fn trio(change: impl FnOnce(&mut [DicomSeries; 3])) -> [Arc<Volume>; 3] {
        let mut all = [series("1"), series("2"), series("3")];
        change(&mut all);
        let mut step = 0.0f32;
        all.map(|s| {
            step += 1.0;
            let grid = Grid::new(
                [2, 2, 2],
                [1.0, 0.0, 0.0],
                [0.0, 1.0, 0.0],
                vec![[0.0; 3], [0.0, 0.0, 1.0]],
            )
            .unwrap();
            let voxels = Array3::from_shape_fn((2, 2, 2), |(k, j, i)| step + (k + j + i) as f32);
            Arc::new(Volume::new(voxels, grid, Source::Dicom(Box::new(s)), "v").unwrap())
        })
    }

    #[test]
    fn one_patient_passes() {
        assert!(validate_sequences(&trio(|_| ()), false).unwrap().is_empty());
        // A trailing component separator or padding is not a difference.
        assert!(
            validate_sequences(&trio(|s| s[2].patient_name = "DOE^JANE^^ ".into()), false)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn another_patient_is_never_forced() {
        for force in [false, true] {
            let error =
                validate_sequences(&trio(|s| s[2].patient_id = "P2".into()), force).unwrap_err();
            assert!(
                matches!(error, Error::Identity(_))
                    && error.to_string().contains("T2 belongs to another patient"),
                "{error}"
            );
        }
        assert!(
            validate_sequences(
                &trio(|s| {
                    s[0].patient_birth_date = "19600101".into();
                    s[1].patient_birth_date = "19610101".into()
                }),
                true
            )
            .is_err()
        );
    }

    #[test]
    fn another_frame_of_reference_is_forced_and_recorded() {
        let other = || trio(|s| s[0].frame_of_reference_uid = Some("9".into()));
        assert!(matches!(validate_sequences(&other(), false).unwrap_err(), Error::Geometry(_)));
        assert!(validate_sequences(&other(), true).unwrap()[0].contains("forced"));
    }

    #[test]
    fn the_same_series_twice_is_refused() {
        let error =
            validate_sequences(&trio(|s| s[2].series_instance_uid = "2".into()), true).unwrap_err();
        assert!(error.to_string().contains("T1C and T2 are the same series"), "{error}");
    }

    #[test]
    fn swapped_sequences_are_reported() {
        let warnings = validate_sequences(
            &trio(|s| {
                s[0].echo_time_ms = Some(99.0);
                s[2].echo_time_ms = Some(11.8)
            }),
            false,
        )
        .unwrap();
        assert!(warnings[0].contains("T1 and T2 look swapped"), "{warnings:?}");
        let warnings =
            validate_sequences(&trio(|s| s[0].contrast_agent = "Gd".into()), false).unwrap();
        assert!(warnings[0].contains("T1 and T1C look swapped"), "{warnings:?}");
    }
}
