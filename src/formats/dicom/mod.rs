//! DICOM series.
//!
//! In: a folder or a list of files. Out: one MR series as a [`Volume`] whose k axis ascends along
//! row direction x column direction, with its [`DicomSeries`].
//!
//! Two passes: every header is read (in parallel), one series is chosen, and its images are ordered
//! by position; then pixels are decoded (in parallel) straight into the volume. In a folder, hidden
//! files, DICOMDIR and files that are not DICOM are skipped, as are objects without an image
//! (structure sets, reports) if the folder also holds images. A damaged DICOM file is an error.

mod attributes;
mod byte_stream;
mod choose;
mod codestream;
mod decode;
mod file;
mod file_meta;
mod fragments;
mod header;
mod order;
mod packed;
mod parser;
mod pixels;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_hostile;
#[cfg(test)]
mod tests_stacks;
mod value;

use std::path::{Path, PathBuf};

use dicom_dictionary_std::{tags, uids};
use ndarray::Array3;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::fault;
use crate::formats::read::{self, ReadOptions, detect, head};
use crate::geometry::grid::MAX_VOXELS;
use crate::geometry::grid::{Grid, scale};
use crate::volume::{DicomSeries, DicomSlice, Source, Volume};

use file::{DicomFile, Frame};
use order::{Image, Trouble};
use pixels::Format;

pub(crate) use file::decimal;
pub(crate) use file_meta::bare_syntax;
pub(crate) use parser::DEEPEST;

/// More images in one series are refused: no volume has as many slices, and no series as many time
/// points.
const MOST_IMAGES: u64 = 1 << 16;

/// Reads the one series in a folder.
///
/// # Errors
/// [`Error::Read`] if the folder or a DICOM file in it cannot be read; [`Error::Image`] if it does
/// not hold exactly one MR stack.
pub fn read_folder(folder: &Path, options: &ReadOptions) -> Result<Volume> {
    let name = folder.display().to_string();
    let mut files = list(folder)?;
    if files.paths.is_empty() {
        // A folder of folders (as on a CD): search all levels below, but never mix files with
        // folders.
        let mut waiting = std::mem::take(&mut files.folders);
        while let Some(next) = waiting.pop() {
            let inner = list(&next)?;
            files.paths.extend(inner.paths);
            waiting.extend(inner.folders);
        }
        files.paths.sort();
    }
    if files.paths.is_empty() {
        return Err(Error::Image(format!(
            "{name}: the folder holds no file, expected the DICOM files of one MR series. \
             Give the folder of the series"
        )));
    }
    let detected: Vec<read::Format> =
        files.paths.par_iter().map(|p| head(p).map(|h| detect(&h))).collect::<Result<_>>()?;
    let seen = files.paths.len();
    let paths: Vec<PathBuf> = files
        .paths
        .into_iter()
        .zip(detected)
        .filter(|(_, k)| *k == read::Format::Dicom)
        .map(|(p, _)| p)
        .collect();
    if paths.is_empty() {
        return Err(Error::Image(format!(
            "{name}: none of the folder's {seen} files is DICOM ({} subfolders were not searched), \
             expected the DICOM files of one MR series. Give the folder of the series, or a NIfTI \
             or NRRD file by its own path",
            files.folders.len()
        )));
    }
    let mut opened = open_all(&paths)?;
    // The index of a medium may have any name.
    opened.retain(|f| f.class() != uids::MEDIA_STORAGE_DIRECTORY_STORAGE);
    if opened.iter().any(DicomFile::is_image) {
        opened.retain(DicomFile::is_image);
    }
    volume(opened, &name, options)
}

/// Reads a series from its files.
///
/// # Errors
/// As [`read_folder`].
pub fn read_files(paths: &[PathBuf], options: &ReadOptions) -> Result<Volume> {
    let name = match paths {
        [one] => one.display().to_string(),
        [first, ..] => format!("{} and {} other file(s)", first.display(), paths.len() - 1),
        [] => {
            return Err(Error::Argument(
                "no DICOM file was given. Give the files of one series".into(),
            ));
        }
    };
    volume(open_all(paths)?, &name, options)
}

/// Reads the bytes of one multi-frame file; messages name `path`.
///
/// # Errors
/// As [`read_folder`].
pub fn read_bytes(bytes: &[u8], path: &Path) -> Result<Volume> {
    let file = file::open_bytes(bytes, path)?;
    file.check_whole()?;
    volume(vec![file], &path.display().to_string(), &ReadOptions::default())
}

#[derive(Default)]
struct Listing {
    paths: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

/// Visible files and folders, sorted by name so that messages and results never depend on the file
/// system.
fn list(folder: &Path) -> Result<Listing> {
    let wrong =
        |e| Error::read_caused(folder, "the folder cannot be read. Check its permissions", e);
    let mut listing = Listing::default();
    for entry in fault::read().and_then(|()| std::fs::read_dir(folder)).map_err(wrong)? {
        let entry = fault::read().and(entry).map_err(wrong)?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') || name == "DICOMDIR" {
            continue;
        }
        let path = entry.path();
        // A link to a folder is not followed: it may lead back.
        if entry.file_type().map_err(wrong)?.is_dir() {
            listing.folders.push(path);
            continue;
        }
        // A dangling link means a missing image and must not be skipped.
        let target = std::fs::metadata(&path).map_err(|e| {
            Error::read_caused(&path, "cannot be read. Check the link and its permissions", e)
        })?;
        if target.is_file() {
            listing.paths.push(path);
        }
    }
    listing.paths.sort();
    listing.folders.sort();
    Ok(listing)
}

fn open_all(paths: &[PathBuf]) -> Result<Vec<DicomFile>> {
    paths
        .par_iter()
        .map(|p| {
            let file = file::open(p)?;
            file.check_whole()?;
            Ok(file)
        })
        .collect()
}

/// Refuses files of one series that differ in patient, study or frame of reference.
fn check_same(files: &[DicomFile], name: &str) -> Result<()> {
    let Some(first) = files.first() else { return Ok(()) };
    for file in files {
        for (tag, what) in [
            (tags::PATIENT_ID, "Patient ID"),
            (tags::PATIENT_NAME, "Patient Name"),
            (tags::PATIENT_BIRTH_DATE, "Birth Date"),
        ] {
            if file.text(tag) != first.text(tag) {
                return Err(Error::Identity(format!(
                    "{name}: the files of one series differ in {what}: {} and {}. \
                     Check where the files come from",
                    first.path.display(),
                    file.path.display()
                )));
            }
        }
        for (tag, what) in [
            (tags::STUDY_INSTANCE_UID, "Study Instance UID"),
            (tags::FRAME_OF_REFERENCE_UID, "Frame of Reference UID"),
        ] {
            if file.text(tag) != first.text(tag) {
                return Err(Error::Image(format!(
                    "{name}: the files of one series differ in {what}: {} ({}) and {} ({}). \
                     Give the files of one acquisition",
                    first.path.display(),
                    first.text(tag),
                    file.path.display(),
                    file.text(tag)
                )));
            }
        }
    }
    Ok(())
}

/// One volume from the files of a folder or list.
fn volume(files: Vec<DicomFile>, name: &str, options: &ReadOptions) -> Result<Volume> {
    let files = choose::series(files, name, options)?;
    for file in &files {
        file.check_kind()?;
    }
    check_same(&files, name)?;
    let formats: Vec<Format> = files.iter().map(Format::of).collect::<Result<_>>()?;
    let count: u64 = files.iter().map(|f| u64::from(f.frame_count())).sum();
    if count > MOST_IMAGES {
        return Err(Error::Image(format!(
            "{name}: found {count} images, expected at most {MOST_IMAGES}. \
             Give the files of one stack"
        )));
    }
    let frames: Vec<Vec<Frame>> = files.iter().map(DicomFile::frames).collect::<Result<_>>()?;
    for (file, format) in files.iter().zip(&formats) {
        format.check_promised_size(file)?;
    }

    let (sorted, warnings) = slices(&files, &formats, &frames, name, options)?;
    let &[(head, first), ..] = sorted.as_slice() else {
        return Err(Error::Internal(format!("{name}: an ordered series without images")));
    };

    let size = [formats[head].columns as usize, formats[head].rows as usize, sorted.len()];
    let origins = sorted.iter().map(|(_, f)| f.origin).collect();
    // Pixel Spacing is (between rows, between columns): a step along a row leads to the next
    // column.
    let grid = Grid::new(
        size,
        scale(first.row, first.spacing[1]),
        scale(first.column, first.spacing[0]),
        origins,
    )
    .map_err(|e| e.within(name))?;
    let voxels = voxels(&files, &formats, &sorted, size, name)?;
    let mut series = describe(&files, &sorted, head);
    series.warnings = warnings;
    Volume::new(voxels, grid, Source::Dicom(Box::new(series)), name)
}

/// A frame and the index of its file.
type Placed<'a> = (usize, &'a Frame);

/// The frames of the volume's slices in order, each with the index of its file, and warnings for
/// the user.
fn slices<'a>(
    files: &[DicomFile],
    formats: &[Format],
    frames: &'a [Vec<Frame>],
    name: &str,
    options: &ReadOptions,
) -> Result<(Vec<Placed<'a>>, Vec<String>)> {
    // Every frame of every file, in the order of the files.
    let all: Vec<Placed> =
        frames.iter().enumerate().flat_map(|(n, list)| list.iter().map(move |f| (n, f))).collect();
    let image = |(n, frame): (usize, _)| Image {
        file: &files[n],
        matrix: [formats[n].columns.into(), formats[n].rows.into()],
        frame,
    };
    let picked = choose::picked(all.iter().copied().map(image).collect(), name, options)?;
    let images: Vec<Image> = picked.iter().map(|n| image(all[*n])).collect();
    let stack = order::order(&images, options.allow_gaps).map_err(|trouble| match trouble {
        Trouble::Mixed(text) => Error::Image(format!("{name}: {text}{}", choose::stacks(&images))),
        Trouble::Other(text) => Error::Image(format!("{name}: {text}")),
    })?;
    Ok((stack.order.iter().map(|n| all[picked[*n]]).collect(), stack.warnings))
}

/// Decodes every frame into its slice of the volume.
fn voxels(
    files: &[DicomFile],
    formats: &[Format],
    sorted: &[Placed],
    size: [usize; 3],
    name: &str,
) -> Result<Array3<f32>> {
    let [ni, nj, nk] = size;
    let count = ni
        .checked_mul(nj)
        .and_then(|n| n.checked_mul(nk))
        .filter(|n| *n <= MAX_VOXELS)
        .ok_or_else(|| {
            Error::Image(format!(
                "{name}: found {ni} x {nj} x {nk} voxels, expected at most {MAX_VOXELS}. \
                 Crop the series"
            ))
        })?;
    let mut data: Vec<f32> = Vec::new();
    data.try_reserve_exact(count)
        .map_err(|e| Error::read_caused(Path::new(name), "not enough memory for the voxels", e))?;
    data.resize(count, 0.0);

    // For each file, its frames and the slices of the volume that they fill.
    let mut work: Vec<Vec<(&Frame, &mut [f32])>> = files.iter().map(|_| Vec::new()).collect();
    for ((file, frame), slice) in sorted.iter().zip(data.chunks_exact_mut(ni * nj)) {
        work[*file].push((frame, slice));
    }
    files.par_iter().zip(formats).zip(work).filter(|(_, slices)| !slices.is_empty()).try_for_each(
        |((file, format), slices)| {
            let inflated = decode::inflate(file)?;
            slices.into_par_iter().try_for_each(|(frame, slice)| {
                decode::decode(file, inflated.as_deref(), format, frame, slice)
            })
        },
    )?;
    Array3::from_shape_vec((nk, nj, ni), data).map_err(|e| Error::Internal(format!("{name}: {e}")))
}

/// The description of a series beyond its voxels; `head` is the file of slice 0.
fn describe(files: &[DicomFile], sorted: &[Placed], head: usize) -> DicomSeries {
    let slice = |(n, frame): &(usize, &Frame)| DicomSlice {
        path: files[*n].path.clone(),
        sop_instance_uid: files[*n].text(tags::SOP_INSTANCE_UID).to_owned(),
        frame: frame.multi.then_some(frame.index + 1),
        position: files[*n].strings(
            frame.index,
            tags::PLANE_POSITION_SEQUENCE,
            tags::IMAGE_POSITION_PATIENT,
        ),
        orientation: files[*n].strings(
            frame.index,
            tags::PLANE_ORIENTATION_SEQUENCE,
            tags::IMAGE_ORIENTATION_PATIENT,
        ),
    };
    let file = &files[head];
    let timing = |group, tag, plain| file.nested_number(group, tag).or_else(|| file.number(plain));
    DicomSeries {
        slices: sorted.iter().map(slice).collect(),
        sop_class_uid: file.text(tags::SOP_CLASS_UID).to_owned(),
        study_instance_uid: file.text(tags::STUDY_INSTANCE_UID).to_owned(),
        series_instance_uid: file.text(tags::SERIES_INSTANCE_UID).to_owned(),
        frame_of_reference_uid: Some(file.text(tags::FRAME_OF_REFERENCE_UID).to_owned())
            .filter(|uid| !uid.is_empty()),
        patient_id: file.text(tags::PATIENT_ID).to_owned(),
        patient_name: file.text(tags::PATIENT_NAME).to_owned(),
        patient_birth_date: file.text(tags::PATIENT_BIRTH_DATE).to_owned(),
        series_description: file.text(tags::SERIES_DESCRIPTION).to_owned(),
        echo_time_ms: timing(tags::MR_ECHO_SEQUENCE, tags::EFFECTIVE_ECHO_TIME, tags::ECHO_TIME),
        repetition_time_ms: timing(
            tags::MR_TIMING_AND_RELATED_PARAMETERS_SEQUENCE,
            tags::REPETITION_TIME,
            tags::REPETITION_TIME,
        ),
        contrast_agent: file.contrast_agent().to_owned(),
        header_file: file.path.clone(),
        warnings: Vec::new(),
    }
}
