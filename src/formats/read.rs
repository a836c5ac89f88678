//! Reading a volume in any of the formats.
//!
//! In: a folder of DICOM files, one NIfTI-1 or NRRD file, or any number of DICOM files. Out: a
//! [`Volume`] with its source. The format is detected from a file's first bytes, never from its
//! name.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fault;
use crate::formats::{FORMATS, dicom, nifti, nrrd};
use crate::volume::Volume;

/// Options of [`read`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The series to read if a folder holds several (SeriesInstanceUID). DICOM only.
    pub series_uid: Option<String>,
    /// The images to read if a series holds several echoes, b-values, time points or stacks:
    /// `NAME=VALUE` as listed in the error message; separate several with semicolons (`Echo
    /// Time=80; Image Type=ORIGINAL\PRIMARY\M`). DICOM only.
    pub pick: Option<String>,
    /// Read a series in which slices are missing; the distances are kept, and a warning names the
    /// gaps. DICOM only.
    pub allow_gaps: bool,
}

impl ReadOptions {
    /// Reads the series with this SeriesInstanceUID.
    #[must_use]
    pub fn with_series_uid(mut self, uid: impl Into<String>) -> Self {
        self.series_uid = Some(uid.into());
        self
    }

    /// Reads the images with these marks (see [`ReadOptions::pick`]).
    #[must_use]
    pub fn with_pick(mut self, pick: impl Into<String>) -> Self {
        self.pick = Some(pick.into());
        self
    }

    /// Reads a series in which slices are missing.
    #[must_use]
    pub fn with_allow_gaps(mut self, allow: bool) -> Self {
        self.allow_gaps = allow;
        self
    }
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Dicom,
    Nifti,
    Nrrd,
    Other,
}

/// Number of bytes that [`detect`] needs.
const HEAD: usize = 352;

/// Reads one sequence.
///
/// # Errors
/// [`Error::Read`] if a path is missing, unreadable or damaged; [`Error::Image`] if the image is
/// not a single MR volume; [`Error::Argument`] if there is no path, or several of which not all are
/// DICOM files.
pub fn read(paths: &[PathBuf], options: &ReadOptions) -> Result<Volume> {
    let Some(first) = paths.first() else {
        return Err(Error::Argument(format!(
            "no path was given, expected {FORMATS}. Give a folder of DICOM files, one file, or a \
             list of DICOM files"
        )));
    };
    if paths.len() == 1 {
        let meta = std::fs::metadata(first).map_err(|e| {
            Error::read_caused(first, "cannot be read. Check the path and its permissions", e)
        })?;
        if meta.is_dir() {
            return dicom::read_folder(first, options);
        }
        check_file(first)?;
        let format = detect(&head(first)?);
        for (given, what) in
            [(options.series_uid.is_some(), "series UID"), (options.pick.is_some(), "pick")]
        {
            if format != Format::Dicom && given {
                return Err(Error::Argument(format!(
                    "{}: a {what} was given, but the file is not DICOM. Leave the {what} out",
                    first.display()
                )));
            }
        }
        return match format {
            Format::Dicom => dicom::read_files(paths, options),
            Format::Nifti => nifti::read_file(first),
            Format::Nrrd => nrrd::read_file(first),
            Format::Other => Err(Error::read(format!(
                "{}: the format is unknown, expected {FORMATS}. Convert the image to one of these",
                first.display()
            ))),
        };
    }
    for path in paths {
        let format = match path.is_dir() {
            true => Format::Other,
            false => check_file(path).and_then(|_| head(path)).map(|h| detect(&h))?,
        };
        if format != Format::Dicom {
            return Err(Error::Argument(format!(
                "{}: not a DICOM file, expected the DICOM files of one series, as several paths \
                 were given. Give a folder or a file of another format alone",
                path.display()
            )));
        }
    }
    dicom::read_files(paths, options)
}

/// Refuses a pipe or a device, which may never end.
fn check_file(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => Ok(()),
        Ok(_) => Err(Error::read(format!(
            "{}: neither a file nor a folder, expected a file or a DICOM folder. Give one of these",
            path.display()
        ))),
        Err(e) => {
            Err(Error::read_caused(path, "cannot be read. Check the path and its permissions", e))
        }
    }
}

/// The first bytes of a file.
pub(crate) fn head(path: &Path) -> Result<Vec<u8>> {
    let wrong =
        |e| Error::read_caused(path, "cannot be read. Check the path and its permissions", e);
    let mut bytes = Vec::with_capacity(HEAD);
    fault::counted(fault::open(path).map_err(wrong)?)
        .take(HEAD as u64)
        .read_to_end(&mut bytes)
        .map_err(wrong)?;
    Ok(bytes)
}

/// Detects a file's format from its first bytes.
pub(crate) fn detect(head: &[u8]) -> Format {
    if head.starts_with(b"NRRD000") {
        Format::Nrrd
    } else if head.get(128..132) == Some(b"DICM".as_slice()) || dicom::bare_syntax(head).is_some() {
        // DICOM comes before NIfTI, as a DICOM file may carry another format's header in its
        // preamble.
        Format::Dicom
    } else if nifti::is_gzip(head) || nifti::looks_like_header(head) {
        Format::Nifti
    } else {
        Format::Other
    }
}

/// Whether a file is DICOM, detected from its first bytes.
///
/// # Errors
/// [`Error::Read`] if it cannot be read.
pub fn is_dicom(path: &Path) -> Result<bool> {
    Ok(detect(&head(path)?) == Format::Dicom)
}
