//! [`steps_again`]: the steps that make the maps of a run again, by the records of the maps.

use crate::{
    map::read_record,
    run::{Run, RunMaps},
    setting::{IN_SAMPLE, METHOD, SUBJECTS},
};
use std::collections::{BTreeMap, BTreeSet};
use voxplain_attribution::{
    Compat, METHODS, Record,
    setting::{ATLAS, COMPAT, LABELS, SCORE, SET, TARGET},
};
use voxplain_core::{Action, Result};

/// What was asked of a map, beside its method and the method's options.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    /// As the setting has it; `None` where it is the default.
    target: Option<String>,
    score: Option<String>,
    compat: Option<String>,
    /// The label image, and its table where the record names it.
    atlas: Option<(String, Option<String>)>,
    in_sample: bool,
}

/// The steps that make the current maps of a run again: one for all methods that were asked about the same people in the same way,
/// with every option that is not as it is by default.
///
/// # Errors
/// A record, or the predictions of the run, that cannot be read.
pub fn steps_again(run: &Run, maps: &RunMaps) -> Result<Vec<Action>> {
    let mut of = BTreeMap::<(Asked, String, Vec<String>), BTreeSet<String>>::new();
    for method in maps.methods() {
        for subject in maps.subjects(&method) {
            let record = read_record(&run.layout().map(subject, &method).path())?;
            let key = (Asked::of(&record), method.clone(), settings(&record));
            of.entry(key).or_default().insert(subject.to_owned());
        }
    }
    // Those who are explained where nothing is said about subjects.
    let all: BTreeSet<String> = match run.layout().predictions().is_file() {
        true if run.manifest.task.value().is_some() => {
            run.value_predictions()?.into_iter().map(|prediction| prediction.participant_id).collect()
        }
        true => run.predictions()?.into_iter().map(|prediction| prediction.participant_id).collect(),
        false => BTreeSet::new(),
    };
    let mut steps = BTreeMap::<(Asked, BTreeSet<String>), Vec<(String, Vec<String>)>>::new();
    for ((asked, method, settings), subjects) in of {
        steps.entry((asked, subjects)).or_default().push((method, settings));
    }
    Ok(steps
        .into_iter()
        .map(|((asked, subjects), methods)| {
            let names: Vec<&str> = methods.iter().map(|(method, _)| method.as_str()).collect();
            let mut step = Action::new("explain").on(&run.path).with(METHOD, names.join(","));
            for setting in methods.iter().flat_map(|(_, settings)| settings) {
                step = step.with(SET, setting);
            }
            step = asked.said(step);
            if subjects == all { step } else { step.with(SUBJECTS, subjects.into_iter().collect::<Vec<_>>().join(",")) }
        })
        .collect())
}

impl Asked {
    fn of(record: &Record) -> Self {
        let (target, score) = record.requested;
        Self {
            target: (target != Default::default()).then(|| target.named(&record.classes)),
            score: (score != Default::default() && record.value.is_none()).then(|| score.word().to_owned()),
            compat: record.compat.clone(),
            atlas: record.atlas.as_ref().map(|atlas| (atlas.image.clone(), atlas.labels.clone())),
            in_sample: record.in_sample == Some(true),
        }
    }

    /// A step with it.
    fn said(&self, mut step: Action) -> Action {
        let (image, labels) = self.atlas.clone().unzip();
        let labels = labels.map(|labels| labels.unwrap_or_else(|| "LABELS.csv".into()));
        let said =
            [(TARGET, &self.target), (SCORE, &self.score), (COMPAT, &self.compat), (ATLAS, &image), (LABELS, &labels)];
        for (setting, value) in said {
            if let Some(value) = value {
                step = step.with(setting, value);
            }
        }
        if self.in_sample { step.switch(IN_SAMPLE) } else { step }
    }
}

/// The options of a map's method that are not as they are by default, `grad-cam.rectify=true`.
fn settings(record: &Record) -> Vec<String> {
    let entries = match &record.compat {
        Some(_) => Compat::Y2020.methods(),
        None => METHODS,
    };
    let Some(entry) = entries.iter().find(|entry| entry.name == record.method) else { return Vec::new() };
    let defaults = (entry.defaults)();
    let differs = |(key, value): &(&String, &serde_json::Value)| defaults.get(key).is_some_and(|d| d != *value);
    let word = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let own = record.parameters.as_object().into_iter().flatten().filter(differs);
    own.map(|(key, value)| format!("{}.{key}={}", record.method, word(value))).collect()
}
