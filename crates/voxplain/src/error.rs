//! What can go wrong, said with a place and a remedy.

use std::path::{Path, PathBuf};

/// Why something could not be done: what, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image could not be read, written or worked with.
    #[error(transparent)]
    Volume(#[from] voxplain_volume::Error),
    /// A network could not be built, read or run.
    #[error(transparent)]
    Network(#[from] voxplain_nn::Error),
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
        hint: String,
    },
    /// A subject cannot be worked with.
    #[error("subject {subject}: {what}")]
    Subject {
        /// The subject's id.
        subject: String,
        /// What was found and what was expected.
        what: String,
        /// What to do about it.
        hint: String,
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
        hint: String,
    },
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Volume(e) => e.hint(),
            Self::Network(e) => e.hint(),
            Self::Io { .. } => Some("check the path and its permissions".into()),
            Self::Interrupted => Some("run the same command again to go on; what is finished is kept".into()),
            Self::File { hint, .. } | Self::Subject { hint, .. } | Self::Request { hint, .. } => Some(hint.clone()),
        }
    }

    /// For `map_err`: names the file in what the system said.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    /// A file that is not what it should be.
    pub fn file(path: impl AsRef<Path>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_owned(), what: what.into(), hint: hint.into() }
    }

    /// A request that cannot be answered.
    pub fn request(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Request { what: what.into(), hint: hint.into() }
    }
}

/// The result of work in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
