//! [`Writer`]: builds a cohort beside its place, one subject at a time, and goes on after an interruption.

use super::{
    Cohort, CohortLayout, Document, FORMAT, Inclusion, MASK, Preparation, Stored, Subject, array_shape, bare,
    made_by::made_otherwise, one_channel, values,
};
use crate::folder::entries;
use crate::listed::{counted, listed};
use crate::setting::{FORCE, OUT};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};
use voxplain_core::{Claim, Error, Progress, Result, Table, atomic_file, remedy, seal};
use voxplain_volume::{Dtype, Mask, Volume, npy};

/// Builds a cohort in `<path>.partial`, which becomes `<path>` when it is whole. Subjects may be put in any order
/// and from several threads; each is marked when its data are written, so that the work can go on later.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    volumes: npy::Writer,
    masks: npy::Writer,
    count: usize,
    stored: Stored,
    made_by: serde_json::Value,
    work: Work,
}

/// The folder in which a cohort is built, claimed.
#[derive(Debug)]
struct Work {
    partial: PathBuf,
    claim: Option<Claim>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.claim = None;
        // Goes where nothing is in it: nothing is left of what was refused.
        let _ = fs::remove_dir(&self.partial);
    }
}

/// What [`Writer::begin`] found.
#[derive(Debug)]
pub enum Begun {
    /// The cohort is already there, made by the same command.
    Complete(Box<Cohort>),
    /// There is work to do.
    Open(Box<Writer>),
}

impl Writer {
    /// Begins a cohort of up to `count` subjects of one shape, or goes on with one that the same command (`made_by`)
    /// left unfinished. Something else in its place is refused, unless `force` starts over. What voxplain did not make stays, and
    /// is named.
    ///
    /// # Errors
    /// Another cohort, or something else, is in its place; another process is at work there; a file that cannot be written.
    pub fn begin(
        path: &Path,
        made_by: &serde_json::Value,
        stored: Stored,
        count: usize,
        force: bool,
        progress: &dyn Progress,
    ) -> Result<Begun> {
        if path.file_name().is_none() {
            return Err(Error::file(path, "this is no name for a new directory", "give the cohort a name"));
        }
        let partial = CohortLayout::at(path).partial();
        let work = CohortLayout::at(&partial);
        // Who finds what was asked for writes nothing, and need not be able to.
        if !force && let Some(cohort) = there(path, made_by)? {
            return Ok(Begun::Complete(Box::new(cohort)));
        }
        refuse_others(path, &partial)?;
        fs::create_dir_all(&partial).map_err(Error::io(&partial))?;
        let mut at_work = Work { partial: partial.clone(), claim: None };
        let doing = made_by["command"].as_str().unwrap_or("prepare");
        at_work.claim = Some(Claim::take(&partial, doing, progress)?);
        // Another process may have finished it since.
        if !force && let Some(cohort) = there(path, made_by)? {
            return Ok(Begun::Complete(Box::new(cohort)));
        }
        refuse_others(path, &partial)?;
        let plan = work.plan();
        let begun = begun_with(&partial)?;
        if force || begun.as_ref().is_none_or(|begun| begun.as_ref() != Some(made_by)) {
            let failed = begun.is_some() && has_failed(&partial)?;
            if !force && begun.is_some() && !failed && !is_unused(&partial)? {
                let what = "an unfinished cohort was begun with other options or from other files";
                return Err(Error::file(
                    &partial,
                    what,
                    remedy!["run the earlier command again, or start over with ", FORCE],
                ));
            }
            if failed && !force {
                let prepared = count_marks(&partial)?;
                progress.warn(&format!(
                    "{}: an earlier command with other options, or from other files, ended with failures; what it prepared ({}) is prepared anew",
                    partial.display(),
                    counted(prepared, "subject")
                ));
            }
            // First of all: from here on the folder, and what is left of a cohort that is replaced, are known as ours.
            seal::write(&plan, made_by)?;
            let mut left = Vec::new();
            if force && path.is_dir() {
                left.extend(remove(path)?);
            }
            if force || failed {
                left.extend(empty(&partial)?);
            }
            if !left.is_empty() {
                progress.warn(&format!(
                    "left as they are, since voxplain did not make them: {}",
                    listed(left.iter().map(|path| path.display()), 8)
                ));
            }
        } else if work.document().is_file() {
            // All was written before; what was left is to give it its place.
            return appear(path, at_work).map(|cohort| Begun::Complete(Box::new(cohort)));
        }
        if has_failed(&partial)? {
            seal::write(&plan, made_by)?;
        }
        let done = work.marks();
        let array = |path: PathBuf, of_one: [usize; 4], dtype: Dtype| -> Result<npy::Writer> {
            let shape = array_shape(count, of_one);
            if path.is_file()
                && done.is_dir()
                && let Ok(writer) = npy::Writer::resume(&path, &shape, dtype)
            {
                return Ok(writer);
            }
            // Marks of data that are not there would be lies.
            remove_marks(&partial)?;
            Ok(npy::Writer::create(&path, &shape, dtype)?)
        };
        let Stored { shape, dtype } = stored;
        let (volumes, masks) = (array(work.volumes(), shape, dtype.dtype())?, array(work.masks(), one(shape), MASK)?);
        fs::create_dir_all(&done).map_err(Error::io(&done))?;
        let path = path.to_owned();
        Ok(Begun::Open(Box::new(Self { path, volumes, masks, count, stored, made_by: made_by.clone(), work: at_work })))
    }

    /// The subject in place `n`, if its data are written. A mark that cannot be read is none: the subject is prepared again.
    pub fn done(&self, n: usize) -> Option<Subject> {
        seal::open(&fs::read(self.layout().mark(n)).ok()?).ok()
    }

    /// The files as they are built: what is put beside the volumes comes to lie in the cohort's directory.
    pub fn layout(&self) -> CohortLayout<'_> {
        CohortLayout::at(&self.work.partial)
    }

    /// Writes the data of the subject in place `n`, a volume for each channel, then marks it as done. Values are those that the type of the
    /// cohort holds.
    pub fn put(&self, n: usize, subject: &Subject, volumes: &[Volume], mask: &Mask) -> Result<()> {
        let (shape, count) = (self.stored.shape, self.count);
        let [channels, of_each @ ..] = shape;
        let is_here = |volume: &Volume| *volume.grid() == subject.grid;
        let same = volumes.iter().all(is_here) && *mask.grid() == subject.grid;
        if n >= count || mask.shape() != of_each || volumes.len() != channels || !same {
            return Err(Error::Subject {
                subject: subject.id.clone(),
                what: format!(
                    "{} of {:?} in place {n} do not fit {count} x {shape:?}",
                    counted(volumes.len(), "volume"),
                    subject.grid.shape
                ),
                remedy: "prepare all subjects on grids of one shape, each channel and the mask alike".into(),
            });
        }
        match volumes {
            [volume] => self.volumes.write_item(n, volume.data())?,
            several => self.volumes.write_item(n, &values(several))?,
        }
        self.masks.write_item(n, &mask.data().iter().map(|&m| f32::from(u8::from(m))).collect::<Vec<_>>())?;
        seal::write(&self.layout().mark(n), subject)
    }

    /// Makes the cohort appear, with the subjects that were put. `participants` has one row per place, in order; the
    /// ids are written as its first column, `participant_id`, and other columns stay as they are.
    pub fn finish(self, preparation: &Preparation, participants: &Table) -> Result<Cohort> {
        self.finish_with(preparation, participants, None)
    }

    /// [`Writer::finish`], with what was found and left out.
    pub fn finish_with(
        self,
        preparation: &Preparation,
        participants: &Table,
        inclusion: Option<Inclusion>,
    ) -> Result<Cohort> {
        let done: Vec<(usize, Subject)> = (0..self.count).filter_map(|n| Some((n, self.done(n)?))).collect();
        if done.is_empty() {
            return Err(Error::file(
                &self.path,
                "no subject is ready: there is nothing to write",
                "see what went wrong",
            ));
        }
        if participants.rows.len() != self.count {
            let what = format!("{} rows of participants for {} subjects", participants.rows.len(), self.count);
            return Err(Error::file(&self.path, what, "give one row per subject"));
        }
        let kept: Vec<usize> = done.iter().map(|(n, _)| *n).collect();
        if kept.len() < self.count {
            for (array, of_one, dtype) in self.arrays() {
                let all = npy::Reader::open(&array)?;
                let few = npy::Writer::create(shorter(&array), &array_shape(kept.len(), of_one), dtype)?;
                for (place, &n) in kept.iter().enumerate() {
                    few.write_item(place, &all.read_item(n)?)?;
                }
                few.sync()?;
            }
        }
        self.volumes.sync()?;
        self.masks.sync()?;
        // From here on an interruption means to start over: the marks go first, so that none of them can lie.
        remove_marks(&self.work.partial)?;
        if kept.len() < self.count {
            for (array, ..) in self.arrays() {
                fs::rename(shorter(&array), &array).map_err(Error::io(&array))?;
            }
        }
        let subjects: Vec<Subject> = done.into_iter().map(|(_, s)| s).collect();
        with_ids(participants, &kept, &subjects).write_tsv(&self.layout().participants())?;
        let document = Document {
            format: FORMAT.into(),
            voxplain: env!("CARGO_PKG_VERSION").into(),
            preparation: preparation.clone(),
            made_by: self.made_by.clone(),
            inclusion,
            dtype: self.stored.dtype,
            subjects,
        };
        let files = self.layout().files();
        let vouched = files.into_iter().filter(|file| file.is_file() && *file != self.layout().document());
        seal::declare(&self.layout().document(), &document, vouched)?;
        let Self { path, work, volumes, masks, .. } = self;
        drop((volumes, masks));
        appear(&path, work)
    }

    /// Ends work that failed for some subjects: with the same options it goes on, with others it is begun anew. Takes away what was begun,
    /// where nobody was prepared. What voxplain did not write stays.
    pub fn end_with_failures(self) -> Result<()> {
        if (0..self.count).any(|n| self.done(n).is_some()) {
            let mut plan = self.made_by.clone();
            return match plan.as_object_mut() {
                Some(keys) => {
                    keys.insert(FAILED.to_owned(), true.into());
                    seal::write(&self.layout().plan(), &plan)
                }
                None => Ok(()),
            };
        }
        let Self { work, volumes, masks, .. } = self;
        drop((volumes, masks));
        empty(&work.partial)?;
        remove_if_there(&CohortLayout::at(&work.partial).plan())
    }

    /// Each array, the shape of one item of it, and the type of its values.
    fn arrays(&self) -> [(PathBuf, [usize; 4], Dtype); 2] {
        let Stored { shape, dtype } = self.stored;
        [(self.layout().volumes(), shape, dtype.dtype()), (self.layout().masks(), one(shape), MASK)]
    }
}

/// The key in the plan of work that ended with failures.
const FAILED: &str = "ended_with_failures";

/// Whether the work in the folder of an unfinished cohort ended with failures, and was not interrupted.
fn has_failed(partial: &Path) -> Result<bool> {
    Ok(plan(partial)?.flatten().is_some_and(|plan| plan.get(FAILED).is_some()))
}

/// The shape of a subject's mask.
fn one([_, of_each @ ..]: [usize; 4]) -> [usize; 4] {
    one_channel(of_each)
}

/// The cohort that is there, made by the same command; another one is refused.
fn there(path: &Path, made_by: &serde_json::Value) -> Result<Option<Cohort>> {
    let place = CohortLayout::at(path);
    if !place.document().is_file() {
        return Ok(None);
    }
    let cohort = Cohort::open(path)?;
    if cohort.made_by != *made_by {
        let what = format!("there is already a cohort, {}", made_otherwise(&cohort.made_by, made_by));
        return Err(Error::file(path, what, remedy!["choose another ", OUT, ", or replace it with ", FORCE]));
    }
    // Left by a process that was killed when all was done but this.
    if Claim::clear(path)? {
        remove_if_there(&place.plan())?;
    }
    let partial = place.partial();
    let is_rest = begun_with(&partial)?.flatten().as_ref() == Some(made_by)
        && is_unused(&partial)?
        && !CohortLayout::at(&partial).volumes().is_file();
    if is_rest && Claim::clear(&partial)? {
        empty(&partial)?;
        remove_if_there(&CohortLayout::at(&partial).plan())?;
        if entries(&partial)?.is_empty() {
            fs::remove_dir(&partial).map_err(Error::io(&partial))?;
        }
    }
    Ok(Some(cohort))
}

fn remove_if_there(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io(file)(e)),
        _ => Ok(()),
    }
}

/// Refuses what voxplain did not make where the cohort is to be, or to be built.
fn refuse_others(path: &Path, partial: &Path) -> Result<()> {
    let is_begun = begun_with(partial)?.is_some();
    if partial.exists() && !is_begun {
        let only_ours = partial.is_dir() && {
            let mut entries = entries(partial)?.into_iter();
            // A process was killed before it came to anything.
            entries.all(|file| atomic_file::is_part(&file) || Claim::is_file(&file))
        };
        if !only_ours {
            let what = "this is in the way and was not made by voxplain";
            return Err(Error::file(partial, what, "remove or rename it"));
        }
    }
    let is_free = !path.exists() || path.is_dir() && entries(path)?.is_empty();
    // In the place of a cohort that was to be replaced lies what voxplain did not make.
    if !(is_free || CohortLayout::at(path).document().is_file() || is_begun && path.is_dir()) {
        let what = "there is already something here that is not a cohort";
        return Err(Error::file(path, what, remedy!["choose another ", OUT, ", or remove it"]));
    }
    Ok(())
}

/// By which command a cohort was begun in a folder, in it `None` where the file is damaged.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn begun_with(partial: &Path) -> Result<Option<Option<serde_json::Value>>> {
    let mut plan = plan(partial)?;
    if let Some(keys) = plan.as_mut().and_then(|plan| plan.as_mut()?.as_object_mut()) {
        keys.shift_remove(FAILED);
    }
    Ok(plan)
}

/// What was written of it first.
fn plan(partial: &Path) -> Result<Option<Option<serde_json::Value>>> {
    let plan = CohortLayout::at(partial).plan();
    match fs::read(&plan) {
        Ok(text) => Ok(Some(seal::open(&text).ok())),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(Error::io(&plan)(e)),
    }
}

/// How many subjects are marked as prepared in the folder of an unfinished cohort.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn count_marks(partial: &Path) -> Result<usize> {
    let marks = CohortLayout::at(partial).marks();
    if !marks.is_dir() {
        return Ok(0);
    }
    Ok(entries(&marks)?.iter().filter(|file| is_mark(file)).count())
}

/// Whether a file has the name of a mark.
fn is_mark(file: &Path) -> bool {
    let number = file.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.parse::<usize>().is_ok());
    number && file.extension().is_some_and(|ending| ending == "json")
}

/// Whether nobody has been prepared in the folder of an unfinished cohort.
fn is_unused(partial: &Path) -> Result<bool> {
    let work = CohortLayout::at(partial);
    let marks = work.marks();
    let is_empty = !marks.is_dir() || entries(&marks)?.is_empty();
    // What a finished cohort has: the marks went before the rest.
    Ok(is_empty && !work.document().is_file())
}

/// Gives a cohort that is whole its place.
fn appear(path: &Path, mut work: Work) -> Result<Cohort> {
    let partial = work.partial.clone();
    if path.is_dir() && !entries(path)?.is_empty() {
        // What is not ours stays where it lies: one file goes after another, the one that makes a cohort of them last.
        let (from, to) = (CohortLayout::at(&partial), CohortLayout::at(path));
        let mut files: Vec<_> = from.files().into_iter().zip(to.files()).collect();
        files.retain(|(file, _)| *file != from.plan() && file.is_file());
        files.sort_by_key(|(file, _)| *file == from.document());
        for (file, place) in files {
            fs::rename(&file, &place).map_err(Error::io(&place))?;
        }
        atomic_file::settle([to.document()])?;
        remove_if_there(&from.plan())?;
        return Cohort::open(path);
    }
    if path.is_dir() {
        fs::remove_dir(path).map_err(Error::io(path))?;
    }
    fs::rename(&partial, path).map_err(Error::io(path))?;
    work.claim = work.claim.take().map(|claim| claim.moved_to(path));
    atomic_file::settle([path.to_owned()])?;
    remove_if_there(&CohortLayout::at(path).plan())?;
    Cohort::open(path)
}

/// Where an array of those who are kept is written before it takes the place of the one with gaps.
fn shorter(array: &Path) -> PathBuf {
    array.with_extension("kept")
}

/// Removes a cohort's files, the one that makes it a cohort last, and its directory where that is empty then. Gives what stays,
/// because voxplain did not make it.
pub(crate) fn remove(path: &Path) -> Result<Vec<PathBuf>> {
    let files = CohortLayout::at(path);
    let left = remove_files(path, |file| file != files.document())?;
    remove_if_there(&files.document())?;
    if entries(path)?.is_empty() {
        fs::remove_dir(path).map_err(Error::io(path))?;
    }
    Ok(left)
}

/// The files of an unfinished cohort, the plan last, and what lies there that voxplain did not make.
///
/// # Errors
/// A folder that cannot be read.
pub(crate) fn files_of_unfinished(partial: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let layout = CohortLayout::at(partial);
    let mut ours = layout.files().to_vec();
    ours.extend([shorter(&layout.volumes()), shorter(&layout.masks())]);
    let (mut files, mut left) = (Vec::new(), Vec::new());
    let marks = if layout.marks().is_dir() { entries(&layout.marks())? } else { Vec::new() };
    for file in marks.into_iter().chain(entries(partial)?) {
        let is_file = fs::symlink_metadata(&file).map_err(Error::io(&file))?.is_file();
        let of_marks = file.parent() == Some(&layout.marks()) && is_mark(&file);
        if Claim::is_file(&file) || file == layout.marks() {
            continue;
        } else if is_file && (of_marks || ours.contains(&file) || atomic_file::is_part(&file)) {
            files.push(file);
        } else {
            left.push(file);
        }
    }
    files.sort_by_key(|file| *file == layout.plan());
    Ok((files, left))
}

/// Removes what was built in a folder, but the plan. Gives what stays, because voxplain did not make it.
fn empty(partial: &Path) -> Result<Vec<PathBuf>> {
    let plan = CohortLayout::at(partial).plan();
    remove_marks(partial)?;
    remove_files(partial, |file| file != plan)
}

/// Removes those of a cohort's files that are to go; gives what is not ours.
fn remove_files(folder: &Path, goes: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let files = CohortLayout::at(folder);
    let mut ours = files.files().to_vec();
    ours.extend([shorter(&files.volumes()), shorter(&files.masks())]);
    let mut left = Vec::new();
    for file in entries(folder)? {
        if Claim::is_file(&file) || ours.contains(&file) && !goes(&file) {
            continue;
        }
        let is_file = fs::symlink_metadata(&file).map_err(Error::io(&file))?.is_file();
        if is_file && (ours.contains(&file) || atomic_file::is_part(&file)) {
            fs::remove_file(&file).map_err(Error::io(&file))?;
        } else {
            left.push(file);
        }
    }
    left.sort();
    Ok(left)
}

/// Removes the marks of subjects that are done, and their folder where nothing else lies in it.
fn remove_marks(partial: &Path) -> Result<()> {
    let marks = CohortLayout::at(partial).marks();
    if !marks.is_dir() {
        return Ok(());
    }
    for file in entries(&marks)? {
        if is_mark(&file) || atomic_file::is_part(&file) {
            fs::remove_file(&file).map_err(Error::io(&file))?;
        }
    }
    if entries(&marks)?.is_empty() {
        fs::remove_dir(&marks).map_err(Error::io(&marks))?;
    }
    Ok(())
}

/// The rows that are kept, under a first column `participant_id` with the subjects' ids in the manner of BIDS.
/// A column that says the same already is not repeated; another one of that name is called `original_id`.
fn with_ids(participants: &Table, kept: &[usize], subjects: &[Subject]) -> Table {
    let mut rows: Vec<_> = kept.iter().map(|&n| participants.rows[n].clone()).collect();
    let mut columns = participants.columns.clone();
    if let Some(at) = columns.iter().position(|c| c == "participant_id") {
        let same = |(row, s): (&Vec<Option<String>>, &Subject)| row[at].as_deref().map(bare) == Some(s.id.as_str());
        if rows.iter().zip(subjects).all(same) {
            columns.remove(at);
            for row in &mut rows {
                row.remove(at);
            }
        } else {
            columns[at] = "original_id".into();
        }
    }
    columns.insert(0, "participant_id".into());
    for (row, subject) in rows.iter_mut().zip(subjects) {
        row.insert(0, Some(format!("sub-{}", subject.id)));
    }
    Table { columns, rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohort::{Normalize, Placement};
    use voxplain_core::Silent;
    use voxplain_volume::{Affine, Grid};

    const SHAPE: [usize; 3] = [3, 4, 5];

    fn preparation() -> Preparation {
        Preparation {
            shape: SHAPE,
            spacing: [2.0; 3],
            normalize: Normalize::None,
            placement: Placement::MaskCentre,
            template: None,
            whole_head: false,
            channels: Vec::new(),
        }
    }

    fn person(n: usize) -> (Subject, Volume, Mask) {
        let grid = Grid::new(SHAPE, Affine::from_spacing_origin([2.0; 3], [n as f64, 0.1, -0.3])).unwrap();
        let volume = Volume::from_fn(grid, |[i, j, k]| (n * 1000 + i * 100 + j * 10 + k) as f32 + 0.25);
        let mask = Volume::from_fn(grid, |[i, _, k]| i == 1 || k == n);
        (Subject::new(format!("p{n}"), &volume, &mask), volume, mask)
    }

    fn table(n: usize) -> Table {
        let cell = |s: String| Some(s).filter(|s| s != "age1");
        let rows = (0..n).map(|n| vec![Some(format!("sub-p{n}")), cell(format!("age{n}"))]).collect();
        Table { columns: vec!["participant_id".into(), "age".into()], rows }
    }

    fn begin(path: &Path, count: usize) -> Writer {
        match Writer::begin(path, &serde_json::json!({"a": 1}), one_channel(SHAPE).into(), count, false, &Silent)
            .unwrap()
        {
            Begun::Open(writer) => *writer,
            Begun::Complete(_) => panic!("complete already"),
        }
    }

    #[test]
    fn a_cohort_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let people: Vec<_> = (0..3).map(person).collect();
        let path = dir.path().join("a.b");
        let written = Cohort::write(&path, &preparation(), &table(3), &people).unwrap();
        let cohort = Cohort::open(&path).unwrap();
        assert_eq!(written.subjects, cohort.subjects);
        assert_eq!(cohort.preparation, preparation());
        assert_eq!(cohort.column("age").unwrap(), [Some("age0"), None, Some("age2")]);
        assert_eq!(cohort.find("sub-p1"), Some(1));
        for (n, (subject, volume, mask)) in people.iter().enumerate() {
            assert_eq!(&cohort.subjects[n], subject);
            assert_eq!(&cohort.volume(n).unwrap(), volume);
            assert_eq!(&cohort.mask(n).unwrap(), mask);
        }
        assert_eq!(people[0].0.mask_volume, (20 + 2 * 4) as f64 * 8.0);
        assert!(cohort.volume(3).is_err());
        let names: Vec<_> = fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside");
    }

    #[test]
    fn the_arrays_are_plain_npy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        Cohort::write(&path, &preparation(), &table(2), &[person(0), person(1)]).unwrap();
        let bytes = fs::read(path.join("volumes.npy")).unwrap();
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let header = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert_eq!(header.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4, 5), }");
        assert!(header.ends_with('\n'));
        assert_eq!(bytes.len(), 128 + 2 * 60 * 4);
        // Item 1, voxel (2, 3, 4) is the last value of the file.
        assert_eq!(f32::from_le_bytes(bytes[bytes.len() - 4..].try_into().unwrap()), 1234.25);
    }

    #[test]
    fn channels_come_back_in_their_order_and_only_several_have_an_axis() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let names = ["T1w".to_owned(), "FLAIR".to_owned()];
        let preparation = Preparation { channels: names.to_vec(), ..preparation() };
        let made_by = serde_json::json!(1);
        let Begun::Open(writer) =
            Writer::begin(&path, &made_by, preparation.input_shape().into(), 2, false, &Silent).unwrap()
        else {
            panic!()
        };
        let (_, volume, mask) = person(1);
        let both = [volume.clone(), volume.map(|v| -v)];
        let subject = Subject::of_channels("p1", &names, &both, &mask);
        assert!(writer.put(1, &subject, &both[..1], &mask).unwrap_err().to_string().contains("1 volume of [3, 4, 5]"));
        writer.put(1, &subject, &both, &mask).unwrap();
        let cohort = writer.finish(&preparation, &table(2)).unwrap();
        assert_eq!(npy::Reader::open(path.join("volumes.npy")).unwrap().shape(), [1, 2, 3, 4, 5]);
        assert_eq!(npy::Reader::open(path.join("masks.npy")).unwrap().shape(), [1, 3, 4, 5]);
        assert_eq!(cohort.channels(0).unwrap(), both);
        assert_eq!(cohort.volume(0).unwrap(), both[0]);
        assert_eq!(cohort.mask(0).unwrap(), mask);
        assert_eq!(cohort.values(0).unwrap(), [both[0].data(), both[1].data()].concat());
        let named: Vec<_> = cohort.subjects[0].channels.iter().map(|c| (c.name.as_str(), c.hash.clone())).collect();
        assert_eq!(named, [("T1w", super::super::hash(&both[0])), ("FLAIR", super::super::hash(&both[1]))]);
        assert_eq!(cohort.subjects[0].hash, voxplain_core::hash_values(&cohort.values(0).unwrap()));
        // One image of each is stored as ever, named or not.
        let (subject, volume, mask) = person(0);
        let one = Subject::of_channels("p0", &names[..1], std::slice::from_ref(&volume), &mask);
        assert_eq!(one, subject);
    }

    #[test]
    fn resumed_in_any_order_equals_uninterrupted() {
        let dir = tempfile::tempdir().unwrap();
        let [once, twice] = ["once", "twice"].map(|n| dir.path().join(n));
        let writer = begin(&once, 4);
        for n in 0..4 {
            let (s, v, m) = person(n);
            writer.put(n, &s, &[v], &m).unwrap();
        }
        writer.finish(&preparation(), &table(4)).unwrap();
        for order in [&[3usize, 1][..], &[0, 2]] {
            assert!(!twice.exists());
            let writer = begin(&twice, 4);
            for &n in order {
                assert!(writer.done(n).is_none());
                let (s, v, m) = person(n);
                writer.put(n, &s, &[v], &m).unwrap();
            }
        }
        begin(&twice, 4).finish(&preparation(), &table(4)).unwrap();
        for name in ["cohort.json", "participants.tsv", "volumes.npy", "masks.npy"] {
            assert_eq!(fs::read(once.join(name)).unwrap(), fs::read(twice.join(name)).unwrap(), "{name}");
        }
    }

    #[test]
    fn those_who_are_missing_leave_no_gap() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let writer = begin(&path, 4);
        for n in [1, 3] {
            let (s, v, m) = person(n);
            writer.put(n, &s, &[v], &m).unwrap();
        }
        let cohort = writer.finish(&preparation(), &table(4)).unwrap();
        assert_eq!(cohort.subjects.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["p1", "p3"]);
        assert_eq!(cohort.column("age").unwrap(), [None, Some("age3")]);
        assert_eq!(cohort.volume(1).unwrap(), person(3).1);
        assert_eq!(cohort.mask(0).unwrap(), person(1).2);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 4);
    }

    #[test]
    fn what_is_in_the_way_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let begin = |options: i32, force| {
            Writer::begin(&path, &serde_json::json!({ "o": options }), one_channel(SHAPE).into(), 1, force, &Silent)
        };
        let Begun::Open(first) = begin(1, false).unwrap() else { panic!() };
        let error = begin(1, false).unwrap_err();
        assert!(error.to_string().contains("another process is at work"), "{error}");
        let error = begin(2, false).unwrap_err();
        assert!(error.to_string().contains("another process is at work"), "{error}");
        let (s, v, m) = person(0);
        first.put(0, &s, &[v], &m).unwrap();
        drop(first);
        assert!(begin(2, false).unwrap_err().remedy().unwrap().to_string().contains("`force`"));
        assert!(Cohort::open(&path).unwrap_err().remedy().unwrap().to_string().contains("interrupted"));
        let Begun::Open(second) = begin(2, true).unwrap() else { panic!() };
        let (s, v, m) = person(0);
        second.put(0, &s, &[v], &m).unwrap();
        second.finish(&preparation(), &table(1)).unwrap();
        assert!(matches!(begin(2, false).unwrap(), Begun::Complete(_)));
        assert!(begin(1, false).unwrap_err().to_string().contains("already a cohort"));
        // What somebody put into a cohort, finished or not, stays when it is replaced.
        fs::write(path.join("notes.txt"), "mine").unwrap();
        fs::create_dir(path.join("figures")).unwrap();
        let Begun::Open(third) = begin(1, true).unwrap() else { panic!() };
        third.put(0, &person(0).0, &[person(0).1], &person(0).2).unwrap();
        drop(third);
        let partial = CohortLayout::at(&path).partial();
        fs::write(partial.join("done/why.txt"), "mine").unwrap();
        fs::create_dir(partial.join("drafts")).unwrap();
        let notes = Notes::default();
        let made_by = serde_json::json!({ "o": 1 });
        let Begun::Open(fourth) = Writer::begin(&path, &made_by, one_channel(SHAPE).into(), 1, true, &notes).unwrap()
        else {
            panic!()
        };
        let said = notes.0.into_inner().unwrap().join("\n");
        for theirs in ["notes.txt", "figures", "done", "drafts"] {
            assert!(said.contains(theirs), "{theirs}: {said}");
        }
        fourth.put(0, &person(0).0, &[person(0).1], &person(0).2).unwrap();
        fourth.finish(&preparation(), &table(1)).unwrap();
        assert_eq!(Cohort::open(&path).unwrap().made_by, made_by);
        assert!(path.join("notes.txt").is_file() && path.join("figures").is_dir());
        assert!(partial.join("done/why.txt").is_file() && partial.join("drafts").is_dir());
        assert!(matches!(begin(1, false).unwrap(), Begun::Complete(_)));
        let other = dir.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("thesis.txt"), "mine").unwrap();
        assert!(Writer::begin(&other, &serde_json::json!(1), one_channel(SHAPE).into(), 1, true, &Silent).is_err());
        assert!(other.join("thesis.txt").exists());
    }

    #[derive(Default)]
    struct Notes(std::sync::Mutex<Vec<String>>);

    impl Progress for Notes {
        fn begin(&self, _: &str, _: usize) {}
        fn advance(&self, _: usize, _: &str) {}
        fn end(&self) {}
        fn warn(&self, what: &str) {
            self.0.lock().unwrap().push(what.to_owned());
        }
    }

    /// A copy of a folder as a process leaves it that is killed.
    fn killed(folder: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for file in entries(folder).unwrap() {
            let place = to.join(file.file_name().unwrap());
            if file.is_dir() { killed(&file, &place) } else { fs::copy(&file, &place).map(|_| ()).unwrap() }
        }
    }

    #[test]
    fn killed_before_anything_or_after_everything_it_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let partial = CohortLayout::at(&path).partial();
        let names = |folder: &Path| {
            let mut names: Vec<_> =
                entries(folder).unwrap().iter().map(|f| f.file_name().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        let finish = |writer: Writer| {
            let (s, v, m) = person(0);
            writer.put(0, &s, &[v], &m).unwrap();
            writer.finish(&preparation(), &table(1)).unwrap();
            assert_eq!(names(&path), ["cohort.json", "masks.npy", "participants.tsv", "volumes.npy"]);
            assert_eq!(names(dir.path()), ["c"]);
        };
        // Before the plan: the folder alone, a file of a write that was cut off, a claim of nobody.
        fs::create_dir(&partial).unwrap();
        finish(begin(&path, 1));
        fs::remove_dir_all(&path).unwrap();
        fs::create_dir(&partial).unwrap();
        let part = partial.join(".part-0a1b2c-1-abcdef");
        fs::write(&part, "{").unwrap();
        // Of another machine, and long ago.
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
        fs::File::options().write(true).open(&part).unwrap().set_modified(long_ago).unwrap();
        finish(begin(&path, 1));
        // When the document is written: nothing is done again, not even asked for.
        let whole = dir.path().join("whole");
        fs::rename(&path, &whole).unwrap();
        let made_by = serde_json::json!({"a": 1});
        let plan = |folder: &Path| atomic_file::write_json(&CohortLayout::at(folder).plan(), &made_by).unwrap();
        killed(&whole, &partial);
        plan(&partial);
        let again = || Writer::begin(&path, &made_by, one_channel(SHAPE).into(), 1, false, &Silent).unwrap();
        assert!(matches!(again(), Begun::Complete(_)));
        // When it has its place, and the plan with it.
        plan(&path);
        assert!(matches!(again(), Begun::Complete(_)));
        assert_eq!(names(&path), names(&whole));
        // When one file after another takes the place of a cohort that is replaced: at every one of them.
        for moved in 0..=4 {
            fs::remove_dir_all(&path).unwrap();
            fs::create_dir(&path).unwrap();
            fs::write(path.join("notes.txt"), "mine").unwrap();
            killed(&whole, &partial);
            plan(&partial);
            for name in ["volumes.npy", "masks.npy", "participants.tsv", "cohort.json"].into_iter().take(moved) {
                fs::rename(partial.join(name), path.join(name)).unwrap();
            }
            assert!(matches!(again(), Begun::Complete(_)), "{moved}");
            assert_eq!(names(&path).len(), 5, "{moved}");
            assert_eq!(names(dir.path()), ["c", "whole"], "{moved}");
        }
        // When an older cohort is half removed.
        fs::remove_file(path.join("volumes.npy")).unwrap();
        let other = serde_json::json!({"a": 2});
        let begun = Writer::begin(&path, &other, one_channel(SHAPE).into(), 1, true, &Silent).unwrap();
        let Begun::Open(writer) = begun else { panic!() };
        assert_eq!(names(&path), ["notes.txt"]);
        drop(writer);
        let begun = Writer::begin(&path, &other, one_channel(SHAPE).into(), 1, false, &Silent).unwrap();
        assert!(matches!(begun, Begun::Open(_)));
    }

    #[test]
    fn what_nobody_was_prepared_in_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let begin = |options: i32| match Writer::begin(
            &path,
            &serde_json::json!(options),
            one_channel(SHAPE).into(),
            1,
            false,
            &Silent,
        )
        .unwrap()
        {
            Begun::Open(writer) => writer,
            Begun::Complete(_) => panic!(),
        };
        drop(begin(1));
        let (s, v, m) = person(0);
        begin(2).end_with_failures().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
        drop(begin(1));
        let writer = begin(2);
        writer.put(0, &s, &[v], &m).unwrap();
        writer.end_with_failures().unwrap();
        let cohort = begin(2).finish(&preparation(), &table(1)).unwrap();
        assert_eq!(cohort.made_by, serde_json::json!(2));
    }

    /// Work that ended with failures is no reason to refuse the corrected command; work that was interrupted is.
    #[test]
    fn what_failed_is_begun_anew_with_other_options_and_gone_on_with_by_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let with = |spacing: u32| serde_json::json!({ "command": "prepare", "spacing": spacing });
        let begin =
            |spacing: u32| match Writer::begin(&path, &with(spacing), one_channel(SHAPE).into(), 2, false, &Silent)? {
                Begun::Open(writer) => Ok::<_, Error>(*writer),
                Begun::Complete(_) => panic!("nothing is whole"),
            };
        let put = |writer: &Writer, n: usize| {
            let (s, v, m) = person(n);
            writer.put(n, &s, &[v], &m).unwrap();
        };
        let writer = begin(1).unwrap();
        put(&writer, 0);
        drop(writer);
        assert!(begin(2).unwrap_err().to_string().contains("was begun with other options"));
        begin(1).unwrap().end_with_failures().unwrap();
        let partial = CohortLayout::at(&path).partial();
        assert_eq!(begun_with(&partial).unwrap(), Some(Some(with(1))), "how it ended is no option");
        // The same goes on, and is then work like any other.
        let writer = begin(1).unwrap();
        assert!(writer.done(0).is_some());
        drop(writer);
        assert!(begin(2).is_err());
        begin(1).unwrap().end_with_failures().unwrap();
        // What is not ours stays.
        fs::write(partial.join("notes.txt"), "mine").unwrap();
        let writer = begin(2).unwrap();
        assert!(writer.done(0).is_none() && partial.join("notes.txt").is_file());
        put(&writer, 0);
        put(&writer, 1);
        fs::remove_file(partial.join("notes.txt")).unwrap();
        assert_eq!(writer.finish(&preparation(), &table(2)).unwrap().made_by, with(2));
    }

    #[test]
    fn damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let make = || Cohort::write(&path, &preparation(), &table(2), &[person(0), person(1)]).unwrap();
        make();
        fs::write(path.join("participants.tsv"), "participant_id\nsub-p1\nsub-p0\n").unwrap();
        assert!(Cohort::open(&path).unwrap_err().to_string().contains("in their order"));
        make();
        fs::write(path.join("masks.npy"), "short").unwrap();
        assert!(Cohort::open(&path).unwrap_err().to_string().contains("masks.npy"));
        make();
        fs::write(path.join("cohort.json"), "{").unwrap();
        assert!(Cohort::open(&path).unwrap_err().to_string().contains("cohort.json"));
    }
}
