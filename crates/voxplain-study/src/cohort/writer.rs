//! [`Writer`]: builds a cohort beside its place, one subject at a time, and goes on after an interruption.

use super::{
    Cohort, CohortLayout, Document, FORMAT, Inclusion, MASK, Preparation, Subject, VOLUME, array_shape, bare,
    one_channel, values,
};
use crate::listed::counted;
use crate::setting::{FORCE, OUT};
use std::{
    fs,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Result, Table, atomic_file, remedy, seal};
use voxplain_volume::{Dtype, Mask, Volume, npy};

/// Builds a cohort in `<path>.partial`, which becomes `<path>` when it is whole. Subjects may be put in any order
/// and from several threads; each is marked when its data are written, so that the work can go on later.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    partial: PathBuf,
    volumes: npy::Writer,
    masks: npy::Writer,
    count: usize,
    /// Of the volumes of one subject, `[channels, i, j, k]`.
    shape: [usize; 4],
    made_by: serde_json::Value,
    _lock: fs::File,
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
    /// Begins a cohort of up to `count` subjects of one shape, `[channels, i, j, k]`, or goes on with one that the same command (`made_by`)
    /// left unfinished. Something else in its place is refused, unless `force` starts over.
    pub fn begin(
        path: &Path,
        made_by: &serde_json::Value,
        shape: [usize; 4],
        count: usize,
        force: bool,
    ) -> Result<Begun> {
        if path.file_name().is_none() {
            return Err(Error::file(path, "this is no name for a new directory", "give the cohort a name"));
        }
        let place = CohortLayout::at(path);
        let partial = place.partial();
        let work = CohortLayout::at(&partial);
        let plan = work.plan();
        if force {
            if place.document().is_file() {
                remove(path)?;
            }
            if plan.is_file() {
                fs::remove_dir_all(&partial).map_err(Error::io(&partial))?;
            }
        }
        if place.document().is_file() {
            let cohort = Cohort::open(path)?;
            if cohort.made_by == *made_by {
                return Ok(Begun::Complete(Box::new(cohort)));
            }
            let what = "there is already a cohort, made with other options or from other files";
            return Err(Error::file(path, what, remedy!["choose another ", OUT, ", or replace it with ", FORCE]));
        }
        if path.exists() && (!path.is_dir() || fs::read_dir(path).map_err(Error::io(path))?.next().is_some()) {
            let what = "there is already something here that is not a cohort";
            return Err(Error::file(path, what, remedy!["choose another ", OUT, ", or remove it"]));
        }
        if plan.is_file() {
            let text = fs::read(&plan).map_err(Error::io(&plan))?;
            let same = serde_json::from_slice::<serde_json::Value>(&text).ok().as_ref() == Some(made_by);
            if !same && is_unused(&partial)? {
                // Nothing is lost with it.
                atomic_file::write_json(&plan, made_by)?;
            } else if !same {
                let what = "an unfinished cohort was begun with other options or from other files";
                return Err(Error::file(
                    &partial,
                    what,
                    remedy!["run the earlier command again, or start over with ", FORCE],
                ));
            }
        } else if partial.exists() {
            return Err(Error::file(
                &partial,
                "this is in the way and was not made by voxplain",
                "remove or rename it",
            ));
        } else {
            fs::create_dir_all(&partial).map_err(Error::io(&partial))?;
            atomic_file::write_json(&plan, made_by)?;
        }
        let lock = fs::File::open(&plan).map_err(Error::io(&plan))?;
        if let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
            return Err(at_work(&partial));
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
            if done.is_dir() {
                fs::remove_dir_all(&done).map_err(Error::io(&done))?;
            }
            Ok(npy::Writer::create(&path, &shape, dtype)?)
        };
        let (volumes, masks) = (array(work.volumes(), shape, VOLUME)?, array(work.masks(), one(shape), MASK)?);
        fs::create_dir_all(&done).map_err(Error::io(&done))?;
        let path = path.to_owned();
        Ok(Begun::Open(Box::new(Self {
            path,
            partial,
            volumes,
            masks,
            count,
            shape,
            made_by: made_by.clone(),
            _lock: lock,
        })))
    }

    /// The subject in place `n`, if its data are written. A mark that cannot be read is none: the subject is prepared again.
    pub fn done(&self, n: usize) -> Option<Subject> {
        serde_json::from_slice(&fs::read(self.layout().mark(n)).ok()?).ok()
    }

    /// The files as they are built: what is put beside the volumes comes to lie in the cohort's directory.
    pub fn layout(&self) -> CohortLayout<'_> {
        CohortLayout::at(&self.partial)
    }

    /// Writes the data of the subject in place `n`, a volume for each channel, then marks it as done.
    pub fn put(&self, n: usize, subject: &Subject, volumes: &[Volume], mask: &Mask) -> Result<()> {
        let (shape, count) = (self.shape, self.count);
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
        atomic_file::write_json(&self.layout().mark(n), subject)
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
        // From here on an interruption means to start over: the marks go first, so that none of them can lie.
        let marks = self.layout().marks();
        fs::remove_dir_all(&marks).map_err(Error::io(&marks))?;
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
            subjects,
        };
        seal::write(&self.layout().document(), &document)?;
        self.volumes.sync()?;
        self.masks.sync()?;
        let Self { path, partial, volumes, masks, .. } = self;
        drop((volumes, masks));
        if path.is_dir() {
            fs::remove_dir(&path).map_err(Error::io(&path))?;
        }
        fs::rename(&partial, &path).map_err(Error::io(&path))?;
        let plan = CohortLayout::at(&path).plan();
        fs::remove_file(&plan).map_err(Error::io(&plan))?;
        Cohort::open(&path)
    }

    /// Takes away what was begun, where nobody was prepared: then there is nothing to go on with. What voxplain did not write stays.
    pub fn discard_unused(self) -> Result<()> {
        if (0..self.count).any(|n| self.done(n).is_some()) {
            return Ok(());
        }
        let Self { partial, volumes, masks, _lock, .. } = self;
        drop((volumes, masks));
        let work = CohortLayout::at(&partial);
        let marks = work.marks();
        fs::remove_dir_all(&marks).map_err(Error::io(&marks))?;
        remove(&partial)
    }

    /// Each array, the shape of one item of it, and the type of its values.
    fn arrays(&self) -> [(PathBuf, [usize; 4], Dtype); 2] {
        [(self.layout().volumes(), self.shape, VOLUME), (self.layout().masks(), one(self.shape), MASK)]
    }
}

/// The shape of a subject's mask.
fn one([_, of_each @ ..]: [usize; 4]) -> [usize; 4] {
    one_channel(of_each)
}

/// Whether nobody has been prepared in the folder of an unfinished cohort, and nobody is at work there.
fn is_unused(partial: &Path) -> Result<bool> {
    let work = CohortLayout::at(partial);
    let plan = work.plan();
    let lock = fs::File::open(&plan).map_err(Error::io(&plan))?;
    if let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
        return Err(at_work(partial));
    }
    let marks = work.marks();
    let is_empty = !marks.is_dir() || fs::read_dir(&marks).map_err(Error::io(&marks))?.next().is_none();
    // What a finished cohort has: the marks went before the rest.
    Ok(is_empty && !work.document().is_file())
}

/// That another process builds the cohort.
fn at_work(partial: &Path) -> Error {
    Error::file(partial, "another voxplain is at work here", "wait for it, or stop it")
}

/// Where an array of those who are kept is written before it takes the place of the one with gaps.
fn shorter(array: &Path) -> PathBuf {
    array.with_extension("kept")
}

/// Removes a cohort's files and its directory; refused where something else lies there.
fn remove(path: &Path) -> Result<()> {
    let ours = CohortLayout::at(path).files();
    for entry in fs::read_dir(path).map_err(Error::io(path))? {
        let file = entry.map_err(Error::io(path))?.path();
        let temporary = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".part-"));
        if !ours.contains(&file) && !temporary {
            return Err(Error::file(
                file,
                "voxplain did not make this: it lies in a cohort to be replaced",
                "move it elsewhere",
            ));
        }
    }
    fs::remove_dir_all(path).map_err(Error::io(path))
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
        match Writer::begin(path, &serde_json::json!({"a": 1}), one_channel(SHAPE), count, false).unwrap() {
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
        let Begun::Open(writer) = Writer::begin(&path, &made_by, preparation.input_shape(), 2, false).unwrap() else {
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
            Writer::begin(&path, &serde_json::json!({ "o": options }), one_channel(SHAPE), 1, force)
        };
        let Begun::Open(first) = begin(1, false).unwrap() else { panic!() };
        let error = begin(1, false).unwrap_err();
        assert!(error.to_string().contains("another voxplain"), "{error}");
        let error = begin(2, false).unwrap_err();
        assert!(error.to_string().contains("another voxplain"), "{error}");
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
        // Nor is what somebody put into a cohort taken away with it.
        fs::write(path.join("notes.txt"), "mine").unwrap();
        assert!(begin(1, true).unwrap_err().to_string().contains("notes.txt: voxplain did not make this"));
        assert!(Cohort::open(&path).is_ok());
        fs::remove_file(path.join("notes.txt")).unwrap();
        let other = dir.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("thesis.txt"), "mine").unwrap();
        assert!(Writer::begin(&other, &serde_json::json!(1), one_channel(SHAPE), 1, true).is_err());
        assert!(other.join("thesis.txt").exists());
    }

    #[test]
    fn what_nobody_was_prepared_in_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let begin = |options: i32| match Writer::begin(&path, &serde_json::json!(options), one_channel(SHAPE), 1, false)
            .unwrap()
        {
            Begun::Open(writer) => writer,
            Begun::Complete(_) => panic!(),
        };
        drop(begin(1));
        let (s, v, m) = person(0);
        begin(2).discard_unused().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
        drop(begin(1));
        let writer = begin(2);
        writer.put(0, &s, &[v], &m).unwrap();
        writer.discard_unused().unwrap();
        let cohort = begin(2).finish(&preparation(), &table(1)).unwrap();
        assert_eq!(cohort.made_by, serde_json::json!(2));
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
