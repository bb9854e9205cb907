//! [`permute`]: whether a classifier is better than it is on labels that are dealt out at random.
//!
//! | file | holds |
//! |---|---|
//! | `exchange.rs` | whose labels may be exchanged |
//! | `sentences.rs` | the result in words |
//! | `shards.rs` | permutations that several processes share |

mod exchange;
mod sentences;
mod shards;

use super::{
    dataset::Dataset,
    fit::Fit,
    gram,
    initial::InitialWeights,
    metrics::CNN,
    options::TrainOptions,
    predictions::{outputs, predict},
    soft_labels,
};
use crate::{
    comparators::{
        self, ClassificationTask, Gram, LINEAR_VOXELS, LOGISTIC_VOXELS, MASK_VOLUME, RIDGE_VOXELS, SVM_VOXELS,
        ValueTask,
    },
    compare::BlockKind,
    folds::{self, Split},
    listed::{counted, does},
    model::NetworkKind,
    run::{PermutationTest, PermutedNumber, Run, RunLayout},
    setting::{BLOCKS, CLASSIFIER, FORCE, MATCH, OUT, PERMUTATIONS, SEED, WITHIN},
    shard::Shard,
};
pub use shards::CountedShard;

use exchange::{exchange, shuffles};
use rayon::prelude::*;
use sentences::sentences;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Progress, Result, Setting, Silent, hash_bytes, random::Seed, remedy, seal};
use voxplain_nn::Engine;
use voxplain_stats::{
    Classification, FoldPrediction, Regression, ValuePrediction,
    inference::{Shuffle, Shuffles},
    significant,
};

/// What is tested, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PermuteOptions {
    /// `cnn`, or the name of a comparator that is fitted: `linear-voxels`, `logistic-voxels`, `svm-voxels`, `mask-volume`; of a value
    /// `ridge-voxels`, `mask-volume`.
    pub classifier: String,
    /// How many permutations.
    pub permutations: usize,
    /// A column within whose values labels are permuted, such as sites.
    pub blocks: Option<String>,
    /// How those who share a value of that column, or a group of the run, exchange labels: with each other, or as a whole with others of
    /// their size. Where nothing is said, within the values of the column; of groups as a whole, but within them where each group of several
    /// has several labels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub block_kind: Option<BlockKind>,
    /// Where chance comes from.
    pub seed: u64,
    /// Replaces a test that is there.
    pub force: bool,
}

impl Default for PermuteOptions {
    fn default() -> Self {
        Self { classifier: CNN.into(), permutations: 100, blocks: None, block_kind: None, seed: 0, force: false }
    }
}

impl PermuteOptions {
    /// Every option that is not as it is by default, as settings of the step `permute`.
    pub fn settings(&self) -> Vec<(Setting, Option<String>)> {
        let default = Self::default();
        let Self { classifier, permutations, blocks, block_kind, seed, force: _ } = self;
        let unless = |same: bool, value: String| (!same).then_some(value);
        let given = [
            (CLASSIFIER, unless(*classifier == default.classifier, classifier.clone())),
            (PERMUTATIONS, unless(*permutations == default.permutations, permutations.to_string())),
            (BLOCKS, blocks.clone()),
            (WITHIN, block_kind.map(|kind| kind.word().to_owned())),
            (SEED, unless(*seed == default.seed, seed.to_string())),
        ];
        given.into_iter().filter_map(|(setting, value)| Some((setting, Some(value?)))).collect()
    }
}

/// What was counted before an interruption.
#[derive(Serialize, Deserialize)]
struct Unfinished {
    key: String,
    /// The numbers of each permutation.
    rows: Vec<Vec<f64>>,
}

/// A number of a result.
struct Number {
    name: &'static str,
    smaller_is_better: bool,
    value: f64,
}

/// The permutation test of a classifier of a run (Ojala and Garriga 2010, their test 1): labels are dealt out at random, folds are drawn
/// and the classifier is trained anew, as often as is asked for; the p-value is the share of all arrangements, the labels as they are among
/// them, whose result out of fold is at least as good. Images, masks, groups, options and seeds stay what they are in the run, so that
/// the result is one and the same function of the labels, and the p-value is exact where labels may be exchanged.
///
/// Images of one person, and groups of the run, keep their labels together: groups of one size exchange theirs
/// ([`PermuteOptions::block_kind`]). What is counted is kept when it is interrupted; the same call goes on.
///
/// # Errors
/// The run is not finished, or its table changed since; no such classifier; labels that cannot be exchanged; results that are there and
/// were made in another way.
pub fn permute(
    run: &Run,
    options: &PermuteOptions,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<PermutationTest> {
    match test(run, options, None, engine, progress)? {
        Tested::All(test) => Ok(*test),
        Tested::Shard(_) => Err(Error::request("a shard was counted in place of all", "report this")),
    }
}

/// Counts the permutations of a shard alone (permutation `n`, from 0, is of shard `1 + n mod N`). Others may count other shards at the same time;
/// [`permute`] with the same options then takes what they counted, and counts what is missing.
///
/// # Errors
/// Those of [`permute`].
pub fn permute_shard(
    run: &Run,
    options: &PermuteOptions,
    shard: Shard,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<CountedShard> {
    match test(run, options, Some(shard), engine, progress)? {
        Tested::Shard(counted) => Ok(counted),
        Tested::All(test) => Ok(CountedShard { permutations: test.permutations, now: 0, tested: true }),
    }
}

/// Refuses a table by which people would be divided into other folds than those of the run: what was observed is of these.
fn refuse_other_folds(run: &Run, dataset: &Dataset<'_>, trained: &TrainOptions) -> Result<()> {
    let now = folds::splits(&dataset.labels, dataset.groups(), trained.split, Seed::new(trained.seed))?;
    for (fold, split) in now.iter().enumerate() {
        let held_out: BTreeSet<usize> = split.test.iter().map(|&n| dataset.subjects[n]).collect();
        if run.split(fold)?.test.into_iter().collect::<BTreeSet<usize>>() != held_out {
            return Err(Error::file(
                dataset.cohort.layout().participants(),
                format!(
                    "labels, groups or people were changed after training: fold {fold} would hold out others than it did, and what the run reached \
                     cannot be set beside trainings on these folds"
                ),
                remedy!["give the table back as it was, or train a new run by it with another ", OUT],
            ));
        }
    }
    Ok(())
}

/// What was done: all of a test, or a shard of it.
enum Tested {
    All(Box<PermutationTest>),
    Shard(CountedShard),
}

fn test(
    run: &Run,
    options: &PermuteOptions,
    shard: Option<Shard>,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<Tested> {
    check(options)?;
    let cohort = run.cohort()?;
    let trained: TrainOptions = serde_json::from_value(run.manifest.options.clone()).map_err(|e| {
        Error::file(run.layout().manifest(), format!("options of training: {e}"), "train again with this version")
    })?;
    if !trained.matched.is_empty() {
        return Err(Error::file(
            run.layout().manifest(),
            "its folds trained on people who were matched by their labels, which cannot be exchanged then",
            remedy!["test a run that was trained without ", MATCH],
        ));
    }
    // Where the run left out people, so does the test.
    let dataset = Dataset::new(&cohort, &TrainOptions { keep_going: true, ..trained.clone() })?;
    let subject = Subject::of(run, &dataset, &trained, &options.classifier, engine, progress)?;
    let (exchange, words) = exchange(&dataset, &trained, options)?;
    let (shuffles, least_p) = shuffles(&dataset, &exchange, options)?;
    let observed = subject.observed(run)?;
    refuse_other_folds(run, &dataset, &trained)?;
    let key = key(run, options, &dataset)?;
    let layout = run.layout();
    let file = layout.permutation_test(&options.classifier);
    let unfinished = layout.unfinished_permutation_test(&options.classifier);
    if file.is_file() && !options.force {
        let found: PermutationTest = seal::read(&file, remedy!["test again, with ", FORCE])?;
        if found.key == key {
            Run::clear_counted(&unfinished)?;
            progress.note(&format!("{} is there already, made in this way", file.display()));
            return Ok(Tested::All(Box::new(found)));
        }
        return Err(Error::file(
            &file,
            "is there already, made in another way or of other models",
            remedy!["replace it with ", FORCE],
        ));
    }
    let work = layout.permutation_work();
    let counting = Counting { subject: &subject, shuffles: &shuffles, key: &key, work: &work, progress };
    if let Some(shard) = shard {
        return shards::count(run, options, shard, &counting).map(Tested::Shard);
    }
    let _claim = run.claim("permute", progress)?;
    std::fs::create_dir_all(layout.permutations()).map_err(Error::io(&layout.permutations()))?;
    let mut rows = Vec::new();
    if unfinished.is_file() && !options.force {
        let before: Unfinished = seal::read(&unfinished, "remove it: what it has counted is then counted again")?;
        if before.key == key {
            rows = before.rows;
        }
    }
    let all: Vec<usize> = (0..shuffles.len()).collect();
    let (known, files) = shards::counted(run, options, &key, shuffles.len(), observed.len())?;
    if !known.is_empty() {
        progress.note(&format!(
            "{} of {} were counted in shards before",
            counted(known.len(), "permutation"),
            shuffles.len()
        ));
    }
    counting.count(&all, &mut rows, &known, &mut |rows| {
        seal::write(&unfinished, &Unfinished { key: key.clone(), rows: rows.to_vec() })
    })?;
    remove_counted(&work, &key, &all)?;
    remove_if_empty(&work)?;
    let test = result(run, options, &trained, (observed, rows), (&shuffles, least_p), words, key)?;
    seal::declare(&file, &test, [])?;
    for counted in files.into_iter().chain([unfinished]).filter(|file| file.is_file()) {
        std::fs::remove_file(&counted).map_err(Error::io(&counted))?;
    }
    Ok(Tested::All(Box::new(test)))
}

/// The folder in which the networks of a permutation are trained.
fn work_of(work: &Path, key: &str, permutation: usize) -> PathBuf {
    work.join(format!("{}-{permutation}", &key[..12]))
}

/// Removes the networks of permutations that are counted: a process that was killed may have left them.
fn remove_counted(work: &Path, key: &str, counted: &[usize]) -> Result<()> {
    if !work.is_dir() {
        return Ok(());
    }
    for folder in counted.iter().map(|&permutation| work_of(work, key, permutation)).filter(|folder| folder.is_dir()) {
        std::fs::remove_dir_all(&folder).map_err(Error::io(&folder))?;
    }
    Ok(())
}

/// Removes the folder of networks, where nothing is in it.
fn remove_if_empty(work: &Path) -> Result<()> {
    match std::fs::remove_dir(work) {
        Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => Err(Error::io(work)(e)),
        _ => Ok(()),
    }
}

/// What the counting of permutations needs.
struct Counting<'a> {
    subject: &'a Subject<'a>,
    shuffles: &'a Shuffles,
    key: &'a str,
    /// The folder of networks on permuted labels.
    work: &'a Path,
    progress: &'a dyn Progress,
}

impl Counting<'_> {
    /// The numbers of these permutations, behind the rows that are there of the first of them, kept as they come. Those that are `known` are
    /// taken.
    fn count(
        &self,
        units: &[usize],
        rows: &mut Vec<Vec<f64>>,
        known: &shards::Rows,
        keep: &mut dyn FnMut(&[Vec<f64>]) -> Result<()>,
    ) -> Result<()> {
        remove_counted(self.work, self.key, &units[..rows.len()])?;
        self.progress.begin("permutations", units.len());
        self.progress.advance(rows.len(), "");
        let counted = self.count_on(units, rows, known, keep);
        self.progress.end();
        counted
    }

    fn count_on(
        &self,
        units: &[usize],
        rows: &mut Vec<Vec<f64>>,
        known: &shards::Rows,
        keep: &mut dyn FnMut(&[Vec<f64>]) -> Result<()>,
    ) -> Result<()> {
        /// Fits of a comparator between two writings of what was counted.
        const BATCH: usize = 16;
        let Self { subject, shuffles, key, work, progress } = *self;
        while rows.len() < units.len() {
            progress.go_on()?;
            let first = rows.len();
            let permutation = units[first];
            if let Some(row) = known.get(&permutation) {
                rows.push(row.clone());
                progress.advance(1, "");
                continue;
            }
            if let Fitted::Network(initial) = &subject.fitted {
                let folder = work_of(work, key, permutation);
                let numbers = subject.network(initial.as_ref(), &shuffles.get(permutation), &folder, progress)?;
                rows.push(numbers.iter().map(|n| n.value).collect());
                keep(rows)?;
                remove_counted(work, key, &units[..rows.len()])?;
                progress.advance(1, &format!("{} {}", numbers[0].name, significant(numbers[0].value, 3)));
                continue;
            }
            let last = units.len().min(first + BATCH);
            let one = |n: &usize| -> Result<Vec<f64>> {
                if let Some(row) = known.get(n) {
                    return Ok(row.clone());
                }
                Ok(subject.comparator(&subject.labels(&shuffles.get(*n)))?.iter().map(|n| n.value).collect())
            };
            let batch: Vec<Vec<f64>> = subject
                .engine
                .thread_pool()
                .install(|| units[first..last].par_iter().map(one).collect::<Result<_>>())?;
            rows.extend(batch);
            keep(rows)?;
            progress.advance(last - first, "");
        }
        Ok(())
    }
}

fn check(options: &PermuteOptions) -> Result<()> {
    if options.permutations < 1 || options.permutations > 1_000_000 {
        return Err(Error::request(
            format!("{} permutations", options.permutations),
            remedy!["choose from 1 to 1000000 with ", PERMUTATIONS, "; 100 to 1000 are usual"],
        ));
    }
    Ok(())
}

/// What is trained anew.
enum Fitted {
    Network(Option<InitialWeights>),
    /// By inner products of volumes: [`LINEAR_VOXELS`], [`LOGISTIC_VOXELS`], [`SVM_VOXELS`], [`RIDGE_VOXELS`].
    Voxels(Gram),
    /// [`MASK_VOLUME`]; volumes of masks, mm³.
    Volumes(Vec<f64>),
}

struct Subject<'a> {
    dataset: &'a Dataset<'a>,
    options: &'a TrainOptions,
    classifier: &'a str,
    fitted: Fitted,
    engine: &'a Engine,
    /// The positive class.
    positive: usize,
}

/// Labels, and values where values are predicted.
struct Labels {
    labels: Vec<usize>,
    values: Option<Vec<f64>>,
}

impl<'a> Subject<'a> {
    fn of(
        run: &Run,
        dataset: &'a Dataset<'a>,
        options: &'a TrainOptions,
        classifier: &'a str,
        engine: &'a Engine,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let of_value = dataset.values.is_some();
        let known: &[&str] = if of_value {
            &[CNN, RIDGE_VOXELS, MASK_VOLUME]
        } else {
            &[CNN, LINEAR_VOXELS, LOGISTIC_VOXELS, SVM_VOXELS, MASK_VOLUME]
        };
        if !known.contains(&classifier) {
            return Err(Error::request(
                format!("`{classifier}` is no classifier of this run that is tested by permutation"),
                remedy!["name one of ", known.join(", "), " with ", CLASSIFIER],
            ));
        }
        let fitted = match classifier {
            CNN => {
                let kind = NetworkKind::named(&options.model)?;
                let network = kind.network(dataset.input_shape(), options.width(), dataset.task().outputs())?;
                Fitted::Network(InitialWeights::of(options, dataset, &network, progress)?)
            }
            MASK_VOLUME => Fitted::Volumes((0..dataset.len()).map(|n| dataset.mask_volume(n)).collect()),
            _ => Fitted::Voxels(gram(dataset, engine, progress)?),
        };
        let positive = if of_value { 0 } else { dataset.positive(options)? };
        let members: Vec<usize> = run.members()?.into_iter().collect();
        if members != dataset.subjects {
            return Err(Error::file(
                &dataset.cohort.path,
                format!(
                    "by its table {} {} now of the folds, and {} {} when the run was trained",
                    counted(dataset.len(), dataset.cohort.noun()),
                    does(dataset.len(), "is", "are"),
                    members.len(),
                    does(members.len(), "was", "were")
                ),
                "give the table the values that the run was trained on, or train again",
            ));
        }
        Ok(Self { dataset, options, classifier, fitted, engine, positive })
    }

    /// The numbers of the run itself, from its files.
    fn observed(&self, run: &Run) -> Result<Vec<Number>> {
        let place: BTreeMap<&str, usize> = (0..self.dataset.len()).map(|n| (self.dataset.id(n), n)).collect();
        let layout = run.layout();
        let file = match self.classifier {
            CNN => layout.predictions(),
            name => layout.comparator_predictions(name),
        };
        if !file.is_file() {
            return Err(Error::file(
                &file,
                format!("is not there: the run has no {} yet, which older versions did not fit", self.classifier),
                "give the command again that trained the run: its networks are kept, and its baselines fitted; or name another classifier",
            ));
        }
        let changed = |id: &str, said: &str| {
            Error::file(
                &file,
                format!("{id} is {said} there, and not in the cohort's table now"),
                "give the table the values that the run was trained on, or train again",
            )
        };
        let find = |id: &str, said: &str| place.get(id).copied().ok_or_else(|| changed(id, said));
        let group = |n: usize| self.dataset.groups().map(|groups| groups[n]);
        if let Some(values) = &self.dataset.values {
            let rows =
                if self.classifier == CNN { run.value_predictions() } else { run.comparator_values(self.classifier) }?;
            let mut all = Vec::new();
            for row in rows {
                let said = significant(row.truth, 6);
                let n = find(&row.participant_id, &said)?;
                if (values.of[n] - row.truth).abs() > 1e-9 * row.truth.abs().max(1.0) {
                    return Err(changed(&row.participant_id, &said));
                }
                all.push(ValuePrediction {
                    subject: n,
                    fold: row.fold,
                    truth: row.truth,
                    predicted: row.predicted,
                    training_mean: 0.0,
                    group: group(n),
                });
            }
            return self.numbers_of_value(&all);
        }
        let rows =
            if self.classifier == CNN { run.predictions() } else { run.comparator_predictions(self.classifier) }?;
        let mut all = Vec::new();
        for row in rows {
            let n = find(&row.participant_id, &row.truth)?;
            if self.dataset.classes[self.dataset.labels[n]] != row.truth {
                return Err(changed(&row.participant_id, &row.truth));
            }
            all.push(FoldPrediction::new(n, row.fold, self.dataset.labels[n], group(n), row.probabilities));
        }
        self.numbers(all)
    }

    /// Area under the curve and balanced accuracy.
    fn numbers(&self, mut predictions: Vec<FoldPrediction>) -> Result<Vec<Number>> {
        predictions.sort_by_key(|p| p.subject);
        let found = Classification::of(&predictions, self.dataset.classes.len(), self.positive);
        let none =
            || Error::request("no area under the curve can be had: a class is held out nowhere", "use more subjects");
        let found = found.ok_or_else(none)?;
        let area = found.area().ok_or_else(none)?;
        let number = |name, value| Number { name, smaller_is_better: false, value };
        Ok(vec![number(found.area_name(), area.value), number("balanced accuracy", found.balanced_accuracy.value)])
    }

    /// Mean absolute error and correlation.
    fn numbers_of_value(&self, predictions: &[ValuePrediction]) -> Result<Vec<Number>> {
        let found = Regression::of(predictions)
            .ok_or_else(|| Error::request("nobody is held out", "train again with more subjects"))?;
        let mae = Number { name: "mean absolute error", smaller_is_better: true, value: found.mae.value };
        // Of predictions that do not vary there is none: they do not hang together with anything.
        let r = found.r.map_or(0.0, |r| r.value);
        Ok(vec![mae, Number { name: "correlation", smaller_is_better: false, value: r }])
    }

    /// The labels under a shuffle: as in a linear model, whose residuals go to rows of the design, image `order[n]` meets the label of
    /// subject `n`. So arrangements that are counted as different are.
    fn labels(&self, shuffle: &Shuffle) -> Labels {
        let mut labels = self.dataset.labels.clone();
        let mut values = self.dataset.values.as_ref().map(|v| v.of.clone());
        for (n, &image) in shuffle.order.iter().enumerate() {
            labels[image] = self.dataset.labels[n];
            if let Some((values, own)) = values.as_mut().zip(self.dataset.values.as_ref()) {
                values[image] = own.of[n];
            }
        }
        Labels { labels, values }
    }

    fn splits(&self, labels: &Labels) -> Result<Vec<Split>> {
        let seed = Seed::new(self.options.seed);
        folds::splits(&labels.labels, self.dataset.groups(), self.options.split, seed)
    }

    fn comparator(&self, labels: &Labels) -> Result<Vec<Number>> {
        let splits = &self.splits(labels)?;
        let groups = self.dataset.groups();
        if let Some(values) = &labels.values {
            let task = ValueTask { values, groups, splits };
            let predictions = match &self.fitted {
                Fitted::Volumes(volumes) => comparators::mask_volume_line(volumes, &task)?,
                Fitted::Voxels(gram) => comparators::ridge_voxels(gram, &task).predictions,
                Fitted::Network(_) => Vec::new(),
            };
            return self.numbers_of_value(&predictions);
        }
        let classes = self.dataset.classes.len();
        let task =
            ClassificationTask { labels: &labels.labels, groups, classes, splits, balanced: self.options.balanced };
        let predictions = match &self.fitted {
            Fitted::Volumes(volumes) => comparators::mask_volume(volumes, &task)?,
            Fitted::Voxels(gram) => self.by_voxels(gram, &task)?,
            Fitted::Network(_) => Vec::new(),
        };
        self.numbers(predictions)
    }

    fn by_voxels(&self, gram: &Gram, task: &ClassificationTask<'_>) -> Result<Vec<FoldPrediction>> {
        let seed = Seed::new(self.options.seed);
        match self.classifier {
            LOGISTIC_VOXELS => Ok(comparators::logistic_voxels(gram, task, seed, &Silent)?.predictions),
            SVM_VOXELS if !gram.is_exact() => Err(Error::request(
                format!(
                    "a support vector machine takes the inner products of all pairs, which are held of {} volumes at most",
                    comparators::EXACT
                ),
                remedy!["test another classifier with ", CLASSIFIER],
            )),
            SVM_VOXELS => comparators::svm_voxels(gram, task, seed, &Silent)?.map(|found| found.predictions).ok_or_else(|| {
                Error::request(
                    "a training part has fewer than two people (or groups) of a class, of which no support vector machine can be tuned",
                    remedy!["test another classifier with ", CLASSIFIER],
                )
            }),
            _ => Ok(comparators::linear_voxels(gram, task)),
        }
    }

    /// Trains the network of every fold on permuted labels.
    fn network(
        &self,
        initial: Option<&InitialWeights>,
        shuffle: &Shuffle,
        folder: &Path,
        progress: &dyn Progress,
    ) -> Result<Vec<Number>> {
        let labels = self.labels(shuffle);
        let splits = self.splits(&labels)?;
        let dataset = &self.dataset.relabelled(labels.labels, labels.values);
        dataset.check_splits(&splits, self.options)?;
        let bins = soft_labels::of_folds(dataset, &splits, self.options)?;
        let values = dataset.values.as_ref().map(|values| &values.of);
        let (mut classes_said, mut values_said) = (Vec::new(), Vec::new());
        for (fold, split) in splits.iter().enumerate() {
            let files = RunLayout::at(folder).fold(fold);
            std::fs::create_dir_all(files.folder()).map_err(Error::io(files.folder()))?;
            let fit = Fit {
                fold,
                train: &split.train,
                dataset,
                bins: bins.get(fold).copied(),
                options: self.options,
                initial,
                engine: self.engine,
                seed: Seed::new(self.options.seed).child(&format!("fold-{fold}")),
                files: &files,
            };
            let network = fit.run(progress, &Silent)?.network;
            let (batch, engine) = (self.options.batch, self.engine);
            let group = |n: usize| dataset.groups().map(|groups| groups[n]);
            let Some(values) = values else {
                let said = predict(&network, &split.test, dataset, batch, engine)?;
                classes_said.extend(
                    split
                        .test
                        .iter()
                        .zip(said)
                        .map(|(&n, said)| FoldPrediction::new(n, fold, dataset.labels[n], group(n), said)),
                );
                continue;
            };
            let said = outputs(&network, &split.test, dataset, batch, engine)?;
            values_said.extend(split.test.iter().zip(said).map(|(&n, said)| ValuePrediction {
                subject: n,
                fold,
                truth: values[n],
                predicted: f64::from(said[0]),
                training_mean: 0.0,
                group: group(n),
            }));
        }
        if values.is_some() { self.numbers_of_value(&values_said) } else { self.numbers(classes_said) }
    }
}

/// What decides the result.
fn key(run: &Run, options: &PermuteOptions, dataset: &Dataset<'_>) -> Result<String> {
    let options = PermuteOptions { force: false, ..options.clone() };
    let values = dataset.values.as_ref().map(|values| &values.of);
    let groups = dataset.groups();
    let made = serde_json::json!([
        options,
        run.manifest.options,
        run.manifest.cohort_hash,
        run.models()?.all(),
        dataset.labels,
        values,
        groups,
        env!("CARGO_PKG_VERSION")
    ]);
    Ok(hash_bytes(made.to_string().as_bytes()))
}

fn result(
    run: &Run,
    options: &PermuteOptions,
    trained: &TrainOptions,
    (observed, rows): (Vec<Number>, Vec<Vec<f64>>),
    (shuffles, least_p): (&Shuffles, f64),
    exchange: String,
    key: String,
) -> Result<PermutationTest> {
    let all = (rows.len() + 1) as f64;
    let numbers = observed.iter().enumerate().map(|(at, number)| {
        let mut tested = PermutedNumber {
            name: number.name.to_owned(),
            smaller_is_better: number.smaller_is_better,
            observed: number.value,
            permuted: rows.iter().map(|row| row[at]).collect(),
            p: 1.0,
        };
        tested.p = (tested.reached() + 1) as f64 / all;
        tested
    });
    let mut test = PermutationTest {
        version: env!("CARGO_PKG_VERSION").into(),
        key,
        classifier: options.classifier.clone(),
        models: run.models()?.all(),
        label: trained.label.clone(),
        permutations: rows.len(),
        all: shuffles.are_all(),
        possible: shuffles.possible(),
        least_p,
        exchange,
        seed: options.seed,
        options: Some(PermuteOptions { force: false, ..options.clone() }),
        numbers: numbers.collect(),
        summary: Vec::new(),
    };
    test.summary = sentences(&test);
    Ok(test)
}

#[cfg(test)]
mod tests;
