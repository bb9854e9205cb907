//! [`Scenes`]: what a viewer can show of a run, one scene at a time; and the scenes of a folder of maps.

use super::{
    carried::Viewer,
    index::{AtlasRegions, Caption, Encoded, Index, MapValues},
    labels::{Atlases, Vote},
    tested::TestedMaps,
};
use crate::{
    figure::Underlay,
    report::element::{Person, Warning, read_map},
};
use rayon::prelude::*;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};
use voxplain_attribution::Record;
use voxplain_core::{Action, Error, Progress, Result, remedy};
use voxplain_study::{
    cohort::{Cohort, Placement},
    group::{Group, GroupSummary},
    map::read_record,
    run::{Run, RunMaps},
};
use voxplain_volume::{Grid, Labels, MaskOptions, read_mask};

/// Subjects in a page, for the files of more would take more space than most want to give a report; and those whose labels
/// are counted for the groups.
const MAX_SUBJECTS: usize = 300;
/// Subjects whose volumes are made at once.
const AT_ONCE: usize = 16;

/// The groups of a run over their mean brain and its subjects in the order given, made when they are asked for.
#[derive(Debug)]
pub(in crate::report) struct Scenes {
    run: Run,
    cohort: Cohort,
    groups: Option<GroupSummary>,
    maps: RunMaps,
    methods: Vec<String>,
    people: Vec<Person>,
    atlases: Mutex<Atlases>,
    tests: Vec<TestedMaps>,
    kinds: Vec<Kind>,
    /// The mean brain and, for every atlas, the labels that most subjects have.
    common: OnceLock<(Underlay, Vec<Option<Labels>>)>,
}

/// What a scene is of.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A position among the groups.
    Group(usize),
    /// A position among the tests.
    Test(usize),
    /// A position among the people.
    Subject(usize),
}

impl Scenes {
    /// The scenes of the groups and of everyone who has a map.
    pub(in crate::report) fn new(
        run: Run,
        cohort: Cohort,
        groups: Option<GroupSummary>,
        people: &[Person],
        maps: RunMaps,
        (atlases, tests): (Atlases, Vec<TestedMaps>),
    ) -> Self {
        let methods = maps.methods();
        let mapped = |p: &&Person| {
            cohort.find(&p.participant_id).is_some() && methods.iter().any(|m| maps.have(&p.participant_id, m))
        };
        let people: Vec<Person> = people.iter().filter(mapped).cloned().collect();
        let of_groups = |last: bool| {
            let all = groups.iter().flat_map(|g| &g.groups).enumerate();
            all.filter(move |(_, g)| g.name.contains("outcome-") == last)
                .filter(|(_, group)| groups.iter().any(|s| means(s, group).next().is_some()))
                .map(|(n, _)| Kind::Group(n))
                .collect::<Vec<_>>()
        };
        // Statistics are shown over the mean brain.
        let tests = if groups.is_some() { tests } else { Vec::new() };
        let of_tests: Vec<Kind> = (0..tests.len()).map(Kind::Test).collect();
        // Outcomes come after the subjects: they are the first to go to files where there is no room.
        let of_people = (0..people.len()).map(Kind::Subject).collect();
        let kinds = [of_groups(false), of_tests, of_people, of_groups(true)].concat();
        let atlases = Mutex::new(atlases);
        Self { run, cohort, groups, maps, methods, people, atlases, tests, kinds, common: OnceLock::new() }
    }

    /// Number of scenes.
    pub(in crate::report) const fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Everything in one viewer, of the first [`MAX_SUBJECTS`] subjects.
    pub(in crate::report) fn all(&self, progress: &dyn Progress, warnings: &mut Vec<Warning>) -> Result<Viewer> {
        if self.people.len() > MAX_SUBJECTS {
            let what = format!("The viewer holds the first {MAX_SUBJECTS} of {} subjects.", self.people.len());
            warnings.push(what.into());
        }
        let there = &self.people[..self.people.len().min(MAX_SUBJECTS)];
        let (grid, _) = self.cohort.common_grid();
        let mut votes = self.votes(&grid);
        let mut subjects = Vec::new();
        let mut used = BTreeMap::new();
        progress.begin("viewer", there.len());
        for part in there.chunks(AT_ONCE) {
            progress.go_on()?;
            let labels: Vec<_> = part.iter().map(|p| self.labels(p)).collect();
            for of_subject in &labels {
                count(&mut votes, of_subject);
            }
            let made = part
                .par_iter()
                .zip(&labels)
                .map(|(person, labels)| self.subject(person, labels))
                .collect::<Result<Vec<_>>>()?;
            for (scene, records) in made.into_iter().flatten() {
                for record in records {
                    used.entry(record.method.clone()).or_insert_with(|| MapValues::of(&record));
                }
                subjects.push(scene);
            }
            progress.advance(part.len(), &part.last().map_or(String::new(), |p| p.participant_id.clone()));
        }
        progress.end();
        let labels = elected(&votes, &grid, subjects.is_empty())?;
        let of_tests = self.tests.iter().flat_map(TestedMaps::values);
        for (method, said) in self.methods_of_groups().into_iter().chain(of_tests) {
            used.entry(method).or_insert(said);
        }
        let mut viewer = Viewer::new(Index { methods: used, ..Index::default() });
        let mut subjects = subjects.into_iter();
        for kind in &self.kinds {
            let scene = match kind {
                Kind::Group(n) => self.group(*n, &self.mean_brain()?, &labels)?,
                Kind::Test(n) => self.tests[*n].scene(&self.mean_brain()?, &labels)?,
                Kind::Subject(_) => subjects.next(),
            };
            scene.into_iter().for_each(|s| viewer.add(s));
        }
        viewer.index.atlases = self.atlases();
        warnings.extend(self.open_atlases().lacking());
        Ok(viewer)
    }

    /// One scene, made from the files.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub(super) fn one(&self, n: usize) -> Result<Option<(Encoded, BTreeMap<String, MapValues>)>> {
        Ok(match self.kinds.get(n) {
            None => None,
            Some(Kind::Group(n)) => {
                let (underlay, labels) = self.common()?;
                self.group(*n, underlay, labels)?.map(|scene| (scene, self.methods_of_groups()))
            }
            Some(Kind::Test(n)) => {
                let (underlay, labels) = self.common()?;
                let test = &self.tests[*n];
                test.scene(underlay, labels)?.map(|scene| (scene, test.values().collect()))
            }
            Some(Kind::Subject(n)) => {
                let person = &self.people[*n];
                let made = self.subject(person, &self.labels(person))?;
                made.map(|(scene, records)| {
                    (scene, records.iter().map(|r| (r.method.clone(), MapValues::of(r))).collect())
                })
            }
        })
    }

    /// What is said of every scene.
    pub(super) fn captions(&self) -> impl Iterator<Item = Caption> {
        self.kinds.iter().filter_map(|kind| match kind {
            Kind::Group(n) => self.groups.as_ref().map(|g| caption_of_group(g, &g.groups[*n])),
            Kind::Test(n) => Some(self.tests[*n].caption()),
            Kind::Subject(n) => Some(self.caption_of_subject(&self.people[*n])),
        })
    }

    /// The files of a scene's maps.
    pub(in crate::report) fn files(&self, n: usize) -> Vec<PathBuf> {
        match self.kinds.get(n) {
            None => Vec::new(),
            Some(Kind::Group(n)) => {
                let group = self.run.layout().group();
                self.groups.iter().flat_map(|g| means(g, &g.groups[*n])).map(|(_, name)| group.map(name)).collect()
            }
            Some(Kind::Test(n)) => self.tests[*n].files(),
            Some(Kind::Subject(n)) => self.maps(&self.people[*n]).map(|(_, path)| path).collect(),
        }
    }

    /// What atlases and their regions are called, as far as it is known yet.
    pub(super) fn atlases(&self) -> Vec<AtlasRegions> {
        self.open_atlases().index()
    }

    pub(super) fn methods_of_groups(&self) -> BTreeMap<String, MapValues> {
        let all = self.groups.iter().flat_map(|g| &g.methods);
        all.map(|m| (m.method.clone(), MapValues { units: m.units.clone(), sign: m.sign.clone() })).collect()
    }

    fn open_atlases(&self) -> MutexGuard<'_, Atlases> {
        self.atlases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn votes(&self, grid: &Grid) -> Vec<Vote> {
        (0..self.open_atlases().len()).map(|_| Vote::new(grid)).collect()
    }

    /// The labels of every atlas on a subject's grid.
    fn labels(&self, person: &Person) -> Vec<Option<Labels>> {
        let mut atlases = self.open_atlases();
        match self.cohort.find(&person.participant_id) {
            Some(index) => atlases.on(&person.participant_id, &self.cohort.subjects[index].grid),
            None => vec![None; atlases.len()],
        }
    }

    fn mean_brain(&self) -> Result<Underlay> {
        let group = self.run.layout().group();
        let brain = read_map(&group.mean_brain())?;
        let mask = read_mask(&group.brain_mask(), &MaskOptions::anywhere())?.on(brain.grid())?;
        Underlay::new(brain, &mask)
    }

    /// The mean brain and the labels that most of the first subjects have, made once.
    fn common(&self) -> Result<&(Underlay, Vec<Option<Labels>>)> {
        if let Some(common) = self.common.get() {
            return Ok(common);
        }
        let (grid, _) = self.cohort.common_grid();
        let mut votes = self.votes(&grid);
        self.people.iter().take(MAX_SUBJECTS).for_each(|p| count(&mut votes, &self.labels(p)));
        let made = (self.mean_brain()?, elected(&votes, &grid, self.people.is_empty())?);
        Ok(self.common.get_or_init(|| made))
    }

    fn group(&self, n: usize, underlay: &Underlay, labels: &[Option<Labels>]) -> Result<Option<Encoded>> {
        let Some(groups) = &self.groups else { return Ok(None) };
        let maps = means(groups, &groups.groups[n])
            .map(|(method, file)| Ok((method.to_owned(), read_map(&self.run.layout().group().map(file))?)))
            .collect::<Result<Vec<_>>>()?;
        Encoded::new(caption_of_group(groups, &groups.groups[n]), underlay, &maps, labels).map(Some)
    }

    /// The maps of a subject that are there, with their methods.
    fn maps(&self, person: &Person) -> impl Iterator<Item = (&String, PathBuf)> {
        let id = &person.participant_id;
        let there = self.methods.iter().filter(move |method| self.maps.have(id, method));
        there.map(move |method| (method, self.run.layout().map(id, method).path()))
    }

    /// A subject's scene with the records of its maps; nothing where the subject is not in the cohort.
    fn subject(&self, person: &Person, labels: &[Option<Labels>]) -> Result<Option<(Encoded, Vec<Record>)>> {
        let id = &person.participant_id;
        let Some(index) = self.cohort.find(id) else { return Ok(None) };
        let underlay = Underlay::new(self.cohort.volume(index)?, &self.cohort.mask(index)?)?;
        let (mut maps, mut records) = (Vec::new(), Vec::new());
        for (method, path) in self.maps(person) {
            let map = read_map(&path)?;
            if !map.grid().same_space(&self.cohort.subjects[index].grid, 0.1) {
                return Err(Error::file(
                    &path,
                    format!("lies on another grid than the volume of subject {id}"),
                    remedy!["make the map again with ", Action::new("explain"), " on this cohort"],
                ));
            }
            records.push(read_record(&path)?);
            maps.push((method.clone(), map));
        }
        Ok(Some((Encoded::new(self.caption_of_subject(person), &underlay, &maps, labels)?, records)))
    }

    fn caption_of_subject(&self, person: &Person) -> Caption {
        let id = &person.participant_id;
        let aligned = self.cohort.find(id).is_some_and(|n| self.cohort.subjects[n].alignment.is_some());
        Caption {
            key: format!("sub-{id}"),
            title: format!("{id}: {}{}", person.truth, if person.wrong { ", told wrong" } else { "" }),
            about: format!("{id} {}.", person.about),
            group: false,
            space: if aligned || matches!(self.cohort.preparation.placement, Placement::Fixed(_)) {
                "mm in the world of the cohort's template or grid".into()
            } else {
                format!("mm in the world of {id}'s own image")
            },
        }
    }
}

/// Methods and files of the mean maps of a group.
fn means<'a>(groups: &'a GroupSummary, group: &'a Group) -> impl Iterator<Item = (&'a str, &'a str)> {
    let of = groups.maps.iter().filter(|m| m.group == group.name && m.statistic == "mean");
    of.map(|m| (m.method.as_str(), m.file.as_str()))
}

fn caption_of_group(groups: &GroupSummary, group: &Group) -> Caption {
    let n = group.subjects.len();
    Caption {
        key: group.name.clone(),
        title: format!("{} (n = {n})", group.title),
        about: format!("Mean map of {} over the mean of their volumes.", group.headcount()),
        group: true,
        space: groups.space.clone(),
    }
}

fn count(votes: &mut [Vote], labels: &[Option<Labels>]) {
    for (vote, labels) in votes.iter_mut().zip(labels) {
        labels.iter().for_each(|l| vote.count(l));
    }
}

/// The labels that most have; none where nobody has been counted.
fn elected(votes: &[Vote], grid: &Grid, nobody: bool) -> Result<Vec<Option<Labels>>> {
    votes.iter().map(|v| if nobody { Ok(None) } else { v.labels(grid).map(Some) }).collect()
}
