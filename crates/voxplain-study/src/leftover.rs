//! [`Leftovers`]: what can be taken away from a run or a cohort, because it is only the rest of work that was stopped or can be made again.

use crate::{
    cohort::{CohortLayout, files_of_unfinished},
    compare,
    folder::{self, is_folder, name_of},
    listed::{counted, listed},
    map::{desc, files_of, read_record_beside, record_path},
    run::{Run, RunLayout},
    train::TableRecord,
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    io::ErrorKind,
    path::{Path, PathBuf},
};
use voxplain_core::{Claim, Error, Fault, Occupied, Progress, Result, atomic_file};

/// What can be taken away from a run or a cohort. Only what voxplain made is among it, and nothing that is finished but maps that were asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Leftovers {
    /// The run or cohort.
    pub folder: PathBuf,
    /// What can go, by kind.
    pub kinds: Vec<Leftover>,
    /// What stays although it may look like a rest, each with the reason.
    pub stays: Vec<Staying>,
    /// The folders that are claimed while it is taken away.
    #[serde(skip)]
    claimed: Vec<PathBuf>,
    /// The folder of an unfinished cohort, which goes too.
    #[serde(skip)]
    unfinished: Option<PathBuf>,
}

/// Files of one kind that can go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// What they are.
    pub what: String,
    /// The files, in the order in which they go.
    pub files: Vec<PathBuf>,
    /// Their lengths together.
    pub bytes: u64,
}

/// A file or folder that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Staying {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

impl Leftovers {
    /// Looks for the leftovers of a run, of a training on a table, or of a cohort, finished or not; with the maps of these methods. Nothing is
    /// removed.
    ///
    /// # Errors
    /// [`Error::Busy`]: another process is at work there; the folder is none of these; there is no map by a method, or the folder is no run.
    pub fn find(folder: &Path, methods: &[String]) -> Result<Self> {
        let mut found = Self {
            folder: folder.to_owned(),
            kinds: Vec::new(),
            stays: Vec::new(),
            claimed: Vec::new(),
            unfinished: None,
        };
        let is_run = RunLayout::at(folder).manifest().is_file();
        if !methods.is_empty() && !is_run {
            let what = "is no run, and maps lie in runs alone";
            return Err(Error::file(folder, what, "give the run whose maps are to go"));
        }
        if is_run || TableRecord::path(folder).is_file() {
            found.claim(folder)?;
        }
        if is_run {
            found.of_run(&Run::open(folder)?, methods)?;
        } else if !TableRecord::path(folder).is_file() {
            found.of_cohort(folder)?;
        }
        Ok(found)
    }

    /// Number of files that can go.
    pub fn files(&self) -> usize {
        self.kinds.iter().map(|kind| kind.files.len()).sum()
    }

    /// Their lengths together.
    pub fn bytes(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.bytes).sum()
    }

    /// Takes them away, and folders that are empty then. What went away meanwhile is gone, and no error.
    ///
    /// # Errors
    /// [`Error::Busy`]: another process has come meanwhile; a file that cannot be removed.
    pub fn remove(&self, progress: &dyn Progress) -> Result<()> {
        // One that is gone is followed here, which takes its claim away, too.
        let claim = |folder: &PathBuf| match Claim::take(folder, "clean", progress) {
            // Room is what this makes.
            Err(error) if error.fault() == Some(Fault::DiskFull) => {
                Claim::refuse_other(folder)?;
                progress.warn(&format!(
                    "{}: the disk is too full to say here who is at work, so others would not know of this: start nothing else meanwhile",
                    folder.display()
                ));
                Ok(None)
            }
            claimed => claimed.map(Some),
        };
        let claims = self.claimed.iter().map(claim).collect::<Result<Vec<_>>>()?;
        let mut folders = BTreeSet::new();
        for file in self.kinds.iter().flat_map(|kind| &kind.files).filter(|file| !Claim::is_file(file)) {
            match std::fs::remove_file(file) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::io(file)(e)),
                _ => folders.extend(file.parent().map(Path::to_owned)),
            }
        }
        drop(claims);
        // One in which something is left stays.
        let is_root = |folder: &Path| self.claimed.iter().any(|of| of == folder);
        for folder in folders.iter().rev() {
            for folder in folder.ancestors().take_while(|of| !is_root(of)) {
                if std::fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        if let Some(unfinished) = &self.unfinished {
            let _ = std::fs::remove_dir(CohortLayout::at(unfinished).marks());
            let _ = std::fs::remove_dir(unfinished);
        }
        Ok(())
    }

    /// A folder that is claimed for the removal, with what killed processes left in it.
    fn claim(&mut self, folder: &Path) -> Result<()> {
        Claim::refuse_other(folder)?;
        self.claimed.push(folder.to_owned());
        if let Occupied::Gone(worker) = Claim::look(folder)? {
            let left = Claim::left(folder)?;
            let what = match left.len() {
                1 => format!("the claim of {worker}, which is gone"),
                _ => format!("claims of processes that are gone, such as {worker}"),
            };
            self.add(&what, left)?;
        }
        self.add("files that killed processes left half written", atomic_file::abandoned(folder)?)
    }

    fn add(&mut self, what: &str, files: Vec<PathBuf>) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let mut bytes = 0;
        for file in &files {
            bytes += std::fs::symlink_metadata(file).map_err(Error::io(file))?.len();
        }
        self.kinds.push(Leftover { what: what.to_owned(), files, bytes });
        Ok(())
    }

    fn stays(&mut self, path: PathBuf, why: &str) {
        self.stays.push(Staying { path, why: why.to_owned() });
    }

    fn of_run(&mut self, run: &Run, methods: &[String]) -> Result<()> {
        let layout = run.layout();
        let mut tests = entries(&layout.permutations())?;
        tests.retain(|file| {
            layout.is_unfinished_permutation_test(file) || layout.is_shard_of_permutation_test(file, None)
        });
        // Networks on permuted labels, as far as they were trained.
        for trained in entries(&layout.permutation_work())? {
            for fold in 0..run.manifest.folds {
                let files = RunLayout::at(&trained).fold(fold);
                tests.extend([files.history(), files.checkpoint()].into_iter().filter(|file| file.is_file()));
            }
        }
        self.add("permutation tests that were stopped (those that are counted are lost)", tests)?;
        let mut comparisons = Vec::new();
        for folder in entries(&layout.compare())? {
            comparisons.extend(compare::rests_of(&folder)?);
        }
        self.add("comparisons that were stopped (permutations that are counted are lost)", comparisons)?;
        let values = layout.group().values();
        self.add(
            "values of maps of a `group` that was stopped",
            [values].into_iter().filter(|file| file.is_file()).collect(),
        )?;
        let mut checkpoints = Vec::new();
        for files in (0..run.manifest.folds).map(|fold| layout.fold(fold)) {
            match (files.checkpoint().is_file(), files.model().is_file()) {
                (true, true) => checkpoints.push(files.checkpoint()),
                (true, false) => self.stays(files.checkpoint(), "training goes on from it"),
                (false, _) => {}
            }
        }
        self.add("checkpoints of folds whose training has ended", checkpoints)?;
        self.maps(run, methods)?;
        self.of_others(&run.path)
    }

    /// The maps of methods, and those that stay.
    fn maps(&mut self, run: &Run, methods: &[String]) -> Result<()> {
        let (mut known, mut going) = (BTreeSet::new(), BTreeSet::new());
        let mut files = Vec::new();
        for folder in entries(&run.path)? {
            let name = name_of(&folder);
            if !name.starts_with("sub-") || !is_folder(&folder) {
                continue;
            }
            let (mut here, mut others) = (Vec::new(), 0);
            let entries = entries(&folder)?;
            for image in &entries {
                let Some(of) = files_of(image) else { continue };
                let method = match read_record_beside(image) {
                    Ok(Some(record)) => record.method,
                    // One that is damaged is a record all the same, and the name of its file says of which method.
                    Err(_) => methods.iter().find(|m| desc(m) == desc(of.method())).cloned().unwrap_or_default(),
                    Ok(None) => {
                        others += 1;
                        self.stays(image.clone(), "it has no record beside it, so that it may be yours");
                        continue;
                    }
                };
                if methods.contains(&method) {
                    going.insert(method.clone());
                    here.extend([image.clone(), record_path(image)]);
                } else {
                    others += 1;
                }
                known.insert(method);
            }
            if !here.is_empty() && others == 0 {
                // What maps are drawn over, and nothing else needs.
                let beside = |file: &&PathBuf| {
                    let name = name_of(file);
                    name.ends_with("_desc-input_image.nii.gz") || name.ends_with("_desc-brain_mask.nii.gz")
                };
                here.extend(entries.iter().filter(beside).cloned());
            }
            files.extend(here);
        }
        if let Some(lacking) = methods.iter().find(|method| !going.contains(*method)) {
            known.remove("");
            let there =
                if known.is_empty() { "no maps at all".into() } else { format!("those of {}", listed(&known, 30)) };
            let what = format!("there are no maps by {lacking}; there are {there}");
            return Err(Error::file(&run.path, what, "name methods that there are maps of"));
        }
        self.add(&format!("maps by {}, which can be made again", methods.join(", ")), files)
    }

    fn of_cohort(&mut self, path: &Path) -> Result<()> {
        let (cohort, unfinished) = match CohortLayout::at(path).document().is_file() {
            true => (Some(path), CohortLayout::at(path).partial()),
            false if CohortLayout::at(path).plan().is_file() => (None, path.to_owned()),
            false if path.file_name().is_some() => (None, CohortLayout::at(path).partial()),
            false => (None, path.to_owned()),
        };
        let is_begun = CohortLayout::at(&unfinished).plan().is_file();
        if cohort.is_none() && !is_begun {
            let what = "is neither a run nor a cohort, and no cohort was begun there";
            return Err(Error::file(path, what, "give a directory that voxplain made"));
        }
        if let Some(cohort) = cohort {
            self.claim(cohort)?;
            let plan = CohortLayout::at(cohort).plan();
            self.add(
                "the plan of this cohort, which is finished",
                Some(plan).filter(|file| file.is_file()).into_iter().collect(),
            )?;
            self.of_others(cohort)?;
            if is_begun
                && let at_work @ (Occupied::AtWork(_) | Occupied::Elsewhere(_) | Occupied::Unknown) =
                    Claim::look(&unfinished)?
            {
                self.stays(unfinished, &at_work.to_string());
                return Ok(());
            }
        }
        if is_begun {
            self.claim(&unfinished)?;
            self.unfinished = Some(unfinished.clone());
            let (files, left) = files_of_unfinished(&unfinished)?;
            let swept: Vec<PathBuf> = self.kinds.iter().flat_map(|kind| kind.files.clone()).collect();
            let files = files.into_iter().filter(|file| !swept.contains(file)).collect();
            self.add(&format!("a cohort that was begun and not finished ({})", unfinished.display()), files)?;
            for file in left {
                self.stays(file, "voxplain did not make it");
            }
        }
        Ok(())
    }

    /// Parts of files that somebody may still write.
    fn of_others(&mut self, folder: &Path) -> Result<()> {
        for file in entries(folder)?.into_iter().filter(|file| atomic_file::is_part(file)) {
            if !self.kinds.iter().any(|kind| kind.files.contains(&file)) {
                self.stays(file, "a process of this machine, or of another one, may still write it");
            }
        }
        Ok(())
    }
}

impl Leftover {
    /// `3 files`.
    pub fn count(&self) -> String {
        counted(self.files.len(), "file")
    }
}

/// The entries of a folder, by name; none where it is not there, or is a link.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if is_folder(folder) { folder::entries(folder) } else { Ok(Vec::new()) }
}
