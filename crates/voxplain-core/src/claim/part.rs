//! Claims of parts of a folder: several processes that share the work on it each have their own parts, and nobody the whole.
//!
//! A part has a name (`fold-3`), and its claim is a file of that name in the folder itself. Whoever claims a part then looks for a claim of
//! the whole, and whoever claims the whole for claims of parts: each has made its own file before it looks, so that of two who come at
//! once at least one sees the other, and gives way.

use super::{Claim, Owner, look, refuse, say_gone, take};
use crate::{Error, Occupied, Progress, Result, atomic_file};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// What stands between the name of a claim and that of its part.
pub(super) const OF: &str = "-of-";

impl Claim {
    /// Claims a part of a folder, by a name of letters, digits and hyphens, for what is to be done (`train --fold 3`). Others may have other
    /// parts at the same time; [`Claim::take`] and this refuse each other. Says whom it follows, where one ended without a word, and takes away what
    /// killed processes left unfinished.
    ///
    /// # Errors
    /// [`Error::Busy`]: another process is at work on this part, or on the whole; a file that cannot be written.
    pub fn take_part(folder: &Path, part: &str, doing: &str, progress: &dyn Progress) -> Result<Self> {
        /// Times that are waited for one who has claimed the whole, and will give it back as soon as it sees the other parts.
        const TRIES: usize = 10;
        let (claim, gone) = take(folder, &name(part), &Owner::us(doing))?;
        let follows = gone.is_some();
        say_gone(folder, gone, progress);
        let mut tries = 0;
        loop {
            match refuse(&folder.join(Self::NAME)) {
                Err(Error::Busy { .. }) if tries < TRIES => tries += 1,
                Err(e) => return Err(e),
                Ok(()) => break,
            }
            std::thread::sleep(Duration::from_millis(40));
        }
        // Only then, since a folder of many people takes its time; what the others write is known as theirs.
        if follows {
            atomic_file::sweep(folder)?;
        }
        Ok(claim)
    }

    /// Who has claimed which part of a folder, by the names of the parts.
    ///
    /// # Errors
    /// A claim that cannot be read.
    pub fn parts(folder: &Path) -> Result<Vec<(String, Occupied)>> {
        let found = claims(folder)?.into_iter().map(|(part, file)| Ok((part, look(&file)?)));
        // What ended meanwhile is no claim any more.
        found.filter(|part| !matches!(part, Ok((_, Occupied::Nobody)))).collect()
    }

    /// The claims, of the whole and of parts, whose owners are gone.
    ///
    /// # Errors
    /// A claim that cannot be read.
    pub fn left(folder: &Path) -> Result<Vec<PathBuf>> {
        let mut left = vec![folder.join(Self::NAME)];
        left.extend(claims(folder)?.into_iter().map(|(_, file)| file));
        let mut gone = Vec::new();
        for file in left {
            if matches!(look(&file)?, Occupied::Gone(_)) {
                gone.push(file);
            }
        }
        Ok(gone)
    }
}

/// The name of the claim of a part.
fn name(part: &str) -> String {
    format!("{}{OF}{part}", Claim::NAME)
}

/// The parts of a folder that are claimed, with the files that say so, by name; none where the folder is not there.
pub(super) fn claims(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        other => other.map_err(Error::io(folder))?,
    };
    let prefix = name("");
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io(folder))?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Some(part) = file.strip_prefix(&prefix).filter(|part| !part.contains(super::AFTER)) {
            all.push((part.to_owned(), entry.path()));
        }
    }
    all.sort();
    Ok(all)
}

/// Refuses a folder of which others have parts.
pub(super) fn refuse_parts(folder: &Path) -> Result<()> {
    claims(folder)?.iter().try_for_each(|(_, file)| refuse(file))
}

/// Takes away the claims of parts whose owners are gone, and refuses a folder of which others have parts.
pub(super) fn clear(folder: &Path, progress: &dyn Progress) -> Result<()> {
    for (_, file) in claims(folder)? {
        refuse(&file)?;
        if matches!(look(&file)?, Occupied::Gone(_)) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (claim, gone) = take(folder, &name, &Owner::us("clear"))?;
            say_gone(folder, gone, progress);
            drop(claim);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{right, tests::names};
    use super::*;
    use crate::Silent;
    use std::sync::Barrier;

    #[test]
    fn parts_stand_beside_each_other_and_against_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let part = |name: &str| Claim::take_part(dir.path(), name, &format!("train --fold {name}"), &Silent);
        let (one, two) = (part("1").unwrap(), part("2").unwrap());
        assert_eq!(names(dir.path()), [name("1"), name("2")]);
        assert!(names(dir.path()).iter().all(|name| Claim::is_file(Path::new(name))));
        let error = part("1").unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("voxplain train --fold 1 (process "), "{error}");
        for refused in [Claim::take(dir.path(), "train", &Silent).map(|_| ()), Claim::refuse_other(dir.path())] {
            let error = refused.unwrap_err();
            assert!(error.is_transient() && error.to_string().contains("voxplain train --fold 1 (process "), "{error}");
        }
        assert!(
            matches!(Claim::look(dir.path()).unwrap(), Occupied::AtWork(worker) if worker.doing == "train --fold 1")
        );
        let parts: Vec<String> = Claim::parts(dir.path()).unwrap().into_iter().map(|(part, _)| part).collect();
        assert_eq!(parts, ["1", "2"]);
        assert!(!Claim::clear(dir.path()).unwrap());
        drop(one);
        assert!(Claim::take(dir.path(), "train", &Silent).is_err());
        drop(two);
        assert!(names(dir.path()).is_empty());
        let whole = Claim::take(dir.path(), "merge", &Silent).unwrap();
        let error = part("1").unwrap_err();
        assert!(error.to_string().contains("voxplain merge (process "), "{error}");
        assert_eq!(names(dir.path()), [Claim::NAME], "who gave way leaves nothing");
        drop(whole);
        drop(part("1").unwrap());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn parts_of_those_who_are_gone_are_followed_or_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let gone = |part: &str| {
            let mut child = std::process::Command::new("true").spawn().unwrap();
            child.wait().unwrap();
            let mut owner = Owner::us("train");
            owner.process.number = child.id();
            assert!(owner.put(&dir.path().join(name(part))).unwrap());
            owner
        };
        let before = gone("1");
        assert!(matches!(Claim::look(dir.path()).unwrap(), Occupied::Gone(_)));
        assert_eq!(Claim::left(dir.path()).unwrap(), [dir.path().join(name("1"))]);
        let left = format!(".part-{}-{}-abcdef", crate::claim::machine(), before.process.number);
        let ours = format!(".part-{}-{}-abcdef", crate::claim::machine(), std::process::id());
        fs::create_dir(dir.path().join("sub")).unwrap();
        [&left, &ours].iter().for_each(|part| fs::write(dir.path().join("sub").join(part), "half").unwrap());
        drop(Claim::take_part(dir.path(), "1", "train", &Silent).unwrap());
        assert_eq!(names(&dir.path().join("sub")), [ours]);
        fs::remove_dir_all(dir.path().join("sub")).unwrap();
        assert!(names(dir.path()).is_empty());
        // Killed while it followed.
        let before = gone("1");
        fs::rename(dir.path().join(name("1")), dir.path().join("aside")).unwrap();
        let second = gone("1");
        fs::rename(dir.path().join(name("1")), right(&dir.path().join(name("1")), &before)).unwrap();
        fs::rename(dir.path().join("aside"), dir.path().join(name("1"))).unwrap();
        assert_ne!(before, second);
        gone("2");
        let whole = Claim::take(dir.path(), "train", &Silent).unwrap();
        assert_eq!(names(dir.path()), [Claim::NAME]);
        drop(whole);
        // One who had the whole and is gone keeps nobody from a part.
        gone("1");
        fs::rename(dir.path().join(name("1")), dir.path().join(Claim::NAME)).unwrap();
        drop(Claim::take_part(dir.path(), "1", "train", &Silent).unwrap());
        assert!(Claim::clear(dir.path()).unwrap());
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn whole_and_part_are_never_had_together() {
        for _ in 0..8 {
            let dir = tempfile::tempdir().unwrap();
            let (start, end) = (Barrier::new(4), Barrier::new(4));
            let had: Vec<(bool, bool)> = std::thread::scope(|scope| {
                let work = |n: usize| {
                    start.wait();
                    let claim = if n.is_multiple_of(2) {
                        Claim::take(dir.path(), "merge", &Silent)
                    } else {
                        Claim::take_part(dir.path(), &n.to_string(), "train", &Silent)
                    };
                    end.wait();
                    (n.is_multiple_of(2), claim.is_ok())
                };
                let all: Vec<_> = (0..4).map(|n| scope.spawn(move || work(n))).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let of = |whole: bool| had.iter().filter(|(of, ok)| *of == whole && *ok).count();
            assert!(of(true) <= 1 && (of(true) == 0 || of(false) == 0), "{had:?}");
            assert!(names(dir.path()).is_empty());
        }
    }
}
