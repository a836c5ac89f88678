//! The model bundle: a directory with a manifest and the graphs that it names
//! (docs/reference/bundle.md).
//!
//! In: a directory. Out: a [`Bundle`] whose files are those that the manifest's SHA-256 sums
//! promise; each is read once, and what was checked is what runs.

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

/// No file of a bundle is larger than this (bytes): a manifest cannot make the library read without
/// end.
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
    /// [`Error::Bundle`] that names the file, what was expected and what to do.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("bundle.json");
        let mut bytes = Vec::new();
        // One byte more than is allowed tells that there are more; a pipe or device in its place is
        // read no further either.
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
                        "{}: no model bundle here. A directory with bundle.json was expected",
                        dir.display()
                    )
                }
                _ => format!(
                    "{}: cannot be read. Check the model bundle and its permissions",
                    path.display()
                ),
            },
            source: Some(Box::new(source)),
        })?;
        let manifest = Manifest::parse(&bytes, &path.display().to_string())?;
        Ok(Bundle { dir: dir.to_owned(), manifest, hash: hex(&Sha256::digest(&bytes)) })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest, which holds the sums of all other files: the identity of the model.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The bytes of a file that the manifest names, checked against its sum.
    ///
    /// # Errors
    /// [`Error::Bundle`] where it is missing, changed, or not named.
    pub fn file(&self, name: &str) -> Result<Vec<u8>> {
        let expected = self.manifest.files.get(name).ok_or_else(|| {
            Error::bundle(format!("{name} is not named in {}", self.place("bundle.json")))
        })?;
        let plain =
            Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if !plain {
            return Err(Error::bundle(format!(
                "{}: file name {name:?} leads out of the bundle",
                self.place("bundle.json")
            )));
        }
        let path = self.dir.join(name);
        let missing = |source: std::io::Error| Error::Bundle {
            message: format!(
                "{}: named in bundle.json but cannot be read. Copy the bundle again",
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
                "{}: larger than {LARGEST_FILE} bytes",
                path.display()
            )));
        }
        let bytes = fault::bytes_of(&path).map_err(missing)?;
        let found = hex(&Sha256::digest(&bytes));
        if !found.eq_ignore_ascii_case(expected) {
            return Err(Error::bundle(format!(
                "{}: changed since the bundle was made (SHA-256 {found}, the manifest says {expected}). Copy the bundle again; nothing was run",
                path.display()
            )));
        }
        Ok(bytes)
    }

    fn place(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}
