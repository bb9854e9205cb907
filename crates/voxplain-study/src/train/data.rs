//! [`Data`]: the labelled part of a cohort, as training wants it.

use super::TrainOptions;
use crate::{Error, Result, cohort::Cohort};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Volumes are kept in memory up to this size (2 GiB), and read again for every batch beyond.
const CACHE: usize = 2 << 30;

/// More classes than this are taken for a measurement.
const MOST_CLASSES: usize = 20;

/// People with a label, by position `0..len()`.
#[derive(Debug)]
pub(super) struct Data<'a> {
    pub(super) cohort: &'a Cohort,
    /// Position in the cohort.
    pub(super) subjects: Vec<usize>,
    /// The class of each.
    pub(super) labels: Vec<usize>,
    /// Names of the classes, sorted (as numbers where they all are).
    pub(super) classes: Vec<String>,
    /// Who belongs together.
    pub(super) groups: Option<Vec<usize>>,
    /// Ids of those without a label.
    pub(super) left_out: Vec<String>,
    cache: Vec<OnceLock<Vec<f32>>>,
}

impl<'a> Data<'a> {
    pub(super) fn of(cohort: &'a Cohort, options: &TrainOptions) -> Result<Self> {
        let cells = cohort.column(&options.label)?;
        let (subjects, without): (Vec<usize>, Vec<usize>) = (0..cells.len()).partition(|&n| cells[n].is_some());
        let names = |of: &[usize]| of.iter().map(|&n| cohort.subjects[n].id.clone()).collect::<Vec<_>>();
        let left_out = names(&without);
        if !left_out.is_empty() && !options.keep_going {
            return Err(Error::request(
                format!(
                    "{} of {} subjects have no {}: {}",
                    left_out.len(),
                    cells.len(),
                    options.label,
                    list(&left_out)
                ),
                "fill it in, or leave them out with --keep-going",
            ));
        }
        let mut classes: Vec<String> = subjects.iter().filter_map(|&n| cells[n]).map(str::to_owned).collect();
        classes.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(x), Ok(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
            (Ok(_), Err(_)) => std::cmp::Ordering::Less,
            (Err(_), Ok(_)) => std::cmp::Ordering::Greater,
            _ => a.cmp(b),
        });
        classes.dedup();
        if classes.len() < 2 || classes.len() > MOST_CLASSES {
            return Err(Error::request(
                format!("column {} has {} different values: {}", options.label, classes.len(), list(&classes)),
                format!("--label takes a column of 2 to {MOST_CLASSES} classes"),
            ));
        }
        let labels =
            subjects.iter().filter_map(|&n| classes.iter().position(|c| Some(c.as_str()) == cells[n])).collect();
        let groups = options.group.as_ref().map(|column| groups(cohort, column, &subjects)).transpose()?;
        let bytes = subjects.len() * cohort.preparation.shape.iter().product::<usize>() * 4;
        let cache = if bytes <= CACHE { subjects.iter().map(|_| OnceLock::new()).collect() } else { Vec::new() };
        Ok(Self { cohort, subjects, labels, classes, groups, left_out, cache })
    }

    /// Number of people.
    pub(super) fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Shape of the volumes.
    pub(super) fn shape(&self) -> [usize; 3] {
        self.cohort.preparation.shape
    }

    /// The class to detect.
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

    /// The values of one volume, in C order.
    pub(super) fn volume(&self, position: usize) -> Result<Vec<f32>> {
        self.with(position, <[f32]>::to_vec)
    }

    /// Works on the values of one volume.
    pub(super) fn with<R>(&self, position: usize, work: impl FnOnce(&[f32]) -> R) -> Result<R> {
        let Some(slot) = self.cache.get(position) else { return Ok(work(&self.read(position)?)) };
        if let Some(values) = slot.get() {
            return Ok(work(values));
        }
        let values = self.read(position)?;
        Ok(work(slot.get_or_init(|| values)))
    }

    fn read(&self, position: usize) -> Result<Vec<f32>> {
        let subject = self.subjects[position];
        let values = self.cohort.volume(subject)?.into_data();
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            return Err(Error::Subject {
                subject: self.cohort.subjects[subject].id.clone(),
                what: format!("its prepared volume holds {bad}"),
                remedy: "look at the source with `voxplain inspect`, then prepare it again".into(),
            });
        }
        Ok(values)
    }
}

/// The group of each subject, numbered in the order of their names.
fn groups(cohort: &Cohort, column: &str, subjects: &[usize]) -> Result<Vec<usize>> {
    let cells = cohort.column(column)?;
    let without: Vec<_> =
        subjects.iter().filter(|&&n| cells[n].is_none()).map(|&n| cohort.subjects[n].id.clone()).collect();
    if !without.is_empty() {
        return Err(Error::request(
            format!("{} subjects have no {column}: {}", without.len(), list(&without)),
            "fill it in: who belongs together must be known to keep them in one fold",
        ));
    }
    let mut numbers = BTreeMap::new();
    for &n in subjects {
        numbers.insert(cells[n], 0);
    }
    for (n, number) in numbers.values_mut().enumerate() {
        *number = n;
    }
    Ok(subjects.iter().map(|&n| numbers[&cells[n]]).collect())
}

/// At most 12 names.
fn list(names: &[String]) -> String {
    let shown = names.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 12 { format!("{shown} and {} more", names.len() - 12) } else { shown }
}
