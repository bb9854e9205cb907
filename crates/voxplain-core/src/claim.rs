//! [`Claim`]: a folder that one process writes into at a time.
//!
//! Whoever writes into a folder first puts a file there that says who it is: machine, process, since when, doing what. It is made under
//! another name and given its own by a link, which fails where there is one already: on network drives too, where locks of the system
//! (`flock`) mostly hold on one machine alone. It goes when the work ends, done or failed. Who only reads asks nobody.
//!
//! What a killed process leaves is recognised on the machine, and in the process namespace, where it ran: there the system knows that
//! the process is gone, by its number and the time when it began, and the next one follows it by itself. Of another machine this
//! cannot be known, and the user decides; but for a job of SLURM that was started again (`job.rs`).
//!
//! To follow one that is gone is a right that only one can have: it is a file named after the claim of that one, made like the claim
//! itself, and put over the claim by a rename. So of two that find the same claim one follows, and the other finds it at work.
//!
//! Several processes that share the work on one folder each claim a part of it, by a name (`part.rs`).

mod job;
mod part;

use crate::{Error, Progress, Result, atomic_file, hash_bytes, plural::counted, remedy};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use job::Job;

/// A folder that this process alone writes into, until this is dropped.
#[derive(Debug)]
pub struct Claim {
    file: PathBuf,
    id: String,
}

impl Claim {
    /// The name of the file in a folder that says who writes into it.
    pub const NAME: &str = ".voxplain-lock";

    /// Claims a folder, which must be there, for what is to be done (`train`), and takes away what killed processes left unfinished
    /// in it. Says whom it follows, where one ended without a word.
    ///
    /// # Errors
    /// [`Error::Busy`]: another process is at work there, or was on another machine; a file that cannot be written.
    pub fn take(folder: &Path, doing: &str, progress: &dyn Progress) -> Result<Self> {
        // Not taken for a moment from those who would begin with a part.
        part::refuse_parts(folder)?;
        let (claim, gone) = take(folder, Self::NAME, &Owner::us(doing))?;
        say_gone(folder, gone, progress);
        // Who claims a part looks for a claim of the whole when it has its own: of two that come at once one sees the other.
        part::clear(folder, progress)?;
        atomic_file::sweep(folder)?;
        Ok(claim)
    }

    /// Refuses a folder that another process is at work in, or in a part of it, before long work that would end there; where nothing is,
    /// nobody is.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub fn refuse_other(folder: &Path) -> Result<()> {
        refuse(&folder.join(Self::NAME))?;
        part::refuse_parts(folder)
    }

    /// Who is at work in a folder, or in a part of it, for whoever only wants to know; where nothing is, nobody is. Of several one is named.
    ///
    /// # Errors
    /// A claim that cannot be read.
    pub fn look(folder: &Path) -> Result<Occupied> {
        let whole = look(&folder.join(Self::NAME))?;
        if !matches!(whole, Occupied::Nobody | Occupied::Gone(_)) {
            return Ok(whole);
        }
        // Who is at work is named before who is gone.
        let mut parts = vec![whole];
        for (_, file) in part::claims(folder)? {
            parts.push(look(&file)?);
        }
        let rank = |of: &Occupied| match of {
            Occupied::AtWork(_) => 0,
            Occupied::Elsewhere(_) => 1,
            Occupied::Unknown => 2,
            Occupied::Gone(_) => 3,
            Occupied::Nobody => 4,
        };
        Ok(parts.into_iter().min_by_key(rank).unwrap_or(Occupied::Nobody))
    }

    /// Whether a file of a folder belongs to claims.
    pub fn is_file(path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix(Self::NAME)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(AFTER) || rest.starts_with(part::OF))
    }

    /// Takes away a claim whose owner is gone, in a folder in which there is nothing to do; whether nobody is at work there now.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn clear(folder: &Path) -> Result<bool> {
        match look(&folder.join(Self::NAME))? {
            Occupied::Nobody => Ok(part::claims(folder)?.is_empty()),
            Occupied::Gone(_) => take(folder, Self::NAME, &Owner::us("clear")).map(|_| true),
            _ => Ok(false),
        }
    }

    /// The claim, where its folder has another name now.
    #[must_use]
    pub fn moved_to(mut self, folder: &Path) -> Self {
        self.file = folder.join(Self::NAME);
        self
    }
}

/// Who is at work in a folder, as its claim says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", content = "worker", rename_all = "kebab-case")]
pub enum Occupied {
    /// There is no claim.
    Nobody,
    /// This process is there.
    AtWork(Worker),
    /// This process ended without a word: the next one follows it by itself.
    Gone(Worker),
    /// This process is, or was, of another machine or container: from here it cannot be seen.
    Elsewhere(Worker),
    /// There is a claim that cannot be understood.
    Unknown,
}

/// A process that claimed a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worker {
    /// The verb that it does.
    pub doing: String,
    /// Its number.
    pub process: u32,
    /// The name of its machine.
    pub host: String,
    /// When it claimed the folder, in seconds since 1970.
    pub since: u64,
}

impl Worker {
    /// For how long it has had the folder: `3 minutes`.
    fn age(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        match now.saturating_sub(self.since) {
            seconds @ 0..60 => counted(usize::try_from(seconds).unwrap_or(0), "second"),
            seconds @ 60..7200 => counted(usize::try_from(seconds / 60).unwrap_or(0), "minute"),
            seconds => counted(usize::try_from(seconds / 3600).unwrap_or(0), "hour"),
        }
    }
}

/// `voxplain train (process 12 on cortex, begun 3 minutes ago)`.
impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { doing, process, host, .. } = self;
        // Of one line, whatever the file holds.
        let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(f, "voxplain {} (process {process} on {}, begun {} ago)", line(doing), line(host), self.age())
    }
}

/// In a sentence.
impl fmt::Display for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => write!(f, "nobody is at work here"),
            Self::AtWork(worker) => write!(f, "{worker} is at work here"),
            Self::Gone(worker) => write!(
                f,
                "{worker} was at work here and is gone (killed, or the machine stopped): the next command that writes here follows it"
            ),
            Self::Elsewhere(worker) => {
                write!(f, "{worker} is at work here, or was: from this machine it cannot be seen whether it still is")
            }
            Self::Unknown => write!(f, "somebody is at work here, or was: {} cannot be understood", Claim::NAME),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // What cannot be taken away is recognised later as what it is: left behind by a process that is gone.
        if let Ok(Found::Owner(owner)) = Owner::read(&self.file)
            && owner.id == self.id
        {
            let _ = fs::remove_file(&self.file);
        }
    }
}

/// How the right to follow a claim is named, before the id of the claim.
const AFTER: &str = "-after-";

/// Says whom a claim follows.
fn say_gone(folder: &Path, gone: Option<Owner>, progress: &dyn Progress) {
    if let Some(gone) = gone {
        progress.note(&format!(
            "{}: {} ended without a word (killed, or the machine stopped); what it finished is kept",
            folder.display(),
            gone.describe()
        ));
    }
}

/// Refuses what somebody has claimed by this file, who is not gone.
fn refuse(file: &Path) -> Result<()> {
    match Owner::read(file)? {
        Found::Nothing => Ok(()),
        Found::Damaged => Err(damaged(file)),
        Found::Owner(owner) if owner.standing() == Standing::Gone => Ok(()),
        Found::Owner(owner) => Err(owner.busy(file)),
    }
}

/// Who has claimed something by this file.
fn look(file: &Path) -> Result<Occupied> {
    Ok(match Owner::read(file)? {
        Found::Nothing => Occupied::Nobody,
        Found::Damaged => Occupied::Unknown,
        Found::Owner(owner) => match owner.standing() {
            Standing::AtWork => Occupied::AtWork(owner.worker()),
            Standing::Gone => Occupied::Gone(owner.worker()),
            Standing::Elsewhere => Occupied::Elsewhere(owner.worker()),
        },
    })
}

/// Claims a folder, or the part of it that the name of the file says, and says whom the claim follows.
fn take(folder: &Path, name: &str, own: &Owner) -> Result<(Claim, Option<Owner>)> {
    /// Times that somebody else may come first before it is said to be at work.
    const TRIES: usize = 20;
    let file = folder.join(name);
    let claim = || Claim { file: file.clone(), id: own.id.clone() };
    for _ in 0..TRIES {
        if own.put(&file)? {
            return Ok((claim(), None));
        }
        match Owner::read(&file)? {
            Found::Nothing => {}
            Found::Damaged => return Err(damaged(&file)),
            Found::Owner(other) => match other.standing() {
                Standing::Gone if follow(&file, &other, own)? => return Ok((claim(), Some(other))),
                Standing::Gone => {}
                Standing::AtWork | Standing::Elsewhere => return Err(other.busy(&file)),
            },
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(Error::Busy { path: folder.to_owned(), what: "others are at work here".into(), remedy: "wait for them".into() })
}

/// The right to follow the claim that is this file, where it is that of `gone`.
fn right(file: &Path, gone: &Owner) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{name}{AFTER}{}", gone.id))
}

/// Puts the claim in the place of that of a process that is gone; false where somebody else did.
fn follow(file: &Path, gone: &Owner, own: &Owner) -> Result<bool> {
    let mut last = gone.clone();
    // Those who had the right and were killed before they used it.
    let mut passed = Vec::new();
    loop {
        let place = right(file, &last);
        if own.put(&place)? {
            // Somebody may have followed, worked and gone since the claim was read: then the right is of the past.
            let still = matches!(Owner::read(file)?, Found::Owner(now) if now.id == gone.id);
            if !still {
                fs::remove_file(&place).map_err(Error::io(&place))?;
                return Ok(false);
            }
            fs::rename(&place, file).map_err(Error::io(file))?;
            for place in passed {
                fs::remove_file(&place).map_err(Error::io(&place))?;
            }
            return Ok(true);
        }
        match Owner::read(&place)? {
            Found::Owner(other) if other.standing() == Standing::Gone => {
                passed.push(place);
                last = other;
            }
            Found::Owner(other) => return Err(other.busy(file)),
            Found::Nothing => return Ok(false),
            Found::Damaged => return Err(damaged(file)),
        }
    }
}

/// The folder of a claim.
fn folder_of(file: &Path) -> PathBuf {
    file.parent().unwrap_or(file).to_owned()
}

/// That nobody can be named.
fn damaged(file: &Path) -> Error {
    Error::Busy {
        path: folder_of(file),
        what: "somebody is at work here, or was, and the file that says who cannot be understood".into(),
        remedy: remedy![format!("where nobody is, remove {} and run the command again", file.display())],
    }
}

/// A process that writes into a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    /// What it does.
    doing: String,
    /// The name of its machine.
    host: String,
    #[serde(flatten)]
    process: Process,
    /// The job of SLURM that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<Box<Job>>,
    /// When the claim was made, in seconds since 1970.
    since: u64,
    /// Of this claim, as of no other.
    id: String,
}

/// A process of a machine, so that it can be told from another one of its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    #[serde(rename = "process")]
    number: u32,
    /// When it began, as the system counts it; unknown where the system does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<String>,
    /// Whose it is, by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<u32>,
    /// The start of the machine that it ran since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
    /// The processes among which it has this number: a container has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
}

/// What is known of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    AtWork,
    Gone,
    /// Where it ran cannot be asked from here.
    Elsewhere,
}

/// What lies where a claim does.
enum Found {
    Nothing,
    Damaged,
    Owner(Owner),
}

impl Owner {
    fn us(doing: &str) -> Self {
        static CLAIMS: AtomicU64 = AtomicU64::new(0);
        let (process, host) = (Process::us(), host());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let one = format!("{host} {process:?} {} {}", now.as_nanos(), CLAIMS.fetch_add(1, Ordering::Relaxed));
        let id = hash_bytes(one.as_bytes())[..16].to_owned();
        Self { doing: doing.to_owned(), host, process, job: our_job().map(Box::new), since: now.as_secs(), id }
    }

    /// Reads a claim. One that is being written is waited for.
    fn read(file: &Path) -> Result<Found> {
        const WAITS: usize = 20;
        for _ in 0..WAITS {
            // A pipe would be waited at for ever, and a link to nothing is in the way of every claim.
            let is_other = fs::symlink_metadata(file).is_ok_and(|found| !found.is_file());
            match if is_other { Ok(Vec::new()) } else { fs::read(file) } {
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Ok(Found::Nothing);
                }
                Err(e) => return Err(Error::io(file)(e)),
                Ok(bytes) => {
                    if let Ok(owner) = serde_json::from_slice(&bytes) {
                        return Ok(Found::Owner(owner));
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Found::Damaged)
    }

    /// Makes the file with this owner in it, whole and only where there is none; whether it is ours.
    fn put(&self, file: &Path) -> Result<bool> {
        let mut text = serde_json::to_string_pretty(self)
            .map(|text| crate::visible_json(&text).into_owned())
            .map_err(|e| Error::file(file, e.to_string(), "report this"))?;
        text.push('\n');
        let mut part = atomic_file::beside(file).map_err(Error::io(file))?;
        part.write_all(text.as_bytes()).map_err(Error::io(file))?;
        match part.persist_noclobber(file).map_err(|e| e.error) {
            Ok(_) => Ok(true),
            // A network drive may say so of the second try of one that it has done.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                Ok(matches!(Self::read(file)?, Found::Owner(owner) if owner.id == self.id))
            }
            // No links there (FAT, some network drives).
            Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
                match OpenOptions::new().write(true).create_new(true).open(file) {
                    Ok(mut made) => made.write_all(text.as_bytes()).map_err(Error::io(file)).map(|()| true),
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                    Err(e) => Err(Error::io(file)(e)),
                }
            }
            Err(e) => Err(Error::io(file)(e)),
        }
    }

    fn standing(&self) -> Standing {
        if let (Some(job), Some(ours)) = (&self.job, our_job())
            && job.is_over(&ours)
        {
            return Standing::Gone;
        }
        // A name that many machines have says nothing.
        let same_host = self.host == host() && self.host != "localhost";
        self.process.standing(&Process::us(), same_host, Process::of)
    }

    fn worker(&self) -> Worker {
        Worker { doing: self.doing.clone(), process: self.process.number, host: self.host.clone(), since: self.since }
    }

    fn describe(&self) -> String {
        self.worker().to_string()
    }

    fn busy(&self, file: &Path) -> Error {
        let (path, who) = (folder_of(file), self.describe());
        if self.standing() != Standing::Elsewhere {
            let remedy = remedy![
                "wait until it has ended, or stop it; two that write into one folder would undo each other's work"
            ];
            return Error::Busy { path, what: format!("another process is at work here: {who}"), remedy };
        }
        let what = format!(
            "another process is at work here, or was: {who}; from this machine it cannot be seen whether it still is"
        );
        let remedy = remedy![format!(
            "wait until it has ended; where you know that it is gone, remove {} and run the command again",
            file.display()
        )];
        Error::Busy { path, what, remedy }
    }
}

/// What the system says of a process number.
#[derive(Debug)]
enum Seen {
    /// It is there, and began then.
    There(Option<String>),
    NotThere,
    /// The system does not say.
    Unknown,
}

impl Process {
    /// This process.
    fn us() -> Self {
        static US: LazyLock<Process> = LazyLock::new(|| {
            let number = std::process::id();
            let began = match Process::of(number) {
                Seen::There(began) => began,
                _ => None,
            };
            let line = |file: &str| fs::read_to_string(file).ok().map(|text| text.trim().to_owned());
            let namespace = fs::read_link("/proc/self/ns/pid").ok().map(|link| link.to_string_lossy().into_owned());
            Process { number, began, user: user(), boot: line("/proc/sys/kernel/random/boot_id"), namespace }
        });
        US.clone()
    }

    /// What is known of it, seen from a process; `same_host`: whether the names of their machines are the same.
    fn standing(&self, us: &Self, same_host: bool, of: impl Fn(u32) -> Seen) -> Standing {
        match (&self.boot, &us.boot) {
            // The same system, running since: the numbers of one namespace are those of another only by chance.
            (Some(boot), Some(now)) if boot == now && self.namespace == us.namespace => {}
            (Some(boot), Some(now)) if boot == now => return Standing::Elsewhere,
            // The machine was started anew since.
            (Some(_), Some(_)) if same_host => return Standing::Gone,
            (None, None) if same_host => {}
            _ => return Standing::Elsewhere,
        }
        match of(self.number) {
            Seen::There(began) if began == self.began => Standing::AtWork,
            Seen::There(_) => Standing::Gone,
            // Some systems show nobody the processes of others.
            Seen::NotThere if self.user == us.user => Standing::Gone,
            Seen::NotThere | Seen::Unknown => Standing::Elsewhere,
        }
    }

    /// Whether there is a process of that number on this machine; where the system does not say, there is.
    pub(crate) fn is_there(number: u32) -> bool {
        !matches!(Self::of(number), Seen::NotThere)
    }

    #[cfg(target_os = "linux")]
    fn of(number: u32) -> Seen {
        if !Path::new("/proc/self/stat").exists() {
            return Seen::Unknown;
        }
        match fs::read_to_string(format!("/proc/{number}/stat")) {
            // The name, in brackets, may hold spaces and brackets.
            Ok(text) => {
                let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
                match fields.first() {
                    // It has ended, and nobody has asked for its status yet.
                    Some(&("Z" | "X")) => Seen::NotThere,
                    // Field 22 of proc(5), in ticks of the clock since the machine was started.
                    _ => Seen::There(fields.get(19).map(|began| (*began).to_owned())),
                }
            }
            // ESRCH: it ended while it was read.
            Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(3) => Seen::NotThere,
            Err(_) => Seen::Unknown,
        }
    }

    #[cfg(all(unix, not(target_os = "linux")))]
    fn of(number: u32) -> Seen {
        let asked = std::process::Command::new("ps").args(["-o", "lstart=", "-p", &number.to_string()]).output();
        match asked {
            Ok(said) if said.status.success() => {
                Seen::There(Some(String::from_utf8_lossy(&said.stdout).trim().to_owned()))
            }
            Ok(_) => Seen::NotThere,
            Err(_) => Seen::Unknown,
        }
    }

    #[cfg(not(unix))]
    fn of(_: u32) -> Seen {
        Seen::Unknown
    }
}

/// The job that this process runs in.
fn our_job() -> Option<Job> {
    static JOB: LazyLock<Option<Job>> = LazyLock::new(|| Job::of(|name| std::env::var(name).ok()));
    JOB.clone()
}

/// The number of the user.
fn user() -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata("/proc/self").ok().map(|meta| meta.uid())
    }
    #[cfg(not(target_os = "linux"))]
    {
        None
    }
}

/// The name of this machine.
fn host() -> String {
    static HOST: LazyLock<String> = LazyLock::new(|| {
        let said = || std::process::Command::new("hostname").output().ok();
        fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| Some(String::from_utf8_lossy(&said()?.stdout).into_owned()))
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "localhost".into())
    });
    HOST.clone()
}

/// A word for the processes that this one can see: those of this machine, or of this container.
pub(crate) fn machine() -> &'static str {
    static MACHINE: LazyLock<String> = LazyLock::new(|| {
        let us = Process::us();
        hash_bytes(format!("{} {:?}", host(), us.namespace).as_bytes())[..6].to_owned()
    });
    &MACHINE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;
    use std::sync::{Barrier, Mutex};

    pub(super) fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// An owner that ended before this: a process that was waited for.
    fn gone() -> Owner {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let mut owner = Owner::us("train");
        owner.process.number = child.id();
        owner
    }

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Progress for Notes {
        fn begin(&self, _: &str, _: usize) {}
        fn advance(&self, _: usize, _: &str) {}
        fn end(&self) {}
        fn warn(&self, what: &str) {
            self.0.lock().unwrap().push(what.to_owned());
        }
    }

    #[test]
    fn one_at_a_time_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let claim = Claim::take(dir.path(), "train", &Silent).unwrap();
        let error = Claim::take(dir.path(), "group", &Silent).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("another process is at work here: voxplain train (process "), "{text}");
        assert!(text.contains(&format!("process {} on {}", std::process::id(), host())), "{text}");
        assert!(error.is_transient());
        assert!(Claim::refuse_other(dir.path()).is_err());
        assert_eq!(names(dir.path()), [Claim::NAME]);
        drop(claim);
        assert!(names(dir.path()).is_empty());
        assert!(Claim::refuse_other(dir.path()).is_ok() && Claim::refuse_other(&dir.path().join("none")).is_ok());
        drop(Claim::take(dir.path(), "train", &Silent).unwrap());
        assert!(Claim::take(&dir.path().join("none"), "train", &Silent).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_is_gone_is_followed_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let before = gone();
        assert!(before.put(&dir.path().join(Claim::NAME)).unwrap());
        fs::write(dir.path().join(format!(".part-{}-{}-abcdef", machine(), before.process.number)), "half").unwrap();
        assert!(Claim::refuse_other(dir.path()).is_ok());
        let notes = Notes::default();
        let claim = Claim::take(dir.path(), "train", &notes).unwrap();
        let said = notes.0.into_inner().unwrap();
        assert_eq!(said.len(), 1);
        assert!(said[0].contains(&format!("process {}", before.process.number)), "{}", said[0]);
        assert!(said[0].contains("ended without a word"), "{}", said[0]);
        assert_eq!(names(dir.path()), [Claim::NAME]);
        drop(claim);
        assert!(names(dir.path()).is_empty());
        // Another process that has its number now is another process.
        let mut reused = Owner::us("train");
        reused.process.began = Some("1".into());
        assert!(reused.put(&dir.path().join(Claim::NAME)).unwrap());
        drop(Claim::take(dir.path(), "train", &Silent).unwrap());
        // In a folder where there is nothing to do it is taken away.
        assert!(gone().put(&dir.path().join(Claim::NAME)).unwrap());
        assert!(Claim::clear(dir.path()).unwrap() && Claim::clear(dir.path()).unwrap());
        assert!(names(dir.path()).is_empty());
        let claim = Claim::take(dir.path(), "train", &Silent).unwrap();
        assert!(!Claim::clear(dir.path()).unwrap());
        drop(claim);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_was_killed_while_it_followed_is_followed_too() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second, third] = [(); 3].map(|()| gone());
        let after = |of: &Owner| dir.path().join(format!("{}{AFTER}{}", Claim::NAME, of.id));
        assert!(first.put(&dir.path().join(Claim::NAME)).unwrap());
        assert!(second.put(&after(&first)).unwrap() && third.put(&after(&second)).unwrap());
        assert!(Claim::is_file(&after(&first)) && Claim::is_file(&dir.path().join(Claim::NAME)));
        let claim = Claim::take(dir.path(), "train", &Silent).unwrap();
        assert_eq!(names(dir.path()), [Claim::NAME]);
        drop(claim);
        // A right of the past is none: it is of a claim that does not stand there any more.
        let now = Owner::us("group");
        assert!(now.put(&dir.path().join(Claim::NAME)).unwrap());
        assert!(!follow(&dir.path().join(Claim::NAME), &first, &Owner::us("train")).unwrap());
        assert_eq!(names(dir.path()), [Claim::NAME]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn of_many_that_find_one_gone_one_follows() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            assert!(gone().put(&dir.path().join(Claim::NAME)).unwrap());
            let (start, end) = (Barrier::new(4), Barrier::new(4));
            let claimed: Vec<bool> = std::thread::scope(|scope| {
                let work = || {
                    start.wait();
                    let claim = Claim::take(dir.path(), "train", &Silent);
                    end.wait();
                    claim.is_ok()
                };
                let all: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(claimed.iter().filter(|one| **one).count(), 1);
            assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
        }
    }

    #[test]
    fn what_cannot_be_known_is_left_to_the_user() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(Claim::NAME);
        let mut other = Owner::us("explain");
        other.host = "elsewhere".into();
        other.process.boot = Some("another".into());
        other.since -= 3 * 3600;
        assert!(other.put(&file).unwrap());
        let error = Claim::take(dir.path(), "train", &Silent).unwrap_err();
        let (what, remedy) = (error.to_string(), error.remedy().unwrap().to_string());
        assert!(
            what.contains("or was: voxplain explain (process ") && what.contains("on elsewhere, begun 3 hours ago)"),
            "{what}"
        );
        assert!(remedy.contains(&format!("remove {}", file.display())), "{remedy}");
        fs::write(&file, "{").unwrap();
        let error = Claim::take(dir.path(), "train", &Silent).unwrap_err();
        assert!(error.remedy().unwrap().to_string().contains("remove "));
        assert_eq!(fs::read_to_string(&file).unwrap(), "{");
        // What is no file is neither waited at nor taken for somebody who will end.
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        let error = Claim::take(dir.path(), "train", &Silent).unwrap_err();
        assert!(error.to_string().contains("cannot be understood"), "{error}");
        assert!(matches!(Claim::look(dir.path()).unwrap(), Occupied::Unknown));
        // A name of a machine with more than one line.
        fs::remove_dir(&file).unwrap();
        other.host = "else\nwhere".into();
        assert!(other.put(&file).unwrap());
        let error = Claim::take(dir.path(), "train", &Silent).unwrap_err();
        assert!(error.to_string().contains("on else where, begun"), "{error}");
    }

    #[test]
    fn standings_by_hand() {
        let us = Process {
            number: 7,
            began: Some("70".into()),
            user: Some(1000),
            boot: Some("b".into()),
            namespace: Some("n".into()),
        };
        let of = |number: u32| match number {
            7 => Seen::There(Some("70".into())),
            8 => Seen::There(Some("80".into())),
            9 => Seen::NotThere,
            _ => Seen::Unknown,
        };
        let with = |change: fn(&mut Process)| {
            let mut other = us.clone();
            change(&mut other);
            other
        };
        type Case = (fn(&mut Process), bool, Standing);
        let cases: [Case; 10] = [
            (|_| {}, true, Standing::AtWork),
            // The machine has another name by now.
            (|_| {}, false, Standing::AtWork),
            (|p| p.began = Some("60".into()), true, Standing::Gone),
            (|p| p.number = 9, true, Standing::Gone),
            (|p| (p.number, p.user) = (9, Some(2000)), true, Standing::Elsewhere),
            (|p| p.number = 10, true, Standing::Elsewhere),
            (|p| p.namespace = Some("m".into()), true, Standing::Elsewhere),
            (|p| p.boot = Some("c".into()), false, Standing::Elsewhere),
            (|p| p.boot = None, true, Standing::Elsewhere),
            (|p| p.boot = Some("c".into()), true, Standing::Gone),
        ];
        for (n, (change, same_host, standing)) in cases.into_iter().enumerate() {
            assert_eq!(with(change).standing(&us, same_host, of), standing, "case {n}");
        }
    }
}
