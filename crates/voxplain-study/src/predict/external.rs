//! The answers beside the truth: metrics, what the run had out of fold, and its baselines on the same people.

use super::{
    Answer, Models, People, PredictOptions,
    people::Person,
    truth::{Told, Truth},
};
use crate::{
    cohort::{Cohort, PERSON},
    comparators::{
        self, COVARIATES, Chosen, ClassificationTask, Features, LINEAR_VOXELS, LOGISTIC_VOXELS, MAJORITY_CLASS,
        MASK_VOLUME, RIDGE_VOXELS, SVM_VOXELS, VOLUME_RANK, ValueTask,
    },
    folds::Split,
    listed::{counted, listed},
    model::{Card, Task},
    run::{Metrics, PredictedValue, Run, ValueMetrics},
    train::{
        baselines::describe_tuned,
        metrics::{self, CNN, Classifier, First},
        value_metrics::{self, Predictor},
    },
};
use serde::Serialize;
use std::collections::BTreeSet;
use voxplain_core::{Error, Progress, Result, random::Seed};
use voxplain_nn::Engine;
use voxplain_stats::{
    CalibrationLine, Classification, FoldPrediction, Regression, Said, ValuePrediction, recalibrated, significant,
};

/// How good the answers are.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ExternallyTested {
    /// Of classes.
    Classes(Box<ExternalMetrics>),
    /// Of a value.
    Value(Box<ExternalValues>),
}

/// Metrics of classes.
#[derive(Debug, Serialize)]
pub struct ExternalMetrics {
    /// Of the models and of the baselines on these people.
    pub metrics: Metrics,
    /// What the run's network had out of fold, among its own people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of_fold: Option<Classification>,
    /// The calibration of the probability of the positive class; of two classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationLine>,
    /// The metrics where the intercept of the calibration, fitted on these same people, is added to all log odds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recalibrated: Option<Classification>,
}

/// Metrics of a value.
#[derive(Debug, Serialize)]
pub struct ExternalValues {
    /// Of the models and of the baselines on these people.
    pub metrics: ValueMetrics,
    /// What the run's network had out of fold, among its own people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of_fold: Option<Regression>,
}

/// The baselines of a run: its people and those who are predicted, one behind the other; each fold trains on its own and is asked about
/// the latter.
struct Joint<'a> {
    own: Cohort,
    /// Positions in it of the people of the folds.
    members: Vec<usize>,
    other: &'a Cohort,
    /// Positions in the other cohort of those who are asked about.
    asked: Vec<usize>,
    splits: Vec<Split>,
}

impl<'a> Joint<'a> {
    fn of(run: &Run, other: &'a Cohort, asked: Vec<usize>) -> Result<Self> {
        let own = run.cohort().map_err(super::with_its_own_setting)?;
        refuse_other_truths(run, &own)?;
        let folds = (0..run.manifest.folds).map(|fold| run.split(fold)).collect::<Result<Vec<_>>>()?;
        let members: Vec<usize> = run.members()?.into_iter().collect();
        let test: Vec<usize> = (0..asked.len()).map(|n| members.len() + n).collect();
        let place = |n: &usize| members.binary_search(n).ok();
        let splits = folds
            .iter()
            .map(|split| Split { train: split.train.iter().filter_map(place).collect(), test: test.clone() })
            .collect();
        Ok(Self { own, members, other, asked, splits })
    }

    fn len(&self) -> usize {
        self.members.len() + self.asked.len()
    }

    fn volumes(&self) -> Vec<f64> {
        let own = self.members.iter().map(|&n| self.own.subjects[n].mask_volume);
        own.chain(self.asked.iter().map(|&n| self.other.subjects[n].mask_volume)).collect()
    }

    /// The groups of the run's people in its splits, those of others behind them.
    fn groups(&self, run: &Run) -> Result<Option<Vec<usize>>> {
        let Some(own) = run.groups_of(&self.own, &self.members)? else { return Ok(None) };
        let next = own.iter().max().map_or(0, |n| n + 1);
        Ok(Some(own.into_iter().chain((0..self.asked.len()).map(|n| next + n)).collect()))
    }

    /// The covariates that the run has a baseline of, of the run's people and of these.
    fn covariates(&self, run: &Run) -> Option<Result<Features>> {
        let terms = run.manifest.options.get("covariates")?.as_array()?;
        let terms: Vec<&str> = terms.iter().filter_map(|term| term.as_str()).collect();
        let of = |term: &str| -> Result<(String, Vec<Option<&str>>)> {
            let (name, _) = comparators::named(term);
            let (own, other) = (self.own.column(name)?, self.other.column(name)?);
            let cells = self.members.iter().map(|&n| own[n]).chain(self.asked.iter().map(|&n| other[n]));
            Ok((term.to_owned(), cells.collect()))
        };
        let terms = terms.into_iter().map(of).collect::<Result<Vec<_>>>();
        Some(terms.and_then(|terms| Features::of(&terms, self.members.len(), &run.manifest.missing())))
    }

    fn gram(&self, engine: &Engine, progress: &dyn Progress) -> Result<comparators::Gram> {
        comparators::gram(self.len(), engine, progress, |n| match n.checked_sub(self.members.len()) {
            None => self.own.values(self.members[n]),
            Some(n) => self.other.values(self.asked[n]),
        })
    }
}

/// Refuses a table whose labels are no longer those that the run was trained on.
fn refuse_other_truths(run: &Run, own: &Cohort) -> Result<()> {
    let cells = own.column(&run.manifest.label)?;
    let now = |id: &str| own.find(id).and_then(|n| cells[n]).map(str::trim);
    let mut changed = Vec::new();
    match run.manifest.task.value() {
        None => {
            let of = run.predictions()?;
            changed.extend(
                of.iter()
                    .filter(|p| now(&p.participant_id) != Some(p.truth.as_str()))
                    .map(|p| p.participant_id.clone()),
            );
        }
        Some(_) => {
            let of = run.value_predictions()?;
            let differs =
                |p: &&PredictedValue| now(&p.participant_id).and_then(crate::spelling::number) != Some(p.truth);
            changed.extend(of.iter().filter(differs).map(|p| p.participant_id.clone()));
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::file(
        own.layout().participants(),
        format!(
            "{} of {} in the column {} are others than those that the run was trained on: {}",
            changed.len(),
            counted(cells.len(), "row"),
            run.manifest.label,
            listed(changed.iter().map(String::as_str), 5)
        ),
        "give back the table of the training, or train again",
    ))
}

/// Who is tested: those with a truth whom no model was trained on.
struct Tested<'a> {
    cohort: &'a Cohort,
    /// Positions among the answers.
    answers: Vec<&'a Answer>,
    /// Positions in the cohort.
    numbers: Vec<usize>,
    told: Vec<Told>,
    /// The person of each, where people have several images.
    people: Option<Vec<usize>>,
}

impl Tested<'_> {
    /// The network: of an imported one it is not known whom it was trained on.
    fn first(&self) -> First {
        First { held_out: self.answers.iter().all(|answer| answer.in_sample.is_some()), ..First::CNN }
    }

    /// What is said of each, with the volume of the mask.
    fn beside_volumes(&self, said: impl Iterator<Item = f64>) -> impl Iterator<Item = (f64, f64)> {
        said.zip(self.numbers.iter().map(|&n| self.cohort.subjects[n].mask_volume))
    }
}

/// Tests the answers; `None` where nobody has a truth and was not trained on.
#[expect(clippy::too_many_arguments, reason = "called once, by `predict`, with what it has")]
pub(super) fn test(
    models: Models<'_>,
    people: &People<'_>,
    persons: &[Person],
    truth: &Truth,
    answers: &[(usize, Answer)],
    card: &Card,
    options: &PredictOptions,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<Option<ExternallyTested>> {
    let People::Cohort(cohort) = people else { return Ok(None) };
    let mut tested = Tested { cohort, answers: Vec::new(), numbers: Vec::new(), told: Vec::new(), people: None };
    for (n, answer) in answers.iter().filter(|(_, answer)| answer.in_sample != Some(true)) {
        if let Some(told) = truth.of[*n] {
            tested.answers.push(answer);
            tested.numbers.push(persons[*n].number);
            tested.told.push(told);
        }
    }
    if tested.answers.is_empty() {
        return Ok(None);
    }
    tested.people = cohort.persons(&tested.numbers)?.map(|persons| persons.of);
    let joint = match models {
        Models::Run(run) if options.baselines => match Joint::of(run, cohort, tested.numbers.clone()) {
            Ok(joint) => Some((run, joint)),
            Err(e) => {
                progress.warn(&format!("no baselines of the run: {e}"));
                None
            }
        },
        Models::Run(_) | Models::One(_) => None,
    };
    let run = match models {
        Models::Run(run) => Some(run),
        Models::One(_) => None,
    };
    Ok(Some(match &card.task {
        Task::Classes { classes } => {
            let baselines = joint.as_ref().map(|(run, joint)| of_classes(run, joint, classes, engine, progress));
            let found = classes_of(&tested, card, classes, run, baselines.transpose()?.unwrap_or_default())?;
            ExternallyTested::Classes(Box::new(found))
        }
        Task::Value { .. } => {
            let baselines = joint.as_ref().map(|(run, joint)| of_values(run, joint, engine, progress));
            let found = values_of(&tested, card, run, baselines.transpose()?.unwrap_or_default())?;
            ExternallyTested::Value(Box::new(found))
        }
    }))
}

/// A baseline by its name, in words, and what it says of each who is tested: probabilities of the classes, or the value and the mean that
/// was trained on.
type Baseline = (&'static str, String, Vec<Vec<f64>>);

/// The mean over folds of what a baseline says of each who is asked about.
fn mean_over_folds<P>(predictions: &[P], folds: usize, of: impl Fn(&P) -> (usize, Vec<f64>)) -> Vec<Vec<f64>> {
    let all: Vec<(usize, Vec<f64>)> = predictions.iter().map(of).collect();
    let first = all.iter().map(|(subject, _)| *subject).min().unwrap_or(0);
    let count = all.len() / folds.max(1);
    let mut mean = vec![Vec::new(); count];
    for (subject, said) in all {
        let sum: &mut Vec<f64> = &mut mean[subject - first];
        sum.resize(said.len(), 0.0);
        sum.iter_mut().zip(said).for_each(|(sum, v)| *sum += v / folds as f64);
    }
    mean
}

/// The baselines of a run of classes.
fn of_classes(
    run: &Run,
    joint: &Joint<'_>,
    classes: &[String],
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<Vec<Baseline>> {
    let cells = joint.own.column(&run.manifest.label)?;
    let class = |cell: &Option<&str>| classes.iter().position(|c| cell.map(str::trim) == Some(c.as_str()));
    let mut labels: Vec<usize> = joint.members.iter().map(|&n| class(&cells[n]).unwrap_or(0)).collect();
    labels.resize(joint.len(), 0);
    let groups = joint.groups(run)?;
    let task = ClassificationTask {
        labels: &labels,
        groups: groups.as_deref(),
        classes: classes.len(),
        splits: &joint.splits,
        balanced: run.manifest.options.get("balanced").and_then(serde_json::Value::as_bool).unwrap_or(false),
    };
    let volume = joint.own.preparation.volume_name();
    let folds = joint.splits.len();
    let mean =
        |predictions: &[FoldPrediction]| mean_over_folds(predictions, folds, |p| (p.subject, p.probabilities.clone()));
    let mut all: Vec<Baseline> = vec![(
        MAJORITY_CLASS,
        "the class that most training subjects have, whatever the image".into(),
        mean(&comparators::majority_class(&task)),
    )];
    let volumes = joint.volumes();
    match comparators::volume_rank(&volumes, &task) {
        Ok(Some(found)) => all.push((
            VOLUME_RANK,
            format!("the rank of the {volume} among the people of the run and these; nothing fitted but which class is the larger"),
            mean(&found),
        )),
        Ok(None) => {}
        Err(e) => progress.warn(&format!("no baseline by the rank of the {volume}: {e}")),
    }
    match comparators::mask_volume(&volumes, &task) {
        Ok(found) => all.push((
            MASK_VOLUME,
            format!("logistic regression on the logarithm of the {volume}, fitted on the people of the run"),
            mean(&found),
        )),
        Err(e) => progress.warn(&format!("no baseline by {volume}: {e}")),
    }
    let gram = joint.gram(engine, progress)?;
    let linear = comparators::linear_voxels(&gram, &task);
    all.push((
        LINEAR_VOXELS,
        format!(
            "logistic regression on the first {} principal components at most of the prepared volumes, fitted on the people of the run",
            comparators::COMPONENTS
        ),
        mean(&linear),
    ));
    let (pool, seed) = (engine.thread_pool(), Seed::new(run.manifest.seed));
    let described = |of: &str, chosen: &Chosen| {
        describe_tuned(&format!("{of} on the prepared volumes, fitted on the people of the run"), chosen)
    };
    let found = pool.install(|| comparators::logistic_voxels(&gram, &task, seed, progress))?;
    all.push((LOGISTIC_VOXELS, described("logistic regression", &found.chosen), mean(&found.predictions)));
    // Where it could not be fitted, the training said so.
    if let Some(found) = pool.install(|| comparators::svm_voxels(&gram, &task, seed, progress))? {
        all.push((SVM_VOXELS, described("linear support vector machine", &found.chosen), mean(&found.predictions)));
    }
    match joint.covariates(run) {
        Some(Ok(features)) => all.push((
            COVARIATES,
            format!(
                "logistic regression on {}, without an image, fitted on the people of the run",
                features.describe()
            ),
            mean(&comparators::covariates(&features, &task)),
        )),
        Some(Err(e)) => progress.warn(&format!("no baseline by covariates: {e}")),
        None => {}
    }
    without_region_volumes(run, progress);
    Ok(all)
}

/// Says that a baseline of the run is not there.
fn without_region_volumes(run: &Run, progress: &dyn Progress) {
    if let Some(table) = run.manifest.options.get("region-volumes").and_then(|path| path.as_str()) {
        progress.warn(&format!("no baseline by volumes of regions: {table} is of the people of the run alone"));
    }
}

/// The baselines of a run of a value: of each the value, and the mean that was trained on.
fn of_values(run: &Run, joint: &Joint<'_>, engine: &Engine, progress: &dyn Progress) -> Result<Vec<Baseline>> {
    let cells = joint.own.column(&run.manifest.label)?;
    let number = |cell: &Option<&str>| cell.and_then(crate::spelling::number).unwrap_or(f64::NAN);
    let mut values: Vec<f64> = joint.members.iter().map(|&n| number(&cells[n])).collect();
    values.resize(joint.len(), f64::NAN);
    let groups = joint.groups(run)?;
    let task = ValueTask { values: &values, groups: groups.as_deref(), splits: &joint.splits };
    let folds = joint.splits.len();
    let mean = |predictions: &[ValuePrediction]| {
        mean_over_folds(predictions, folds, |p| (p.subject, vec![p.predicted, p.training_mean]))
    };
    let mut all: Vec<Baseline> = vec![
        (
            comparators::TRAINING_MEAN,
            "the mean of the people trained on, whatever the image".into(),
            mean(&comparators::training_mean(&task)),
        ),
        (
            comparators::TRAINING_MEDIAN,
            "the median of the people trained on, whatever the image".into(),
            mean(&comparators::training_median(&task)),
        ),
    ];
    let volume = joint.own.preparation.volume_name();
    match comparators::mask_volume_line(&joint.volumes(), &task) {
        Ok(found) => all.push((
            MASK_VOLUME,
            format!("a straight line on the logarithm of the {volume}, fitted on the people of the run"),
            mean(&found),
        )),
        Err(e) => progress.warn(&format!("no baseline by {volume}: {e}")),
    }
    let gram = joint.gram(engine, progress)?;
    let ridge = engine.thread_pool().install(|| comparators::ridge_voxels(&gram, &task));
    all.push((
        RIDGE_VOXELS,
        "ridge regression on the prepared volumes, fitted on the people of the run, its penalty chosen among them"
            .into(),
        mean(&ridge.predictions),
    ));
    match joint.covariates(run) {
        Some(Ok(features)) => all.push((
            COVARIATES,
            format!("ridge regression on {}, without an image, fitted on the people of the run", features.describe()),
            mean(&comparators::ridge_features(&features, &task).predictions),
        )),
        Some(Err(e)) => progress.warn(&format!("no baseline by covariates: {e}")),
        None => {}
    }
    without_region_volumes(run, progress);
    Ok(all)
}

/// Who was tested by what, in sentences.
fn method(tested: &Tested<'_>, run: Option<&Run>, noun: &str, baselines: bool) -> String {
    let by = match run {
        Some(run) => {
            format!("Each {noun} was said by the mean of the {} of the run", counted(run.manifest.folds, "model"))
        }
        None => format!("Each {noun} was said by one model"),
    };
    let baselines = if baselines {
        " Baselines were fitted on the training part of each fold of the run, and are the means of the folds as well; nothing was fitted on these people."
    } else {
        ""
    };
    let over = if tested.people.is_some() { "people" } else { "subjects" };
    format!(
        "{by}; none was trained on. 95 % intervals, where there are any, are over {over}, each number says how.{baselines}"
    )
}

/// How large the masks are here and in the run, in a sentence: a baseline by volume says nothing where they are of other kinds.
fn about_volumes(tested: &Tested<'_>, run: Option<&Run>) -> Option<String> {
    let run = run?;
    let own = run.cohort().ok()?;
    let members = run.members().ok()?;
    let median = |mut volumes: Vec<f64>| {
        volumes.sort_by(f64::total_cmp);
        let n = volumes.len();
        f64::midpoint(volumes[(n - 1) / 2], volumes[n / 2]) / 1000.0
    };
    let here = median(tested.numbers.iter().map(|&n| tested.cohort.subjects[n].mask_volume).collect());
    let there = median(members.into_iter().map(|n| own.subjects[n].mask_volume).collect());
    Some(format!(
        "The median {} is {} ml here and {} ml among the people of the folds: where the masks are of other kinds, baselines by volume say nothing.",
        tested.cohort.preparation.volume_name(),
        significant(here, 4),
        significant(there, 4)
    ))
}

fn classes_of(
    tested: &Tested<'_>,
    card: &Card,
    classes: &[String],
    run: Option<&Run>,
    baselines: Vec<Baseline>,
) -> Result<ExternalMetrics> {
    let own = run.map(Run::metrics).transpose()?.flatten();
    let positive = match &own {
        Some(own) => own.positive.clone(),
        None => {
            let said = card.training["options"]["positive"].as_str();
            said.map_or_else(|| classes[classes.len() - 1].clone(), str::to_owned)
        }
    };
    let positive = classes.iter().position(|c| *c == positive).unwrap_or(classes.len() - 1);
    let predictions = |said: &[Vec<f64>]| -> Vec<FoldPrediction> {
        let of = |(n, told): (usize, &Told)| match told {
            Told::Class(class) => {
                let group = tested.people.as_ref().map(|people| people[n]);
                Some(FoldPrediction::new(tested.numbers[n], 0, *class, group, said[n].clone()))
            }
            Told::Value(_) => None,
        };
        tested.told.iter().enumerate().filter_map(of).collect()
    };
    let network = predictions(&tested.answers.iter().map(|answer| answer.mean.clone()).collect::<Vec<_>>());
    let describe = match run {
        Some(run) => format!("mean of the {} of the run", counted(run.manifest.folds, "model")),
        None => format!("the model ({})", card.architecture),
    };
    let has_baselines = !baselines.is_empty();
    let mut all = vec![Classifier::new(CNN, describe, network.clone())];
    let others = baselines.into_iter();
    all.extend(others.map(|(name, description, said)| Classifier::new(name, description, predictions(&said))));
    let people = tested.people.as_ref().map(|people| people.iter().collect::<BTreeSet<_>>().len());
    let mut found = metrics::compared(&all, classes, positive, (people, people.map(|_| PERSON.to_owned())));
    found.volume_correlation =
        metrics::volume_correlation(tested.beside_volumes(network.iter().map(|p| p.probabilities[positive])));
    found.method = method(tested, run, found.noun(), has_baselines);
    let there: BTreeSet<usize> = network.iter().map(|p| p.truth).collect();
    if there.len() < 2 {
        // Whoever says that class to everybody is right, and ahead of everyone.
        let one = there.first().map_or("", |class| classes[*class].as_str());
        let right = network.iter().filter(|p| p.predicted == p.truth).count();
        found.comparisons.clear();
        found.chance = None;
        found.summary = vec![format!(
            "All of these {} are {one}: whether classes are told apart cannot be said of one class. {right} of them are told right, accuracy {}; \
             there are no comparisons and no calibration.",
            counted(network.len(), found.noun()),
            found.of(CNN).map_or_else(String::new, |c| metrics::text(&c.accuracy))
        )];
    } else {
        found.summary =
            without_folds(metrics::summary(&found, tested.first(), Some(tested.cohort.preparation.volume_name())));
    }
    if let Some(alike) = metrics::pairs_alike(&network, classes, First::CNN) {
        found.summary.insert(1.min(found.summary.len()), alike);
    }
    let out_of_fold = own.as_ref().and_then(|own| own.of(CNN).cloned());
    if let (Some(out_of_fold), Some(here)) = (&out_of_fold, found.of(CNN)) {
        found.summary.push(beside_own(here, out_of_fold, own.as_ref().map_or("subject", Metrics::noun), found.noun()));
    }
    let mut calibration = None;
    let mut with_intercept = None;
    if classes.len() == 2 {
        let said: Vec<Said> = network
            .iter()
            .map(|p| Said { probability: p.probabilities[positive], is_positive: p.truth == positive, group: p.group })
            .collect();
        calibration = CalibrationLine::of(&said);
        if let Some(line) = &calibration {
            found.summary.push(about_calibration(line, &classes[positive]));
        }
        with_intercept = recalibrated(&said).and_then(|moved| {
            let of = |(p, of): (&FoldPrediction, f64)| {
                let probabilities = if positive == 1 { vec![1.0 - of, of] } else { vec![of, 1.0 - of] };
                FoldPrediction::new(p.subject, 0, p.truth, p.group, probabilities)
            };
            Classification::of(&network.iter().zip(moved).map(of).collect::<Vec<_>>(), 2, positive)
        });
    }
    if let Some(moved) = &with_intercept {
        found.summary.push(format!(
            "With that intercept added, which is fitted on the true classes of these same people, accuracy would be {} and balanced accuracy {}: somewhat more than it would be of others.",
            metrics::text(&moved.accuracy),
            metrics::text(&moved.balanced_accuracy)
        ));
    }
    found.summary.extend(about_volumes(tested, run));
    Ok(ExternalMetrics { metrics: found, out_of_fold, calibration, recalibrated: with_intercept })
}

/// Sentences of a training in which a lead has one witness, since there are no folds of these people.
fn without_folds(lines: Vec<String>) -> Vec<String> {
    lines
        .into_iter()
        .map(|line| line.replace(" alone: the folds allow no second test", " alone, and there is no second test"))
        .collect()
}

/// The same network among its own people, in a sentence. The two are of different people and are not compared by a test.
fn beside_own(here: &Classification, own: &Classification, own_noun: &str, noun: &str) -> String {
    let by_area = here.area().is_some() && own.area().is_some();
    let name = if by_area { here.area_name() } else { "accuracy" };
    let of = |c: &Classification| metrics::text(c.area().filter(|_| by_area).unwrap_or(&c.accuracy));
    format!(
        "Here {name} is {} of {}; out of fold, in the run, it was {} of {}.",
        of(here),
        counted(here.subjects, noun),
        of(own),
        counted(own.subjects, own_noun)
    )
}

/// What the line says, by its intervals.
fn about_calibration(line: &CalibrationLine, positive: &str) -> String {
    let mut said = Vec::new();
    match line.intercept.ends() {
        Some((low, _)) if low > 0.0 => said.push(format!("{positive} is said too rarely")),
        Some((_, high)) if high < 0.0 => said.push(format!("{positive} is said too often")),
        Some(_) => said.push(format!("it is not shown that {positive} is said too often or too rarely")),
        None => {}
    }
    if let Some((low, high)) = line.slope.as_ref().and_then(|slope| slope.ends()) {
        said.push(match (low, high) {
            (_, high) if high < 1.0 => "probabilities are too extreme".to_owned(),
            (low, _) if low > 1.0 => "probabilities are too timid".to_owned(),
            _ => "it is not shown that probabilities are too extreme or too timid".to_owned(),
        });
    }
    let slope = match &line.slope {
        Some(slope) => format!("slope {} (1: as it should be)", metrics::text(slope)),
        None => "no slope (the classes are told apart without a fault, or the probabilities do not differ)".to_owned(),
    };
    let says = if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) };
    format!(
        "Calibration of the log odds of {positive}: intercept {} (0: as it should be), {slope}{says}.",
        metrics::text(&line.intercept)
    )
}

fn values_of(tested: &Tested<'_>, card: &Card, run: Option<&Run>, baselines: Vec<Baseline>) -> Result<ExternalValues> {
    let own = run.map(Run::value_metrics).transpose()?.flatten();
    let Task::Value { value } = &card.task else { unreachable!("asked of values alone") };
    // The mean that was trained on: of a run that of its folds, of one model that of its own training.
    let trained = baselines
        .iter()
        .find(|(name, ..)| *name == comparators::TRAINING_MEAN)
        .map(|(.., said)| said.iter().map(|of| of[1]).collect::<Vec<f64>>());
    let by_card = card.training["standardised_by"]["mean"].as_f64();
    let training_mean = |n: usize| trained.as_ref().map(|of| of[n]).or(by_card).unwrap_or(f64::NAN);
    let predictions = |said: &dyn Fn(usize) -> f64| -> Vec<ValuePrediction> {
        let of = |(n, told): (usize, &Told)| match told {
            Told::Value(truth) => Some(ValuePrediction {
                subject: tested.numbers[n],
                fold: 0,
                truth: *truth,
                predicted: said(n),
                training_mean: training_mean(n),
                group: tested.people.as_ref().map(|people| people[n]),
            }),
            Told::Class(_) => None,
        };
        tested.told.iter().enumerate().filter_map(of).collect()
    };
    let network = predictions(&|n| tested.answers[n].mean[0]);
    let describe = match run {
        Some(run) => format!("mean of the {} of the run", counted(run.manifest.folds, "model")),
        None => format!("the model ({})", card.architecture),
    };
    let has_baselines = !baselines.is_empty();
    let mut all = vec![Predictor::new(CNN, &describe, network.clone())];
    let others = baselines.into_iter();
    all.extend(
        others.map(|(name, description, said)| Predictor::new(name, &description, predictions(&|n| said[n][0]))),
    );
    let people = tested.people.as_ref().map(|people| people.iter().collect::<BTreeSet<_>>().len());
    let mut found = value_metrics::compared(&all, value, (people, people.map(|_| PERSON.to_owned())));
    (found.correction, found.no_correction) = (None, Some("it would be a line through these people".into()));
    found.volume_correlation = metrics::volume_correlation(tested.beside_volumes(network.iter().map(|p| p.predicted)));
    found.method = method(tested, run, found.noun(), has_baselines);
    found.summary =
        without_folds(value_metrics::summary(&found, tested.first(), Some(tested.cohort.preparation.volume_name())));
    let out_of_fold = own.as_ref().and_then(|own| own.of(CNN).cloned());
    if let (Some(own), Some(here)) = (&out_of_fold, found.of(CNN)) {
        let unit = found.value.suffix();
        found.summary.push(format!(
            "Here the mean absolute error is {} of {}; out of fold, in the run, it was {} of {}.",
            value_metrics::text(&here.mae, &unit, false),
            counted(here.subjects, found.noun()),
            value_metrics::text(&own.mae, &unit, false),
            own.subjects
        ));
    }
    found.summary.extend(about_volumes(tested, run));
    Ok(ExternalValues { metrics: found, out_of_fold })
}
