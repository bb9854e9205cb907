//! [`predict`]: what the models of a run, or one model, say of people whom they were not trained on.
//!
//! | file | holds |
//! |---|---|
//! | `copies.rs` | images under several names |
//! | `people.rs` | the people and their volumes, prepared as the models say |
//! | `truth.rs` | what the table says of them |
//! | `external.rs` | the metrics of a run beside its own, and beside its baselines, fitted on its people alone |
//! | `table.rs` | a row for each person |
//!
//! Of a run every fold's model is asked, and the answer is the mean of theirs: of the probabilities of the classes, or of the values.
//! How far they differ stands beside it.

mod copies;
mod external;
mod people;
mod table;
mod truth;

pub use external::{ExternalMetrics, ExternalValues, ExternallyTested};
pub use people::People;

use crate::{
    alike::Copies,
    explain::load::LoadedVolume,
    listed::listed,
    model::{Model, Task},
    run::Run,
    setting::{COHORT, FORCE, IN_SAMPLE, RUN_COHORT, TEST},
};
use copies::{Lookalikes, Same};
use people::Person;
use serde::Serialize;
use std::path::{Path, PathBuf};
use truth::Truth;
use voxplain_core::{Error, Progress, Remedy, Result, plural::counted, remedy, seal, softmax};
use voxplain_nn::{Engine, PlanOptions, Purpose};

/// Prepared volumes that are in memory at a time, in bytes.
const IN_MEMORY: usize = 1 << 30;

/// Who is asked.
#[derive(Clone, Copy, Debug)]
pub enum Models<'a> {
    /// All folds of a run.
    Run(&'a Run),
    /// One model.
    One(&'a Model),
}

/// What is predicted, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictOptions {
    /// Ids of the people; all where none are named.
    pub subjects: Option<Vec<String>>,
    /// The column of the true classes or values; that of the models where none is named.
    pub label: Option<String>,
    /// What words of that column are called by the models: `("m", "M")`.
    pub rename: Vec<(String, String)>,
    /// Words that stand for no value, beside the usual ones.
    pub missing: Vec<String>,
    /// Whether people whom a model was trained on are predicted too, and marked.
    pub in_sample: bool,
    /// Whether the baselines of a run are fitted and applied.
    pub baselines: bool,
    /// What is done about people so like one of the run's own that both may be one: they are not answered for, or named.
    pub near_duplicates: Copies,
}

impl Default for PredictOptions {
    fn default() -> Self {
        Self {
            subjects: None,
            label: None,
            rename: Vec::new(),
            missing: Vec::new(),
            in_sample: false,
            baselines: true,
            near_duplicates: Copies::default(),
        }
    }
}

/// What was said of one person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The subject's id, or the stem of the image's file name.
    pub participant_id: String,
    /// The image file, where no cohort holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The true class or value, as the models call it; absent where the table does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<String>,
    /// The class with the largest mean probability, or the mean value, written out.
    pub predicted: String,
    /// Mean probability of each class, in the order of the classes; of a value the one mean.
    pub mean: Vec<f64>,
    /// Standard deviation over the models (of n - 1), of each of these; none of one model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<f64>,
    /// Whether a model was trained on this person; absent where it is not known whom it was trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_sample: Option<bool>,
    /// What is odd about the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// A person of whom nothing could be said.
#[derive(Clone, Debug, Serialize)]
pub struct Unanswered {
    /// The subject's id, or the stem of the image's file name.
    pub participant_id: String,
    /// What went wrong.
    pub error: String,
    /// What to do about it. The front end chooses the words.
    #[serde(skip)]
    pub remedy: Option<Remedy>,
}

/// What was said of all.
#[derive(Debug, Serialize)]
pub struct Predictions {
    /// Version of voxplain.
    pub version: String,
    /// What is predicted.
    #[serde(flatten)]
    pub task: Task,
    /// BLAKE3 of the models.
    pub models: Vec<String>,
    /// The column of the truth, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// A row for each person.
    pub people: Vec<Answer>,
    /// People of whom nothing could be said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Unanswered>,
    /// How good the answers are, where the table says the truth.
    #[serde(flatten)]
    pub tested: Option<ExternallyTested>,
    /// What else is to be known, a sentence each.
    pub notes: Vec<String>,
    /// When the test set of a run was asked about; empty for others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<String>,
}

impl Predictions {
    /// Writes the rows as a table, and everything as JSON beside it (`.json` in place of the table's ending).
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        table::of(self).write_tsv(path)?;
        seal::vouch(&path.with_extension("json"), self, [path.to_owned()])
    }
}

/// The models that are asked.
struct Asked {
    models: Vec<Model>,
    hashes: Vec<String>,
}

impl Asked {
    fn of(models: Models<'_>) -> Result<Self> {
        match models {
            Models::One(model) => Ok(Self { hashes: vec![model.hash()], models: vec![model.clone()] }),
            Models::Run(run) => {
                let folds = (0..run.manifest.folds).map(|fold| run.model(fold)).collect::<Result<Vec<_>>>()?;
                let (models, hashes) = folds.into_iter().map(|fold| (fold.model, fold.hash)).unzip();
                Ok(Self { models, hashes })
            }
        }
    }

    /// Whether any was trained on this person; `None` where it is not known whom.
    fn have_seen(&self, person: &Person, volume: &LoadedVolume) -> Option<bool> {
        if self.models.iter().any(|model| model.card.trained_on.is_empty()) {
            return None;
        }
        let marks = || volume.marks().chain(person.of_same_person.iter().map(String::as_str));
        Some(self.models.iter().any(|model| model.has_seen_any(marks())))
    }

    /// The test set that the run of one of them keeps this person for.
    fn keep_for_test(&self, volume: &LoadedVolume) -> Option<&str> {
        self.models.iter().find_map(|model| model.keeps_for_test(volume.marks()))
    }

    /// What each model gives for these volumes: model by model, then person by person. Of classes their probabilities.
    fn outputs(
        &self,
        volumes: &[LoadedVolume],
        engine: &Engine,
        progress: &dyn Progress,
    ) -> Result<Vec<Vec<Vec<f64>>>> {
        let of_model = |model: &Model| {
            let options = PlanOptions { purpose: Purpose::Infer, batch: 1, keep: Vec::new() };
            let mut plan = engine.plan(&model.network, &options)?;
            let is_value = model.card.task.value().is_some();
            let of_volume = |volume: &LoadedVolume| {
                progress.go_on()?;
                let input: Vec<f32> =
                    std::iter::once(&volume.image).chain(&volume.others).flat_map(|v| v.data()).copied().collect();
                let output = plan.forward(&input)?.output().to_vec();
                progress.advance(1, "");
                Ok(if is_value { output.into_iter().map(f64::from).collect() } else { softmax(&output) })
            };
            volumes.iter().map(of_volume).collect::<Result<Vec<Vec<f64>>>>()
        };
        self.models.iter().map(of_model).collect()
    }
}

/// Mean and standard deviation over models of what each gives: `[model][output]`.
fn mean_and_spread(of_models: &[&[f64]]) -> (Vec<f64>, Vec<f64>) {
    let n = of_models.len() as f64;
    let outputs = of_models[0].len();
    let mean: Vec<f64> = (0..outputs).map(|c| of_models.iter().map(|of| of[c]).sum::<f64>() / n).collect();
    if of_models.len() < 2 {
        return (mean, Vec::new());
    }
    let squares = |c: usize| of_models.iter().map(|of| (of[c] - mean[c]).powi(2)).sum::<f64>();
    let spread = (0..outputs).map(|c| (squares(c) / (n - 1.0)).sqrt()).collect();
    (mean, spread)
}

/// Asks models about people.
///
/// People whom a model was trained on, told by the hash of their prepared volume or as another image of a person in the cohort's own
/// column of people, are not answered for, unless [`PredictOptions::in_sample`]: then they are marked, and count in no metric. Nor are those
/// so like one of a run's own people that both may be one, unless [`PredictOptions::near_duplicates`].
///
/// # Errors
/// The models cannot be read, nobody is there, a cohort was prepared in another way, a column or a word of the truth is unknown. What
/// is wrong with one image is in [`Predictions::failures`].
pub fn predict(
    models: Models<'_>,
    people: &People<'_>,
    options: &PredictOptions,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<Predictions> {
    ask(models, people, options, false, engine, progress)
}

/// [`predict`], of the test set too where that is asked for.
fn ask(
    models: Models<'_>,
    people: &People<'_>,
    options: &PredictOptions,
    of_test_set: bool,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<Predictions> {
    let asked = Asked::of(models)?;
    let Some(first) = asked.models.first() else {
        return Err(Error::request("there is no model to ask", "give a run or a model"));
    };
    if let (Models::Run(run), People::Cohort(cohort)) = (models, people)
        && run.check_cohort(cohort).is_ok()
    {
        run.warn_of_changed_labels(cohort, progress);
    }
    let card = &first.card;
    people.check(card, progress)?;
    let persons = people.persons(options)?;
    let truth = Truth::of(people, &persons, card, options)?;
    let kept = if of_test_set { Vec::new() } else { kept_for_test(models, people) };
    let bytes = card.preparation.input_shape().iter().product::<usize>() * size_of::<f32>();
    let at_a_time = (IN_MEMORY / bytes.max(1)).clamp(1, 256);
    let mut answers: Vec<(usize, Answer)> = Vec::with_capacity(persons.len());
    let mut failures = Vec::new();
    let mut same = Same::default();
    let lookalikes = Lookalikes::of(models, (people, &persons), card, options, of_test_set, engine, progress)?;
    progress.begin("predict", persons.len() * asked.models.len());
    let all: Vec<usize> = (0..persons.len()).collect();
    let done = all.chunks(at_a_time).try_for_each(|chunk| -> Result<()> {
        let mut loaded = Vec::with_capacity(chunk.len());
        for (&n, volume) in chunk.iter().zip(people.load(chunk.iter().map(|&n| &persons[n]), card, engine)) {
            progress.go_on()?;
            let volume = volume.and_then(|volume| {
                if kept.contains(&persons[n].id) {
                    return Err(Error::subject(
                        &persons[n].id,
                        "is in the test set of the run, which is asked about as a whole, once",
                        remedy!["ask about it with ", TEST],
                    ));
                }
                if let Some(set) = asked.keep_for_test(&volume).filter(|_| !of_test_set) {
                    return Err(Error::subject(
                        &persons[n].id,
                        format!("is in the test set ({set}) of the run that the model is of, which is asked about as a whole, once"),
                        remedy!["ask about it with the run and ", TEST],
                    ));
                }
                let seen = asked.have_seen(&persons[n], &volume);
                if seen == Some(true) && !options.in_sample {
                    return Err(in_sample(&persons[n].id, models));
                }
                if let Some(refusal) = lookalikes.refusal(&persons[n].id, options) {
                    return Err(refusal);
                }
                Ok((volume, seen))
            });
            match volume {
                Ok((volume, seen)) => {
                    same.add(&persons[n].id, &volume);
                    loaded.push((n, volume, seen));
                }
                Err(e) => {
                    progress.advance(asked.models.len(), &persons[n].id);
                    failures.push(Unanswered {
                        participant_id: persons[n].id.clone(),
                        error: e.to_string(),
                        remedy: e.remedy(),
                    });
                }
            }
        }
        let (volumes, about): (Vec<LoadedVolume>, Vec<_>) =
            loaded.into_iter().map(|(n, volume, seen)| (volume, (n, seen))).unzip();
        let outputs = asked.outputs(&volumes, engine, progress)?;
        for (at, ((n, seen), volume)) in about.into_iter().zip(volumes).enumerate() {
            let of_models: Vec<&[f64]> = outputs.iter().map(|of| of[at].as_slice()).collect();
            if of_models.iter().any(|of| of.iter().any(|v| !v.is_finite())) {
                failures.push(Unanswered {
                    participant_id: persons[n].id.clone(),
                    error: Error::subject(&persons[n].id, "what a model gives is no number", "check the image")
                        .to_string(),
                    remedy: None,
                });
                continue;
            }
            let (mean, spread) = mean_and_spread(&of_models);
            answers.push((
                n,
                Answer {
                    participant_id: persons[n].id.clone(),
                    file: persons[n].file.clone(),
                    truth: truth.as_ref().and_then(|truth| truth.word(n, &card.task)),
                    predicted: said(&mean, &card.task),
                    mean,
                    spread,
                    in_sample: seen,
                    findings: volume.findings,
                },
            ));
        }
        Ok(())
    });
    progress.end();
    done?;
    let mut notes = people.notes(models, &persons, progress);
    notes.extend(card.imported_words());
    if answers.iter().any(|(_, answer)| answer.in_sample.is_none()) {
        notes.push("Whom the model was trained on is not known, so that these may be people whom it knows.".to_owned());
    }
    let marked = answers.iter().filter(|(_, answer)| answer.in_sample == Some(true)).count();
    if marked > 0 {
        notes.push(format!(
            "{} of {} {} trained on: what is said of them is no evidence, and they count in no metric.",
            marked,
            counted(answers.len(), people.noun()),
            if marked == 1 { "was" } else { "were" }
        ));
    }
    notes.extend(same.note());
    let ids = |wanted: &dyn Fn(&Answer) -> bool| -> Vec<&str> {
        answers.iter().map(|(_, answer)| answer).filter(|a| wanted(a)).map(|a| a.participant_id.as_str()).collect()
    };
    notes.extend(lookalikes.notes(people.noun(), &ids(&|_| true), &ids(&|a| a.in_sample == Some(true))));
    if let Some(truth) = &truth {
        let without =
            answers.iter().filter(|(n, _)| truth.of[*n].is_none()).map(|(_, answer)| answer.participant_id.as_str());
        let without: Vec<&str> = without.collect();
        if !without.is_empty() {
            notes.push(format!(
                "{} of {} {} no value in the column {}, and {} in no metric: {}.",
                without.len(),
                counted(answers.len(), people.noun()),
                if without.len() == 1 { "has" } else { "have" },
                truth.column,
                if without.len() == 1 { "is" } else { "are" },
                listed(without.iter().copied(), 8)
            ));
        }
    }
    if !failures.is_empty() {
        notes.push(format!("Nothing is said of {} of {}.", failures.len(), counted(persons.len(), people.noun())));
    }
    let tested = match &truth {
        None => None,
        Some(truth) => external::test(models, people, &persons, truth, &answers, card, options, engine, progress)?,
    };
    if tested.is_none() && !answers.is_empty() {
        notes.push(truth::why_untested(people, truth.as_ref(), card, options));
    }
    Ok(Predictions {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        task: card.task.clone(),
        models: asked.hashes.clone(),
        label: truth.map(|truth| truth.column),
        people: answers.into_iter().map(|(_, answer)| answer).collect(),
        failures,
        tested,
        notes,
        asked: Vec::new(),
    })
}

/// Ids of the test set of a run, where its own people are asked about.
fn kept_for_test(models: Models<'_>, people: &People<'_>) -> Vec<String> {
    let (Models::Run(run), People::Cohort(cohort)) = (models, people) else { return Vec::new() };
    match &run.manifest.test {
        Some(test) if run.check_cohort(cohort).is_ok() => test.subjects.clone(),
        _ => Vec::new(),
    }
}

/// An error about the run's own cohort, with the setting that says where it lies here: another names the people who are asked about.
fn with_its_own_setting(error: Error) -> Error {
    match error {
        Error::File { path, what, remedy } if remedy.names(COHORT) => {
            Error::file(path, what, remedy!["say where the run's own cohort lies with ", RUN_COHORT])
        }
        other => other,
    }
}

/// Asks the models of a run about its test set, once, and writes the answers and how good they are into the run, with the time.
///
/// # Errors
/// The run has no test set; it was asked about before, unless it is to be asked `again`: then the earlier times stay in the file. Those of
/// [`predict`].
pub fn predict_test_set(
    run: &Run,
    options: &PredictOptions,
    again: bool,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<Predictions> {
    let Some(test) = &run.manifest.test else {
        return Err(Error::file(
            &run.path,
            "the run has no test set: all of its people with a label are in its folds",
            remedy!["train with ", TEST, ", or predict another cohort with ", COHORT],
        ));
    };
    let (table, document) = (run.layout().test_predictions(), run.layout().test_metrics());
    let mut asked = run.test_set_asked();
    if (document.is_file() || table.is_file()) && !again {
        return Err(Error::file(
            &document,
            format!("the test set ({}) was asked about already, on {}", test.set, asked.join(", ")),
            remedy![
                "the answers stand there; whoever asks again after a change has no test set any more; ",
                FORCE,
                " asks again, and the times stay"
            ],
        ));
    }
    let _claim = run.claim("predict", progress)?;
    let cohort = run.cohort().map_err(with_its_own_setting)?;
    let missing = run.manifest.missing().into_iter().chain(options.missing.iter().cloned()).collect();
    let options =
        PredictOptions { subjects: Some(test.subjects.clone()), missing, in_sample: false, ..options.clone() };
    let mut made = ask(Models::Run(run), &People::Cohort(&cohort), &options, true, engine, progress)?;
    asked.push(httpdate::fmt_http_date(std::time::SystemTime::now()));
    made.notes.push(match asked.len() {
        1 => format!("The test set ({}) was asked about for the first time.", test.set),
        n => format!(
            "The test set ({}) was asked about {n} times: what was changed in between was chosen by it.",
            test.set
        ),
    });
    made.asked = asked;
    table::of(&made).write_tsv(&table)?;
    seal::vouch(&document, &made, [table])?;
    Ok(made)
}

/// The class with the largest probability, the first of equals, or the value.
fn said(mean: &[f64], task: &Task) -> String {
    match task.value() {
        Some(_) => mean[0].to_string(),
        None => {
            let largest = (1..mean.len()).fold(0, |best, c| if mean[c] > mean[best] { c } else { best });
            task.classes()[largest].clone()
        }
    }
}

/// Why a person whom a model was trained on is not answered for.
fn in_sample(id: &str, models: Models<'_>) -> Error {
    let what = match models {
        Models::Run(_) => "the run has models that were trained on this person, or on another image of the person",
        Models::One(_) => "the model was trained on this person, or on another image of the person",
    };
    let remedy = match models {
        Models::Run(run) => remedy![
            "people who were held out stand in ",
            run.layout().predictions().display().to_string(),
            ", each as the one model that never saw the person has it; ",
            IN_SAMPLE,
            " predicts people of the training too, and marks them"
        ],
        Models::One(_) => remedy![IN_SAMPLE, " predicts people of the training too, and marks them"],
    };
    Error::subject(id, what, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_spread_over_models() {
        let (mean, spread) = mean_and_spread(&[&[0.25, 0.75], &[0.75, 0.25]]);
        assert_eq!(mean, [0.5, 0.5]);
        assert!((spread[0] - 0.125f64.sqrt()).abs() < 1e-15);
        assert_eq!(mean_and_spread(&[&[3.0]]), (vec![3.0], Vec::new()));
        let classes = Task::classes_named(["a".into(), "b".into()]);
        assert_eq!((said(&[0.5, 0.5], &classes), said(&[0.4, 0.6], &classes)), ("a".to_owned(), "b".to_owned()));
    }
}
