//! What can go wrong with a network.

use std::path::PathBuf;
use voxplain_core::{Fault, PartError, Remedy, fault};

/// Why a network could not be built, read or run.
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
    /// The file is not what it should be.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        what: String,
        /// What to do about it.
        remedy: Remedy,
    },
    /// A shape does not fit the operation.
    #[error("node {node}: {what}")]
    Shape {
        /// The node's name.
        node: String,
        /// What was found and what was expected.
        what: String,
    },
    /// There is no node or parameter of that name.
    #[error("{what}: {name} is unknown; there are: {known}")]
    Unknown {
        /// `node`, `parameter`.
        what: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A request that the plan or network cannot answer.
    #[error("{0}")]
    Request(String),
}

impl Error {
    /// What to do about it, where that is known.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Io { source, .. } => Some(Fault::of(source).remedy()),
            Self::File { remedy, .. } => Some(remedy.clone()),
            Self::Shape { .. } | Self::Unknown { .. } | Self::Request(_) => None,
        }
    }
}

/// The result of work on networks.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl PartError for Error {
    fn remedy(&self) -> Option<Remedy> {
        Self::remedy(self)
    }

    fn io(&self) -> Option<&std::io::Error> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::File { .. } | Self::Shape { .. } | Self::Unknown { .. } | Self::Request(_) => None,
        }
    }
}

impl From<Error> for voxplain_core::Error {
    fn from(error: Error) -> Self {
        Self::Part(Box::new(error))
    }
}
