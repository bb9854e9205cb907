//! The scenes of a run and of a folder of maps.

use super::{Encoded, Index, Method, Names, Viewer, Words, names::Vote};
use crate::{
    Error, Progress, Result,
    attribution::Record,
    cohort::Cohort,
    figure::Layer,
    group::{Group, GroupSummary, common_grid},
    run::{Prediction, Run},
};
use rayon::prelude::*;
use std::{collections::BTreeMap, path::Path};
use voxplain_volume::{Labels, Mask, ReadOptions, Volume, read};

/// Subjects in a viewer: the files of more would take more space than most want to give a report.
const MOST_SUBJECTS: usize = 300;
/// Subjects whose volumes are made at once.
const AT_ONCE: usize = 16;

/// The groups of a run over their mean brain, then its subjects in the order given.
pub(in crate::report) fn of_run(
    run: &Run,
    cohort: &Cohort,
    groups: Option<&GroupSummary>,
    (people, methods): (&[&Prediction], &[String]),
    mut names: Names,
    (progress, warnings): (&dyn Progress, &mut Vec<String>),
) -> Result<Viewer> {
    let (common, _) = common_grid(cohort);
    let mut votes: Vec<Vote> = (0..names.len()).map(|_| Vote::new(&common)).collect();
    let mut subjects = Vec::new();
    let mut used = BTreeMap::new();
    let there: Vec<&Prediction> = people
        .iter()
        .copied()
        .filter(|p| methods.iter().any(|m| run.map_path(&p.participant_id, "", m).is_file()))
        .collect();
    if there.len() > MOST_SUBJECTS {
        warnings.push(format!("The viewer holds the first {MOST_SUBJECTS} of {} subjects.", there.len()));
    }
    let there = &there[..there.len().min(MOST_SUBJECTS)];
    progress.begin("viewer", there.len());
    for part in there.chunks(AT_ONCE) {
        let labels: Vec<Vec<Option<Labels>>> = part
            .iter()
            .map(|p| match cohort.find(&p.participant_id) {
                Some(index) => names.on(&p.participant_id, &cohort.subjects[index].grid),
                None => vec![None; names.len()],
            })
            .collect();
        for of_subject in &labels {
            for (vote, labels) in votes.iter_mut().zip(of_subject) {
                labels.iter().for_each(|l| vote.count(l));
            }
        }
        let made = part
            .par_iter()
            .zip(&labels)
            .map(|(person, labels)| subject(run, cohort, person, methods, labels))
            .collect::<Result<Vec<_>>>()?;
        for (scene, records) in made.into_iter().flatten() {
            for record in records {
                used.entry(record.method.clone()).or_insert_with(|| describe(&record));
            }
            subjects.push(scene);
        }
        progress.advance(part.len(), &part.last().map_or(String::new(), |p| p.participant_id.clone()));
    }
    progress.end();

    let mut viewer = Viewer { index: Index { methods: used, ..Index::default() }, ..Viewer::default() };
    if let Some(groups) = groups {
        let labels: Vec<Option<Labels>> = if subjects.is_empty() {
            vec![None; votes.len()]
        } else {
            votes.iter().map(|v| v.labels(&common).map(Some)).collect::<Result<_>>()?
        };
        let folder = run.path.join("group");
        let mask: Mask = volume(&folder.join("brain_mask.nii.gz"))?.map(|&v| v > 0.5);
        let layer = Layer::new(volume(&folder.join("mean_brain.nii.gz"))?, &mask)?;
        // Outcomes come after the subjects: they are the first to go to files where there is no room.
        let (first, last): (Vec<_>, Vec<_>) = groups.groups.iter().partition(|g| !g.name.contains("outcome-"));
        let scene = |group: &Group| -> Result<Option<Encoded>> {
            let maps = groups
                .maps
                .iter()
                .filter(|m| m.group == group.name && m.statistic == "mean")
                .map(|m| Ok((m.method.clone(), volume(&folder.join(&m.file))?)))
                .collect::<Result<Vec<_>>>()?;
            if maps.is_empty() {
                return Ok(None);
            }
            let n = group.subjects.len();
            let words = Words {
                key: group.name.clone(),
                title: format!("{} (n = {n})", group.title),
                about: format!("Mean map of {n} subjects over the mean brain."),
                group: true,
                space: groups.space.clone(),
            };
            Ok(Some(Encoded::new(words, &layer, &maps, &labels)?))
        };
        let before = first.into_iter().map(&scene).collect::<Result<Vec<_>>>()?;
        let after = last.into_iter().map(&scene).collect::<Result<Vec<_>>>()?;
        subjects = before.into_iter().flatten().chain(subjects).chain(after.into_iter().flatten()).collect();
        for method in &groups.methods {
            let said = Method { units: method.units.clone(), sign: method.sign.clone() };
            viewer.index.methods.entry(method.method.clone()).or_insert(said);
        }
    }
    subjects.into_iter().for_each(|s| viewer.add(s));
    viewer.index.atlases = names.into_index();
    Ok(viewer)
}

fn describe(record: &Record) -> Method {
    Method { units: record.units.clone(), sign: record.sign.clone() }
}

/// A map as it is on disk, with RAS+ axes.
fn volume(path: &Path) -> Result<Volume> {
    let volume = read(path, &ReadOptions::default())?.volume.to_ras();
    if let Some(value) = volume.data().iter().find(|v| !v.is_finite()) {
        return Err(Error::file(path, format!("holds the value {value}"), "make it again: it is to hold numbers only"));
    }
    Ok(volume)
}

/// A subject's scene with the records of its maps; nothing where the subject is not in the cohort.
fn subject(
    run: &Run,
    cohort: &Cohort,
    person: &Prediction,
    methods: &[String],
    labels: &[Option<Labels>],
) -> Result<Option<(Encoded, Vec<Record>)>> {
    let id = &person.participant_id;
    let Some(index) = cohort.find(id) else { return Ok(None) };
    let layer = Layer::new(cohort.volume(index)?, &cohort.mask(index)?)?;
    let (mut maps, mut records) = (Vec::new(), Vec::new());
    for method in methods {
        let path = run.map_path(id, "", method);
        if !path.is_file() {
            continue;
        }
        let map = volume(&path)?;
        if !map.grid().same_space(&cohort.subjects[index].grid, 0.1) {
            return Err(Error::file(
                &path,
                format!("lies on another grid than the volume of subject {id}"),
                "make the map again with voxplain explain on this cohort",
            ));
        }
        records.push(crate::group::sidecar(&path)?);
        maps.push((method.clone(), map));
    }
    let probability = crate::report::people::of_truth(&run.manifest.classes, person);
    let words = Words {
        key: format!("sub-{id}"),
        title: format!("{id}: {}{}", person.truth, if person.truth == person.predicted { "" } else { ", told wrong" }),
        about: format!(
            "{id} is {}, said to be {}; probability of the truth {probability:.2}; fold {}.",
            person.truth, person.predicted, person.fold
        ),
        group: false,
        space: if cohort.subjects[index].alignment.is_some()
            || matches!(cohort.preparation.placement, crate::cohort::Placement::Fixed(_))
        {
            "mm in the world of the cohort's template or grid".into()
        } else {
            format!("mm in the world of {id}'s own image")
        },
    };
    Ok(Some((Encoded::new(words, &layer, &maps, labels)?, records)))
}

/// Maps of single images: those with one subject (and one grid) are one scene.
pub(in crate::report) fn of_folder(maps: Vec<(Record, Volume, Layer)>) -> Result<Viewer> {
    let mut viewer = Viewer::default();
    struct One {
        subject: String,
        layer: Layer,
        maps: Vec<(String, Volume)>,
        about: String,
    }
    let mut scenes: Vec<One> = Vec::new();
    for (record, map, layer) in maps {
        viewer.index.methods.entry(record.method.clone()).or_insert_with(|| describe(&record));
        let known = scenes.iter_mut().find(|scene| {
            scene.subject == record.subject
                && scene.maps[0].1.grid() == map.grid()
                && !scene.maps.iter().any(|(method, _)| *method == record.method)
        });
        match known {
            Some(scene) => scene.maps.push((record.method, map)),
            None => {
                let about = format!("Explained: {} = {:.4}.", record.target, record.score).replace('-', "\u{2212}");
                scenes.push(One { subject: record.subject, layer, maps: vec![(record.method, map)], about });
            }
        }
    }
    for (n, One { subject, layer, maps, about }) in scenes.into_iter().enumerate() {
        let words = Words {
            key: format!("image-{n}"),
            title: subject,
            about,
            group: false,
            space: "mm in the world of the map's grid".into(),
        };
        viewer.add(Encoded::new(words, &layer, &maps, &[])?);
    }
    Ok(viewer)
}
