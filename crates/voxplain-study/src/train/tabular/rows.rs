//! [`Rows`]: the rows of a table that are learnt from, and what is said of them before.

use super::{ClassTruth, Truth, giveaway};
use crate::{
    cohort::{PERSON, SESSION_ID, bare, is_missing},
    comparators::{Features, named},
    covariate::doubts,
    folds::SplitScheme,
    imbalance::{self, Imbalance},
    listed::{and, counted, does, have, listed},
    model::Quantity,
    morphometry::{Measurements, Morphometry, is_no_measurement},
    recode::refuse_recode,
    setting::{COVARIATES, GROUP, KEEP_GOING, LABEL},
    train::{
        classes,
        options::TrainOptions,
        persons::Grouping,
        value::{self, TaskKind},
    },
};
use std::collections::{BTreeMap, BTreeSet};
use voxplain_core::{Error, Progress, Result, remedy};
use voxplain_stats::significant;

/// The rows of a table that are learnt from.
pub(super) struct Rows {
    pub(super) ids: Vec<String>,
    /// The class of each row; of values the bin, by which folds are balanced.
    pub(super) labels: Vec<usize>,
    /// Names of the classes, or what the bins hold.
    pub(super) classes: Vec<String>,
    pub(super) values: Option<Vec<f64>>,
    /// Who stays on one side of every split.
    pub(super) groups: Option<Grouping>,
    pub(super) measured: Measurements,
    pub(super) features: Features,
    pub(super) covariates: Option<Features>,
    pub(super) left_out: Vec<String>,
    /// What goes with the label among the columns that are not learnt from; `None` where there is none but the label and the ids.
    pub(super) imbalance: Option<Imbalance>,
    /// Which column ids are of, in a sentence.
    whose: String,
}

impl Rows {
    /// Reads the rows; says what is taken, and refuses what gives the label away.
    pub(super) fn of(table: &Morphometry, options: &TrainOptions, progress: &dyn Progress) -> Result<Self> {
        let read = &table.table;
        let cell =
            |row: usize, column: usize| read.rows[row][column].as_deref().filter(|c| !is_missing(c, &options.missing));
        let label = read.column(&options.label)?;
        let whose = table.whose()?;
        refuse_ids(table, options)?;
        let id = |row: usize| bare(read.rows[row][table.id_column].as_deref().unwrap_or_default()).to_owned();
        if let Some(row) = (0..read.rows.len()).find(|&row| id(row).is_empty()) {
            return Err(Error::file(
                &table.path,
                format!("row {} has no value in the column of ids, {}", row + 1, table.id_column()),
                "give every row the id of its person",
            ));
        }
        let group = options.group.as_deref().map(|name| read.column(name)).transpose()?;
        let lacks = |row: &usize| cell(*row, label).is_none() || group.is_some_and(|g| cell(*row, g).is_none());
        let (without, rows): (Vec<usize>, Vec<usize>) = (0..read.rows.len()).partition(lacks);
        let left_out: Vec<String> = without.iter().map(|&row| id(row)).collect();
        if !left_out.is_empty() {
            let of = options.group.as_ref().map_or_else(String::new, |group| format!(" or {group}"));
            let what = format!(
                "{} of {} {} no {}{of}: {}",
                left_out.len(),
                counted(read.rows.len(), "row"),
                have(left_out.len()),
                options.label,
                listed(&left_out, 8)
            );
            if !options.keep_going {
                return Err(Error::file(&table.path, what, remedy!["fill it in, or leave them out with ", KEEP_GOING]));
            }
            progress.warn(&format!("left out: {what}"));
        }
        let ids: Vec<String> = rows.iter().map(|&row| id(row)).collect();
        let labelled: Vec<&str> = rows.iter().filter_map(|&row| cell(row, label)).collect();
        let learnt = Learnt::of(&labelled, &ids, options)?;
        let groups = match group {
            Some(column) => {
                let cells: Vec<&str> = rows.iter().filter_map(|&row| cell(row, column)).collect();
                let groups = numbered(options.group.as_deref().unwrap_or_default(), &cells);
                refuse_divided(&ids, &groups)?;
                Some(groups)
            }
            None => {
                let names: Vec<&str> = ids.iter().map(String::as_str).collect();
                let repeated = repeated(&names);
                if learnt.values.is_none() {
                    let of_both = of_several_classes(&ids, &learnt.labels);
                    if !of_both.is_empty() {
                        progress.warn(&format!(
                            "{} {} rows of more than one class of {}: {}. Where that is no change over time, the table is wrong",
                            counted(of_both.len(), "id"),
                            have(of_both.len()),
                            options.label,
                            listed(&of_both, 8)
                        ));
                    }
                }
                (repeated > 0).then(|| {
                    progress.note(&format!(
                        "{} of the column {} {} in several rows: they are taken for rows of one person, who stays on one side of every split",
                        counted(repeated, "id"),
                        table.id_column(),
                        does(repeated, "stands", "stand")
                    ));
                    numbered(PERSON, &names)
                })
            }
        };
        let covariates = covariates(table, &rows, &learnt, options, progress)?;
        let Learnt { classes, labels, values } = learnt;
        let own = |name: &&String| {
            **name == options.label
                || options.group.as_ref() == Some(*name)
                || options.covariates.iter().any(|term| named(term).0 == name.as_str())
        };
        let by_name: Vec<&str> = read
            .columns
            .iter()
            .enumerate()
            .filter(|(at, name)| *at != table.id_column && !own(name) && is_no_measurement(name))
            .map(|(_, name)| name.as_str())
            .collect();
        let mut apart: Vec<&str> = read.columns.iter().filter(own).map(String::as_str).collect();
        apart.extend(&by_name);
        let measured = table.measured(&rows, &apart, &options.missing)?;
        measured.refuse_label(&labelled, values.as_deref(), &[])?;
        progress.note(&measured.describe());
        if !by_name.is_empty() {
            progress.note(&format!(
                "not learnt from, since by {} the brain: {}",
                does(by_name.len(), "its name it is no measurement of", "their names they are no measurements of"),
                by_name.join(", ")
            ));
        }
        if let Some(far) = far_from_all(&measured, &ids) {
            progress.warn(&far);
        }
        let features = measured.features();
        let imbalance = {
            let beside = |(at, name): &(usize, &String)| {
                let is_measured = measured.columns.iter().any(|(measured, _)| measured == *name);
                let is_known = [options.label.as_str(), PERSON, SESSION_ID].contains(&name.as_str());
                *at != table.id_column && !is_known && !is_measured
            };
            let columns: Vec<(&str, Vec<Option<&str>>)> = (read.columns.iter().enumerate())
                .filter(beside)
                .map(|(at, name)| (name.as_str(), rows.iter().map(|&row| cell(row, at)).collect()))
                .collect();
            let learnt = match &values {
                Some(values) => imbalance::Learnt::Values(values),
                None => imbalance::Learnt::Classes(&labels, &classes),
            };
            (!columns.is_empty())
                .then(|| Imbalance::of_table(&columns, &first_of_each(&ids), (&options.label, learnt), options.seed))
        };
        let rows =
            Self { ids, labels, classes, values, groups, measured, features, covariates, left_out, imbalance, whose };
        giveaway::look(&rows, options, progress)?;
        Ok(rows)
    }

    /// What is learnt.
    pub(super) fn truth(&self) -> Truth<'_> {
        match &self.values {
            Some(values) => Truth::Values(values),
            None => Truth::Classes(ClassTruth { labels: &self.labels, names: &self.classes }),
        }
    }

    pub(super) fn group_of(&self) -> Option<&[usize]> {
        self.groups.as_ref().map(|groups| groups.of.as_slice())
    }

    /// Number of people, where rows are of people with several.
    pub(super) fn people(&self) -> Option<usize> {
        self.groups.as_ref().filter(|groups| groups.column == PERSON).map(|groups| groups.names.len())
    }

    pub(super) fn grouped_by(&self) -> Option<String> {
        self.groups.as_ref().map(|groups| groups.column.clone())
    }

    /// The first row of each person.
    pub(super) fn first(&self) -> Vec<usize> {
        first_of_each(&self.ids)
    }

    /// What is going to be done, in a sentence. `models` is what is fitted.
    pub(super) fn plan(&self, options: &TrainOptions, models: &[&str]) -> String {
        let people = match self.people() {
            Some(people) => format!(" of {people} people"),
            None => String::new(),
        };
        let what = match &self.values {
            Some(values) => {
                let (low, high) =
                    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
                let value = Quantity { name: options.label.clone(), unit: options.unit.clone() };
                format!("{} from {} to {}{}", value.name, significant(low, 6), significant(high, 6), value.suffix())
            }
            None => {
                let size = |class: usize| self.labels.iter().filter(|label| **label == class).count();
                let sizes = self.classes.iter().enumerate().map(|(class, name)| format!("{name} ({})", size(class)));
                format!("{}: {}", options.label, sizes.collect::<Vec<_>>().join(", "))
            }
        };
        let gaps = if self.features.has_gaps() { ", empty cells filled with the mean," } else { "" };
        format!(
            "before training: {}{people} are learnt from; {}; {what}. {}. {} {} to be fitted to {}: columns are standardised{gaps} and penalties and \
             numbers of trees chosen inside the training part of each fold",
            counted(self.ids.len(), "row"),
            self.whose,
            self.scheme(options),
            crate::listed::capital(&and(models)),
            does(models.len(), "is", "are"),
            counted(self.measured.columns.len(), "column"),
        )
    }

    /// How people are divided, in words.
    fn scheme(&self, options: &TrainOptions) -> String {
        let scheme = match options.split {
            SplitScheme::Folds(k) => format!("{k}-fold cross-validation"),
            SplitScheme::Holdout(share) => format!("{} % held out once", (share * 1000.0).round() / 10.0),
        };
        let by = if self.values.is_some() { "balanced over bins of the value" } else { "stratified by class" };
        let groups = match &self.groups {
            None => String::new(),
            Some(groups) if groups.column == PERSON => "; no person on both sides of a split".to_owned(),
            Some(groups) => format!("; no group ({}) on both sides of a split", groups.column),
        };
        format!("{scheme}, {by}{groups}")
    }

    /// What the numbers are, in sentences.
    pub(super) fn method(&self, options: &TrainOptions) -> String {
        format!(
            "{}. {} of the table; columns are standardised and penalties and numbers of trees chosen inside the training part. Numbers pool what \
             each row was said by a model that never saw it. Differences are paired by row.",
            self.scheme(options),
            counted(self.measured.columns.len(), "column")
        )
    }
}

/// Refuses a column of ids that is the label, or a covariate.
fn refuse_ids(table: &Morphometry, options: &TrainOptions) -> Result<()> {
    let column = table.id_column();
    let also = if column == options.label {
        "the label"
    } else if options.covariates.iter().any(|term| named(term).0 == column) {
        "a covariate"
    } else {
        return Ok(());
    };
    let setting = if also == "the label" { LABEL } else { COVARIATES };
    Err(Error::file(
        &table.path,
        format!("the column {column} is {also}, and would be taken for the ids of people"),
        remedy![
            "give the table a column participant_id with the id of each person, or name another column with ",
            setting
        ],
    ))
}

/// Refuses groups that divide an id.
fn refuse_divided(ids: &[String], groups: &Grouping) -> Result<()> {
    let mut first = BTreeMap::<&str, usize>::new();
    for (row, id) in ids.iter().enumerate() {
        let before = *first.entry(id).or_insert(row);
        if groups.of[before] != groups.of[row] {
            let name = |row: usize| &groups.names[groups.of[row]];
            return Err(Error::request(
                format!(
                    "column {} divides {id}, who is in group {} and in group {}",
                    groups.column,
                    name(before),
                    name(row)
                ),
                remedy!["give all rows of a person one group, different people different ids, or leave out ", GROUP],
            ));
        }
    }
    Ok(())
}

/// What is learnt: classes with the class of each row, or values with bins in their place.
struct Learnt {
    classes: Vec<String>,
    labels: Vec<usize>,
    values: Option<Vec<f64>>,
}

impl Learnt {
    fn of(labelled: &[&str], ids: &[String], options: &TrainOptions) -> Result<Self> {
        match options.task.unwrap_or_else(|| value::kind(labelled)) {
            TaskKind::Class => {
                let classes = classes::of(labelled, &options.label, &[], options.task.is_some())?;
                let class = |cell: &&str| classes.iter().position(|c| c == cell);
                let labels = labelled.iter().filter_map(class).collect();
                Ok(Self { classes, labels, values: None })
            }
            TaskKind::Value => {
                let names: Vec<&str> = ids.iter().map(String::as_str).collect();
                let of = value::of(labelled, &names, &options.label)?;
                let folds = match options.split {
                    SplitScheme::Folds(k) => k,
                    SplitScheme::Holdout(_) => 5,
                };
                let (labels, bins) = value::bins(&of, (of.len() / folds.max(1)).clamp(1, 10));
                Ok(Self { classes: bins, labels, values: Some(of) })
            }
        }
    }
}

/// The covariates of these rows.
fn covariates(
    table: &Morphometry,
    rows: &[usize],
    learnt: &Learnt,
    options: &TrainOptions,
    progress: &dyn Progress,
) -> Result<Option<Features>> {
    if options.covariates.is_empty() {
        return Ok(None);
    }
    let mut of = Vec::new();
    for term in &options.covariates {
        let (name, _) = named(term);
        if name == options.label {
            return Err(Error::request(
                format!("the covariate {name} is the label itself"),
                remedy!["leave it out of ", COVARIATES],
            ));
        }
        let column = table.table.column(name)?;
        let cell =
            |&row: &usize| table.table.rows[row][column].as_deref().filter(|c: &&str| !is_missing(c, &options.missing));
        let cells: Vec<Option<&str>> = rows.iter().map(cell).collect();
        let of_label = match &learnt.values {
            Some(values) => imbalance::Learnt::Values(values),
            None => imbalance::Learnt::Classes(&learnt.labels, &learnt.classes),
        };
        let leave = remedy!["leave it out of ", COVARIATES, ": who knows it knows the label"];
        refuse_recode((name, &cells), (&options.label, of_label), leave)?;
        doubts((name, &cells), (&options.label, of_label), options.seed).iter().for_each(|what| progress.warn(what));
        of.push((term.clone(), cells));
    }
    let found = Features::of(&of, rows.len(), &options.missing)?;
    progress.note(&format!("covariates: {}", found.describe()));
    Ok(Some(found))
}

/// The position of the first row of each id.
fn first_of_each(ids: &[String]) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    (0..ids.len()).filter(|&row| seen.insert(ids[row].as_str())).collect()
}

/// How many ids stand in more than one row.
fn repeated(ids: &[&str]) -> usize {
    let mut of = BTreeMap::<&str, usize>::new();
    ids.iter().for_each(|id| *of.entry(id).or_default() += 1);
    of.values().filter(|n| **n > 1).count()
}

/// Groups by their names, in order.
fn numbered(column: &str, cells: &[&str]) -> Grouping {
    let names: Vec<&str> = cells.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let of = cells.iter().filter_map(|cell| names.binary_search(cell).ok()).collect();
    Grouping { column: column.to_owned(), of, names: names.into_iter().map(str::to_owned).collect() }
}

/// Ids whose rows are of more than one class.
fn of_several_classes<'a>(ids: &'a [String], labels: &[usize]) -> BTreeSet<&'a str> {
    let mut first = BTreeMap::new();
    ids.iter()
        .zip(labels)
        .filter(|(id, label)| *first.entry(id.as_str()).or_insert(*label) != *label)
        .map(|(id, _)| id.as_str())
        .collect()
}

/// So many times the range that the middle half of a column spans, from its median, is far from all others: of measurements that are
/// spread as a normal distribution is, less than one in 10^40 is.
const FAR: f64 = 10.0;
/// Cells that are named.
const FAR_NAMED: usize = 6;

/// The cells that are far from all others of their column, in a sentence: a decimal point lost, another unit, a code for what is missing.
fn far_from_all(measured: &Measurements, ids: &[String]) -> Option<String> {
    let mut found = Vec::new();
    for (name, cells) in &measured.columns {
        let mut sorted: Vec<f64> = cells.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let quarter = |n: usize| sorted.get(sorted.len().saturating_sub(1) * n / 4).copied().unwrap_or(0.0);
        let (median, range) = (quarter(2), quarter(3) - quarter(1));
        if range > 0.0 {
            let far = |value: f64| (value - median).abs() / range > FAR;
            let cells = ids.iter().zip(cells).filter_map(|(id, cell)| Some((id, (*cell)?)));
            found.extend(cells.filter(|(_, value)| far(*value)).map(|(id, value)| {
                format!("{name} of {id} is {} (median {})", significant(value, 4), significant(median, 4))
            }));
        }
    }
    (!found.is_empty()).then(|| {
        format!(
            "{} {} far from all others of {} column: {}. They are learnt from as they are",
            counted(found.len(), "cell"),
            does(found.len(), "is", "are"),
            does(found.len(), "its", "their"),
            listed(&found, FAR_NAMED)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_several_classes_are_found_once() {
        let ids = ["a", "b", "a", "c", "a", "b"].map(str::to_owned);
        assert_eq!(of_several_classes(&ids, &[0, 1, 1, 0, 0, 1]), BTreeSet::from(["a"]));
        assert!(of_several_classes(&ids, &[0, 1, 0, 1, 0, 1]).is_empty());
    }
}
