//! What can go wrong with an image, said so that it can be mended.

use std::path::{Path, PathBuf};
use voxplain_core::{Fault, PartError, Remedy, fault};

/// Why an image could not be read, written or worked with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened, read or written.
    #[error("{}: {}", path.display(), fault::words(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what it should be: what was found, and what was expected.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        what: String,
        /// What to do about it.
        remedy: Remedy,
    },
    /// A shape, affine or number of values that makes no grid.
    #[error("{0}")]
    Grid(String),
}

impl Error {
    /// A file that is not what it should be.
    pub(crate) fn file(path: &Path, what: impl Into<String>, remedy: impl Into<Remedy>) -> Self {
        Self::File { path: path.to_owned(), what: what.into(), remedy: remedy.into() }
    }

    /// What the system said about a file.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// What to do about it, where that is known.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Io { source, .. } => Some(Fault::of(source).remedy()),
            Self::File { remedy, .. } => Some(remedy.clone()),
            Self::Grid(_) => None,
        }
    }
}

/// The result of work on images.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl PartError for Error {
    fn remedy(&self) -> Option<Remedy> {
        Self::remedy(self)
    }

    fn io(&self) -> Option<&std::io::Error> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Error> for voxplain_core::Error {
    fn from(error: Error) -> Self {
        Self::Part(Box::new(error))
    }
}
