//! Atomic writes: a file appears completely or not at all.
//!
//! In: a path and a function that writes. Out: the file, written beside its target and renamed once
//! it is complete; a process that is killed or fails leaves an older file of that name unchanged.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::fault::{self, Counted};

/// Calls `write` with a buffered, seekable writer to a new file beside `path`, and renames that
/// file to `path`.
///
/// The writer is flushed here. If `write` fails, nothing is left behind; its error is returned
/// unchanged if it is an [`Error`].
///
/// # Errors
/// [`Error::Write`], naming `path`, if the folder is missing or not writable, the disk is full, or
/// `write` fails.
pub fn write_atomically<E>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<Counted<&mut File>>) -> std::result::Result<(), E>,
) -> Result<()>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut file = sibling(path, ".part")?;
    let failed = |e| {
        Error::write_caused(
            path,
            "writing failed. Check that the disk has space left and try again",
            e,
        )
    };
    let mut writer = BufWriter::new(fault::counted(file.as_file_mut()));
    if let Err(error) = write(&mut writer) {
        return Err(match error.into().downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => Error::write_caused(path, "writing failed", other),
        });
    }
    writer.flush().map_err(failed)?;
    drop(writer);
    sync(file.as_file()).map_err(failed)?;
    fault::write().map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// As [`write_atomically`], for libraries that open the path themselves; the name of the temporary
/// file ends in `suffix`.
///
/// # Errors
/// As [`write_atomically`].
pub fn rename_into_place(
    path: &Path,
    suffix: &str,
    write: impl FnOnce(&Path) -> std::io::Result<()>,
) -> Result<()> {
    let failed = |e| {
        Error::write_caused(
            path,
            "writing failed. Check that the disk has space left and try again",
            e,
        )
    };
    let sibling = sibling(path, suffix)?.into_temp_path();
    write(&sibling).map_err(failed)?;
    File::open(&sibling).and_then(|file| sync(&file)).map_err(failed)?;
    fault::write().map_err(failed)?;
    sibling.persist(path).map_err(|e| failed(e.error))
}

/// Flushes the file to disk. Some file systems (NFS, quotas) report only here that space ran out.
fn sync(file: &File) -> std::io::Result<()> {
    fault::write()?;
    file.sync_all()
}

/// A new file beside `path`, removed again unless it is renamed.
fn sibling(path: &Path, suffix: &str) -> Result<tempfile::NamedTempFile> {
    let Some(name) = path.file_name() else {
        return Err(Error::Argument(format!(
            "'{}' is not the name of a file, expected a folder and a file name. Give both",
            path.display()
        )));
    };
    if path.is_dir() {
        return Err(Error::Argument(format!(
            "{}: this is a folder, expected the name of a file. Add a file name",
            path.display()
        )));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(suffix);
    // Temporary files are private by default; this one becomes the result and gets the usual
    // permissions (less the umask).
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    fault::write().and_then(|()| builder.tempfile_in(folder)).map_err(|e| {
        Error::write_caused(
            path,
            "cannot be written: the folder must exist and be writable. Choose another folder or \
             change its permissions",
            e,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_writer_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.nii.gz");
        write_atomically(&path, |w| w.write_all(b"old")).unwrap();
        let error = write_atomically(&path, |w| {
            w.write_all(b"new")?;
            Err::<(), _>(std::io::Error::other("disk full"))
        })
        .unwrap_err();
        assert!(
            error.chain().contains("mask.nii.gz: writing failed: disk full"),
            "{}",
            error.chain()
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(matches!(
            write_atomically(&path, |_| Err(Error::Cancelled)),
            Err(Error::Cancelled)
        ));
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = write_atomically(Path::new("/no/such/folder/a.json"), |w| w.write_all(b"x"))
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/no/such/folder/a.json: cannot be written: the folder must exist"),
            "{error}"
        );
        let folder = tempfile::tempdir().unwrap();
        assert!(
            write_atomically(folder.path(), |w| w.write_all(b"x"))
                .unwrap_err()
                .to_string()
                .contains("this is a folder")
        );
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_the_file_as_usual() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, usual) = (folder.path().join("ours"), folder.path().join("usual"));
        write_atomically(&ours, |w| w.write_all(b"x")).unwrap();
        std::fs::write(&usual, b"x").unwrap();
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&usual));
    }
}
