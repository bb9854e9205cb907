//! Metrics of a predicted value, of a model and of what it is compared with, in numbers and in words.

use super::{
    baselines::{self, Tables},
    dataset::Dataset,
    fold::Trainer,
    gram,
    linear_maps::{self, LinearModel},
    metrics::{CNN, First, describe_network, of_people, people_of, percent, volume_correlation},
    options::TrainOptions,
    tabular::BOOSTING_TABLE,
    value::Values,
};
use crate::{
    cohort::PERSON,
    comparators::{
        self, COVARIATES, Chosen, MASK_VOLUME, REGION_VOLUMES, RIDGE_VOXELS, TRAINING_MEAN, TRAINING_MEDIAN,
        TunedValues, ValueTask,
    },
    folds::SplitScheme,
    listed::capital,
    model::Quantity,
    run::{GroupErrors, GroupMetrics, PredictedValue, PredictorMetrics, Run, ValueMetrics, ValueVerdict, write_values},
};
use std::collections::BTreeMap;
use voxplain_core::{Result, plural::counted, seal};
use voxplain_stats::{BiasCorrection, Estimate, Regression, ValueComparison, ValuePrediction, p_in_words, significant};

/// A predictor and what it predicts, one for each held-out subject, in the order of the subjects.
#[derive(Debug)]
pub(crate) struct Predictor {
    pub(crate) name: &'static str,
    pub(crate) description: String,
    pub(crate) predictions: Vec<ValuePrediction>,
    /// What it chose inside the training parts.
    pub(crate) chosen: Option<Chosen>,
}

impl Predictor {
    /// A predictor of that name; sorts the predictions by subject.
    pub(crate) fn new(name: &'static str, description: &str, mut predictions: Vec<ValuePrediction>) -> Self {
        predictions.sort_by_key(|p| p.subject);
        Self { name, description: description.to_owned(), predictions, chosen: None }
    }

    /// The same of one that chose something inside the training parts.
    pub(crate) fn tuned(name: &'static str, of: &str, found: TunedValues) -> Self {
        let description = format!("{of} ({})", found.chosen.in_words());
        Self { chosen: Some(found.chosen), ..Self::new(name, &description, found.predictions) }
    }
}

/// Trains and evaluates a network for every fold, and the comparators; writes predictions and metrics.
pub(super) fn judged(trainer: &Trainer<'_>, values: &Values, tables: &Tables) -> Result<ValueMetrics> {
    let Trainer { dataset, splits, options, run, engine, progress, observer, .. } = *trainer;
    let task = ValueTask { values: &values.of, groups: dataset.groups(), splits };
    let predictions = trainer.cross_validate(
        |subject, fold, said| task.prediction(subject, fold, said[0]),
        |of_fold| {
            let found = Regression::of(of_fold);
            found.iter().flat_map(|found| &found.folds).for_each(|error| observer.fold_of_values(error));
        },
    )?;
    let mut predictors = vec![Predictor::new(CNN, &describe_network(options), predictions)];
    let mean = "the mean of the people trained on, whatever the image";
    predictors.push(Predictor::new(TRAINING_MEAN, mean, comparators::training_mean(&task)));
    let median = "the median of the people trained on, whatever the image";
    predictors.push(Predictor::new(TRAINING_MEDIAN, median, comparators::training_median(&task)));
    let volumes: Vec<f64> = (0..dataset.len()).map(|n| dataset.mask_volume(n)).collect();
    match comparators::mask_volume_line(&volumes, &task) {
        Ok(predictions) => {
            let description =
                format!("a straight line on the logarithm of the {}", dataset.cohort.preparation.volume_name());
            predictors.push(Predictor::new(MASK_VOLUME, &description, predictions));
        }
        Err(e) => progress.warn(&format!("no baseline by {}: {e}", dataset.cohort.preparation.volume_name())),
    }
    let gram = gram(dataset, engine, progress)?;
    let unit = dataset
        .grouping
        .as_ref()
        .map_or("subject", |grouping| if grouping.column == PERSON { "person" } else { "group" });
    let description = format!(
        "ridge regression on the prepared volumes, its penalty chosen by leaving out each {unit} of the training part{}",
        gram.in_words()
    );
    let mut ridge = engine.thread_pool().install(|| comparators::ridge_voxels(&gram, &task));
    let model = LinearModel {
        name: RIDGE_VOXELS,
        towards: format!("a larger {}", values.quantity.name),
        unit: values.quantity.unit.clone().unwrap_or_else(|| format!("unit of {}", values.quantity.name)),
        folds: std::mem::take(&mut ridge.linear),
    };
    engine.thread_pool().install(|| linear_maps::write_all(run, dataset, splits, &[model], progress))?;
    predictors.push(Predictor::tuned(RIDGE_VOXELS, &description, ridge));
    if let Some(features) = &tables.covariates {
        let description = format!(
            "ridge regression on {}, without an image, its penalty chosen in the same way",
            features.describe()
        );
        predictors.push(Predictor::tuned(COVARIATES, &description, comparators::ridge_features(features, &task)));
        let splits = splits.iter().map(|split| (split.train.as_slice(), split.test.as_slice()));
        if let Some(what) = baselines::about_unseen(features, splits) {
            progress.note(&what);
        }
    }
    if let Some(features) = &tables.regions {
        let description = format!(
            "ridge regression on {} of a table, its penalty chosen in the same way",
            counted(features.len(), "column")
        );
        predictors.push(Predictor::tuned(REGION_VOLUMES, &description, comparators::ridge_features(features, &task)));
    }
    for predictor in &predictors {
        write(run, predictor, dataset)?;
    }
    let mut metrics = metrics(&predictors, dataset, values, options);
    metrics.models = run.models()?.all();
    seal::vouch(&run.layout().metrics(), &metrics, run.layout().vouched_by_metrics()?)?;
    Ok(metrics)
}

/// Writes the predictions of a predictor into the run.
fn write(run: &Run, predictor: &Predictor, dataset: &Dataset<'_>) -> Result<()> {
    let layout = run.layout();
    let file = if predictor.name == CNN { layout.predictions() } else { layout.comparator_predictions(predictor.name) };
    let row = |p: &ValuePrediction| PredictedValue {
        participant_id: dataset.id(p.subject).to_owned(),
        fold: p.fold,
        truth: p.truth,
        predicted: p.predicted,
    };
    write_values(&file, &predictor.predictions.iter().map(row).collect::<Vec<_>>())
}

/// Metrics of predictors on the same subjects, of which the first is compared with each of the others. `people` is how many the subjects are
/// of, where people have several, and `grouped_by` the column of those whom no split divides. How the numbers were found, and the sentences
/// about them, are added by those who know.
pub(crate) fn compared(
    predictors: &[Predictor],
    value: &Quantity,
    (people, grouped_by): (Option<usize>, Option<String>),
) -> ValueMetrics {
    let first = &predictors[0];
    let comparisons: Vec<ValueComparison> = predictors[1..]
        .iter()
        .filter_map(|other| ValueComparison::of((first.name, &first.predictions), (other.name, &other.predictions)))
        .collect();
    let of_predictor = |p: &Predictor| {
        let mut regression = Regression::of(&p.predictions)?;
        // Without the mean that was trained on there is nothing that R2 compares with.
        regression.r2 = regression.r2.filter(|r2| r2.value.is_finite());
        Some(PredictorMetrics {
            predictor: p.name.to_owned(),
            description: p.description.clone(),
            chosen: p.chosen.clone(),
            regression,
        })
    };
    let all: Vec<PredictorMetrics> = predictors.iter().filter_map(of_predictor).collect();
    let (correction, no_correction) = match BiasCorrection::of(&first.predictions) {
        Ok(correction) => (Some(correction), None),
        Err(why) => (None, Some(why)),
    };
    let own = all.iter().find(|p| p.predictor == first.name);
    let r = own.and_then(|own| own.regression.r.as_ref()).map(|r| r.value);
    let with = |name: &str| comparisons.iter().find(|c| c.with == name);
    ValueMetrics {
        value: value.clone(),
        models: Vec::new(),
        method: String::new(),
        people,
        grouped_by,
        rows: false,
        verdict: verdict([TRAINING_MEAN, TRAINING_MEDIAN].map(with), r),
        predictors: all,
        comparisons,
        correction,
        no_correction,
        volume_correlation: None,
        groups: Vec::new(),
        summary: Vec::new(),
    }
}

/// Metrics of the network and of the comparators.
fn metrics(predictors: &[Predictor], dataset: &Dataset<'_>, values: &Values, options: &TrainOptions) -> ValueMetrics {
    let network = &predictors[0].predictions;
    let people = dataset.persons.as_ref().map(|_| people_of(network.iter().map(|p| p.subject), dataset));
    let grouped_by = dataset.grouping.as_ref().map(|grouping| grouping.column.clone());
    let mut metrics = compared(predictors, &values.quantity, (people, grouped_by));
    metrics.volume_correlation =
        volume_correlation(network.iter().map(|p| (p.predicted, dataset.mask_volume(p.subject))));
    metrics.groups = groups(network, dataset);
    metrics.method = method(&metrics, dataset, options);
    metrics.summary = summary(&metrics, First::CNN, Some(dataset.cohort.preparation.volume_name()));
    metrics.summary.extend(dataset.cohort.caveats());
    metrics
}

/// What the intervals of the differences to the mean and to the median allow to say. A constant that is nearer to most values than the
/// mean is not better than the mean at predicting: the model must be ahead of the median too, and rise with the values.
fn verdict([mean, median]: [Option<&ValueComparison>; 2], r: Option<f64>) -> ValueVerdict {
    let ends = |comparison: Option<&ValueComparison>| comparison.and_then(|c| c.mae_difference.ends());
    match (ends(mean), ends(median)) {
        (None, _) => ValueVerdict::Unknown,
        (Some((low, _)), Some((other, _))) if low > 0.0 && other > 0.0 => ValueVerdict::Worse,
        (Some((_, high)), Some((_, other))) if high < 0.0 && other < 0.0 && r.is_some_and(|r| r > 0.0) => {
            ValueVerdict::Better
        }
        (Some(_), _) => ValueVerdict::NotShown,
    }
}

/// The network group by group.
fn groups(network: &[ValuePrediction], dataset: &Dataset<'_>) -> Vec<GroupErrors> {
    // The few scans of a person say nothing by themselves.
    let Some(grouping) = dataset.grouping.as_ref().filter(|grouping| grouping.column != PERSON) else {
        return Vec::new();
    };
    let mut of = BTreeMap::<usize, Vec<&ValuePrediction>>::new();
    network.iter().for_each(|p| of.entry(grouping.of[p.subject]).or_default().push(p));
    if of.len() > GroupMetrics::MAX {
        return Vec::new();
    }
    let row = |(group, of): (usize, Vec<&ValuePrediction>)| {
        let mean = |f: fn(f64) -> f64| of.iter().map(|p| f(p.error())).sum::<f64>() / of.len() as f64;
        GroupErrors {
            group: grouping.names[group].clone(),
            subjects: of.len(),
            people: dataset.persons.as_ref().map(|_| people_of(of.iter().map(|p| p.subject), dataset)),
            mae: mean(f64::abs),
            mean_error: mean(|e| e),
        }
    };
    of.into_iter().map(row).collect()
}

/// What the numbers are, in sentences.
fn method(metrics: &ValueMetrics, dataset: &Dataset<'_>, options: &TrainOptions) -> String {
    let bins = dataset.classes.len();
    let balanced =
        if bins > 1 { format!("balanced over {bins} bins of the value") } else { "drawn at random".to_owned() };
    let scheme = match options.split {
        SplitScheme::Folds(k) => format!("{k}-fold cross-validation, {balanced}"),
        SplitScheme::Holdout(share) => format!("{} % held out once, {balanced}", percent(share)),
    };
    let (noun, independent) = (metrics.noun(), metrics.independent());
    let none = metrics.predictors.first().is_some_and(|p| p.regression.mae.ends().is_none());
    let intervals = if none { String::new() } else { format!("; 95 % intervals are over {independent}") };
    let (split, who) = match &dataset.persons {
        None => (String::new(), noun),
        Some(_) => (format!("; {} held out, and no person on both sides of a split", metrics.headcount()), "person"),
    };
    format!(
        "{scheme}{split}. Numbers pool what each {noun} was said by a model that never saw the {who}{intervals}. Differences are \
         paired by {noun}. R2 compares with the mean of the people that each fold was trained on."
    )
}

/// The result in words: first whether it is better than saying the mean. `volume` is what the volume of masks is called, where there are
/// images.
pub(crate) fn summary(metrics: &ValueMetrics, first: First, volume: Option<&str>) -> Vec<String> {
    let Some(own) = metrics.of(first.name) else { return Vec::new() };
    let unit = metrics.value.suffix();
    let mut lines = Vec::new();
    let (named, images) = (volume.unwrap_or("mask volume"), volume.is_some());
    for comparison in &metrics.comparisons {
        let Some(other) = metrics.of(&comparison.with) else { continue };
        let name = match comparison.with.as_str() {
            TRAINING_MEAN => {
                lines.push(beside_mean(metrics, (first, own), other, comparison));
                continue;
            }
            TRAINING_MEDIAN => "the median of the people trained on",
            MASK_VOLUME => &format!("a line on {named}"),
            RIDGE_VOXELS => "ridge regression on the voxels",
            BOOSTING_TABLE => "gradient boosting on the same columns",
            COVARIATES if images => "ridge regression on the covariates, without an image",
            COVARIATES => "ridge regression on the covariates alone",
            REGION_VOLUMES => "ridge regression on the volumes of regions",
            other => other,
        };
        lines.push(beside((first, own), (name, other), comparison, (&unit, &metrics.independent())));
    }
    lines.push(bias(metrics, own, first));
    if let Some(r) = metrics.volume_correlation {
        lines.push(format!(
            "Rank correlation of {}'s {} with {named}, over {}s: {r:.2}.",
            first.called,
            metrics.value.name,
            metrics.noun()
        ));
    }
    lines.iter().map(|line| metrics.said_of_groups(line)).collect()
}

/// The first sentence.
fn beside_mean(
    metrics: &ValueMetrics,
    (first, own): (First, &Regression),
    mean: &Regression,
    comparison: &ValueComparison,
) -> String {
    let model = capital(first.called);
    let (name, unit) = (&metrics.value.name, metrics.value.suffix());
    let says = match metrics.verdict {
        ValueVerdict::Better => {
            format!("{model} predicts {name} better than the mean and the median of the people trained on do")
        }
        ValueVerdict::NotShown => {
            format!(
                "{model} is not shown to predict {name} better than the mean and the median of the people trained on do"
            )
        }
        ValueVerdict::Worse => {
            format!("{model} predicts {name} worse than the mean and the median of the people trained on do")
        }
        ValueVerdict::Unknown => format!(
            "Whether {} predicts {name} better than the mean of the people trained on does cannot be said, for lack of an interval",
            first.called
        ),
    };
    let more = [("R2", &own.r2), ("r", &own.r)];
    let more = more
        .iter()
        .filter_map(|(name, e)| e.as_ref().map(|e| format!("; {name} {}", text(e, "", false))))
        .collect::<String>();
    let people = of_people(metrics.people);
    format!(
        "{says}: mean absolute error over {} {}{}s{people}{} {}, where the mean has {}{unit}; difference {}{more}.",
        own.subjects,
        first.judged_by(),
        metrics.noun(),
        first.doubt(),
        text(&own.mae, &unit, false),
        significant(mean.mae.value, 3),
        text(&comparison.mae_difference, &unit, true),
    )
}

/// The first model beside a comparator. "Beats" takes two witnesses: the interval of the difference `over` subjects (people, groups) and
/// the corrected resampled t-test over folds.
fn beside(
    (first, own): (First, &Regression),
    (name, other): (&str, &Regression),
    comparison: &ValueComparison,
    (unit, over): (&str, &str),
) -> String {
    let model = capital(first.called);
    let difference = &comparison.mae_difference;
    let ahead = comparison.corrected_t.is_some_and(|t| t < 0.0);
    let result = match (difference.ends(), comparison.corrected_p) {
        _ if difference.value >= 0.0 => format!("{model} does not beat {name}"),
        (None, _) => format!("{model} is ahead of {name}, but without an interval that is no evidence"),
        (Some((_, high)), Some(p)) if high >= 0.0 && p < 0.05 && ahead => format!(
            "{model} is ahead of {name} by the folds, but not by the interval over {over}, so that it is not shown to beat it"
        ),
        (Some((_, high)), _) if high >= 0.0 => {
            format!("{model} is ahead of {name}, but by no more than chance could do")
        }
        (Some(_), None) => {
            format!("{model} is ahead of {name} by the interval over {over} alone: the folds allow no second test")
        }
        (Some(_), Some(p)) if p < 0.05 && ahead => format!("{model} beats {name}"),
        (Some(_), Some(_)) => format!(
            "{model} is ahead of {name} by the interval over {over}, but not by the folds, so that it is not shown to beat it"
        ),
    };
    let t_test = comparison
        .corrected_p
        .map_or_else(String::new, |p| format!("; corrected resampled t-test of the folds' errors {}", p_in_words(p)));
    format!(
        "{result}: mean absolute error {} against {}{unit}, difference {}{t_test}.",
        significant(own.mae.value, 3),
        significant(other.mae.value, 3),
        text(difference, unit, true)
    )
}

/// How the error follows the true value, and what is left after a correction.
fn bias(metrics: &ValueMetrics, own: &Regression, first: First) -> String {
    let (name, unit) = (&metrics.value.name, metrics.value.suffix());
    let mut text_of = format!(
        "The error of {} (predicted minus true) is {} on average",
        first.called,
        text(&own.mean_error, &unit, true)
    );
    if let Some(slope) = &own.error_slope {
        text_of.push_str(&format!(
            " and has a slope of {} on the true {name} (0: no bias; -1: the prediction does not follow it)",
            text(slope, "", true)
        ));
    }
    match (&metrics.correction, &metrics.no_correction) {
        (Some(correction), _) => text_of.push_str(&format!(
            "; corrected by the line of the other folds, the mean absolute error would be {}{unit}",
            significant(correction.corrected.mae.value, 3)
        )),
        (None, Some(why)) => text_of.push_str(&format!("; there is no correction: {why}")),
        (None, None) => {}
    }
    text_of.push('.');
    text_of
}

/// `5.12 (4.3 to 6.01) years`, or with the reason why there is no interval.
pub(crate) fn text(e: &Estimate, unit: &str, signed: bool) -> String {
    let number = |v: f64| {
        let plus = if signed && v > 0.0 { "+" } else { "" };
        format!("{plus}{}", significant(v, 3))
    };
    match e.ends() {
        Some((low, high)) => format!("{} ({} to {}){unit}", number(e.value), number(low), number(high)),
        None => format!("{}{unit} ({})", number(e.value), e.interval.replacen("none", "no interval", 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(value: f64, low: f64, high: f64, t: Option<(f64, f64)>) -> ValueComparison {
        ValueComparison {
            of: CNN.into(),
            with: TRAINING_MEAN.into(),
            mae_difference: Estimate { value, low: Some(low), high: Some(high), interval: "t".into() },
            corrected_t: t.map(|t| t.0),
            corrected_p: t.map(|t| t.1),
        }
    }

    #[test]
    fn less_error_is_better() {
        let [better, open, worse] =
            [(-2.0, -3.0, -1.0), (-2.0, -3.0, 1.0), (2.0, 1.0, 3.0)].map(|(v, l, h)| comparison(v, l, h, None));
        let of = |mean, median, r| verdict([Some(mean), Some(median)], r);
        assert_eq!(of(&better, &better, Some(0.3)), ValueVerdict::Better);
        // A constant near the median, and a network that falls where the values rise.
        assert_eq!(of(&better, &worse, Some(0.3)), ValueVerdict::NotShown);
        assert_eq!(of(&better, &better, Some(-0.2)), ValueVerdict::NotShown);
        assert_eq!(of(&better, &better, None), ValueVerdict::NotShown);
        assert_eq!(of(&open, &better, Some(0.3)), ValueVerdict::NotShown);
        assert_eq!(of(&worse, &worse, Some(0.3)), ValueVerdict::Worse);
        assert_eq!(of(&worse, &better, Some(0.3)), ValueVerdict::NotShown);
        assert_eq!(verdict([None, None], None), ValueVerdict::Unknown);
    }

    #[test]
    fn to_beat_takes_two_witnesses() {
        let of = |n: usize| ValuePrediction {
            subject: n,
            fold: n % 2,
            truth: n as f64,
            predicted: 0.5 + n as f64,
            training_mean: 5.0,
            group: None,
        };
        let any = Regression::of(&(0..12).map(of).collect::<Vec<_>>()).unwrap();
        let cases = [
            (
                comparison(1.0, -1.0, 3.0, None),
                "The CNN does not beat ridge: mean absolute error 0.5 against 0.5 years",
            ),
            (comparison(-1.0, -3.0, 1.0, None), "The CNN is ahead of ridge, but by no more"),
            (comparison(-1.0, -3.0, -0.5, None), "The CNN is ahead of ridge by the interval over people alone"),
            (
                comparison(-1.0, -3.0, -0.5, Some((1.0, 0.01))),
                "The CNN is ahead of ridge by the interval over people, but not",
            ),
            (comparison(-1.0, -3.0, -0.5, Some((-3.0, 0.01))), "The CNN beats ridge"),
        ];
        for (comparison, start) in cases {
            let text = beside((First::CNN, &any), ("ridge", &any), &comparison, (" years", "people"));
            assert!(text.starts_with(start), "{text}");
        }
    }
}
