//! [`Error`]: what went wrong, where, and what to do about it.

use crate::Remedy;
use std::path::{Path, PathBuf};

/// Why something could not be done. Its text says what and where; [`Error::remedy`] says what to do about it.
///
/// ```
/// use voxplain_core::Error;
/// let error = Error::file("brain.nii", "is empty", "copy or download it again");
/// assert_eq!(error.to_string(), "brain.nii: is empty");
/// assert_eq!(error.remedy().unwrap().to_string(), "copy or download it again");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        what: String,
        /// What to do about it.
        remedy: Remedy,
    },
    /// A subject cannot be worked with.
    #[error("subject {subject}: {what}")]
    Subject {
        /// The subject's id.
        subject: String,
        /// What was found and what was expected.
        what: String,
        /// What to do about it.
        remedy: Remedy,
    },
    /// The user asked to stop ([`crate::Progress::interrupted`]).
    #[error("interrupted")]
    Interrupted,
    /// What was asked for cannot be done.
    #[error("{what}")]
    Request {
        /// What was asked and why it cannot be.
        what: String,
        /// What to do about it.
        remedy: Remedy,
    },
    /// An error of a lower crate that has a type of its own: an image could not be read, a network not be run.
    #[error("{0}")]
    Part(Box<dyn PartError>),
}

/// An error type of another crate, as [`Error::Part`] holds it.
///
/// A crate implements it for its own error together with `From`, so that `?` turns the one into the other.
pub trait PartError: std::error::Error + Send + Sync + 'static {
    /// What to do about it, where that is known.
    fn remedy(&self) -> Option<Remedy>;
}

impl Error {
    /// What to do about it, where that is known.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Part(e) => e.remedy(),
            Self::Io { .. } => Some("check the path and its permissions".into()),
            Self::Interrupted => Some("run the same command again to go on; what is finished is kept".into()),
            Self::File { remedy, .. } | Self::Subject { remedy, .. } | Self::Request { remedy, .. } => {
                Some(remedy.clone())
            }
        }
    }

    /// For `map_err`: names the file in what the system said.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    /// A file that is not what it should be.
    pub fn file(path: impl AsRef<Path>, what: impl Into<String>, remedy: impl Into<Remedy>) -> Self {
        Self::File { path: path.as_ref().to_owned(), what: what.into(), remedy: remedy.into() }
    }

    /// A subject that cannot be worked with.
    pub fn subject(subject: impl Into<String>, what: impl Into<String>, remedy: impl Into<Remedy>) -> Self {
        Self::Subject { subject: subject.into(), what: what.into(), remedy: remedy.into() }
    }

    /// A request that cannot be answered.
    pub fn request(what: impl Into<String>, remedy: impl Into<Remedy>) -> Self {
        Self::Request { what: what.into(), remedy: remedy.into() }
    }
}

/// The result of work that may fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
