//! The model bundle: a directory with a manifest and the graphs that it names
//! (docs/reference/bundle.md).
//!
//! In: a directory. Out: a [`Bundle`] whose files have the SHA-256 sums of the manifest. A file is
//! read once: the bytes that were checked are the bytes that run.

mod action;
pub mod manifest;

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::fault;
use crate::hash::hex;
pub use action::Action;
pub use manifest::Manifest;

/// No file of a bundle is larger than this (bytes), so that no manifest can make the library read
/// endlessly.
const LARGEST_FILE: u64 = 4 << 30;

/// A checked bundle.
#[derive(Debug, Clone)]
pub struct Bundle {
    dir: PathBuf,
    manifest: Manifest,
    hash: String,
}

impl Bundle {
    /// Opens `dir` and checks the manifest. Files are checked as they are read ([`Bundle::file`]).
    ///
    /// # Errors
    /// [`Error::Bundle`] if there is no manifest, or an invalid one.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("bundle.json");
        let mut bytes = Vec::new();
        // One byte more than allowed shows that the file is too long; a pipe or device is refused.
        let read = std::fs::metadata(&path).and_then(|meta| match meta.is_file() {
            true => fault::counted(fault::open(&path)?)
                .take(manifest::LONGEST as u64 + 1)
                .read_to_end(&mut bytes),
            false => Err(std::io::ErrorKind::InvalidInput.into()),
        });
        read.map_err(|source| Error::Bundle {
            message: match source.kind() {
                std::io::ErrorKind::NotFound => {
                    format!(
                        "{}: no model bundle here, expected a directory with bundle.json",
                        dir.display()
                    )
                }
                _ => format!(
                    "{}: found no readable file, expected the bundle's manifest. Check the model \
                     bundle and its permissions",
                    path.display()
                ),
            },
            source: Some(Box::new(source)),
        })?;
        let manifest = Manifest::parse(&bytes, &path.display().to_string())?;
        Ok(Bundle { dir: dir.to_owned(), manifest, hash: hex(&Sha256::digest(&bytes)) })
    }

    /// The bundle's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The checked manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest, which holds the sums of all other files: the identity of the model.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The bytes of a file that the manifest lists, checked against its sum.
    ///
    /// # Errors
    /// [`Error::Bundle`] if it is missing, changed, or not listed.
    pub fn file(&self, name: &str) -> Result<Vec<u8>> {
        let expected = self.manifest.files.get(name).ok_or_else(|| {
            Error::bundle(format!(
                "{}: `files` does not list {name}, expected every file that is used. Export the \
                 bundle again",
                self.place("bundle.json")
            ))
        })?;
        let plain =
            Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if !plain {
            return Err(Error::bundle(format!(
                "{}: the file name {name:?} leads out of the bundle, expected a path inside it. \
                 Export the bundle again",
                self.place("bundle.json")
            )));
        }
        let path = self.dir.join(name);
        let missing = |source: std::io::Error| Error::Bundle {
            message: format!(
                "{}: listed in bundle.json but cannot be read. Copy the bundle again",
                path.display()
            ),
            source: Some(Box::new(source)),
        };
        let meta = std::fs::metadata(&path).map_err(missing)?;
        if !meta.is_file() {
            return Err(missing(std::io::ErrorKind::InvalidInput.into()));
        }
        if meta.len() > LARGEST_FILE {
            return Err(Error::bundle(format!(
                "{}: found {} bytes, expected at most {LARGEST_FILE}. Copy the bundle again",
                path.display(),
                meta.len()
            )));
        }
        let bytes = fault::bytes_of(&path).map_err(missing)?;
        let found = hex(&Sha256::digest(&bytes));
        if !found.eq_ignore_ascii_case(expected) {
            return Err(Error::bundle(format!(
                "{}: changed since the bundle was made (found SHA-256 {found}, expected \
                 {expected}). Copy the bundle again; nothing was run",
                path.display()
            )));
        }
        Ok(bytes)
    }

    fn place(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}
