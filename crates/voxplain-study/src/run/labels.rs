//! [`Run::changed_labels`]: what `participants.tsv` says now of people whose labels were learnt from.

use super::Run;
use crate::{
    cohort::Cohort,
    listed::{counted, listed},
    spelling::number,
};
use std::collections::BTreeMap;
use voxplain_core::{Progress, Remedy, Result, plural::does, remedy};

/// What the table of the cohort says now of people of a run, where it is not what was learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedLabels {
    /// The column.
    column: String,
    /// Id, what was learnt and what is there now.
    of: Vec<(String, String, Option<String>)>,
    /// Number of people who were compared.
    all: usize,
    /// What people are called.
    noun: &'static str,
    remedy: Remedy,
}

impl ChangedLabels {
    /// In a sentence.
    pub fn sentence(&self) -> String {
        let each = self.of.iter().map(|(id, was, now)| {
            let now = now.as_ref().map_or_else(|| "nothing".to_owned(), |now| format!("`{now}`"));
            format!("{id} (learnt as `{was}`, now {now})")
        });
        format!(
            "participants.tsv was changed after training: in column {} {} of {} {} another value than the run learnt: {}. All numbers and maps of the \
             run are by what it learnt",
            self.column,
            self.of.len(),
            counted(self.all, self.noun),
            does(self.of.len(), "has", "have"),
            listed(each, 4)
        )
    }

    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        self.remedy.clone()
    }
}

impl Run {
    /// Those who were held out and whose label in `participants.tsv` is not the one that was learnt; `None` where all are the same, and where
    /// training has not come to predictions. `cohort` must be the run's own.
    ///
    /// # Errors
    /// The column is not there any more; predictions that cannot be read.
    pub fn changed_labels(&self, cohort: &Cohort) -> Result<Option<ChangedLabels>> {
        if !self.layout().predictions().is_file() {
            return Ok(None);
        }
        let learnt: Vec<(String, String)> = match self.manifest.task.value() {
            None => self.predictions()?.into_iter().map(|p| (p.participant_id, p.truth)).collect(),
            Some(_) => self.value_predictions()?.into_iter().map(|p| (p.participant_id, p.truth.to_string())).collect(),
        };
        let cells = cohort.column(&self.manifest.label)?;
        let now: BTreeMap<&str, Option<&str>> =
            cohort.subjects.iter().map(|subject| subject.id.as_str()).zip(cells).collect();
        let is_value = self.manifest.task.value().is_some();
        let same = |was: &str, now: Option<&str>| match now {
            None => false,
            Some(now) if is_value => number(now) == number(was),
            Some(now) => now == was,
        };
        let all = learnt.len();
        // Who is not in the cohort any more is missed where volumes are read.
        let of: Vec<_> = learnt
            .into_iter()
            .filter_map(|(id, was)| {
                let now = *now.get(id.as_str())?;
                (!same(&was, now)).then(|| (id, was, now.map(str::to_owned)))
            })
            .collect();
        let new = self.path.with_file_name("NEW-RUN");
        let train = crate::status::train_again(&cohort.path, &self.manifest.options, &new);
        let remedy = remedy!["give back the column as it was, or train a new run by it: ", train];
        let column = self.manifest.label.clone();
        Ok((!of.is_empty()).then_some(ChangedLabels { column, of, all, noun: cohort.noun(), remedy }))
    }

    /// Warns of [`Run::changed_labels`], and where that cannot be told.
    pub fn warn_of_changed_labels(&self, cohort: &Cohort, progress: &dyn Progress) {
        match self.changed_labels(cohort) {
            Ok(None) => {}
            Ok(Some(changed)) => progress.advise(&changed.sentence(), &changed.remedy()),
            Err(error) => {
                let what = format!("whether labels were changed after training is not known: {error}");
                match error.remedy() {
                    Some(remedy) => progress.advise(&what, &remedy),
                    None => progress.warn(&what),
                }
            }
        }
    }
}
