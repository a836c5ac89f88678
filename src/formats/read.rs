//! From paths to a volume.
//!
//! In: one folder of DICOM files, one NIfTI-1 or NRRD file, or one or many DICOM files. Out: a
//! [`Volume`] with its source. What a file is, is told by its first bytes, never by its name.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fault;
use crate::formats::{dicom, nifti, nrrd};
use crate::volume::Volume;

/// Choices of the caller.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Which series to take where a folder holds several (SeriesInstanceUID). DICOM only.
    pub series_uid: Option<String>,
    /// Which images to take where a series holds several echoes, b-values, time points or stacks:
    /// `NAME=VALUE` as the refusal lists them, several parted by semicolons (`Echo Time=80; Image
    /// Type=ORIGINAL\PRIMARY\M`). DICOM only.
    pub pick: Option<String>,
    /// Take a series in which slices are missing; their distances are kept, and a warning says
    /// where. DICOM only.
    pub allow_gaps: bool,
}

impl ReadOptions {
    /// Takes the series with this SeriesInstanceUID.
    pub fn with_series_uid(mut self, uid: impl Into<String>) -> Self {
        self.series_uid = Some(uid.into());
        self
    }

    /// Takes the images with these marks (see [`ReadOptions::pick`]).
    pub fn with_pick(mut self, pick: impl Into<String>) -> Self {
        self.pick = Some(pick.into());
        self
    }

    /// Takes a series in which slices are missing.
    pub fn with_allow_gaps(mut self, allow: bool) -> Self {
        self.allow_gaps = allow;
        self
    }
}

/// What the first bytes of a file say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Dicom,
    Nifti,
    Nrrd,
    Other,
}

/// Bytes that [`kind`] wants to see.
const HEAD: usize = 352;

/// Reads one sequence.
///
/// # Errors
/// [`Error::Read`] where a path is missing, unreadable or damaged; [`Error::Image`] where the image
/// is not one MR volume; [`Error::Argument`] where the paths do not go together.
pub fn read(paths: &[PathBuf], options: &ReadOptions) -> Result<Volume> {
    let Some(first) = paths.first() else {
        return Err(Error::Argument("no path was given; give a DICOM folder, a NIfTI or NRRD file, or a list of DICOM files".into()));
    };
    if paths.len() == 1 {
        let meta = std::fs::metadata(first).map_err(|e| {
            Error::read_caused(first, "cannot be read; check the path and its permissions", e)
        })?;
        if meta.is_dir() {
            return dicom::read_folder(first, options);
        }
        check_file(first)?;
        let kind = kind(&head(first)?);
        for (given, what) in
            [(options.series_uid.is_some(), "series UID"), (options.pick.is_some(), "pick")]
        {
            if kind != Kind::Dicom && given {
                return Err(Error::Argument(format!(
                    "{}: a {what} was given, but the file is not DICOM. Leave the {what} out",
                    first.display()
                )));
            }
        }
        return match kind {
            Kind::Dicom => dicom::read_files(paths, options),
            Kind::Nifti => nifti::read_file(first),
            Kind::Nrrd => nrrd::read_file(first),
            Kind::Other => Err(Error::read(format!(
                "{}: neither DICOM, nor NIfTI-1 (.nii, .nii.gz), nor NRRD (.nrrd, .nhdr). Convert the image to one of these",
                first.display()
            ))),
        };
    }
    for path in paths {
        let kind = match path.is_dir() {
            true => Kind::Other,
            false => check_file(path).and_then(|_| head(path)).map(|h| kind(&h))?,
        };
        if kind != Kind::Dicom {
            return Err(Error::Argument(format!(
                "{}: not a DICOM file; several paths are read as the DICOM files of one series. Give one folder or one NIfTI or NRRD file alone",
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
            "{}: not a file. Give a file or a DICOM folder",
            path.display()
        ))),
        Err(e) => {
            Err(Error::read_caused(path, "cannot be read; check the path and its permissions", e))
        }
    }
}

/// The first bytes of a file.
pub(crate) fn head(path: &Path) -> Result<Vec<u8>> {
    let wrong =
        |e| Error::read_caused(path, "cannot be read; check the path and its permissions", e);
    let mut bytes = Vec::with_capacity(HEAD);
    fault::counted(fault::open(path).map_err(wrong)?)
        .take(HEAD as u64)
        .read_to_end(&mut bytes)
        .map_err(wrong)?;
    Ok(bytes)
}

/// What a file is, by its first bytes.
pub(crate) fn kind(head: &[u8]) -> Kind {
    if head.starts_with(b"NRRD000") {
        Kind::Nrrd
    } else if head.get(128..132) == Some(b"DICM".as_slice()) || dicom::bare_syntax(head).is_some() {
        // A DICOM file may carry a NIfTI or TIFF header in its preamble: DICOM goes first.
        Kind::Dicom
    } else if nifti::is_gzip(head) || nifti::looks_like_header(head) {
        Kind::Nifti
    } else {
        Kind::Other
    }
}

/// Whether a file is DICOM, by its first bytes.
///
/// # Errors
/// [`Error::Read`] where it cannot be read.
pub fn is_dicom(path: &Path) -> Result<bool> {
    Ok(kind(&head(path)?) == Kind::Dicom)
}
