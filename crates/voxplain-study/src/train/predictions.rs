//! Predictions of a network, and predictions as rows of `predictions.tsv`.

use super::{ahead::read_ahead, dataset::Dataset};
use crate::{
    run::{Prediction, Run, write_predictions},
    setting::LR,
};
use voxplain_core::{Error, Result, remedy, softmax};
use voxplain_nn::{Engine, Network, PlanOptions, Purpose};
use voxplain_stats::FoldPrediction;

/// The probability of each class that a network gives these subjects, in double precision from its outputs.
pub(super) fn predict(
    network: &Network,
    subjects: &[usize],
    dataset: &Dataset<'_>,
    batch: usize,
    engine: &Engine,
) -> Result<Vec<Vec<f64>>> {
    Ok(outputs(network, subjects, dataset, batch, engine)?.iter().map(|row| softmax(row)).collect())
}

/// The outputs of a network for these subjects.
pub(super) fn outputs(
    network: &Network,
    subjects: &[usize],
    dataset: &Dataset<'_>,
    batch: usize,
    engine: &Engine,
) -> Result<Vec<Vec<f32>>> {
    let values: usize = dataset.input_shape().iter().product();
    let options = PlanOptions { purpose: Purpose::Infer, batch: batch.min(subjects.len()), keep: Vec::new() };
    let mut plan = engine.plan(network, &options)?;
    let mut all = Vec::with_capacity(subjects.len());
    let parts: Vec<&[usize]> = subjects.chunks(options.batch).collect();
    let fill = |number: usize, input: &mut Vec<f32>| {
        let members: &[usize] = parts[number];
        input.resize(members.len() * values, 0.0);
        let mut each = members.iter().zip(input.chunks_exact_mut(values));
        each.try_for_each(|(&n, to)| dataset.with(n, |from| to.copy_from_slice(from)))
    };
    read_ahead(parts.len(), fill, |inputs| {
        for members in &parts {
            let tape = inputs.next(|input| Ok(plan.forward(input)?))?;
            for (row, &n) in tape.output().chunks_exact(network.outputs()).zip(*members) {
                if row.iter().any(|v| !v.is_finite()) {
                    return Err(Error::subject(
                        dataset.id(n),
                        format!("the network's outputs are {row:?}"),
                        remedy!["train again with a lower ", LR],
                    ));
                }
                all.push(row.to_vec());
            }
        }
        Ok(all)
    })
}

/// Writes the predictions of a classifier into the run: `predictions.tsv`, or `predictions-<name>.tsv` where `name` is
/// given.
pub(super) fn write(
    run: &Run,
    name: Option<&str>,
    predictions: &[FoldPrediction],
    dataset: &Dataset<'_>,
) -> Result<()> {
    let layout = run.layout();
    let file = name.map_or_else(|| layout.predictions(), |name| layout.comparator_predictions(name));
    let row = |p: &FoldPrediction| Prediction {
        participant_id: dataset.id(p.subject).to_owned(),
        fold: p.fold,
        truth: dataset.classes[p.truth].clone(),
        predicted: dataset.classes[p.predicted].clone(),
        probabilities: p.probabilities.clone(),
    };
    let rows: Vec<Prediction> = predictions.iter().map(row).collect();
    write_predictions(&file, &dataset.classes, &rows)
}
