//! [`Fault`]: what the system means when it refuses a file, and what to do about it.

use crate::Remedy;
use std::{error::Error, fmt, io};

/// Why the system refused a file.
///
/// ```
/// use std::io;
/// use voxplain_core::Fault;
/// let fault = Fault::of(&io::Error::from(io::ErrorKind::StorageFull));
/// assert_eq!(fault, Fault::DiskFull);
/// assert!(fault.is_transient());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing is there, or a folder on the way to it is not.
    Missing,
    /// Whoever runs the program may not read, or not write it.
    NotPermitted,
    /// Something on the way to it is a file and no folder.
    NotAFolder,
    /// A folder where a file was expected.
    IsAFolder,
    /// A named pipe, a socket or a device where a file was expected.
    IsNoFile,
    /// The name, or a part of it, is longer than the file system takes.
    NameTooLong,
    /// It lies on a file system, or a medium, that cannot be written to.
    ReadOnly,
    /// No space is left.
    DiskFull,
    /// The share of the disk that this user has is used up.
    QuotaUsedUp,
    /// A file larger than the file system, or a limit of this user, allows.
    FileTooLarge,
    /// The process, or the machine, has as many files open as it may.
    TooManyOpen,
    /// Memory is used up.
    NoMemory,
    /// A network drive has lost the file: the server was restarted, or the file replaced there.
    Stale,
    /// The network, or the server behind it, does not answer.
    Network,
    /// The device itself failed.
    Device,
    /// Something else, which the system's own words name.
    Other,
}

impl Fault {
    /// What the system means by an error; behind an error that wraps another stands the other.
    pub fn of(error: &io::Error) -> Self {
        let known = Self::by_number(error).unwrap_or_else(|| Self::by_kind(error.kind()));
        if known != Self::Other {
            return known;
        }
        let mut inner: Option<&(dyn Error + 'static)> = error.get_ref().map(|e| e as _);
        while let Some(cause) = inner {
            if let Some(cause) = cause.downcast_ref::<io::Error>() {
                return Self::of(cause);
            }
            if cause.is::<NoFile>() {
                return Self::IsNoFile;
            }
            inner = cause.source();
        }
        Self::Other
    }

    /// What has no kind of its own.
    fn by_number(error: &io::Error) -> Option<Self> {
        if !cfg!(unix) {
            return None;
        }
        // ENFILE, EMFILE, EIO: the same numbers on Linux, macOS and the BSDs.
        match error.raw_os_error()? {
            23 | 24 => Some(Self::TooManyOpen),
            5 => Some(Self::Device),
            _ => None,
        }
    }

    fn by_kind(kind: io::ErrorKind) -> Self {
        use io::ErrorKind as Kind;
        match kind {
            Kind::NotFound => Self::Missing,
            Kind::PermissionDenied => Self::NotPermitted,
            Kind::NotADirectory => Self::NotAFolder,
            Kind::IsADirectory => Self::IsAFolder,
            Kind::InvalidFilename => Self::NameTooLong,
            Kind::ReadOnlyFilesystem => Self::ReadOnly,
            Kind::StorageFull => Self::DiskFull,
            Kind::QuotaExceeded => Self::QuotaUsedUp,
            Kind::FileTooLarge => Self::FileTooLarge,
            Kind::OutOfMemory => Self::NoMemory,
            Kind::StaleNetworkFileHandle => Self::Stale,
            Kind::TimedOut
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected => Self::Network,
            _ => Self::Other,
        }
    }

    /// It in words that stand behind the name of a file; `None` where the system's own say it best.
    pub const fn words(self) -> Option<&'static str> {
        Some(match self {
            Self::Missing => "is not there",
            Self::NotPermitted => "may not be read or written by you",
            Self::NotAFolder => "something on the way to it is a file and no folder",
            Self::IsAFolder => "is a folder, where a file is expected",
            Self::NameTooLong => "has a name that the file system does not take",
            Self::ReadOnly => "lies where nothing can be written",
            Self::DiskFull => "the disk is full",
            Self::QuotaUsedUp => "your share of the disk is used up",
            Self::FileTooLarge => "grew larger than the file system, or a limit set for you, allows",
            Self::TooManyOpen => "too many files are open",
            Self::NoMemory => "no memory is left",
            Self::Stale => "the network drive has lost it",
            Self::Network => "the network drive does not answer",
            Self::Device => "the disk could not read or write it",
            Self::IsNoFile | Self::Other => return None,
        })
    }

    /// What to do about it.
    pub fn remedy(self) -> Remedy {
        match self {
            Self::Missing => "check the path: what is before its last part must be there too",
            Self::NotPermitted => "ask its owner for the right to it, or work with a copy of your own; `ls -ld` shows whose it is",
            Self::NotAFolder => "check the path: all but its last part must be folders",
            Self::IsAFolder => "name a file in it, or another file",
            Self::IsNoFile => "write what comes out of it into a file, and name that: files are read more than once",
            Self::NameTooLong => "choose a shorter name",
            Self::ReadOnly => "write to another place, or mount this one so that it can be written to",
            Self::DiskFull => {
                "make room on that disk (`df -h` shows how much there is), then run the same command again: what is finished is kept"
            }
            Self::QuotaUsedUp => {
                "remove files of yours on that disk, or ask for a larger share, then run the same command again: what is finished is kept"
            }
            Self::FileTooLarge => "raise the limit (`ulimit -f` shows it), or write to a disk of another file system",
            Self::TooManyOpen => {
                "raise the limit (`ulimit -n` shows it) or use fewer threads, then run the same command again: what is finished is kept"
            }
            Self::NoMemory => "close other programs or use fewer threads, then run the same command again: what is finished is kept",
            Self::Stale | Self::Network => {
                "see that the network drive is there, then run the same command again: what is finished is kept"
            }
            Self::Device => "see that the disk is sound (`dmesg` tells), and copy what is on it elsewhere before you go on",
            Self::Other => "see what the system says of it",
        }
        .into()
    }

    /// Whether trying again, later or after some tidying, may help, with nothing else changed.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::DiskFull | Self::QuotaUsedUp | Self::TooManyOpen | Self::NoMemory | Self::Stale | Self::Network
        )
    }

    /// Whether it is the machine's, and not one of the file that was asked for: the next file would meet it too.
    pub const fn is_of_machine(self) -> bool {
        self.is_transient() || matches!(self, Self::ReadOnly | Self::FileTooLarge)
    }
}

/// What the system said about a file, in words that stand behind its name: our own where it has a [`Fault`], then the system's.
pub fn words(error: &io::Error) -> String {
    match Fault::of(error).words() {
        // An error made by a program says itself what it is.
        Some(words) if error.get_ref().is_none() => format!("{words}: {error}"),
        _ => error.to_string(),
    }
}

/// A named pipe, a socket or a device, where a file is expected.
#[derive(Debug)]
pub(crate) struct NoFile(pub(crate) &'static str);

impl fmt::Display for NoFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is a {}, where a file is expected", self.0)
    }
}

impl Error for NoFile {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn numbers_of_the_system_have_words_and_remedies() {
        let of = |number| Fault::of(&io::Error::from_raw_os_error(number));
        let known = [
            (2, Fault::Missing),
            (13, Fault::NotPermitted),
            (20, Fault::NotAFolder),
            (21, Fault::IsAFolder),
            (23, Fault::TooManyOpen),
            (24, Fault::TooManyOpen),
            (28, Fault::DiskFull),
            (30, Fault::ReadOnly),
            (5, Fault::Device),
            (27, Fault::FileTooLarge),
            (12, Fault::NoMemory),
            (33, Fault::Other),
        ];
        for (number, fault) in known {
            assert_eq!(of(number), fault, "{number}");
            let text = words(&io::Error::from_raw_os_error(number));
            assert!(text.contains(&format!("os error {number}")), "{text}");
            assert!(fault.words().is_none_or(|words| text.starts_with(words)), "{text}");
        }
        #[cfg(target_os = "linux")]
        assert_eq!([122, 116, 110, 113].map(of), [Fault::QuotaUsedUp, Fault::Stale, Fault::Network, Fault::Network]);
        let again: Vec<i32> = [2, 13, 28, 24, 30, 5].into_iter().filter(|n| of(*n).is_transient()).collect();
        assert_eq!(again, [28, 24]);
        assert!(of(30).is_of_machine() && !of(2).is_of_machine() && !of(5).is_of_machine());
    }

    #[cfg(unix)]
    #[test]
    fn an_error_behind_another_is_found() {
        #[derive(Debug)]
        struct Outer(io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "cannot do it: {}", self.0)
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let full = io::Error::other(Outer(io::Error::from_raw_os_error(28)));
        assert_eq!(Fault::of(&full), Fault::DiskFull);
        assert!(words(&full).starts_with("cannot do it"));
        assert_eq!(Fault::of(&io::Error::other("no more")), Fault::Other);
    }
}
