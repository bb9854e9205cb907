//! [`People`]: those who are predicted, and their volumes.

use super::{Models, PredictOptions};
use crate::{
    cohort::Cohort,
    explain::{
        Images,
        load::{self, LoadedVolume},
        stem,
    },
    listed::listed,
    model::Card,
    prepare::{MaskFinder, freesurfer_subject, id_of},
    setting::OUT,
};
use rayon::prelude::*;
use std::path::PathBuf;
use voxplain_core::{Error, Progress, Result, plural::counted};
use voxplain_nn::Engine;

/// Who is predicted.
#[derive(Clone, Copy, Debug)]
pub enum People<'a> {
    /// The subjects of a cohort.
    Cohort(&'a Cohort),
    /// Image files, prepared as the model says.
    Images(&'a Images),
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) id: String,
    /// Position in the cohort; that of the file among the images.
    pub(super) number: usize,
    pub(super) file: Option<PathBuf>,
    /// What models know other images of the same person in the cohort by.
    pub(super) of_same_person: Vec<String>,
}

impl People<'_> {
    /// Refuses a cohort that does not fit.
    pub(super) fn check(&self, card: &Card, progress: &dyn Progress) -> Result<()> {
        match self {
            Self::Cohort(cohort) => load::fits(card, cohort, progress),
            Self::Images(images) if images.files.is_empty() => {
                Err(Error::request("there is nobody to predict", "give images or a cohort"))
            }
            Self::Images(images) if !images.channels.is_empty() && images.files.len() != 1 => Err(Error::request(
                format!("files of channels are given, and {}", counted(images.files.len(), "image")),
                "predict one after another, or call them as BIDS does",
            )),
            Self::Images(_) => Ok(()),
        }
    }

    /// What one of them is called.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Cohort(cohort) => cohort.noun(),
            Self::Images(_) => "image",
        }
    }

    /// All who are asked for.
    pub(super) fn persons(&self, options: &PredictOptions) -> Result<Vec<Person>> {
        let all: Vec<Person> = match self {
            Self::Cohort(cohort) => (0..cohort.subjects.len())
                .map(|number| Person {
                    id: cohort.subjects[number].id.clone(),
                    number,
                    file: None,
                    of_same_person: cohort
                        .others_of_person(number)
                        .flat_map(|n| cohort.subjects[n].marks())
                        .map(str::to_owned)
                        .collect(),
                })
                .collect(),
            Self::Images(images) => {
                let person = |(number, file): (usize, &PathBuf)| Person {
                    id: freesurfer_subject(file).map_or_else(|| stem(file), str::to_owned),
                    number,
                    file: Some(file.clone()),
                    of_same_person: Vec::new(),
                };
                images.files.iter().enumerate().map(person).collect()
            }
        };
        for (n, person) in all.iter().enumerate() {
            if let Some(other) = all[..n].iter().find(|other| other.id == person.id) {
                let name = |p: &Person| p.file.as_ref().map_or_else(|| p.id.clone(), |file| file.display().to_string());
                let what = format!("{} and {} would both be called {}", name(other), name(person), person.id);
                return Err(Error::request(
                    what,
                    voxplain_core::remedy!["predict them one after another, with another ", OUT],
                ));
            }
        }
        let Some(ids) = &options.subjects else { return Ok(all) };
        if let Some(id) = ids.iter().find(|id| !all.iter().any(|person| person.id == **id)) {
            let what = format!("there is nobody called {id:?}");
            return Err(Error::request(
                what,
                format!("there are {}: {}", all.len(), listed(all.iter().map(|p| p.id.as_str()), 5)),
            ));
        }
        Ok(all.into_iter().filter(|person| ids.contains(&person.id)).collect())
    }

    /// Their volumes as the models take them.
    pub(super) fn load<'p>(
        &self,
        persons: impl Iterator<Item = &'p Person>,
        card: &Card,
        engine: &Engine,
    ) -> Vec<Result<LoadedVolume>> {
        let persons: Vec<&Person> = persons.collect();
        match self {
            Self::Cohort(cohort) => persons.iter().map(|p| load::of_subject(cohort, p.number, card)).collect(),
            Self::Images(images) => {
                let finder = MaskFinder::new(&images.mask, None).map(|mut finder| {
                    finder.know(images.files.iter().map(|file| (file.clone(), id_of(file))));
                    finder
                });
                let finder = match finder {
                    Ok(finder) => finder,
                    Err(e) => {
                        let what = e.to_string();
                        let remedy = e.remedy().unwrap_or_else(|| "check the masks".into());
                        return persons.iter().map(|_| Err(Error::request(what.clone(), remedy.clone()))).collect();
                    }
                };
                let of_image = |person: &&Person| load::of_image(&images.files[person.number], images, &finder, card);
                engine.thread_pool().install(|| persons.par_iter().map(of_image).collect())
            }
        }
    }

    /// What is to be known of them beside what was said: ids that the run's own people have too.
    pub(super) fn notes(&self, models: Models<'_>, persons: &[Person], progress: &dyn Progress) -> Vec<String> {
        let mut notes = Vec::new();
        if let Models::Run(run) = models {
            match run.cohort() {
                Ok(own) => {
                    let same = persons.iter().map(|p| p.id.as_str()).filter(|id| own.find(id).is_some());
                    let same: Vec<&str> = same.collect();
                    if !same.is_empty() && !matches!(self, Self::Cohort(cohort) if run.check_cohort(cohort).is_ok()) {
                        notes.push(format!(
                            "{} as people of the run's own cohort have ({}): if they are the same people, what is said of them is no evidence.",
                            if same.len() == 1 { "1 id is such".to_owned() } else { format!("{} ids are such", same.len()) },
                            listed(same, 5)
                        ));
                    }
                }
                Err(e) => progress.advise(
                    &format!("whether ids are those of people of the run cannot be said: {e}"),
                    &voxplain_core::remedy!["say where the run's own cohort lies with ", crate::setting::RUN_COHORT],
                ),
            }
        }
        if let Self::Cohort(cohort) = self {
            notes.extend(cohort.caveats());
        }
        notes
    }
}
