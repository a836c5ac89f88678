//! Fault injection for tests: the n-th model run, the n-th read of a file or the n-th write of an
//! output fails.
//!
//! In: `Faults::arm`, from a test. Out: an error at the n-th operation, as the system would give
//! it. Without the feature `fault-injection` nothing is counted, and the functions do nothing.
//! Release builds refuse the feature, and bindings/cpp/install.sh refuses a library that has it.

use std::fs::File;
use std::io;
use std::path::Path;

#[cfg(all(feature = "fault-injection", not(debug_assertions)))]
compile_error!(
    "the feature fault-injection is for tests. Build without it, or with the dev profile"
);

#[cfg(feature = "fault-injection")]
pub use injected::{Counted, Fault, Faults, MODEL_RUN_FAILURE};
#[cfg(feature = "fault-injection")]
pub(crate) use injected::{counted, model_run, read, write};
#[cfg(not(feature = "fault-injection"))]
pub use nothing::Counted;
#[cfg(not(feature = "fault-injection"))]
pub(crate) use nothing::{counted, model_run, read, write};

/// Opens a file for reading. Its reads are counted if it is wrapped in [`counted`].
pub(crate) fn open(path: &Path) -> io::Result<File> {
    read()?;
    File::open(path)
}

/// All bytes of a file.
pub(crate) fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or(0));
    io::Read::read_to_end(&mut counted(file), &mut bytes)?;
    Ok(bytes)
}

/// A file of UTF-8 text.
pub(crate) fn text_of(path: &Path) -> io::Result<String> {
    String::from_utf8(bytes_of(path)?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(not(feature = "fault-injection"))]
mod nothing {
    /// The stream itself: nothing is counted.
    pub type Counted<T> = T;

    #[inline(always)]
    pub fn counted<T>(stream: T) -> T {
        stream
    }

    #[inline(always)]
    pub fn model_run() -> std::io::Result<()> {
        Ok(())
    }

    #[inline(always)]
    pub fn read() -> std::io::Result<()> {
        Ok(())
    }

    #[inline(always)]
    pub fn write() -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "fault-injection")]
mod injected {
    use std::io::{Error, Read, Result, Seek, SeekFrom, Write};
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::sync::{Mutex, MutexGuard};

    /// The message of a model run that was made to fail. install.sh recognises a library with this
    /// feature by these words.
    pub const MODEL_RUN_FAILURE: &str = "made to fail by fault-injection";

    /// What can be made to fail.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Fault {
        /// One run of one graph.
        ModelRun,
        /// Opening a file, listing a folder, one read of a stream; fails with an I/O error.
        Read,
        /// Creating an output, one write to it, flushing it to the disk, renaming it; fails because
        /// no space is left.
        Write,
    }

    /// Operations left until the one that fails; 0: it has failed, below 0: nothing is to fail.
    static LEFT: [AtomicI64; 3] = [const { AtomicI64::new(-1) }; 3];
    static OWNER: Mutex<()> = Mutex::new(());

    /// The right to make operations of this process fail, with one owner at a time. Several threads
    /// read files, so the counters belong to the process, not to a thread.
    pub struct Faults(#[allow(dead_code)] MutexGuard<'static, ()>);

    impl Faults {
        /// Waits until no other test owns the right.
        pub fn own() -> Self {
            Faults(OWNER.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
        }

        /// Makes the `n`-th operation from now (counted from 1) fail, once.
        pub fn arm(&self, fault: Fault, n: i64) {
            LEFT[fault as usize].store(n, Ordering::SeqCst);
        }

        /// Stops the injection. Returns whether the operation was reached.
        pub fn disarm(&self, fault: Fault) -> bool {
            LEFT[fault as usize].swap(-1, Ordering::SeqCst) == 0
        }
    }

    impl Drop for Faults {
        fn drop(&mut self) {
            LEFT.iter().for_each(|left| left.store(-1, Ordering::SeqCst));
        }
    }

    /// Counts an operation; returns whether it is the one that must fail.
    fn should_fail(fault: Fault) -> bool {
        let count = |left: i64| (left > 0).then_some(left - 1);
        LEFT[fault as usize].fetch_update(Ordering::SeqCst, Ordering::SeqCst, count) == Ok(1)
    }

    pub fn model_run() -> Result<()> {
        if should_fail(Fault::ModelRun) { Err(Error::other(MODEL_RUN_FAILURE)) } else { Ok(()) }
    }

    pub fn read() -> Result<()> {
        if should_fail(Fault::Read) { Err(Error::from_raw_os_error(libc::EIO)) } else { Ok(()) }
    }

    pub fn write() -> Result<()> {
        if should_fail(Fault::Write) { Err(Error::from_raw_os_error(libc::ENOSPC)) } else { Ok(()) }
    }

    /// A stream whose reads and writes are counted.
    pub struct Counted<T>(T);

    pub fn counted<T>(stream: T) -> Counted<T> {
        Counted(stream)
    }

    impl<T: Read> Read for Counted<T> {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            read()?;
            self.0.read(buffer)
        }
    }

    impl<T: Write> Write for Counted<T> {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            write()?;
            self.0.write(bytes)
        }

        fn flush(&mut self) -> Result<()> {
            self.0.flush()
        }
    }

    impl<T: Seek> Seek for Counted<T> {
        fn seek(&mut self, to: SeekFrom) -> Result<u64> {
            self.0.seek(to)
        }
    }
}
