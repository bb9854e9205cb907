//! [`Material`]: the images that are compared: maps of a run, or volumes of a cohort.

use super::{CompareOptions, shards::Source};
use crate::{
    cohort::Cohort,
    listed::listed,
    map::read_record,
    run::{MadeFrom, Run, digest},
    setting::{CHANNEL, KEEP_GOING, METHOD, OUT},
};
use std::{collections::BTreeMap, path::PathBuf};
use voxplain_attribution::Record;
use voxplain_core::{Action, Error, Progress, Result, remedy};

/// Subjects with their images.
pub(super) struct Material {
    pub(super) source: Source,
    /// In which folder results have their folders, where nothing is said.
    pub(super) usual: Option<PathBuf>,
    pub(super) cohort: Cohort,
    /// Positions in the cohort.
    pub(super) subjects: Vec<usize>,
    /// The method, and of each subject the map and the model that made it.
    pub(super) maps: Option<(String, Vec<PathBuf>, Vec<String>)>,
    pub(super) made_from: MadeFrom,
    /// The run's label and its class that comes last.
    pub(super) last: Option<(String, String)>,
    /// Subjects without a map.
    pub(super) left_out: Vec<(String, String)>,
    /// What the maps explain, where it is not one class for all, in a sentence.
    pub(super) targets: Option<String>,
}

/// The maps of a run, by one method.
pub(super) fn of_run(run: &Run, options: &CompareOptions, progress: &dyn Progress) -> Result<Material> {
    let cohort = run.cohort()?;
    run.warn_of_changed_labels(&cohort, progress);
    let there = run.maps()?;
    let methods = there.chosen(options.method.as_ref().map(std::slice::from_ref), progress);
    let method = match methods.as_slice() {
        [] => return Err(there.none("hires-cam,guided-backprop")),
        [method] => method.clone(),
        several => {
            return Err(Error::file(
                &run.path,
                format!("has maps of {} methods: {}", several.len(), listed(several, 12)),
                remedy!["say whose are compared with ", METHOD],
            ));
        }
    };
    let held_out = run.held_out(&cohort)?;
    let (mut subjects, mut maps, mut models, mut missing) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut made_from = MadeFrom::default();
    let mut targets = BTreeMap::<String, usize>::new();
    for person in &held_out {
        let id = &cohort.subjects[person.subject].id;
        if !there.have(id, &method) {
            missing.push(id.clone());
            continue;
        }
        let path = run.layout().map(id, &method).path();
        let record = read_record(&path)?;
        if record.in_sample == Some(true) {
            missing.push(id.clone());
            continue;
        }
        made_from.add(id, &method, digest(&record));
        *targets.entry(explained(&record)).or_default() += 1;
        subjects.push(person.subject);
        models.push(record.model);
        maps.push(path);
    }
    if !missing.is_empty() && (!options.keep_going || subjects.is_empty()) {
        let named = listed(&missing, 8);
        let why = there.why_missing(&missing, &method);
        return Err(Error::file(
            &run.path,
            format!("{method}: no map of {} of {} subjects: {named}{why}", missing.len(), held_out.len()),
            remedy![
                "make them: ",
                Action::new("explain").on(&run.path).with(METHOD, &method),
                "; or ",
                KEEP_GOING,
                " to leave these subjects out"
            ],
        ));
    }
    let left_out = missing.into_iter().map(|id| (id, "no map".to_owned())).collect();
    let classes = run.manifest.task.classes();
    let positive = run.metrics()?.map(|metrics| metrics.positive).or_else(|| classes.last().cloned());
    let last = positive.map(|class| (run.manifest.label.clone(), class));
    let targets = (targets.len() > 1).then(|| {
        let each: Vec<String> = targets.iter().map(|(class, maps)| format!("{class} for {maps}")).collect();
        format!(
            "The maps do not explain one class: {}. A difference between groups may be that of what is explained; make maps of one class for \
             all to compare them.",
            listed(&each, 6)
        )
    });
    Ok(Material {
        source: Source::of_run(run),
        usual: Some(run.layout().compare()),
        cohort,
        subjects,
        maps: Some((method, maps, models)),
        made_from,
        last,
        left_out,
        targets,
    })
}

/// The volumes of a cohort.
pub(super) fn of_cohort(cohort: Cohort, options: &CompareOptions) -> Result<Material> {
    if options.method.is_some() {
        return Err(Error::file(
            &cohort.path,
            "is a cohort, which has volumes and no maps of a method",
            remedy!["leave out ", METHOD, ", or name a run"],
        ));
    }
    if let [_, _, ..] = cohort.preparation.channels.as_slice() {
        return Err(Error::file(
            &cohort.path,
            format!(
                "has several images of each person ({}), and one is compared",
                cohort.preparation.channels.join(", ")
            ),
            remedy!["prepare a cohort of the one that is to be compared, with one ", CHANNEL],
        ));
    }
    if options.out.is_none() {
        return Err(Error::file(
            &cohort.path,
            "is a cohort, and what is made from it is not written into it",
            remedy!["say where the results go with ", OUT],
        ));
    }
    let subjects = (0..cohort.subjects.len()).collect();
    Ok(Material {
        source: Source::of_cohort(&cohort),
        usual: None,
        cohort,
        subjects,
        maps: None,
        made_from: MadeFrom::default(),
        last: None,
        left_out: Vec::new(),
        targets: None,
    })
}

/// The class that a map explains.
fn explained(record: &Record) -> String {
    match &record.value {
        Some(value) => value.to_string(),
        None => record.target.clone(),
    }
}
