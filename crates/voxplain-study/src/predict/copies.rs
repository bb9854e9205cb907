//! Images under several names: one and the same file or volume, and those so alike that they may be of one person.

use super::{
    Models, PredictOptions,
    people::{People, Person},
};
use crate::{
    alike::{Brains, Copies, alike},
    cohort::{Cohort, values},
    explain::{Images, load::LoadedVolume},
    listed::{counted, does, listed},
    model::Card,
    run::AlikePair,
    setting::NEAR_DUPLICATES,
};
use std::collections::BTreeMap;
use voxplain_core::{Error, Progress, Result, remedy};
use voxplain_nn::Engine;

/// Names that a note lists.
const LISTED: usize = 8;

/// Who has one and the same image, or prepared volume, as another of those who are asked about.
#[derive(Default)]
pub(super) struct Same {
    /// Who had it first, by its hash.
    first: BTreeMap<String, String>,
    pairs: Vec<String>,
}

impl Same {
    pub(super) fn add(&mut self, id: &str, volume: &LoadedVolume) {
        if let Some(other) = volume.marks().find_map(|mark| self.first.get(mark)) {
            self.pairs.push(format!("{other} and {id}"));
        }
        for mark in volume.marks() {
            self.first.entry(mark.to_owned()).or_insert_with(|| id.to_owned());
        }
    }

    pub(super) fn note(&self) -> Option<String> {
        (!self.pairs.is_empty()).then(|| {
            format!(
                "One and the same image stands under several ids, each of which counts as another person: {}. Numbers over people are as if \
                 there were more of them, and intervals too narrow.",
                listed(&self.pairs, LISTED)
            )
        })
    }
}

/// Who of those asked about may be one of the run's own people, or another of those, by the pattern of the brain.
#[derive(Debug, Default)]
pub(super) struct Lookalikes {
    /// By id: with whom of the run's people; the most alike first.
    of_run: BTreeMap<String, AlikePair>,
    /// Among those who are asked about.
    among: Vec<AlikePair>,
    /// Ids of those whose image has no pattern to compare.
    without: Vec<String>,
    /// Whether the run's people were not at hand.
    alone: bool,
}

impl Lookalikes {
    /// Compares those who are asked about with the people in the folds of a run and with each other. Of a model by itself nothing is found,
    /// as it has no images. A test set was compared with the folds before training, and is compared with itself; others of the run's own
    /// cohort are not.
    ///
    /// # Errors
    /// A volume of a cohort cannot be read; a fold of the run is damaged; the user asked to stop.
    pub(super) fn of(
        models: Models<'_>,
        (people, persons): (&People<'_>, &[Person]),
        card: &Card,
        options: &PredictOptions,
        of_test_set: bool,
        engine: &Engine,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let Models::Run(run) = models else { return Ok(Self::default()) };
        if options.near_duplicates == Copies::Off
            || !of_test_set && matches!(people, People::Cohort(cohort) if run.check_cohort(cohort).is_ok())
        {
            return Ok(Self::default());
        }
        // Why it is not at hand is said with the ids.
        let own = run.cohort();
        let own: Option<(&Cohort, Vec<usize>)> = match &own {
            Ok(cohort) => Some((cohort, run.members()?.into_iter().collect())),
            Err(_) => None,
        };
        let of_run = own.as_ref().map_or(0, |(_, members)| members.len());
        let read = |n: usize| match &own {
            Some((cohort, members)) if n < of_run => {
                Ok((cohort.values(members[n])?, cohort.mask(members[n])?.into_data()))
            }
            _ => people.pattern(&persons[n - of_run], card, engine),
        };
        let [channels, shape @ ..] = card.preparation.input_shape();
        let brains = Brains {
            count: of_run + persons.len(),
            channels,
            shape,
            spacing: card.preparation.spacing,
            read: &read,
            at_stake: &|one, other| other >= of_run && (one >= of_run || !of_test_set),
        };
        let found = alike(&brains, engine, progress)?;
        let id = |n: usize| match &own {
            Some((cohort, members)) if n < of_run => cohort.subjects[members[n]].id.clone(),
            _ => persons[n - of_run].id.clone(),
        };
        let mut looked = Self { alone: own.is_none(), ..Self::default() };
        for pair in found.pairs() {
            let named = AlikePair::of(pair, &id, &card.preparation.channels);
            if pair.one >= of_run {
                looked.among.push(named);
            } else {
                looked.of_run.entry(named.other.clone()).or_insert(named);
            }
        }
        looked.without = found.without.iter().filter(|n| **n >= of_run).map(|n| id(*n)).collect();
        Ok(looked)
    }

    /// Why nothing is said of somebody.
    pub(super) fn refusal(&self, id: &str, options: &PredictOptions) -> Option<Error> {
        let pair = self.of_run.get(id).filter(|_| options.near_duplicates == Copies::Refuse && !options.in_sample)?;
        Some(Error::subject(
            id,
            format!(
                "is so like {} of the run's own people (likeness {:.2}{}) that both may be one person",
                pair.one,
                pair.likeness,
                if pair.mirrored { ", mirrored" } else { "" }
            ),
            remedy![
                "look at both images; if they are of two people, go on with ",
                NEAR_DUPLICATES.to(Copies::Warn),
                "; what was said of the run's own people when they were held out stands in the run"
            ],
        ))
    }

    /// What is to be known of those who were answered for; `trained_on` are marked already.
    pub(super) fn notes(&self, noun: &str, answered: &[&str], trained_on: &[&str]) -> Vec<String> {
        let mut notes = Vec::new();
        if self.alone && !answered.is_empty() {
            notes.push(
                "Whether these are people of the run under other names was looked for by their hashes alone, since the run's cohort is not at hand."
                    .to_owned(),
            );
        }
        let here = |id: &str| answered.contains(&id);
        let of_run: Vec<&AlikePair> = (self.of_run.values())
            .filter(|pair| here(&pair.other) && !trained_on.contains(&pair.other.as_str()))
            .collect();
        if !of_run.is_empty() {
            notes.push(format!(
                "{} {} so like one of the run's own people that both may be one person: {}. If so, what is said of them is no evidence; they count \
                 in the metrics.",
                counted(of_run.len(), noun),
                does(of_run.len(), "is", "are"),
                listed(&of_run, LISTED)
            ));
        }
        let among: Vec<&AlikePair> = self.among.iter().filter(|pair| here(&pair.one) && here(&pair.other)).collect();
        if !among.is_empty() {
            notes.push(format!(
                "{} of those asked about {} so alike that they may be of one person: {}. If so, numbers over people are as if there were more of \
                 them, and intervals too narrow.",
                counted(among.len(), "pair"),
                does(among.len(), "is", "are"),
                listed(&among, LISTED)
            ));
        }
        let without: Vec<&String> = self.without.iter().filter(|id| here(id)).collect();
        if !without.is_empty() {
            notes.push(format!(
                "{} {} no pattern inside the mask that could be compared with the run's own people: {}.",
                counted(without.len(), noun),
                does(without.len(), "has", "have"),
                listed(&without, LISTED)
            ));
        }
        notes
    }
}

impl People<'_> {
    /// The values and the mask of one of them. An image that cannot be read has none: what is wrong with it is said when it is answered for.
    fn pattern(&self, person: &Person, card: &Card, engine: &Engine) -> Result<(Vec<f32>, Vec<bool>)> {
        let nothing = || {
            let [channels, shape @ ..] = card.preparation.input_shape();
            let voxels: usize = shape.iter().product();
            (vec![0.0; channels * voxels], vec![false; voxels])
        };
        // By the model's own intensities, as the run's people are, whatever is asked for.
        let as_the_model = match self {
            People::Images(images) if images.normalize.is_some() => {
                Some(Images { normalize: None, ..(*images).clone() })
            }
            People::Images(_) | People::Cohort(_) => None,
        };
        let people = as_the_model.as_ref().map_or(*self, People::Images);
        let loaded = people.load(std::iter::once(person), card, engine).into_iter().next();
        Ok(match loaded {
            Some(Ok(volume)) => {
                let mask = volume.mask.map_or_else(|| vec![true; volume.image.data().len()], |mask| mask.into_data());
                let channels: Vec<_> = std::iter::once(volume.image).chain(volume.others).collect();
                (values(&channels), mask)
            }
            Some(Err(_)) | None => nothing(),
        })
    }
}
