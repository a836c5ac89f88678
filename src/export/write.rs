//! Outputs are written beside their target and renamed: a killed run leaves no half file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes `path` through a temporary sibling.
///
/// # Errors
/// [`Error::Write`] that names the path; nothing is left behind.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Result<()> {
    let failed = |e: io::Error| Error::write_caused(path, "cannot be written. Check that the folder exists, is writable and has room", e);
    let mut sibling = tempfile::Builder::new().prefix(".seqseg-").suffix(".part").tempfile_in(folder(path)).map_err(failed)?;
    set_usual_permissions(sibling.as_file()).map_err(failed)?;
    {
        let mut buffer = BufWriter::new(sibling.as_file());
        write(&mut buffer).and_then(|()| buffer.flush()).map_err(failed)?;
    }
    sibling.as_file_mut().sync_all().map_err(failed)?;
    sibling.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// As [`write_atomically`], for libraries that write to a path of their own; the sibling's name ends in `suffix`.
///
/// # Errors
/// As there.
pub fn rename_into_place(path: &Path, suffix: &str, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let failed = |e: io::Error| Error::write_caused(path, "cannot be written. Check that the folder exists, is writable and has room", e);
    let sibling = tempfile::Builder::new().prefix(".seqseg-").suffix(suffix).tempfile_in(folder(path)).map_err(failed)?;
    set_usual_permissions(sibling.as_file()).map_err(failed)?;
    let sibling = sibling.into_temp_path();
    write(&sibling).map_err(failed)?;
    sibling.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Temporary files are private; outputs get the mode that any new file gets.
fn set_usual_permissions(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    let _ = file;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_keeps_the_old_file_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.bin");
        write_atomically(&path, |f| f.write_all(b"old")).unwrap();
        let error = write_atomically(&path, |f| {
            f.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        })
        .unwrap_err();
        assert!(error.chain().contains("out.bin") && error.chain().contains("disk full"), "{}", error.chain());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_atomically(&dir.path().join("no/such/folder"), |_| Ok(())).is_err());
    }
}
