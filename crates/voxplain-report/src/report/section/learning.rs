//! How training went, fold by fold.

use crate::{
    figure::{LearningCurve, learning_curves, value_learning_curves},
    report::element::Placed,
};
use voxplain_core::{Result, plural::and};
use voxplain_study::run::{Epoch, Run, figure_name};

/// The learning curves of the folds that have some.
pub(in crate::report) fn of_run(run: &Run) -> Result<Option<Placed>> {
    let (mut curves, mut kept) = (Vec::new(), Vec::new());
    for fold in 0..run.manifest.folds {
        if !run.layout().fold(fold).history().is_file() {
            continue;
        }
        let history = run.history(fold)?;
        kept.extend(lowest(&history));
        curves.push(LearningCurve {
            loss: history.iter().map(|e| e.loss).collect(),
            accuracy: history.iter().filter_map(|e| e.accuracy.or(e.error)).collect(),
            validation_loss: history.iter().filter_map(|e| e.validation_loss).collect(),
            validation_accuracy: history.iter().filter_map(|e| e.validation_accuracy.or(e.validation_error)).collect(),
        });
    }
    if curves.is_empty() {
        return Ok(None);
    }
    let mut caption = format!("{} of {} folds.", curves.len(), run.manifest.folds);
    caption.push_str(&about_validation(&kept, run));
    let figure = match run.manifest.task.value() {
        None => learning_curves(&curves, 130.0),
        Some(value) => {
            let unit = value.unit.as_ref().map_or_else(String::new, |u| format!(" ({u})"));
            let soft = !run.manifest.soft_labels.is_empty();
            let loss = if soft { "divergence over bins (nats)" } else { "loss of the standardised value" };
            value_learning_curves(&curves, (loss, &unit), 130.0)
        }
    };
    Ok(Some(Placed::new(figure_name::LEARNING_CURVES, figure, caption)))
}

/// The epoch of the lowest loss on the part set aside: the one that is kept.
fn lowest(history: &[Epoch]) -> Option<usize> {
    let losses = history.iter().filter_map(|e| Some((e.validation_loss?, e.epoch)));
    // The first of equals, as in training.
    losses.reduce(|best, e| if e.0 < best.0 { e } else { best }).map(|(_, epoch)| epoch)
}

/// Which network of each fold is kept, and in what the losses differ.
fn about_validation(kept: &[usize], run: &Run) -> String {
    if kept.is_empty() {
        return String::new();
    }
    let options = &run.manifest.options;
    let given = |name: &str| options.get(name).is_some_and(|value| !value.is_null());
    let mut s = format!(" Kept is the network of the lowest loss on the part set aside: of epoch {}.", and(kept));
    match (given("label-smoothing"), given("mixup")) {
        (false, false) => {}
        (true, false) => s.push_str(" The loss in training is of smoothed labels, that of the part set aside is not."),
        (false, true) => s.push_str(" The loss in training is of mixed images, that of the part set aside is not."),
        (true, true) => {
            s.push_str(
                " The loss in training is of mixed images and smoothed labels, that of the part set aside is not.",
            );
        }
    }
    if given("ema") {
        s.push_str(" The part set aside was judged by the averaged weights.");
    }
    s
}
