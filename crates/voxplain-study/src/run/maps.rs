//! The maps that a run has, and which of them count: [`RunMaps`].

use super::{Models, Run, RunLayout};
use crate::folder::entries;
use crate::listed::{counted, listed};
use crate::map::{MapFiles, files_of, read_image, read_record};
use crate::setting::METHOD;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use voxplain_core::{Action, Error, Progress, Remedy, Result, remedy};

/// The maps of a run's subjects. Those that its models did not make are told apart: what is made from maps leaves them out.
#[derive(Clone, Debug, Default)]
pub struct RunMaps {
    run: PathBuf,
    /// Ids of subjects by method: maps that a model of the run made.
    current: BTreeMap<String, BTreeSet<String>>,
    /// The others.
    stale: Vec<StaleMap>,
}

/// A map in a run that no model of the run made, or that was not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleMap {
    /// The file.
    pub path: PathBuf,
    /// The subject's id.
    pub subject: String,
    /// The method, by its name where there is a record, else as the file has it.
    pub method: String,
    /// Why it does not count.
    pub why: Staleness,
}

/// Why a map does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// Its record names another model than those of the run.
    OtherModel,
    /// It has no record: the work was stopped before its end.
    Unfinished,
    /// Its record cannot be read, or is not the one that was written; or its image has no content.
    Damaged,
}

impl StaleMap {
    fn words(&self) -> &'static str {
        match self.why {
            Staleness::OtherModel => "the map was made by another model than those that the run has now",
            Staleness::Unfinished => "the map has no record beside it: it was not finished",
            Staleness::Damaged => {
                "the map or its record is not as it was written (a damaged disk, a copy that broke off, or a change by hand)"
            }
        }
    }
}

impl RunMaps {
    /// The methods that there are current maps of, by name.
    pub fn methods(&self) -> Vec<String> {
        self.current.keys().cloned().collect()
    }

    /// Ids of the subjects that there is a current map of by a method.
    pub fn subjects(&self, method: &str) -> impl Iterator<Item = &str> {
        self.current.get(method).into_iter().flatten().map(String::as_str)
    }

    /// Whether there is a current map of a subject by a method.
    pub fn have(&self, subject: &str, method: &str) -> bool {
        self.current.get(method).is_some_and(|ids| ids.contains(subject))
    }

    /// Warns of maps of subjects who were held out by no model: what is made from the maps of a run leaves them out.
    pub fn warn_of_others(&self, held_out: &BTreeSet<&str>, methods: &[String], progress: &dyn Progress) {
        let other = |id: &&str| !held_out.contains(id);
        let lack: BTreeSet<&str> = methods.iter().flat_map(|method| self.subjects(method)).filter(other).collect();
        if !lack.is_empty() {
            progress.warn(&format!(
                "maps of {} are left out, whom no model of the run was kept from: {}",
                counted(lack.len(), "subject"),
                listed(&lack, 8)
            ));
        }
    }

    /// Reads every image of the maps that count, in all spaces, and compares it with the hash in its record: maps with one that is damaged
    /// count no more.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; a fault of the machine.
    pub fn check_images(&mut self, progress: &dyn Progress) -> Result<()> {
        let layout = RunLayout::at(&self.run);
        let all: Vec<(String, String)> =
            self.current.iter().flat_map(|(method, ids)| ids.iter().map(|id| (method.clone(), id.clone()))).collect();
        progress.begin("maps", all.len());
        let checked = all.into_iter().try_for_each(|(method, subject)| {
            progress.go_on()?;
            let files = layout.map(&subject, &method);
            match check_images(&files) {
                Err(e) if e.is_of_machine() => return Err(e),
                Err(_) => {
                    if let Some(ids) = self.current.get_mut(&method) {
                        ids.remove(&subject);
                    }
                    let path = files.path();
                    self.stale.push(StaleMap { path, subject: subject.clone(), method, why: Staleness::Damaged });
                }
                Ok(()) => {}
            }
            progress.advance(1, &subject);
            Ok(())
        });
        progress.end();
        self.current.retain(|_, ids| !ids.is_empty());
        self.stale.sort_by(|a, b| a.path.cmp(&b.path));
        checked
    }

    /// The maps that do not count, by subject and method.
    pub fn stale(&self) -> &[StaleMap] {
        &self.stale
    }

    /// The maps of a subject that do not count.
    pub fn stale_of(&self, subject: &str, method: &str) -> Option<&StaleMap> {
        let method = crate::map::desc(method);
        self.stale.iter().find(|map| map.subject == subject && crate::map::desc(&map.method) == method)
    }

    /// Refuses a map that is not there or does not count.
    ///
    /// # Errors
    /// It names the file, and the step that makes it.
    pub fn require(&self, run: &Run, subject: &str, method: &str) -> Result<PathBuf> {
        let path = run.layout().map(subject, method).path();
        if self.have(subject, method) {
            return Ok(path);
        }
        let what = self.stale_of(subject, method).map_or("there is no such map", StaleMap::words);
        Err(Error::file(path, what, remedy!["make it: ", self.again(method)]))
    }

    /// In words, a sentence and a remedy for each reason: which maps are left out, and how to make them again.
    pub fn left_out(&self) -> Vec<(String, Remedy)> {
        [Staleness::OtherModel, Staleness::Unfinished, Staleness::Damaged]
            .into_iter()
            .filter_map(|why| {
                let of: Vec<&StaleMap> = self.stale.iter().filter(|map| map.why == why).collect();
                let first = of.first()?;
                let more = if of.len() > 1 { format!(" (and {} more like this)", of.len() - 1) } else { String::new() };
                let what = format!("{}: {}; left out{more}", first.path.display(), first.words());
                let mut methods: Vec<&str> = of.iter().map(|map| map.method.as_str()).collect();
                methods.sort_unstable();
                methods.dedup();
                Some((what, remedy!["make them again: ", self.again(&methods.join(","))]))
            })
            .collect()
    }

    /// For work on maps where there are none that count; `methods` are those to propose.
    pub fn none(&self, methods: &str) -> Error {
        let what = if self.stale.is_empty() { "has no maps yet" } else { "has no maps of the models that it has now" };
        Error::file(&self.run, what, remedy!["make them: ", self.again(methods)])
    }

    /// In words, why a method lacks maps of these subjects, beside those that were never made; nothing where all were not.
    pub fn why_missing(&self, subjects: &[String], method: &str) -> String {
        let count =
            |why| subjects.iter().filter_map(|id| self.stale_of(id, method)).filter(|map| map.why == why).count();
        let mut words = String::new();
        for (why, text) in [
            (Staleness::OtherModel, "made by another model than those that the run has now"),
            (Staleness::Unfinished, "not finished"),
            (Staleness::Damaged, "damaged"),
        ] {
            if let n @ 1.. = count(why) {
                words.push_str(&format!("; {n} of them there, but {text}"));
            }
        }
        words
    }

    /// These methods, or all that there are current maps of; then it tells of the maps that are left out.
    pub fn chosen(&self, methods: Option<&[String]>, progress: &dyn Progress) -> Vec<String> {
        match methods {
            Some(methods) => methods.to_vec(),
            None => {
                for (what, remedy) in self.left_out() {
                    progress.advise(&what, &remedy);
                }
                self.methods()
            }
        }
    }

    /// The step that makes maps of a method.
    fn again(&self, method: &str) -> Action {
        Action::new("explain").on(&self.run).with(METHOD, method)
    }
}

/// Reads the image of a map, those in other spaces that lie beside it, and the mask of its subject.
fn check_images(files: &MapFiles) -> Result<()> {
    let begins = format!("{}_", files.stem());
    let own =
        |of: &MapFiles| of.method() == files.method() && (of.stem() == files.stem() || of.stem().starts_with(&begins));
    // Those that the record knows, which may be gone; then what lies there.
    for path in files.beside(&read_record(&files.path())?) {
        read_image(&path)?;
    }
    let mask = files.input_mask();
    if mask.is_file() {
        voxplain_volume::read(&mask, &voxplain_volume::ReadOptions::default())?;
    }
    for path in entries(files.folder())? {
        if files_of(&path).is_some_and(|of| own(&of)) {
            read_record(&path)?;
            read_image(&path)?;
        }
    }
    Ok(())
}

impl Run {
    /// The maps of the subjects, from the records beside them.
    ///
    /// # Errors
    /// A folder that cannot be read; a model that is damaged.
    pub fn maps(&self) -> Result<RunMaps> {
        self.maps_by(&self.models()?)
    }

    /// [`Run::maps`], by models that are known.
    pub(crate) fn maps_by(&self, models: &Models) -> Result<RunMaps> {
        let mut maps = RunMaps { run: self.path.clone(), ..RunMaps::default() };
        for subject in self.mapped_subjects()? {
            let folder = self.layout().subject(&subject);
            for file in std::fs::read_dir(&folder).map_err(Error::io(&folder))? {
                let path = file.map_err(Error::io(&folder))?.path();
                // Images of other spaces and layers belong to their map.
                let Some(files) = files_of(&path).filter(|files| files.stem() == format!("sub-{subject}")) else {
                    continue;
                };
                let record = files.record().is_file().then(|| read_record(&path));
                let is_empty = path.metadata().map_err(Error::io(&path))?.len() == 0;
                let (method, why) = match record {
                    None => (files.method_name(), Some(Staleness::Unfinished)),
                    Some(Err(e)) if e.is_of_machine() => return Err(e),
                    Some(Err(_)) => (files.method_name(), Some(Staleness::Damaged)),
                    Some(Ok(record)) if is_empty => (record.method, Some(Staleness::Damaged)),
                    Some(Ok(record)) => {
                        let why = (!models.have(&record.model)).then_some(Staleness::OtherModel);
                        (record.method, why)
                    }
                };
                match why {
                    None => _ = maps.current.entry(method).or_default().insert(subject.clone()),
                    Some(why) => maps.stale.push(StaleMap { path, subject: subject.clone(), method, why }),
                }
            }
        }
        maps.stale.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(maps)
    }

    /// Ids of the subjects that have a folder of maps.
    fn mapped_subjects(&self) -> Result<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        for entry in std::fs::read_dir(&self.path).map_err(Error::io(&self.path))? {
            let entry = entry.map_err(Error::io(&self.path))?;
            if let Some(id) = entry.file_name().to_string_lossy().strip_prefix("sub-")
                && entry.path().is_dir()
            {
                ids.insert(id.to_owned());
            }
        }
        Ok(ids)
    }
}
