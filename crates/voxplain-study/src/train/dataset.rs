//! [`Dataset`]: the labelled subjects of a cohort, as training needs them.

use super::{
    classes::{self, MAX_CLASSES},
    options::TrainOptions,
    persons::Grouping,
    value::{self, TaskKind, Values},
};
use crate::spelling::number;
use crate::{
    cohort::{Cohort, Persons, is_missing},
    comparators::ClassificationTask,
    covariate::doubts,
    folds::{Sample, Split, SplitScheme, TestSet, Units},
    imbalance::Learnt,
    listed::{counted, have, listed},
    model::{Quantity, Task},
    setting::{
        CLASS_WEIGHTS, FOLDS, GROUP, KEEP_GOING, LABEL, LABEL_SMOOTHING, LOSS, MISSING, POSITIVE, TASK, TEST, UNIT,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};
use voxplain_attribution::Unseen;
use voxplain_core::{
    Action, Error, Result, Setting,
    lookalike::{look, spelled},
    random::Seed,
    remedy,
};
use voxplain_nn::Network;

/// Volumes are kept in memory up to this size in bytes (2 GiB); beyond it they are read again for every batch.
const CACHE: usize = 2 << 30;

/// Brains that stand for all when it is counted how much of them a network does not see, evenly taken.
const MAX_BRAINS: usize = 20;
/// The largest size of a prepared value. Squares of larger ones do not fit the 32 bits that networks count with, so that one voxel would
/// wipe out its whole batch; prepared intensities are some thousands at most.
const MAX_VALUE: f32 = 1e15;

/// Who is in a test set, by the position in the cohort.
#[derive(Default)]
struct TestPeople {
    test: BTreeSet<usize>,
    /// Of whom the column does not say.
    unknown: BTreeSet<usize>,
}

/// Who is in a test set.
///
/// # Errors
/// Nobody is, or everybody; of some the column does not say, and they are not to be left out.
fn in_test_set(cohort: &Cohort, set: &TestSet, options: &TrainOptions) -> Result<TestPeople> {
    if set.column == options.label {
        let what = format!("the test set is to be {set}, which is a class of the label itself");
        return Err(Error::request(
            what,
            remedy!["name another column with ", TEST, ", such as a site or a list of your own"],
        ));
    }
    let written = cohort.column(&set.column)?;
    let cells: Vec<Option<&str>> =
        written.iter().map(|cell| cell.map(str::trim).filter(|cell| !is_missing(cell, &options.missing))).collect();
    // As written; else, in a column of numbers, the same number (1 for 1.0).
    let numeric = cells.iter().flatten().all(|cell| number(cell).is_some());
    let wanted = number(&set.value).filter(|_| numeric);
    let is_in =
        |n: &usize| cells[*n].is_some_and(|cell| cell == set.value || wanted.is_some_and(|w| number(cell) == Some(w)));
    let found: BTreeSet<usize> = (0..cells.len()).filter(is_in).collect();
    let spellings: BTreeSet<&str> = found.iter().filter_map(|&n| cells[n]).collect();
    if spellings.len() > 1 {
        let spelled: Vec<String> = spellings.iter().map(|cell| format!("`{cell}`")).collect();
        return Err(Error::request(
            format!(
                "the test set is to be {set}, and column {} writes that number in several ways: {}",
                set.column,
                list(&spelled)
            ),
            "write it in one way, or, where they are names of different things, write them as words",
        ));
    }
    if found.is_empty() || found.len() == cells.len() {
        let there: BTreeSet<&str> = cells.iter().flatten().copied().collect();
        let what = format!(
            "the test set is to be {set}, which {} of the {} has; the column holds {}",
            if found.is_empty() { "nobody" } else { "everybody" },
            counted(cells.len(), cohort.noun()),
            list(&there.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>())
        );
        return Err(Error::request(what, remedy!["name a value that some have with ", TEST]));
    }
    let without: Vec<usize> = (0..cells.len()).filter(|&n| cells[n].is_none()).collect();
    let others = (0..cells.len()).any(|n| cells[n].is_some() && !found.contains(&n));
    // A column in which nothing but the test set is marked says of everybody else that they are not in it.
    if !without.is_empty() && others && !options.keep_going {
        return Err(Error::request(
            format!(
                "{} of {} {} no {}, so that it is not known whether they are in the test set ({set}): {}",
                without.len(),
                counted(cells.len(), cohort.noun()),
                have(without.len()),
                set.column,
                without_value(cohort, &written, &without)
            ),
            remedy!["fill it in, or leave them out of folds and test set with ", KEEP_GOING],
        ));
    }
    let unknown = if others { without.into_iter().collect() } else { BTreeSet::new() };
    Ok(TestPeople { test: found, unknown })
}

/// Refuses a test set whose people, or whose very images, are trained on.
fn refuse_known(cohort: &Cohort, subjects: &[usize], test: &[usize], options: &TrainOptions) -> Result<()> {
    let Some(set) = options.test.as_ref() else { return Ok(()) };
    let id = |n: usize| cohort.subjects[n].id.as_str();
    let all: Vec<usize> = subjects.iter().chain(test).copied().collect();
    let person = cohort.persons_but(&all, &options.missing)?;
    let mut known = BTreeMap::<usize, usize>::new();
    let mut images = BTreeMap::<&str, usize>::new();
    let mut both = Vec::new();
    for (at, &n) in all.iter().enumerate() {
        let is_test = at >= subjects.len();
        let of_person = person.as_ref().map(|persons| persons.of[at]);
        let seen =
            of_person.and_then(|p| known.get(&p)).or_else(|| cohort.subjects[n].images().find_map(|h| images.get(h)));
        match seen {
            Some(other) if is_test => both.push(format!("{} and {}", id(*other), id(n))),
            _ if !is_test => {
                known.extend(of_person.map(|p| (p, n)));
                images.extend(cohort.subjects[n].images().map(|hash| (hash, n)));
            }
            _ => {}
        }
    }
    if let Some(column) = &options.group {
        let cells = cohort.column(column)?;
        let of = |n: &usize| cells[*n].map(str::trim).filter(|cell| !is_missing(cell, &options.missing));
        let trained: BTreeSet<&str> = subjects.iter().filter_map(of).collect();
        let shared: BTreeSet<String> =
            test.iter().filter_map(of).filter(|group| trained.contains(group)).map(str::to_owned).collect();
        if !shared.is_empty() {
            let shared: Vec<String> = shared.into_iter().collect();
            return Err(Error::request(
                format!("groups of {column} would be in the test set ({set}) and in training: {}", list(&shared)),
                remedy!["put whole groups on one side: name another test set with ", TEST, ", or leave out ", GROUP],
            ));
        }
    }
    if both.is_empty() {
        return Ok(());
    }
    Err(Error::request(
        format!(
            "of one person, or with one and the same image, would be in the test set ({set}) and in training: {}",
            list(&both)
        ),
        remedy!["put all images of a person on one side: name another test set with ", TEST],
    ))
}

/// The subjects with a label, by their position in it: `0..len()`.
#[derive(Clone, Debug)]
pub(super) struct Dataset<'a> {
    pub(super) cohort: &'a Cohort,
    /// Position of each subject in the cohort.
    pub(super) subjects: Vec<usize>,
    /// The class of each subject; for values the bin of its value, by which folds are balanced.
    pub(super) labels: Vec<usize>,
    /// Names of the classes, sorted (as numbers where they all are), or what the bins hold.
    pub(super) classes: Vec<String>,
    /// The values that are predicted, where they are no classes.
    pub(super) values: Option<Values>,
    /// Who stays on one side of every split, where there are groups.
    pub(super) grouping: Option<Grouping>,
    /// Whose images the subjects are, where people have several.
    pub(super) persons: Option<Persons>,
    /// Ids of the subjects without a label.
    pub(super) left_out: Vec<String>,
    /// Ids of the subjects with a label and without a group, where there are groups.
    pub(super) without_group: Vec<String>,
    /// Ids of those of whom the column of the test set does not say whether they are in it.
    pub(super) without_test: Vec<String>,
    /// Positions in the cohort of the test set.
    pub(super) test: Vec<usize>,
    /// Volumes that were read, shared by datasets of other labels.
    cache: Arc<[OnceLock<Vec<f32>>]>,
    /// The masks, where they are asked for.
    masks: Arc<[OnceLock<Vec<bool>>]>,
}

impl<'a> Dataset<'a> {
    /// The subjects of a cohort that have a value in the label column.
    pub(super) fn new(cohort: &'a Cohort, options: &TrainOptions) -> Result<Self> {
        let written = cohort.column(&options.label)?;
        let cells: Vec<Option<&str>> =
            written.iter().map(|cell| cell.filter(|c| !is_missing(c, &options.missing))).collect();
        let TestPeople { test, unknown } =
            options.test.as_ref().map(|set| in_test_set(cohort, set, options)).transpose()?.unwrap_or_default();
        let without_test = unknown.iter().map(|&n| cohort.subjects[n].id.clone()).collect();
        let mine = (0..cells.len()).filter(|n| !test.contains(n) && !unknown.contains(n));
        let (mut subjects, without): (Vec<usize>, Vec<usize>) = mine.partition(|&n| cells[n].is_some());
        let left_out: Vec<String> = without.iter().map(|&n| cohort.subjects[n].id.clone()).collect();
        // Nobody is left, or all are of one class: the words that were taken for no value say why, perhaps.
        let values: BTreeSet<&str> = subjects.iter().filter_map(|&n| cells[n]).collect();
        let because = words_for_nothing(&written, &cells);
        if values.len() < 2 && (values.is_empty() || !because.is_empty()) {
            return Err(too_few_values(cohort, options, &cells, because));
        }
        if !left_out.is_empty() && !options.keep_going {
            return Err(Error::request(
                format!(
                    "{} of {} {} no {}: {}",
                    left_out.len(),
                    counted(cells.len(), cohort.noun()),
                    have(left_out.len()),
                    options.label,
                    without_value(cohort, &written, &without)
                ),
                remedy!["fill it in, or leave them out with ", KEEP_GOING],
            ));
        }
        if options.group.as_ref() == Some(&options.label) {
            return Err(Error::request(
                format!("column {} is to be both the label and the groups", options.label),
                remedy![
                    "a group stays on one side of every fold, so that a whole class would: name the column of those who belong \
                     together (a family, a site) with ",
                    GROUP,
                    ", or leave it out"
                ],
            ));
        }
        let group = options.group.as_deref().map(|column| groups(cohort, column, &subjects, options)).transpose()?;
        let (asked, without_group) = match group.zip(options.group.clone()) {
            None => (None, Vec::new()),
            Some((Groups { of, names, without }, column)) => {
                let ids = without.iter().map(|&n| cohort.subjects[n].id.clone()).collect();
                subjects.retain(|n| !without.contains(n));
                (Some(Grouping { column, of, names }), ids)
            }
        };
        let persons = cohort.persons_but(&subjects, &options.missing)?;
        let grouping = Grouping::of(cohort, &subjects, asked, persons.as_ref())?;
        let labelled: Vec<&str> = subjects.iter().filter_map(|&n| cells[n]).collect();
        let kind = options.task.unwrap_or_else(|| value::kind(&labelled));
        refuse_options_of_others(options, kind)?;
        let (values, classes, labels) = match kind {
            TaskKind::Class => {
                let asked = options.task.is_some();
                let classes = classes::of(&labelled, &options.label, &label_columns(cohort, options), asked)?;
                let labels: Vec<usize> = subjects
                    .iter()
                    .filter_map(|&n| classes.iter().position(|c| Some(c.as_str()) == cells[n]))
                    .collect();
                (None, classes, labels)
            }
            TaskKind::Value => {
                let ids: Vec<&str> = subjects.iter().map(|&n| cohort.subjects[n].id.as_str()).collect();
                let of = value::of(&labelled, &ids, &options.label)?;
                let (labels, bins) = value::bins(&of, bins_of(of.len(), options.split));
                let quantity = Quantity { name: options.label.clone(), unit: options.unit.clone() };
                (Some(Values { quantity, of }), bins, labels)
            }
        };
        if values.is_none()
            && let Some(asked) = grouping.as_ref().filter(|grouping| options.group.as_ref() == Some(&grouping.column))
        {
            refuse_recode(asked, &labels, &classes, &options.label)?;
        }
        let bytes = subjects.len() * cohort.preparation.input_shape().iter().product::<usize>() * 4;
        let kept = if bytes <= CACHE { subjects.len() } else { 0 };
        let cache = (0..kept).map(|_| OnceLock::new()).collect();
        let masks = (0..kept).map(|_| OnceLock::new()).collect();
        let test: Vec<usize> = test.into_iter().collect();
        refuse_known(cohort, &subjects, &test, options)?;
        Ok(Self {
            cohort,
            subjects,
            labels,
            classes,
            values,
            grouping,
            persons,
            left_out,
            without_group,
            without_test,
            test,
            cache,
            masks,
        })
    }

    /// The same subjects with other labels and, where values are predicted, other values.
    pub(super) fn relabelled(&self, labels: Vec<usize>, values: Option<Vec<f64>>) -> Self {
        let mut other = Self { labels, ..self.clone() };
        if let Some((of, values)) = other.values.as_mut().zip(values) {
            of.of = values;
        }
        other
    }

    /// What the network predicts.
    pub(super) fn task(&self) -> Task {
        match &self.values {
            Some(values) => Task::Value { value: values.quantity.clone() },
            None => Task::classes_named(self.classes.clone()),
        }
    }

    /// What is learnt.
    pub(super) fn learnt(&self) -> Learnt<'_> {
        match &self.values {
            Some(values) => Learnt::Values(&values.of),
            None => Learnt::Classes(&self.labels, &self.classes),
        }
    }

    /// Refuses a column, named by the setting `by`, that is the label by another name; `cells` are those of the subjects.
    pub(super) fn refuse_recode(
        &self,
        (column, cells): (&str, &[Option<&str>]),
        options: &TrainOptions,
        by: Setting,
    ) -> Result<()> {
        let cells = filled(cells, options);
        let remedy = remedy![
            "leave it out of ",
            by,
            ": who knows it knows the label (where it is another thing, such as a site, this cohort cannot tell the two apart)"
        ];
        crate::recode::refuse_recode((column, &cells), (&options.label, self.learnt()), remedy)
    }

    /// What of a column is to be doubted, in sentences; `cells` are those of the subjects.
    pub(super) fn doubts_of(&self, (column, cells): (&str, &[Option<&str>]), options: &TrainOptions) -> Vec<String> {
        doubts((column, &filled(cells, options)), (&options.label, self.learnt()), options.seed)
    }

    /// The values of these subjects, where values are predicted.
    pub(super) fn values_of(&self, subjects: &[usize]) -> Option<Vec<f64>> {
        self.values.as_ref().map(|values| subjects.iter().map(|&n| values.of[n]).collect())
    }

    /// What folds are balanced by, in a word.
    pub(super) fn stratum(&self) -> &'static str {
        if self.values.is_some() { "value" } else { "class" }
    }

    /// Refuses splits that cannot be trained on or evaluated.
    ///
    /// # Errors
    /// See [`Sample::check`]; of values, fewer subjects or groups than folds, and a training part of one value.
    pub(super) fn check_splits(&self, splits: &[Split], options: &TrainOptions) -> Result<()> {
        let (sample, scheme) = (self.sample(options), options.split);
        let Some(values) = &self.values else {
            return sample.check(splits, scheme);
        };
        let needed = match scheme {
            SplitScheme::Folds(k) => k,
            SplitScheme::Holdout(_) => 2,
        };
        let (units, noun) = match sample.units {
            Some(units) => (units.of.iter().collect::<BTreeSet<_>>().len(), units.noun),
            None => (self.len(), "subjects"),
        };
        if units < needed {
            return Err(Error::request(
                format!(
                    "{} with a value of {}: {units}, fewer than the {needed} that are needed",
                    noun, values.quantity.name
                ),
                if units >= 2 {
                    remedy!["use ", FOLDS.to(units), " or fewer"]
                } else {
                    "use a cohort of more people".into()
                },
            ));
        }
        sample.check(splits, scheme)?;
        for (fold, split) in splits.iter().enumerate() {
            let of = self.values_of(&split.train).unwrap_or_default();
            if value::Standard::of(&of).is_none() {
                return Err(Error::request(
                    format!(
                        "fold {fold} trains on {} of one value of {}",
                        counted(of.len(), "image"),
                        values.quantity.name
                    ),
                    remedy!["use more subjects, or another number of ", FOLDS],
                ));
            }
        }
        Ok(())
    }

    /// Refuses subjects with one and the same image or prepared volume, of any channel, on both sides of a split: all of them are named.
    pub(super) fn refuse_divided_duplicates(&self, splits: &[Split]) -> Result<()> {
        let mut divided = BTreeSet::<(usize, usize)>::new();
        for split in splits {
            let mut trained = BTreeMap::<&str, Vec<usize>>::new();
            for &n in &split.train {
                self.images(n).for_each(|hash| trained.entry(hash).or_default().push(n));
            }
            for &held in &split.test {
                let same = self.images(held).filter_map(|hash| trained.get(hash)).flatten();
                divided.extend(same.map(|&n| (n.min(held), n.max(held))));
            }
        }
        if divided.is_empty() {
            return Ok(());
        }
        let pairs = divided.iter().map(|&(one, other)| format!("{} and {}", self.id(one), self.id(other)));
        let what = format!(
            "{} with one and the same image or prepared volume would be on both sides of a split: {}",
            counted(divided.len(), "pair"),
            listed(pairs, 12)
        );
        let remedy = remedy![
            "remove the duplicates from the cohort, or, where they are images of one person, put them in one group (",
            GROUP,
            ")"
        ];
        Err(Error::request(what, remedy))
    }

    /// Number of subjects.
    pub(super) fn len(&self) -> usize {
        self.subjects.len()
    }

    /// The group of each subject, where there are groups.
    pub(super) fn groups(&self) -> Option<&[usize]> {
        self.grouping.as_ref().map(|grouping| grouping.of.as_slice())
    }

    /// The class of a subject, or its group.
    pub(super) fn value(&self, position: usize, of_group: bool) -> &str {
        match &self.grouping {
            Some(grouping) if of_group => &grouping.names[grouping.of[position]],
            _ => &self.classes[self.labels[position]],
        }
    }

    /// Who is to be divided, by what seed.
    pub(super) fn sample<'b>(&'b self, options: &'b TrainOptions) -> Sample<'b> {
        let units = self.grouping.as_ref().map(|grouping| Units {
            of: &grouping.of,
            names: &grouping.names,
            noun: grouping.noun(),
        });
        let (seed, missing) = (Seed::new(options.seed), options.missing.as_slice());
        // Of values every number may be missing from a part.
        let classes: &[String] = if self.values.is_some() { &[] } else { &self.classes };
        Sample { labels: &self.labels, classes, units, seed, missing }
    }

    /// Shape of the volumes of a subject, `[channels, i, j, k]`.
    pub(super) fn input_shape(&self) -> [usize; 4] {
        self.cohort.preparation.input_shape()
    }

    /// Id of a subject.
    pub(super) fn id(&self, position: usize) -> &str {
        &self.cohort.subjects[self.subjects[position]].id
    }

    /// Volume of a subject's mask in mm³.
    pub(super) fn mask_volume(&self, position: usize) -> f64 {
        self.cohort.subjects[self.subjects[position]].mask_volume
    }

    /// Hash of the volume of a subject.
    pub(super) fn hash(&self, position: usize) -> &str {
        &self.cohort.subjects[self.subjects[position]].hash
    }

    /// BLAKE3 of the bytes of the files that a subject was prepared from.
    pub(super) fn files(&self, position: usize) -> impl Iterator<Item = &str> {
        self.cohort.subjects[self.subjects[position]].each_image().filter_map(|(.., file)| file)
    }

    /// What a model that was trained on a subject knows it by.
    pub(super) fn marks(&self, position: usize) -> impl Iterator<Item = &str> {
        self.cohort.subjects[self.subjects[position]].marks()
    }

    /// The hash of each image of a subject: of every channel.
    fn images(&self, position: usize) -> impl Iterator<Item = &str> {
        self.cohort.subjects[self.subjects[position]].images()
    }

    /// Who is left out, by the column that has no value for them.
    pub(super) fn left_out_by_column(&self, options: &TrainOptions) -> BTreeMap<String, Vec<String>> {
        let group = options.group.as_ref().map(|group| (group, &self.without_group));
        let test = options.test.as_ref().map(|set| (&set.column, &self.without_test));
        let mut all = BTreeMap::<String, Vec<String>>::new();
        for (column, ids) in std::iter::once((&options.label, &self.left_out)).chain(group).chain(test) {
            if !ids.is_empty() {
                all.entry(column.clone()).or_default().extend(ids.iter().cloned());
            }
        }
        all
    }

    /// The positive class: the one to detect.
    pub(super) fn positive(&self, options: &TrainOptions) -> Result<usize> {
        match &options.positive {
            None => Ok(self.classes.len() - 1),
            Some(name) => self.classes.iter().position(|c| c == name).ok_or_else(|| {
                Error::request(
                    format!("there is no class {name} in {}", options.label),
                    format!("the classes are: {}", self.classes.join(", ")),
                )
            }),
        }
    }

    /// That a test set can show nothing, or little, before it is spent: it has few people, or lacks a class.
    pub(super) fn about_test(&self, options: &TrainOptions) -> Result<Option<String>> {
        /// Intervals of fewer are wider than any claim.
        const FEW: usize = 10;
        let cells = self.cohort.column(&options.label)?;
        let own: Vec<&str> =
            self.test.iter().filter_map(|&n| cells[n]).filter(|c| !is_missing(c, &options.missing)).collect();
        let what = match (own.len(), &self.values) {
            (0, _) => format!("nobody of the test set has a value of {}", options.label),
            (_, None) if own.iter().all(|cell| *cell == own[0]) => {
                format!("everybody of the test set ({}) is of one class of {}: {}", own.len(), options.label, own[0])
            }
            (few, _) if few < FEW => format!("the test set has {} alone", counted(few, "subject")),
            _ => return Ok(None),
        };
        Ok(Some(format!("{what}. It can show little, and it is looked at once")))
    }

    /// How many subjects' masks [`Dataset::unseen`] looks at.
    pub(super) fn brains_looked_at(&self) -> usize {
        self.len().min(MAX_BRAINS)
    }

    /// What a network cannot see of the field of view, and of the brains of up to [`MAX_BRAINS`] subjects together.
    pub(super) fn unseen(&self, network: &Network) -> Result<Option<Unseen>> {
        let taken = self.brains_looked_at();
        let subjects: Vec<usize> = (0..taken).map(|n| self.subjects[n * self.len() / taken]).collect();
        self.cohort.unseen(network, &subjects)
    }

    /// What every classifier is trained and evaluated on.
    pub(super) fn classification<'b>(&'b self, splits: &'b [Split], options: &TrainOptions) -> ClassificationTask<'b> {
        ClassificationTask {
            labels: &self.labels,
            groups: self.groups(),
            classes: self.classes.len(),
            splits,
            balanced: options.balanced,
        }
    }

    /// The values of one subject, of all channels one after another, in C order.
    pub(super) fn volume(&self, position: usize) -> Result<Vec<f32>> {
        self.with(position, <[f32]>::to_vec)
    }

    /// Calls `work` with the values of one subject, as [`Dataset::volume`] gives them.
    pub(super) fn with<R>(&self, position: usize, work: impl FnOnce(&[f32]) -> R) -> Result<R> {
        let Some(slot) = self.cache.get(position) else { return Ok(work(&self.read(position)?)) };
        if let Some(values) = slot.get() {
            return Ok(work(values));
        }
        let values = self.read(position)?;
        Ok(work(slot.get_or_init(|| values)))
    }

    /// The same with the mask of the volume.
    pub(super) fn with_mask<R>(&self, position: usize, work: impl FnOnce(&[f32], &[bool]) -> R) -> Result<R> {
        let read = || Ok::<_, Error>(self.cohort.mask(self.subjects[position])?.into_data());
        let Some(slot) = self.masks.get(position) else {
            let mask = read()?;
            return self.with(position, |values| work(values, &mask));
        };
        if slot.get().is_none() {
            let mask = read()?;
            slot.get_or_init(|| mask);
        }
        self.with(position, |values| work(values, slot.get().map_or(&[], Vec::as_slice)))
    }

    fn read(&self, position: usize) -> Result<Vec<f32>> {
        let values = self.cohort.values(self.subjects[position])?;
        if let Some(bad) = values.iter().find(|v| v.is_nan() || v.abs() > MAX_VALUE) {
            let least = values.iter().filter(|v| v.abs() <= MAX_VALUE).fold(0.0f32, |m, v| m.max(v.abs()));
            return Err(Error::subject(
                self.id(position),
                format!(
                    "its prepared volume holds {bad}, where its other values end at {least}: nothing can be learnt from it"
                ),
                remedy!["look at the source with `", Action::new("inspect"), "`, then prepare it again"],
            ));
        }
        Ok(values)
    }
}

/// Into how many bins so many values are put: each is to have somebody in every fold, and ten are fine enough.
fn bins_of(subjects: usize, scheme: SplitScheme) -> usize {
    let folds = match scheme {
        SplitScheme::Folds(k) => k,
        SplitScheme::Holdout(_) => 5,
    };
    (subjects / folds.max(1)).clamp(1, 10)
}

/// Refuses options that mean something for the other kind of label alone.
fn refuse_options_of_others(options: &TrainOptions, kind: TaskKind) -> Result<()> {
    let given = match kind {
        TaskKind::Value => vec![
            (options.label_smoothing.is_some(), LABEL_SMOOTHING, "there are no classes to give a share to"),
            (options.positive.is_some(), POSITIVE, "there is no positive class"),
            (options.balanced, CLASS_WEIGHTS, "there are no classes to weigh"),
        ],
        TaskKind::Class => vec![
            (options.loss.is_some(), LOSS, "classes are learnt by cross-entropy"),
            (options.unit.is_some(), UNIT, "classes have no unit"),
        ],
    };
    let Some((_, setting, why)) = given.into_iter().find(|(given, ..)| *given) else { return Ok(()) };
    let other = match kind {
        TaskKind::Value => TaskKind::Class,
        TaskKind::Class => TaskKind::Value,
    };
    Err(Error::request(
        format!("column {} is learnt as a {kind}, and {why}", options.label),
        remedy!["leave out ", setting, ", or say ", TASK.to(other)],
    ))
}

/// Who belongs together.
struct Groups {
    /// The group of each subject that has one, numbered in the order of the groups' names.
    of: Vec<usize>,
    names: Vec<String>,
    /// Subjects without a group, by their position in the cohort.
    without: Vec<usize>,
}

/// The groups of these subjects of a cohort.
///
/// # Errors
/// Subjects without a group, unless one goes on without them; one group in several spellings.
fn groups(cohort: &Cohort, column: &str, subjects: &[usize], options: &TrainOptions) -> Result<Groups> {
    let written = cohort.column(column)?;
    let group = |n: usize| written[n].filter(|c| !is_missing(c, &options.missing));
    let without: Vec<usize> = subjects.iter().copied().filter(|&n| group(n).is_none()).collect();
    if !without.is_empty() && !options.keep_going {
        return Err(Error::request(
            format!(
                "{} of {} {} no {column}: {}",
                without.len(),
                counted(subjects.len(), cohort.noun()),
                have(without.len()),
                without_value(cohort, &written, &without)
            ),
            remedy![
                "fill it in (who belongs together must be known to keep them in one fold), or leave them out with ",
                KEEP_GOING
            ],
        ));
    }
    let mut counts = BTreeMap::<&str, usize>::new();
    subjects.iter().filter_map(|&n| group(n)).for_each(|name| *counts.entry(name).or_default() += 1);
    if counts.is_empty() {
        let what = format!("column {column} has no value for any of {} subjects", subjects.len());
        return Err(Error::request(
            what,
            remedy!["name a column of groups; words for no value are given with ", MISSING],
        ));
    }
    classes::one_spelling_each(&counts, column, "group")?;
    if let (1, Some(only)) = (counts.len(), counts.keys().next()) {
        return Err(Error::request(
            format!(
                "column {column} holds one group: `{only}` for all {}, and a group stays on one side of every fold",
                counted(subjects.len() - without.len(), cohort.noun())
            ),
            remedy!["name a column of several groups with ", GROUP, ", or leave it out"],
        ));
    }
    let numbers: BTreeMap<&str, usize> = counts.keys().enumerate().map(|(n, name)| (*name, n)).collect();
    Ok(Groups {
        of: subjects.iter().filter_map(|&n| group(n)).map(|name| numbers[name]).collect(),
        names: counts.keys().map(|name| (*name).to_owned()).collect(),
        without,
    })
}

/// Cells less the words that stand for no value.
fn filled<'a>(cells: &[Option<&'a str>], options: &TrainOptions) -> Vec<Option<&'a str>> {
    cells.iter().map(|cell| cell.filter(|c| !is_missing(c, &options.missing))).collect()
}

/// Refuses groups that are the classes by other names: each has one class, and each class one group.
fn refuse_recode(grouping: &Grouping, labels: &[usize], classes: &[String], label: &str) -> Result<()> {
    let pairs: BTreeSet<(usize, usize)> = grouping.of.iter().copied().zip(labels.iter().copied()).collect();
    if pairs.len() != classes.len() || pairs.len() != grouping.names.len() {
        return Ok(());
    }
    let words = pairs.iter().map(|&(group, class)| format!("`{}` is {}", grouping.names[group], classes[class]));
    let column = &grouping.column;
    let what = format!(
        "column {column} is the label {label} by other names: each group has one class and each class one group ({})",
        listed(words, 12)
    );
    Err(Error::request(
        what,
        remedy![
            "a group stays on one side of every fold, so that a whole class would: name other groups with ",
            GROUP,
            ", or leave it out"
        ],
    ))
}

/// What stands in a column and was taken for no value, with how often: `` `-9` (3), `n.a.` (1) ``.
fn words_for_nothing(written: &[Option<&str>], cells: &[Option<&str>]) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    let words = written.iter().zip(cells).filter(|(_, cell)| cell.is_none()).filter_map(|(word, _)| *word);
    words.filter(|word| !word.is_empty()).for_each(|word| *counts.entry(word).or_default() += 1);
    let words: Vec<&str> = counts.keys().copied().collect();
    listed(words.iter().map(|word| format!("{} ({})", spelled_as(word), counts[word])), 12)
}

/// A word with the characters in it that a reader may take for others.
fn spelled_as(word: &str) -> String {
    // Beside the plain letters that it looks like, where it looks like those.
    let plain = look(word);
    if plain.is_ascii() { spelled(&[word, &plain]).swap_remove(0) } else { format!("`{word}`") }
}

/// A column of labels in which nobody has a value, or all the same.
fn too_few_values(cohort: &Cohort, options: &TrainOptions, cells: &[Option<&str>], because: String) -> Error {
    let (column, subjects) = (&options.label, counted(cells.len(), cohort.noun()));
    let of = cells.iter().flatten().count();
    let what = match cells.iter().flatten().next() {
        None => format!("column {column} has no value for any of {subjects}"),
        Some(only) => format!("column {column} has one value, {} ({of} of {subjects})", spelled_as(only)),
    };
    let taken = if because.is_empty() { because } else { format!("; taken for no value: {because}") };
    let others = match label_columns(cohort, options).as_slice() {
        [] => String::new(),
        others => format!(", such as {}", list(others)),
    };
    let name = format!("name a column of 2 to {MAX_CLASSES} classes with ");
    let remedy = if options.missing.is_empty() || taken.is_empty() {
        remedy!["fill it in, or ", name, LABEL, others]
    } else {
        let given = options.missing.iter().map(|word| spelled_as(word)).collect::<Vec<_>>().join(", ");
        remedy![format!("check what is given with "), MISSING, format!(" ({given}), or {name}"), LABEL, others]
    };
    Error::request(format!("{what}{taken}"), remedy)
}

/// Columns of the table that could be a label: of 2 to [`MAX_CLASSES`] values, each of several subjects on average.
fn label_columns(cohort: &Cohort, options: &TrainOptions) -> Vec<String> {
    let could = |at: usize| {
        let cells = cohort.participants.cells(at).flatten().filter(|c| !is_missing(c, &options.missing));
        let cells: Vec<&str> = cells.collect();
        let values = cells.iter().collect::<BTreeSet<_>>().len();
        (2..=MAX_CLASSES).contains(&values) && 2 * values <= cells.len()
    };
    let columns = cohort.participants.columns.iter().enumerate();
    columns.filter(|(at, name)| **name != options.label && could(*at)).map(|(_, name)| name.clone()).collect()
}

/// Subjects without a value in a column, each with the word that stands there in place of one.
fn without_value(cohort: &Cohort, written: &[Option<&str>], subjects: &[usize]) -> String {
    let name = |&n: &usize| match written[n] {
        Some(word) => format!("{} ({word})", cohort.written_id(n)),
        None => cohort.written_id(n).to_owned(),
    };
    list(&subjects.iter().map(name).collect::<Vec<_>>())
}

/// At most 12 names.
pub(super) fn list(names: &[String]) -> String {
    listed(names, 12)
}
