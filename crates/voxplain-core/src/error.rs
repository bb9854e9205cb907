//! [`Error`]: what went wrong, where, and what to do about it.

use crate::{Fault, Remedy, fault};
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
    #[error("{}: {}", path.display(), fault::words(source))]
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
    /// Another process is at work in a folder, or may be.
    #[error("{}: {what}", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
        /// Who is at work.
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
    /// What the system said, where it is that a file was refused.
    fn io(&self) -> Option<&std::io::Error> {
        None
    }
}

impl Error {
    /// What to do about it, where that is known.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Part(e) => e.remedy(),
            Self::Io { source, .. } => Some(Fault::of(source).remedy()),
            Self::Interrupted => Some("run the same command again to go on; what is finished is kept".into()),
            Self::File { remedy, .. }
            | Self::Busy { remedy, .. }
            | Self::Subject { remedy, .. }
            | Self::Request { remedy, .. } => Some(remedy.clone()),
        }
    }

    /// Why the system refused a file, where it did.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Io { source, .. } => Some(Fault::of(source)),
            Self::Part(e) => e.io().map(Fault::of),
            _ => None,
        }
    }

    /// Whether the same request may succeed when it is made again, after some time or tidying: the disk was full, too many files were
    /// open, a network drive was away, another process was at work.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. }) || self.fault().is_some_and(Fault::is_transient)
    }

    /// Whether it is a fault of the machine, that the next file or subject would meet too: no file and no subject is to blame for it.
    pub fn is_of_machine(&self) -> bool {
        self.fault().is_some_and(Fault::is_of_machine)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn what_may_succeed_later_is_told_from_what_will_not() {
        let of = |kind: io::ErrorKind| Error::io("a.npy")(io::Error::from(kind));
        let full = of(io::ErrorKind::StorageFull);
        assert!(full.is_transient() && full.is_of_machine());
        assert!(full.to_string().starts_with("a.npy: the disk is full: "), "{full}");
        assert!(full.remedy().unwrap().to_string().contains("make room"));
        let missing = of(io::ErrorKind::NotFound);
        assert!(!missing.is_transient() && !missing.is_of_machine());
        let read_only = of(io::ErrorKind::ReadOnlyFilesystem);
        assert!(!read_only.is_transient() && read_only.is_of_machine());
        let busy = Error::Busy { path: "run".into(), what: "at work".into(), remedy: "wait".into() };
        assert!(busy.is_transient() && !busy.is_of_machine());
        assert!(!Error::Interrupted.is_transient());
        // An error of another crate is asked for what the system said.
        #[derive(Debug, thiserror::Error)]
        #[error("in a part")]
        struct Part(io::Error);
        impl PartError for Part {
            fn remedy(&self) -> Option<Remedy> {
                None
            }
            fn io(&self) -> Option<&io::Error> {
                Some(&self.0)
            }
        }
        assert!(Error::Part(Box::new(Part(io::Error::from(io::ErrorKind::StorageFull)))).is_transient());
    }
}
