//! [`Prediction`]: a row of `predictions.tsv`.

use serde::{Deserialize, Serialize};
use std::path::Path;
use voxplain_core::{Error, Remedy, Result, Table};

/// One row of `predictions.tsv`: what a model that never saw the subject said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The subject's id.
    pub participant_id: String,
    /// The fold whose model was asked.
    pub fold: usize,
    /// The true class.
    pub truth: String,
    /// The class with the largest logit.
    pub predicted: String,
    /// Probability of each class, in the order of the classes (columns `p_<class>`).
    pub probabilities: Vec<f64>,
}

pub(super) fn read(path: &Path, classes: &[String], again: Remedy) -> Result<Vec<Prediction>> {
    let table = Table::read(path)?;
    let columns = |name: &str| table.column(name);
    let (id, fold, truth, predicted) =
        (columns("participant_id")?, columns("fold")?, columns("truth")?, columns("predicted")?);
    let probabilities = classes.iter().map(|c| table.column(&format!("p_{c}"))).collect::<Result<Vec<_>>>()?;
    let row = |row: &Vec<Option<String>>| -> Option<Prediction> {
        let text = |c: usize| row[c].clone();
        let class = |c: usize| text(c).filter(|t| classes.contains(t));
        let participant_id = text(id)?;
        Some(Prediction {
            participant_id: participant_id.strip_prefix("sub-").unwrap_or(&participant_id).to_owned(),
            fold: text(fold)?.parse().ok()?,
            truth: class(truth)?,
            predicted: class(predicted)?,
            probabilities: probabilities
                .iter()
                .map(|&c| text(c)?.parse().ok().filter(|p| (0.0..=1.0).contains(p)))
                .collect::<Option<_>>()?,
        })
    };
    table
        .rows
        .iter()
        .enumerate()
        .map(|(n, r)| {
            let what = || format!("row {} is no prediction of the classes {}", n + 1, classes.join(", "));
            row(r).ok_or_else(|| Error::file(path, what(), again.clone()))
        })
        .collect()
}

/// Writes `predictions.tsv`.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, classes: &[String], predictions: &[Prediction]) -> Result<()> {
    let mut columns: Vec<String> = ["participant_id", "fold", "truth", "predicted"].map(String::from).to_vec();
    columns.extend(classes.iter().map(|c| format!("p_{c}")));
    let rows = predictions
        .iter()
        .map(|p| {
            let mut row =
                vec![format!("sub-{}", p.participant_id), p.fold.to_string(), p.truth.clone(), p.predicted.clone()];
            row.extend(p.probabilities.iter().map(f64::to_string));
            row.into_iter().map(Some).collect()
        })
        .collect();
    Table { columns, rows }.write_tsv(path)
}
