//! The errors of the library.
//!
//! In: the input that failed, what was found, what was expected and what to do. Out: one [`Error`]
//! with a stable number ([`Error::code`]) and a message of one paragraph in that order.

use std::path::Path;

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Every failure of the library. The number of a variant ([`Error::code`]) is stable and never
/// reused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option or argument is invalid (slice range outside the study, unknown device name, wrong
    /// order of calls).
    #[error("{0}")]
    Argument(String),
    /// A file or folder cannot be read (missing, no permission, truncated, corrupt, not the format
    /// it claims).
    #[error("{message}")]
    Read {
        /// The message, without the cause.
        message: String,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
    /// The image can be read, but nasoseg cannot use it (colour, constant, NaN, one slice, missing
    /// slices, mixed orientations).
    #[error("{0}")]
    Image(String),
    /// The sequences do not fit together in space (no overlap, other frame of reference, the same
    /// series twice).
    #[error("{0}")]
    Geometry(String),
    /// The sequences belong to different patients. No option forces this.
    #[error("{0}")]
    Identity(String),
    /// The model bundle is missing, damaged, changed, or of another format.
    #[error("{message}")]
    Bundle {
        /// The message, without the cause.
        message: String,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
    /// ONNX Runtime cannot be found, loaded, or fails to run a graph.
    #[error("{message}")]
    Runtime {
        /// The message, without the cause.
        message: String,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
    /// The device that the caller named cannot be used.
    #[error("{message}")]
    Device {
        /// The message, without the cause.
        message: String,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
    /// An output cannot be written.
    #[error("{message}")]
    Write {
        /// The message, without the cause.
        message: String,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
    /// The input can be read, but this output cannot be made from it (RTSTRUCT without a DICOM
    /// reference, NIfTI of non-uniform slices).
    #[error("{0}")]
    Unsupported(String),
    /// The caller cancelled. Every handle stays usable.
    #[error("cancelled")]
    Cancelled,
    /// A defect of nasoseg itself.
    #[error("internal error: {0}. Please report it with the run record.")]
    Internal(String),
    /// An earlier call on this handle ended in [`Error::Internal`]; its state is undefined.
    #[error(
        "an earlier call on this handle failed with an internal error. Free the handle and make a \
         new one"
    )]
    Poisoned,
}

/// Result with the library's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Stable number of the kind of failure: the C ABI's status code.
    pub fn code(&self) -> u32 {
        match self {
            Error::Argument(_) => 1,
            Error::Read { .. } => 2,
            Error::Image(_) => 3,
            Error::Geometry(_) => 4,
            Error::Identity(_) => 5,
            Error::Bundle { .. } => 6,
            Error::Runtime { .. } => 7,
            Error::Device { .. } => 8,
            Error::Write { .. } => 9,
            Error::Unsupported(_) => 10,
            Error::Cancelled => 11,
            Error::Internal(_) => 12,
            Error::Poisoned => 13,
        }
    }

    /// An [`Error::Read`] without a cause.
    pub fn read(message: impl Into<String>) -> Self {
        Error::Read { message: message.into(), source: None }
    }

    /// An [`Error::Read`] of `path` with its cause.
    pub fn read_caused(path: &Path, what: &str, source: impl Into<Source>) -> Self {
        Error::Read { message: format!("{}: {what}", path.display()), source: Some(source.into()) }
    }

    /// An [`Error::Write`] of `path` with its cause.
    pub fn write_caused(path: &Path, what: &str, source: impl Into<Source>) -> Self {
        Error::Write { message: format!("{}: {what}", path.display()), source: Some(source.into()) }
    }

    /// An [`Error::Bundle`] without a cause.
    pub fn bundle(message: impl Into<String>) -> Self {
        Error::Bundle { message: message.into(), source: None }
    }

    /// The same error with `name` (an input) before its message.
    #[must_use]
    pub fn within(self, name: impl std::fmt::Display) -> Self {
        let before = |message: String| format!("{name}: {message}");
        match self {
            Error::Argument(m) => Error::Argument(before(m)),
            Error::Image(m) => Error::Image(before(m)),
            Error::Geometry(m) => Error::Geometry(before(m)),
            Error::Identity(m) => Error::Identity(before(m)),
            Error::Unsupported(m) => Error::Unsupported(before(m)),
            Error::Internal(m) => Error::Internal(before(m)),
            Error::Read { message, source } => Error::Read { message: before(message), source },
            Error::Bundle { message, source } => Error::Bundle { message: before(message), source },
            Error::Runtime { message, source } => {
                Error::Runtime { message: before(message), source }
            }
            Error::Device { message, source } => Error::Device { message: before(message), source },
            Error::Write { message, source } => Error::Write { message: before(message), source },
            Error::Cancelled | Error::Poisoned => self,
        }
    }

    /// The message with its whole chain of causes, in one paragraph.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let part = error.to_string();
            if !text.contains(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_names_the_input_and_every_cause() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::read_caused(Path::new("/a/b.dcm"), "cannot be read", io);
        assert_eq!(error.code(), 2);
        assert_eq!(error.chain(), "/a/b.dcm: cannot be read: disk on fire");
    }
}
